// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/imitation/imitation_loss.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace trivium::routing {
namespace {

// A sum must keep this share of what was added to it: of 16 digits 8 are then left.
constexpr double kLeastShare = 1e-8;
// Scores farther above the reference start the sums anew; those farther below count as this far.
constexpr double kHighest = 20;
constexpr double kLowest = -600;

}  // namespace

double ImitationLoss::Evaluate(const ScoredPath& path, double final_weight, std::span<float> derivative) {
  const std::size_t size = path.scores.size();
  assert(path.hops.size() == size && derivative.size() == size);
  path_ = path;
  derivative_ = derivative;
  std::fill(derivative.begin(), derivative.end(), 0.0f);
  if (size == 0) return 0;
  sums_.assign(std::size_t{1} + *std::max_element(path.hops.begin(), path.hops.end()), HopSums());
  gone_.assign(size, false);
  weights_.resize(size);
  inverse_before_.resize(size);
  hop_inverse_before_.resize(size);
  inverse_ = 0;
  reference_ = path.scores[0];

  double loss = 0;
  std::size_t arrived = 0;
  for (std::size_t t = 0; t < path.expanded.size(); ++t) {
    Enter(arrived, path.arrived[t]);
    arrived = path.arrived[t];
    if (!Precise()) Restart(arrived);
    double all = 0;
    for (const HopSums& sum : sums_) all += sum.candidates;
    const auto fewest =
        std::find_if(sums_.begin(), sums_.end(), [](const HopSums& s) { return s.count > 0; });
    loss += std::log(all / fewest->candidates);
    inverse_ += 1 / all;
    fewest->inverse += 1 / fewest->candidates;

    const std::uint32_t taken = path.expanded[t];
    Settle(taken);
    gone_[taken] = true;
    HopSums& sum = sums_[path.hops[taken]];
    sum.candidates = --sum.count == 0 ? 0 : sum.candidates - weights_[taken];
    if (sum.count == 0) sum.peak = 0;
  }
  for (std::size_t i = 0; i < arrived; ++i) {
    if (!gone_[i]) Settle(i);
  }
  return loss + FinalChoice(final_weight, derivative);
}

void ImitationLoss::Enter(std::size_t first, std::size_t last) {
  const auto scores = path_.scores.subspan(first, last - first);
  if (!scores.empty() && *std::max_element(scores.begin(), scores.end()) > reference_ + kHighest) {
    for (std::size_t i = first; i < last; ++i) {
      // What Restart settles of them is nothing: they enter with the sums as they stand.
      weights_[i] = 0;
      inverse_before_[i] = inverse_;
      hop_inverse_before_[i] = sums_[path_.hops[i]].inverse;
    }
    Restart(last);
    return;
  }
  for (std::size_t i = first; i < last; ++i) Add(i);
}

void ImitationLoss::Add(std::size_t i) {
  weights_[i] = std::exp(std::max(path_.scores[i] - reference_, kLowest));
  HopSums& sum = sums_[path_.hops[i]];
  sum.candidates += weights_[i];
  sum.peak = std::max(sum.peak, sum.candidates);
  ++sum.count;
  inverse_before_[i] = inverse_;
  hop_inverse_before_[i] = sum.inverse;
}

// Adds what the expansions since vertex i entered, or since the last restart, say about its score.
void ImitationLoss::Settle(std::size_t i) {
  const double all = inverse_ - inverse_before_[i];
  const double fewest = sums_[path_.hops[i]].inverse - hop_inverse_before_[i];
  derivative_[i] += static_cast<float>(weights_[i] * (all - fewest));
}

void ImitationLoss::Restart(std::size_t arrived) {
  double highest = -HUGE_VAL;
  for (std::size_t i = 0; i < arrived; ++i) {
    if (gone_[i]) continue;
    Settle(i);
    highest = std::max<double>(highest, path_.scores[i]);
  }
  reference_ = highest;
  inverse_ = 0;
  std::fill(sums_.begin(), sums_.end(), HopSums());
  for (std::size_t i = 0; i < arrived; ++i) {
    if (!gone_[i]) Add(i);
  }
}

// Whether the sums hold enough digits, now and after this expansion is added to them.
bool ImitationLoss::Precise() const {
  double all = 0;
  bool first = true;
  for (const HopSums& sum : sums_) {
    if (sum.count == 0) continue;
    if (!(sum.candidates > kLeastShare * sum.peak)) return false;
    if (first && sum.inverse > 0 && sum.inverse * sum.candidates * kLeastShare > 1) return false;
    first = false;
    all += sum.candidates;
  }
  return !(inverse_ * all * kLeastShare > 1);
}

double ImitationLoss::FinalChoice(double weight, std::span<float> derivative) const {
  const bool found = std::find(path_.hops.begin(), path_.hops.end(), 0) != path_.hops.end();
  if (!found || weight == 0) return 0;
  const double highest = *std::max_element(path_.scores.begin(), path_.scores.end());
  double all = 0, right = 0;
  for (std::size_t i = 0; i < path_.scores.size(); ++i) {
    const double e = std::exp(std::max(path_.scores[i] - highest, kLowest));
    all += e;
    if (path_.hops[i] == 0) right += e;
  }
  for (std::size_t i = 0; i < path_.scores.size(); ++i) {
    const double e = std::exp(std::max(path_.scores[i] - highest, kLowest));
    derivative[i] += static_cast<float>(weight * (e / all - (path_.hops[i] == 0 ? e / right : 0)));
  }
  return weight * std::log(all / right);
}

}  // namespace trivium::routing
