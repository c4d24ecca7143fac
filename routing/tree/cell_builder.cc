// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_builder.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "routing/tree/cell_arrangement.h"
#include "routing/tree/cell_assignment.h"
#include "routing/tree/cell_model.h"

namespace trivium::routing {
namespace {

// Rows by cell: those of cell c are rows[ends[c - 1]] to rows[ends[c]], in increasing order.
struct Members {
  std::vector<std::uint32_t> ends, rows;

  Members(absl::Span<const std::uint32_t> cell_of, std::size_t cells) : ends(cells, 0), rows(cell_of.size()) {
    for (std::uint32_t cell : cell_of) ++ends[cell];
    std::partial_sum(ends.begin(), ends.end(), ends.begin());
    for (std::size_t i = cell_of.size(); i-- > 0;) rows[--ends[cell_of[i]]] = static_cast<std::uint32_t>(i);
    // Each end has become a beginning.
    for (std::size_t c = 0; c + 1 < cells; ++c) ends[c] = ends[c + 1];
    ends[cells - 1] = static_cast<std::uint32_t>(rows.size());
  }
  absl::Span<const std::uint32_t> Of(std::size_t cell) const {
    const std::size_t begin = cell == 0 ? 0 : ends[cell - 1];
    return absl::MakeConstSpan(rows).subspan(begin, ends[cell] - begin);
  }
};

// Moves each centroid to the mean of its rows, in double precision; empty cells keep theirs.
void MoveToMeans(base::MatrixView rows, const Members& members, bool unit, int thread_count,
                 base::AlignedMatrix* centroids) {
  base::ParallelFor(centroids->rows(), thread_count, 16, [&](std::size_t cell, int) {
    const auto own = members.Of(cell);
    if (own.empty()) return;
    std::vector<double> sum(rows.columns, 0.0);
    for (std::uint32_t row : own) {
      for (std::size_t c = 0; c < rows.columns; ++c) sum[c] += rows.row(row)[c];
    }
    double scale = 1.0 / static_cast<double>(own.size());
    if (unit) {
      double square = 0;
      for (double value : sum) square += value * value;
      if (!(square > 0)) return;  // opposite rows: any direction is as good
      scale = 1.0 / std::sqrt(square);
    }
    for (std::size_t c = 0; c < rows.columns; ++c)
      centroids->row(cell)[c] = static_cast<float>(sum[c] * scale);
  });
}

// Gives each empty cell a random row of the largest one, whose rows it then counts as halved.
void FillEmpty(base::MatrixView rows, const Members& members, base::Random* random,
               base::AlignedMatrix* centroids) {
  std::vector<std::size_t> sizes(centroids->rows());
  for (std::size_t cell = 0; cell < sizes.size(); ++cell) sizes[cell] = members.Of(cell).size();
  for (std::size_t cell = 0; cell < sizes.size(); ++cell) {
    if (!members.Of(cell).empty()) continue;
    const auto largest = std::max_element(sizes.begin(), sizes.end());
    const auto own = members.Of(largest - sizes.begin());
    std::copy_n(rows.row(own[random->Below(own.size())]), rows.columns, centroids->row(cell));
    *largest /= 2;
  }
}

base::AlignedMatrix Gathered(base::MatrixView rows, absl::Span<const std::uint32_t> chosen) {
  base::AlignedMatrix gathered(chosen.size(), rows.columns);
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    std::copy_n(rows.row(chosen[i]), rows.columns, gathered.row(i));
  }
  return gathered;
}

std::vector<std::uint32_t> Sampled(std::size_t count, std::size_t wanted, base::Random* random) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  random->Shuffle(order);
  order.resize(std::min(count, wanted));
  return order;
}

class Builder {
 public:
  Builder(base::MatrixView documents, base::Metric metric, const CellBuildOptions& options)
      : documents_(documents), metric_(metric), options_(options) {}

  absl::StatusOr<BuiltCells> Build() {
    const std::size_t cells = std::size_t{1} << options_.depth;
    base::Random random(options_.seed);
    base::AlignedMatrix unordered;
    if (options_.depth <= kDeepestExactCells) {
      total_ = options_.rounds + 3;
      const base::AlignedMatrix sample =
          Gathered(documents_, Sampled(documents_.rows, cells * options_.rows_a_cell, &random));
      TRIVIUM_ASSIGN_OR_RETURN(unordered, Cluster(sample.view(), cells, random.Next(), options_.thread_count,
                                                  [&] { return Step(); }));
    } else {
      TRIVIUM_ASSIGN_OR_RETURN(unordered, ClusterTwice(cells, &random));
    }
    BuiltCells built;
    built.centroids = Gathered(unordered.view(), ArrangeAsLeaves(unordered.view(), options_.thread_count));
    TRIVIUM_RETURN_IF_ERROR(Step());
    built.cell_of = Assign(built.centroids);
    const Members members(built.cell_of, cells);
    MoveToMeans(documents_, members, cosine(), options_.thread_count, &built.centroids);
    FillEmpty(documents_, members, &random, &built.centroids);
    TRIVIUM_RETURN_IF_ERROR(Step());
    built.cell_of = Assign(built.centroids);
    UseAll(&built);
    TRIVIUM_RETURN_IF_ERROR(Step());
    return built;
  }

 private:
  bool cosine() const { return metric_ == base::Metric::kCosine; }

  absl::Status Step() {
    if (options_.progress) options_.progress(std::min(++done_, total_), total_);
    return options_.cancelled != nullptr && options_.cancelled->load(std::memory_order_relaxed)
               ? absl::CancelledError("cells: cancelled by the caller")
               : absl::OkStatus();
  }

  template <class AfterRound>
  absl::StatusOr<base::AlignedMatrix> Cluster(base::MatrixView rows, std::size_t cells, std::uint64_t seed,
                                              int thread_count, AfterRound after_round) const {
    base::Random random(seed);
    base::AlignedMatrix centroids = Gathered(rows, Sampled(rows.rows, cells, &random));
    std::vector<std::uint32_t> cell_of(rows.rows), before;
    std::vector<float> closeness(rows.rows);
    for (int round = 0; round < options_.rounds; ++round) {
      NearestCells(centroids.view(), 0, metric_)
          .Find(rows, 0, rows.rows, thread_count, cell_of.data(), closeness.data());
      const bool settled = cell_of == before;
      const Members members(cell_of, cells);
      MoveToMeans(rows, members, cosine(), thread_count, &centroids);
      FillEmpty(rows, members, &random, &centroids);
      TRIVIUM_RETURN_IF_ERROR(after_round());
      if (settled) break;
      before = cell_of;
    }
    return centroids;
  }

  absl::StatusOr<base::AlignedMatrix> ClusterTwice(std::size_t cells, base::Random* random) {
    const std::size_t coarse_cells = std::size_t{1} << (options_.depth - options_.depth / 2);
    total_ = options_.rounds + 5;
    const base::AlignedMatrix sample =
        Gathered(documents_, Sampled(documents_.rows, coarse_cells * 4 * options_.rows_a_cell, random));
    TRIVIUM_ASSIGN_OR_RETURN(
        const base::AlignedMatrix coarse,
        Cluster(sample.view(), coarse_cells, random->Next(), options_.thread_count, [&] { return Step(); }));
    std::vector<std::uint32_t> cell_of(documents_.rows);
    std::vector<float> closeness(documents_.rows);
    NearestCells(coarse.view(), 0, metric_)
        .Find(documents_, 0, documents_.rows, options_.thread_count, cell_of.data(), closeness.data());
    TRIVIUM_RETURN_IF_ERROR(Step());
    const Members members(cell_of, coarse_cells);
    const std::vector<std::size_t> shares = Shares(members, coarse_cells, cells);
    std::vector<std::size_t> begins(coarse_cells + 1, 0);
    std::partial_sum(shares.begin(), shares.end(), begins.begin() + 1);
    std::vector<std::uint64_t> seeds(coarse_cells);
    for (std::uint64_t& seed : seeds) seed = random->Next();
    base::AlignedMatrix centroids(cells, documents_.columns);
    base::ParallelFor(coarse_cells, options_.thread_count, 1, [&](std::size_t cell, int) {
      if (shares[cell] == 0) return;
      base::Random own_random(seeds[cell]);
      std::vector<std::uint32_t> own(members.Of(cell).begin(), members.Of(cell).end());
      own_random.Shuffle(own);
      own.resize(std::min(own.size(), shares[cell] * options_.rows_a_cell));
      const base::AlignedMatrix rows = Gathered(documents_, own);
      const auto fine =
          Cluster(rows.view(), shares[cell], own_random.Next(), 1, [] { return absl::OkStatus(); });
      for (std::size_t i = 0; i < shares[cell]; ++i) {
        std::copy_n(fine->row(i), documents_.columns, centroids.row(begins[cell] + i));
      }
    });
    TRIVIUM_RETURN_IF_ERROR(Step());
    return centroids;
  }

  // How many of `cells` each coarse cell gets: in proportion to its rows, never more than it has rows.
  static std::vector<std::size_t> Shares(const Members& members, std::size_t coarse_cells,
                                         std::size_t cells) {
    std::vector<std::size_t> shares(coarse_cells);
    std::vector<std::pair<double, std::size_t>> wanting;  // most wanting first
    std::size_t given = 0;
    for (std::size_t i = 0; i < coarse_cells; ++i) {
      const double exact = static_cast<double>(cells) * static_cast<double>(members.Of(i).size()) /
                           static_cast<double>(members.rows.size());
      shares[i] = static_cast<std::size_t>(exact);
      given += shares[i];
      wanting.push_back({static_cast<double>(shares[i]) - exact, i});
    }
    std::sort(wanting.begin(), wanting.end());
    for (std::size_t i = 0; given < cells; i = (i + 1) % wanting.size()) {
      std::size_t& share = shares[wanting[i].second];
      if (share >= members.Of(wanting[i].second).size()) continue;
      ++share;
      ++given;
    }
    return shares;
  }

  std::vector<std::uint32_t> Assign(const base::AlignedMatrix& centroids) const {
    return AssignCells(NearestCells(centroids.view(), options_.depth, metric_), documents_, centroids.rows(),
                       options_.thread_count);
  }

  // Cells that are still empty take a row from the largest one, and move onto it.
  void UseAll(BuiltCells* built) const {
    std::vector<std::vector<std::uint32_t>> rows_of(built->centroids.rows());
    for (std::size_t i = 0; i < built->cell_of.size(); ++i) {
      rows_of[built->cell_of[i]].push_back(static_cast<std::uint32_t>(i));
    }
    for (std::size_t cell = 0; cell < rows_of.size(); ++cell) {
      if (!rows_of[cell].empty()) continue;
      const auto largest = std::max_element(rows_of.begin(), rows_of.end(),
                                            [](const auto& a, const auto& b) { return a.size() < b.size(); });
      const std::uint32_t row = largest->back();
      largest->pop_back();
      rows_of[cell] = {row};
      built->cell_of[row] = static_cast<std::uint32_t>(cell);
      std::copy_n(documents_.row(row), documents_.columns, built->centroids.row(cell));
    }
  }

  base::MatrixView documents_;
  base::Metric metric_;
  const CellBuildOptions& options_;
  std::size_t done_ = 0, total_ = 1;
};

}  // namespace

absl::StatusOr<BuiltCells> BuildCells(base::MatrixView documents, base::Metric metric,
                                      const CellBuildOptions& options) {
  if (options.depth < 1 || options.depth > kDeepestCells) {
    return absl::InvalidArgumentError(
        absl::StrFormat("depth of cells: %d, expected 1 to %d", options.depth, kDeepestCells));
  }
  if (options.rounds < 1 || options.rows_a_cell < 1) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "rounds and documents a cell: %d and %d, expected 1 or more", options.rounds, options.rows_a_cell));
  }
  if (documents.rows < std::size_t{1} << options.depth) {
    return absl::InvalidArgumentError(
        absl::StrFormat("documents: %d, expected at least one for each of %d cells", documents.rows,
                        std::size_t{1} << options.depth));
  }
  return Builder(documents, metric, options).Build();
}

}  // namespace trivium::routing
