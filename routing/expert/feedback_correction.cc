// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/feedback_correction.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"

namespace trivium::routing {
namespace {

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
constexpr float kSmallestShare = 0.01f;  // of a query in a kind; less is left out
constexpr float kErrorDeviation = 0.3f;  // of one observed utility around its expectation, about

// How far a query is of each kind: shares that sum to 1, all 0 where the router knows nothing of use.
void FillShares(absl::Span<const float> utility, float sharpness, std::vector<float>* shares) {
  const int first = FirstExpert(utility);
  shares->assign(utility.size(), 0.0f);
  if (first < 0 || !(utility[first] > 0)) return;
  float sum = 0;
  for (std::size_t e = 0; e < utility.size(); ++e) {
    if (!(utility[e] > 0)) continue;  // also where NaN
    (*shares)[e] = std::pow(utility[e] / utility[first], sharpness);
    sum += (*shares)[e];
  }
  for (float& share : *shares) share = share < kSmallestShare * sum ? 0.0f : share / sum;
}

}  // namespace

int FirstExpert(absl::Span<const float> utility) {
  int first = -1;
  for (std::size_t e = 0; e < utility.size(); ++e) {
    if (std::isnan(utility[e])) continue;
    if (first < 0 || utility[e] > utility[first]) first = static_cast<int>(e);
  }
  return first;
}

absl::StatusOr<std::shared_ptr<const FeedbackCorrection>> FeedbackCorrection::Build(
    const PilotSet& pilots, absl::Span<const float> predicted, absl::Span<const float> weights,
    const FeedbackOptions& options) {
  const std::size_t experts = pilots.expert_count();
  if (predicted.size() != pilots.size() * experts || weights.size() != pilots.size()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("feedback: %d predictions and %d weights, expected %d and %d", predicted.size(),
                        weights.size(), pilots.size() * experts, pilots.size()));
  }
  auto correction = std::make_shared<FeedbackCorrection>();
  correction->options_ = options;
  correction->expert_count_ = experts;
  std::vector<int>& row_of_kind = correction->row_of_kind_;
  row_of_kind.assign(experts, -1);
  std::vector<float> shares;
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    const absl::Span<const float> expected = predicted.subspan(i * experts, experts);
    const absl::Span<const float> observed = pilots.utilities(i);
    FillShares(expected, options.sharpness, &shares);
    for (std::size_t kind = 0; kind < experts; ++kind) {
      if (shares[kind] == 0) continue;
      if (row_of_kind[kind] < 0) {
        row_of_kind[kind] = static_cast<int>(correction->votes_.size() / experts);
        correction->votes_.resize(correction->votes_.size() + experts, 0.0f);
        correction->errors_.resize(correction->errors_.size() + experts, 0.0f);
      }
      const std::size_t row = row_of_kind[kind] * experts;
      const float weight = weights[i] * shares[kind];
      for (std::size_t e = 0; e < experts; ++e) {
        if (std::isnan(observed[e])) continue;
        correction->votes_[row + e] += weight;
        correction->errors_[row + e] +=
            weight * (observed[e] - (std::isnan(expected[e]) ? 0.0f : expected[e]));
      }
    }
  }
  return correction;
}

void FeedbackCorrection::Correct(FeedbackScratch* scratch, absl::Span<float> utility,
                                 absl::Span<float> uncertainty) const {
  const int first = FirstExpert(utility);
  if (first < 0) return;  // of no kind
  FillShares(utility, options_.sharpness, &scratch->shares);
  scratch->votes.assign(expert_count_, 0.0f);
  scratch->errors.assign(expert_count_, 0.0f);
  for (std::size_t kind = 0; kind < expert_count_; ++kind) {
    const float share = scratch->shares[kind];
    if (share == 0 || row_of_kind_[kind] < 0) continue;
    const float* votes = &votes_[row_of_kind_[kind] * expert_count_];
    const float* errors = &errors_[row_of_kind_[kind] * expert_count_];
    for (std::size_t e = 0; e < expert_count_; ++e) {
      scratch->votes[e] += share * votes[e];
      scratch->errors[e] += share * errors[e];
    }
  }
  const float promised = utility[first];
  for (std::size_t e = 0; e < expert_count_; ++e) {
    const float votes = scratch->votes[e];
    const bool known = !std::isnan(utility[e]);
    if (!(votes > 0) || (!known && votes < options_.min_votes)) continue;
    const float error = scratch->errors[e] / (votes + options_.prior_votes);
    utility[e] = std::clamp((known ? utility[e] : 0.0f) + error, 0.0f, 1.0f);
    if (!known) uncertainty[e] = kErrorDeviation / std::sqrt(votes + options_.prior_votes);
  }
  const bool refuted =
      scratch->votes[first] >= options_.min_votes && utility[first] < options_.refuted_below * promised;
  for (std::size_t e = 0; refuted && e < expert_count_; ++e) {
    if (scratch->votes[e] < options_.min_votes) utility[e] = uncertainty[e] = kUnknown;
  }
}

}  // namespace trivium::routing
