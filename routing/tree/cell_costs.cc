// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_costs.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "routing/tree/cell_router.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kResamples = 300;
// Where the largest number of cells that is measured reaches this, larger ones tell nothing.
constexpr double kEnoughRecall = 0.995;
// Of many cells a wide beam is no shorter way than ranking all: only so many are asked for.
constexpr std::size_t kMostOfABeam = 1024;

std::vector<std::uint32_t> Steps(std::size_t cells) {
  std::vector<std::uint32_t> steps;
  for (std::size_t count = 1; count < cells; count = std::max(count + 1, count * 8 / 7)) {
    steps.push_back(static_cast<std::uint32_t>(count));
  }
  steps.push_back(static_cast<std::uint32_t>(cells));
  return steps;
}

// The mean of every `stride`-th value from `first` on, over `sample` or all.
template <class T>
double Mean(const std::vector<T>& values, std::size_t step, std::size_t steps, std::size_t queries,
            absl::Span<const std::uint32_t> sample) {
  double sum = 0;
  if (sample.empty()) {
    for (std::size_t i = 0; i < queries; ++i) sum += values[i * steps + step];
    return sum / static_cast<double>(queries);
  }
  for (std::uint32_t i : sample) sum += values[i * steps + step];
  return sum / static_cast<double>(sample.size());
}

}  // namespace

absl::StatusOr<CellCosts> CellCosts::Measure(const CellModel& model, CellRouterKind kind,
                                             const CellLists& lists, base::MatrixView queries,
                                             absl::Span<const std::uint32_t> answers,
                                             std::size_t answer_count, int thread_count,
                                             const std::atomic<bool>* cancelled) {
  std::vector<std::uint32_t> cell_of(lists.size());
  for (std::size_t cell = 0; cell < lists.cell_count(); ++cell) {
    for (std::uint32_t row : lists.Rows(cell)) cell_of[row] = static_cast<std::uint32_t>(cell);
  }
  CellCosts costs;
  costs.query_count_ = queries.rows;
  costs.answer_count_ = answer_count;
  costs.probes_ = Steps(model.cell_count());
  const std::size_t steps = costs.probes_.size();
  costs.products_.assign(steps, 0);
  costs.hits_.assign(queries.rows * steps, 0);
  costs.scanned_.assign(queries.rows * steps, 0);
  std::vector<CellOrder> orders(std::max(thread_count, 1));

  // Fills in the steps [first, last) from one ranking that reaches the last of them.
  const auto fill = [&](std::size_t query, std::size_t first, std::size_t last, CellOrder* order) {
    order->Start(model, kind, queries.row(query), costs.probes_[last - 1]);
    if (query == 0) {
      for (std::size_t step = first; step < last; ++step) {
        costs.products_[step] = static_cast<double>(order->products());
      }
    }
    const auto own = answers.subspan(query * answer_count, answer_count);
    std::size_t hits = 0, scanned = 0, read = 0;
    for (std::size_t step = 0; step < last; ++step) {
      for (; read < costs.probes_[step]; ++read) {
        const std::uint32_t cell = order->Cell(read);
        scanned += lists.Rows(cell).size();
        hits +=
            std::count_if(own.begin(), own.end(), [&](std::uint32_t row) { return cell_of[row] == cell; });
      }
      if (step < first) continue;
      costs.hits_[query * steps + step] = static_cast<std::uint16_t>(hits);
      costs.scanned_[query * steps + step] = static_cast<std::uint32_t>(scanned);
    }
  };
  std::size_t measured = 0;
  while (measured < steps) {
    // The order of a tree depends on the width of its beam, so each step is asked for.
    const bool beam = kind == CellRouterKind::kTree || kind == CellRouterKind::kLevels;
    const std::size_t last = beam ? measured + 1 : steps;
    base::ParallelFor(queries.rows, thread_count, 8, [&](std::size_t query, int thread) {
      if (cancelled != nullptr && cancelled->load(std::memory_order_relaxed)) return;
      fill(query, measured, last, &orders[thread]);
    });
    measured = last;
    if (cancelled != nullptr && cancelled->load(std::memory_order_relaxed)) {
      return absl::CancelledError("cells: cancelled by the caller");
    }
    if (costs.Recall(measured - 1) >= kEnoughRecall || (beam && costs.probes_[last - 1] >= kMostOfABeam))
      break;
  }
  costs.usable_ = measured;
  return costs;
}

double CellCosts::Recall(std::size_t step, absl::Span<const std::uint32_t> sample) const {
  return Mean(hits_, step, probes_.size(), query_count_, sample) / static_cast<double>(answer_count_);
}

double CellCosts::Scanned(std::size_t step, absl::Span<const std::uint32_t> sample) const {
  return Mean(scanned_, step, probes_.size(), query_count_, sample);
}

CellCosts::Cost CellCosts::At(double recall, absl::Span<const std::uint32_t> sample) const {
  const auto at = [&](std::size_t step) {
    return Cost{static_cast<double>(probes_[step]), Scanned(step, sample), products_[step]};
  };
  // Recall rises with the steps: the first that reaches it, by halving.
  std::size_t low = 0, high = usable_;
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (Recall(middle, sample) >= recall) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  if (low == usable_) return at(usable_ - 1);
  if (low == 0) return at(0);
  const double below = Recall(low - 1, sample), above = Recall(low, sample);
  const double share = (recall - below) / (above - below);
  const Cost one = at(low - 1), other = at(low);
  return {one.probes + share * (other.probes - one.probes),
          one.scanned + share * (other.scanned - one.scanned),
          one.products + share * (other.products - one.products)};
}

CellCostRatio CompareCellCosts(const CellCosts& before, const CellCosts& after, double recall,
                               std::uint64_t seed) {
  const auto ratio = [&](absl::Span<const std::uint32_t> sample) {
    const CellCosts::Cost one = before.At(recall, sample), other = after.At(recall, sample);
    return (other.scanned + other.products) / (one.scanned + one.products);
  };
  CellCostRatio compared;
  compared.ratio = ratio({});
  base::Random random(seed);
  std::vector<std::uint32_t> sample(before.query_count());
  std::vector<double> ratios;
  for (std::size_t i = 0; i < kResamples; ++i) {
    for (std::uint32_t& query : sample) query = static_cast<std::uint32_t>(random.Below(sample.size()));
    ratios.push_back(ratio(sample));
  }
  compared.interval = PercentileInterval(&ratios);
  return compared;
}

}  // namespace trivium::routing
