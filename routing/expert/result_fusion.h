// SPDX-License-Identifier: Apache-2.0
// Merges the hits of several experts into one list without duplicates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace trivium::routing {

enum class ExpertKind : std::uint8_t { kDense, kLexical, kCallable };

struct ScoredDocument {
  std::uint64_t key = 0;
  float score = 0;   // of the expert, larger is better
  float raised = 0;  // added to it where lists are merged; lists are ordered by the sum
};

// What one expert returned, best first, keys distinct.
struct ExpertResult {
  std::uint32_t expert = 0;
  ExpertKind kind = ExpertKind::kDense;
  std::uint32_t space = 0;  // only scores of one space (and kind) may be compared
  float weight = 1;  // of its votes by rank, usually its probability; merged lists vote with the largest
  float prior = 0;   // added to its scores when lists are merged by score
  absl::Span<const ScoredDocument> hits;
};

enum class FusionMethod : std::uint8_t {
  kAuto,    // dense lists of one space by score; where that leaves several voters, those by rank
  kScore,   // by score + prior, whatever the lists are
  kConvex,  // voters as of kAuto: sum of their scores, brought to [0, 1], by their shares of the weights
  kReciprocalRank,  // every list a voter: sum of weight / (kReciprocalRankOffset + rank), rank from 1
};

// Cormack, Clarke, Buettcher 2009 (reciprocal rank fusion), their k.
inline constexpr float kReciprocalRankOffset = 60.0f;

struct FusedHit {
  std::uint64_t key = 0;
  float score = 0;           // final, larger is better: score + raised + prior, or the sum of votes
  float expert_score = 0;    // raw score given by `expert`
  std::uint32_t expert = 0;  // the one that spoke best for it; ties by the smaller number
};

// Buffers of one thread, reused from query to query.
struct FusionScratch {
  std::vector<FusedHit> candidates;
  std::vector<FusedHit> voter;
};

// kConvex brings a voter's scores to [0, 1] by its best and its worst hit, so that its lists should be about
// as deep as the others' and reach well beyond k: a document that it did not find counts as its worst. Hits
// that are all alike count 1. Source: Bruch, Gai, Ingber 2023 (An analysis of fusion functions for hybrid
// retrieval), min-max scaling.
//
// Overwrites `fused` with the k best documents; ties by the smaller key. A document found by several experts
// counts once: with its best score, or with the sum of its votes. Cost: O(h log h) for h hits in all.
void FuseResults(absl::Span<const ExpertResult> results, std::size_t k, FusionMethod method,
                 FusionScratch* scratch, std::vector<FusedHit>* fused);

}  // namespace trivium::routing
