// SPDX-License-Identifier: Apache-2.0
// How good a ranked list is, given human judgements. Figures equal those of trec_eval: linear gains, log2
// discounts, an ideal list made of every document judged above zero, whether it was retrieved or not.
//
// A query without a positive judgement has no figure: skip it (relevant_count() == 0) instead of averaging in
// a zero. All functions are pure, allocate nothing and cost O(k log judged).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace trivium::routing {

struct JudgedDocument {
  std::uint64_t key = 0;
  double grade = 0;  // above zero: relevant
};

// The judgements of one query, arranged for lookup.
class Judgements {
 public:
  Judgements() = default;
  // In any order; of several grades for one key the last counts.
  explicit Judgements(std::vector<JudgedDocument> documents);

  double GradeOf(std::uint64_t key) const;  // 0 where `key` is not judged or its grade is negative
  std::size_t relevant_count() const { return ideal_grades_.size(); }
  absl::Span<const JudgedDocument> documents() const { return documents_; }  // by key
  absl::Span<const double> ideal_grades() const { return ideal_grades_; }    // positive ones, best first

 private:
  std::vector<JudgedDocument> documents_;
  std::vector<double> ideal_grades_;
};

// `ranked`: distinct keys, best first; only the first k count. 0 where nothing relevant is judged.
double NdcgAt(std::size_t k, absl::Span<const std::uint64_t> ranked, const Judgements& judgements);
double RecallAt(std::size_t k, absl::Span<const std::uint64_t> ranked, const Judgements& judgements);
// 1 / rank of the first relevant document within the first k, 0 where there is none.
double ReciprocalRankAt(std::size_t k, absl::Span<const std::uint64_t> ranked, const Judgements& judgements);
double AveragePrecision(absl::Span<const std::uint64_t> ranked, const Judgements& judgements);

}  // namespace trivium::routing
