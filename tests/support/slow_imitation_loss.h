// SPDX-License-Identifier: Apache-2.0
// The loss of imitation_loss.h and its derivatives, one softmax an expansion.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/random.h"
#include "routing/graph/imitation/imitation_loss.h"

namespace trivium::testing_support {

// A path that owns what it is made of.
struct OwnedPath {
  std::vector<float> scores;
  std::vector<std::uint8_t> hops;
  std::vector<std::uint32_t> expanded, arrived;

  routing::ScoredPath view() const { return {scores, hops, expanded, arrived}; }
};

struct SlowLoss {
  double loss = 0;
  std::vector<double> derivative;
};

// Adds weight * -log(sum of e^s over the good / sum of e^s over the members) and its derivative.
inline void AddSlowChoice(const std::vector<float>& scores, const std::vector<std::size_t>& members,
                          const std::vector<bool>& good, double weight, SlowLoss* out) {
  double highest = -HUGE_VAL, highest_good = -HUGE_VAL;
  for (const std::size_t i : members) {
    highest = std::max<double>(highest, scores[i]);
    if (good[i]) highest_good = std::max<double>(highest_good, scores[i]);
  }
  double all = 0, right = 0;
  for (const std::size_t i : members) {
    all += std::exp(scores[i] - highest);
    if (good[i]) right += std::exp(scores[i] - highest_good);
  }
  out->loss += weight * (std::log(all) + highest - std::log(right) - highest_good);
  for (const std::size_t i : members) {
    out->derivative[i] += weight * std::exp(scores[i] - highest) / all;
    if (good[i]) out->derivative[i] -= weight * std::exp(scores[i] - highest_good) / right;
  }
}

inline SlowLoss SlowImitationLoss(const routing::ScoredPath& path, double final_weight) {
  const std::vector<float> scores(path.scores.begin(), path.scores.end());
  SlowLoss out{0, std::vector<double>(scores.size(), 0.0)};
  std::vector<bool> gone(scores.size(), false), good(scores.size());
  for (std::size_t t = 0; t < path.expanded.size(); ++t) {
    std::vector<std::size_t> members;
    int fewest = 255;
    for (std::size_t i = 0; i < path.arrived[t]; ++i) {
      if (gone[i]) continue;
      members.push_back(i);
      fewest = std::min<int>(fewest, path.hops[i]);
    }
    for (std::size_t i = 0; i < scores.size(); ++i) good[i] = path.hops[i] == fewest;
    AddSlowChoice(scores, members, good, 1, &out);
    gone[path.expanded[t]] = true;
  }
  std::vector<std::size_t> members;
  bool found = false;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    members.push_back(i);
    good[i] = path.hops[i] == 0;
    found = found || good[i];
  }
  if (found) AddSlowChoice(scores, members, good, final_weight, &out);
  return out;
}

// `spread`: deviation of the scores. `drift`: by which each score is larger than the one before.
inline OwnedPath RandomPath(std::size_t size, std::size_t steps, int most_hops, double spread, double drift,
                            std::uint64_t seed) {
  base::Random random(seed);
  OwnedPath path;
  for (std::size_t i = 0; i < size; ++i) {
    path.scores.push_back(static_cast<float>(spread * random.Normal() + drift * double(i)));
    path.hops.push_back(static_cast<std::uint8_t>(random.Below(most_hops + 1)));
  }
  std::vector<std::uint32_t> candidates;
  std::size_t arrived = 0;
  for (std::size_t t = 0; t < steps; ++t) {
    const std::size_t more = std::min<std::size_t>(1 + random.Below(2 * size / steps), size - arrived);
    for (std::size_t i = 0; i < more; ++i) candidates.push_back(static_cast<std::uint32_t>(arrived++));
    if (candidates.empty()) break;
    std::size_t taken = random.Below(candidates.size());
    if (random.Below(2) == 0) {  // as often as not the best, as agents do
      for (std::size_t i = 0; i < candidates.size(); ++i) {
        if (path.scores[candidates[i]] > path.scores[candidates[taken]]) taken = i;
      }
    }
    path.arrived.push_back(static_cast<std::uint32_t>(arrived));
    path.expanded.push_back(candidates[taken]);
    candidates.erase(candidates.begin() + static_cast<std::ptrdiff_t>(taken));
  }
  return path;
}

}  // namespace trivium::testing_support
