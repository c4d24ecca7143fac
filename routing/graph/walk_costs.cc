// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/walk_costs.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "index/search_scratch.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kBootstrapRounds = 400;
constexpr std::size_t kChunk = 32;

struct Work {
  index::SearchScratch scratch;
  std::vector<std::vector<base::Neighbor>> found{kChunk};
  std::vector<index::SearchCounters> counters{kChunk};
};

// Calls take(query, found, counters) for each query, on several threads. kCancelled.
template <class Take>
absl::Status SearchAll(const index::SearchableRows& searched, base::MatrixView queries,
                       const index::SearchParameters& parameters, int thread_count,
                       const std::atomic<bool>* cancelled, const Take& take) {
  std::vector<Work> works(thread_count);
  const auto is_cancelled = [&] {
    return cancelled != nullptr && cancelled->load(std::memory_order_relaxed);
  };
  base::ParallelFor((queries.rows + kChunk - 1) / kChunk, thread_count, 1, [&](std::size_t item, int thread) {
    if (is_cancelled()) return;
    const std::size_t first = item * kChunk, count = std::min(kChunk, queries.rows - first);
    Work& work = works[thread];
    work.counters.assign(kChunk, {});
    index::SearchRowsWithGraph(searched,
                               base::MatrixView(queries.row(first), count, queries.columns, queries.stride),
                               parameters, &work.scratch, work.found.data(), work.counters.data());
    for (std::size_t i = 0; i < count; ++i) take(first + i, work.found[i], work.counters[i]);
  });
  return is_cancelled() ? absl::CancelledError("graph training: cancelled by the caller") : absl::OkStatus();
}

template <class Value>
double Mean(const std::vector<Value>& values, std::size_t width, std::size_t query_count,
            absl::Span<const std::uint32_t> sample) {
  double sum = 0;
  const Value* of_width = values.data() + width * query_count;
  if (sample.empty()) {
    for (std::size_t i = 0; i < query_count; ++i) sum += of_width[i];
    return sum / static_cast<double>(query_count);
  }
  for (const std::uint32_t query : sample) sum += of_width[query];
  return sum / static_cast<double>(sample.size());
}

}  // namespace

absl::StatusOr<NearestDistances> ScanNearest(const index::SearchableRows& searched, base::MatrixView queries,
                                             int thread_count, const std::atomic<bool>* cancelled) {
  NearestDistances nearest;
  nearest.queries = queries;
  nearest.count = std::min(kCostResults, searched.rows.rows);
  nearest.last.resize(queries.rows);
  index::SearchParameters parameters;
  parameters.k = nearest.count;
  parameters.method = index::SearchMethod::kExact;
  const absl::Status status = SearchAll(searched, queries, parameters, thread_count, cancelled,
                                        [&](std::size_t query, const std::vector<base::Neighbor>& found,
                                            const auto&) { nearest.last[query] = found.back().distance; });
  if (!status.ok()) return status;
  return nearest;
}

absl::StatusOr<WalkCosts> WalkCosts::Measure(const index::SearchableRows& searched,
                                             const NearestDistances& truth, int thread_count,
                                             const std::atomic<bool>* cancelled,
                                             const std::function<void()>& after_width) {
  WalkCosts costs;
  costs.query_count_ = truth.queries.rows;
  costs.wanted_ = static_cast<double>(truth.count);
  costs.hits_.resize(kCostWidths.size() * costs.query_count_);
  costs.hops_.resize(kCostWidths.size() * costs.query_count_);
  index::SearchParameters parameters;
  parameters.k = truth.count;
  parameters.method = index::SearchMethod::kGraph;
  for (std::size_t width = 0; width < kCostWidths.size(); ++width) {
    parameters.beam_width = kCostWidths[width];
    std::uint16_t* hits = costs.hits_.data() + width * costs.query_count_;
    std::uint32_t* hops = costs.hops_.data() + width * costs.query_count_;
    const absl::Status status = SearchAll(
        searched, truth.queries, parameters, thread_count, cancelled,
        [&](std::size_t query, const std::vector<base::Neighbor>& found,
            const index::SearchCounters& counters) {
          hits[query] = static_cast<std::uint16_t>(std::count_if(
              found.begin(), found.end(), [&](const auto& n) { return n.distance <= truth.last[query]; }));
          hops[query] = static_cast<std::uint32_t>(counters.hops);
        });
    if (after_width) after_width();
    if (!status.ok()) return status;
  }
  return costs;
}

double WalkCosts::Recall(std::size_t width, absl::Span<const std::uint32_t> sample) const {
  return Mean(hits_, width, query_count_, sample) / wanted_;
}

double WalkCosts::Hops(std::size_t width, absl::Span<const std::uint32_t> sample) const {
  return Mean(hops_, width, query_count_, sample);
}

double WalkCosts::HopsAt(double recall, absl::Span<const std::uint32_t> sample) const {
  double below = Recall(0, sample);
  if (below >= recall) return Hops(0, sample);
  for (std::size_t width = 1; width < kCostWidths.size(); ++width) {
    const double above = Recall(width, sample);
    if (above >= recall) {
      const double share = (recall - below) / (above - below);
      return std::exp((1 - share) * std::log(Hops(width - 1, sample)) +
                      share * std::log(Hops(width, sample)));
    }
    below = std::max(below, above);
  }
  return Hops(kCostWidths.size() - 1, sample);
}

namespace {

// The recall nearest to `wanted` that both reach by some width.
double SharedRecall(const WalkCosts& one, const WalkCosts& other, double wanted,
                    absl::Span<const std::uint32_t> sample) {
  constexpr std::size_t kWidest = kCostWidths.size() - 1;
  const double least = std::max(one.Recall(0, sample), other.Recall(0, sample));
  const double most = std::min(one.Recall(kWidest, sample), other.Recall(kWidest, sample));
  return std::min(std::max(wanted, least), most);
}

}  // namespace

HopRatio CompareHops(const WalkCosts& before, const WalkCosts& after, double recall, std::uint64_t seed) {
  HopRatio compared;
  compared.recall = SharedRecall(before, after, recall, {});
  compared.before = before.HopsAt(compared.recall);
  compared.after = after.HopsAt(compared.recall);
  compared.ratio = compared.after / compared.before;
  base::Random random(seed);
  std::vector<std::uint32_t> sample(before.query_count());
  std::vector<double> ratios;
  for (std::size_t round = 0; round < kBootstrapRounds; ++round) {
    for (std::uint32_t& query : sample) query = static_cast<std::uint32_t>(random.Below(sample.size()));
    const double shared = SharedRecall(before, after, recall, sample);
    ratios.push_back(after.HopsAt(shared, sample) / before.HopsAt(shared, sample));
  }
  std::sort(ratios.begin(), ratios.end());
  compared.interval = {ratios[kBootstrapRounds * 25 / 1000], ratios[kBootstrapRounds * 975 / 1000]};
  return compared;
}

}  // namespace trivium::routing
