// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/answer_statistics.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "base/random.h"

namespace trivium::routing {

Interval PercentileInterval(std::vector<double>* samples) {
  std::sort(samples->begin(), samples->end());
  const double last = static_cast<double>(samples->size() - 1);
  return {(*samples)[static_cast<std::size_t>(0.025 * last)],
          (*samples)[static_cast<std::size_t>(0.975 * last + 0.5)]};
}

QuerySets GroupBySet(absl::Span<const std::uint32_t> set_of_query) {
  std::map<std::uint32_t, std::vector<std::uint32_t>> by_set;
  for (std::uint32_t i = 0; i < set_of_query.size(); ++i) by_set[set_of_query[i]].push_back(i);
  QuerySets sets;
  for (auto& [set, queries] : by_set) sets.push_back(std::move(queries));
  return sets;
}

double MacroMean(absl::Span<const double> values, const QuerySets& sets) {
  double total = 0;
  for (const std::vector<std::uint32_t>& set : sets) {
    double sum = 0;
    for (std::uint32_t query : set) sum += values[query];
    total += sum / static_cast<double>(set.size());
  }
  return total / static_cast<double>(sets.size());
}

GainIntervals BootstrapGain(absl::Span<const double> values, absl::Span<const double> baseline,
                            absl::Span<const double> oracle, const QuerySets& sets, std::size_t rounds,
                            std::uint64_t seed) {
  base::Random random(seed);
  std::vector<double> gains(rounds);
  std::vector<double> shares(rounds);
  bool share_defined = true;
  for (std::size_t round = 0; round < rounds; ++round) {
    double gain = 0;
    double oracle_gain = 0;
    for (const std::vector<std::uint32_t>& set : sets) {
      double set_gain = 0;
      double set_oracle_gain = 0;
      for (std::size_t draw = 0; draw < set.size(); ++draw) {
        const std::uint32_t query = set[random.Below(set.size())];
        set_gain += values[query] - baseline[query];
        set_oracle_gain += oracle[query] - baseline[query];
      }
      gain += set_gain / static_cast<double>(set.size());
      oracle_gain += set_oracle_gain / static_cast<double>(set.size());
    }
    gains[round] = gain / static_cast<double>(sets.size());
    share_defined = share_defined && oracle_gain > 0;
    shares[round] = oracle_gain > 0 ? gain / oracle_gain : 0;
  }
  constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
  return {PercentileInterval(&gains),
          share_defined ? PercentileInterval(&shares) : Interval{kUndefined, kUndefined}};
}

}  // namespace trivium::routing
