// SPDX-License-Identifier: Apache-2.0
// Remembered queries: where each lies in router space and how useful every expert was for it.
//
// routing/expert/ owns the choice among experts and the merging of what they return. It works on numbers
// only: experts are columns 0..E-1, documents are 64-bit keys, queries are unit vectors of the router space.
// It must not know stores, texts or names of experts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/aligned_matrix.h"

namespace trivium::routing {

enum class PilotSource : std::uint8_t {
  kTrained = 0,     // a judged query
  kFeedback = 1,    // a user's reaction
  kBackground = 2,  // an ordinary query that no expert serves
};

// One pilot, borrowed from a PilotSet (valid until the set changes) or lent to it.
struct PilotView {
  absl::Span<const float> vector;     // d floats, unit norm
  absl::Span<const float> utilities;  // E floats, usually nDCG@10 in [0, 1]; NaN = unknown
  // E floats >= 0, or empty = unknown: whose query it is, whatever they made of it, such as the sum of
  // grades of its relevant documents that each expert holds. Only the proportions count; all 0 = unknown.
  absl::Span<const float> owners = {};
  float weight = 1;       // >= 0; how much this pilot counts
  std::int64_t time = 0;  // unix seconds
  PilotSource source = PilotSource::kTrained;
};

// Not thread-safe while it changes.
class PilotSet {
 public:
  PilotSet() = default;
  PilotSet(std::size_t dimension, std::size_t expert_count)
      : vectors_(dimension), expert_count_(expert_count) {}

  std::size_t size() const { return weights_.size(); }
  std::size_t dimension() const { return vectors_.columns(); }
  std::size_t expert_count() const { return expert_count_; }

  PilotView pilot(std::size_t i) const;
  base::MatrixView vectors() const { return vectors_.view(); }  // n x d
  absl::Span<const float> utilities(std::size_t i) const;       // E floats
  absl::Span<const float> owners(std::size_t i) const;          // E floats, all 0 = unknown
  float weight(std::size_t i) const { return weights_[i]; }

  // kInvalidArgument: wrong length, a component that is not finite, a norm not within 1e-3 of 1, an infinite
  // utility, a negative weight or owner. The set is unchanged then.
  absl::Status Add(const PilotView& pilot);

  // A set of the pilots named by `rows`, in that order.
  PilotSet Subset(absl::Span<const std::uint32_t> rows) const;

  // Makes an expert unknown to every pilot where none of them found anything through it or is its query:
  // that it answered none of the questions of others says nothing about questions for it.
  void ForgetExpertsWithoutEvidence();

  // Columns: the others keep their values. A new column is unknown for every pilot.
  void AddExpert();
  void RemoveExpert(std::size_t expert);

  // One pilot as a row of a table. Utilities and owners are written with the expert's lasting id
  // (`expert_ids`: one per column, never reused), so that rows stay valid when experts come and go.
  std::string EncodePilot(std::size_t i, absl::Span<const std::uint32_t> expert_ids) const;

  // Adds an encoded pilot; what is said of ids not in `expert_ids` is dropped, ids without one are unknown.
  // kDataLoss: malformed bytes, or another dimension than this set's.
  absl::Status AddEncoded(std::string_view bytes, absl::Span<const std::uint32_t> expert_ids);

 private:
  base::AlignedMatrix vectors_;
  std::size_t expert_count_ = 0;
  std::vector<float> utilities_;  // n x E
  std::vector<float> owners_;     // n x E
  std::vector<float> weights_;
  std::vector<std::int64_t> times_;
  std::vector<PilotSource> sources_;
};

}  // namespace trivium::routing
