// SPDX-License-Identifier: Apache-2.0
// What feedback says against the router: its predictions are moved by how far they were off lately for
// queries that it takes for the same kind. Works with any router, without training it again.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "routing/expert/pilot_set.h"

namespace trivium::routing {

// Chosen on train queries of 17 collections: feedback on one half of them, quality on the other
// (docs/feedback.md).
struct FeedbackOptions {
  float sharpness = 4.0f;    // a query is of kind e in proportion to the e-th predicted utility to this power
  float prior_votes = 4.0f;  // votes for the router being right
  float min_votes = 2.0f;    // before feedback can refute the router, or make an expert known
  float refuted_below = 0.5f;  // of what was predicted for its first choice
};

// Buffers of one thread. They grow with the number of experts.
struct FeedbackScratch {
  std::vector<float> shares, votes, errors;
};

// A table of how far the router was off for each expert (column) on queries of each kind (row). Queries are
// of one kind where the router predicts alike for them: it has learned what belongs together, so a few
// answers speak for a whole domain. Votes of the nearest queries instead, by cosine, won back a tenth of what
// the table does in the bench of docs/feedback.md.
//
// Immutable; Correct may be called concurrently, each thread with a scratch of its own. Memory: 8 bytes an
// expert and kind, however much feedback there is.
class FeedbackCorrection {
 public:
  //   pilots     utilities are as observed, NaN for experts that were not asked
  //   predicted  size() x E: what the router predicts for these queries, NaN where it knows nothing
  //   weights    one each, >= 0; the pilots' own weights are not used
  // kInvalidArgument: other lengths. Cost: O(size() x E).
  static absl::StatusOr<std::shared_ptr<const FeedbackCorrection>> Build(const PilotSet& pilots,
                                                                         absl::Span<const float> predicted,
                                                                         absl::Span<const float> weights,
                                                                         const FeedbackOptions& options = {});

  // Moves the router's prediction for a query by the mean error (observed - predicted utility) of each
  // expert, of which every feedback votes with its weight and as far as it is of the query's kind, shrunk by
  // prior_votes towards 0.
  //
  // Where the router's first expert turns out to be worth less than refuted_below of what was predicted, the
  // router is refuted: experts with fewer than min_votes become unknown (NaN), so that they are asked and can
  // show what they are worth. An expert that the router does not know becomes known with min_votes.
  //
  // utility, uncertainty: expert_count() floats each. Allocates nothing once `scratch` has grown. Cost: O(E)
  // for each kind that the query is of, usually one to three.
  void Correct(FeedbackScratch* scratch, absl::Span<float> utility, absl::Span<float> uncertainty) const;

  std::size_t expert_count() const { return expert_count_; }

 private:
  FeedbackOptions options_;
  std::size_t expert_count_ = 0;
  std::vector<int> row_of_kind_;  // in votes_ and errors_; -1: no feedback of that kind
  std::vector<float> votes_;      // rows x E
  std::vector<float> errors_;     // likewise, summed over votes
};

// The expert with the largest known utility, ties by index; -1: none is known.
int FirstExpert(absl::Span<const float> utility);

}  // namespace trivium::routing
