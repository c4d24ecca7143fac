// SPDX-License-Identifier: Apache-2.0
// GraphIndex from 64 dimensions on, where it walks over edge codes.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "index/graph_builder.h"
#include "index/graph_index.h"
#include "index/graph_search.h"
#include "index/search_scratch.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"

namespace trivium::index {
namespace {

using testing_support::ClusteredVectors;
using testing_support::CountFound;
using testing_support::SlowDistance;
using testing_support::SlowSearch;

constexpr base::Metric kMetrics[] = {base::Metric::kCosine, base::Metric::kInnerProduct,
                                     base::Metric::kSquaredL2};

GraphIndex MakeIndex(base::MatrixView rows, base::Metric metric, bool edge_codes = true) {
  GraphBuildOptions options;
  options.degree_bound = 24;
  options.beam_width = 80;
  options.profile = edge_codes ? Profile::kSpeed : Profile::kExact;
  GraphIndex index(rows.columns, metric, options);
  EXPECT_OK(index.Add(rows, 2));
  EXPECT_OK(index.Seal(2));
  return index;
}
GraphIndex MakeIndex(std::size_t rows, std::size_t dimension, base::Metric metric) {
  return MakeIndex(ClusteredVectors(rows, dimension, metric, 1).view(), metric);
}

// The share of true neighbours found; every answer must be sorted, complete, allowed and exact, and the same
// from SearchMany at the same cost.
double Recall(const GraphIndex& index, base::MatrixView queries, const SearchParameters& parameters,
              SearchCounters* counters = nullptr) {
  SearchScratch scratch;
  std::vector<std::vector<base::Neighbor>> many(queries.rows), one(queries.rows);
  std::vector<SearchCounters> many_cost(queries.rows);
  index.SearchMany(queries, parameters, &scratch, many.data(), many_cost.data());
  std::size_t hits = 0, wanted = 0;
  for (std::size_t i = 0; i < queries.rows; ++i) {
    const float* query = queries.row(i);
    SearchCounters cost;
    index.Search(query, parameters, &scratch, &one[i], &cost);
    EXPECT_EQ(cost, many_cost[i]);
    if (counters != nullptr) counters->Add(cost);
    const auto expected = SlowSearch(index.rows(), index.metric(), query, parameters.k, parameters.allowed);
    EXPECT_EQ(one[i], many[i]);
    EXPECT_EQ(one[i].size(), expected.size());
    EXPECT_TRUE(std::is_sorted(one[i].begin(), one[i].end()));
    for (const base::Neighbor& neighbor : one[i]) {
      EXPECT_TRUE(parameters.allowed == nullptr || parameters.allowed->Test(neighbor.row));
      const double exact =
          SlowDistance(index.metric(), query, index.rows().row(neighbor.row), queries.columns);
      EXPECT_NEAR(neighbor.distance, exact, 1e-5 * std::abs(exact) + 1e-3);
    }
    hits += CountFound(one[i], expected);
    wanted += expected.size();
  }
  return static_cast<double>(hits) / static_cast<double>(std::max<std::size_t>(wanted, 1));
}

SearchParameters Graph(std::size_t k = 10, std::size_t beam_width = 0) {
  return {.k = k, .beam_width = beam_width, .method = SearchMethod::kGraph};
}

TEST(GraphIndexWithCodes, FindsAlmostAllTrueNeighboursForEveryMetric) {
  for (const base::Metric metric : kMetrics) {
    SCOPED_TRACE(static_cast<int>(metric));
    const GraphIndex index = MakeIndex(3000, 384, metric);
    ASSERT_NE(index.codes(), nullptr);
    const auto queries = ClusteredVectors(61, 384, metric, 77);
    SearchCounters counters, again;
    EXPECT_GE(Recall(index, queries.view(), Graph(), &counters), 0.95);
    EXPECT_EQ(counters.scan_distances, 0u);
    EXPECT_GT(counters.code_distances, 61 * 32 * 10u);
    EXPECT_GE(counters.graph_distances, 61 * 10u);
    EXPECT_LT(counters.graph_distances, 61 * 40u);
    Recall(index, queries.view(), Graph(), &again);
    EXPECT_EQ(counters.hops, again.hops);
    // A narrow beam, k beyond the beam, one result, a batch of one.
    EXPECT_GE(Recall(index, queries.view(), Graph(10, 10)), 0.7);
    EXPECT_GE(Recall(index, queries.view().First(9), Graph(200, 20)), 0.95);
    EXPECT_GE(Recall(index, queries.view(), Graph(1)), 0.95);
    EXPECT_GE(Recall(index, queries.view().First(1), Graph()), 0.8);
    Recall(index, queries.view().First(0), Graph());
  }
}

TEST(GraphIndexWithCodes, EveryFilterGetsAllItsRowsAndAlmostAllTrueNeighbours) {
  const GraphIndex index = MakeIndex(2500, 100, base::Metric::kSquaredL2);
  const auto queries = ClusteredVectors(31, 100, base::Metric::kSquaredL2, 77);
  for (const double selectivity : {0.5, 0.1, 0.01, 0.001, 0.0}) {
    for (const SearchMethod method : {SearchMethod::kAuto, SearchMethod::kGraph, SearchMethod::kExact}) {
      SCOPED_TRACE(selectivity);
      base::Bitmap allowed(index.size());
      base::Random random(3);
      for (std::size_t i = 0; i < index.size(); ++i) {
        if (random.Uniform() < selectivity) allowed.Set(i);
      }
      SearchParameters parameters = Graph();
      parameters.method = method;
      parameters.allowed = &allowed;
      parameters.allowed_count = allowed.CountSet();
      const double recall = Recall(index, queries.view(), parameters);
      EXPECT_TRUE(recall >= 0.95 || parameters.allowed_count == 0) << recall;
    }
  }
}

TEST(GraphIndexWithCodes, FindsEveryRowOfASmallIndexWhateverK) {
  for (const base::Metric metric : kMetrics) {
    for (const std::size_t size : {1u, 2u, 9u, 64u, 130u}) {
      const GraphIndex index = MakeIndex(size, 64, metric);
      const auto queries = ClusteredVectors(5, 64, metric, 77);
      for (const std::size_t k : {1u, 10u, 129u, 500u}) {
        const double recall = Recall(index, queries.view(), Graph(k));
        EXPECT_GE(recall, k >= size ? 1.0 : 0.9) << "size " << size << ", k " << k;
      }
    }
  }
}

TEST(GraphIndexWithCodes, FindsCopiesOfARow) {
  base::AlignedMatrix rows = ClusteredVectors(1500, 64, base::Metric::kSquaredL2, 1);
  for (std::size_t i = 0; i < 60; ++i) std::copy_n(rows.row(500), 64, rows.row(25 * i));
  const GraphIndex index = MakeIndex(rows.view(), base::Metric::kSquaredL2);
  SearchScratch scratch;
  std::vector<base::Neighbor> found;
  index.Search(rows.row(500), Graph(40), &scratch, &found, nullptr);
  ASSERT_EQ(found.size(), 40u);
  for (const base::Neighbor& neighbor : found) EXPECT_EQ(neighbor.distance, 0.0f);
  // Nothing but copies.
  base::AlignedMatrix same(300, 64);
  for (std::size_t i = 0; i < 300; ++i) std::copy_n(rows.row(500), 64, same.row(i));
  const GraphIndex copies = MakeIndex(same.view(), base::Metric::kSquaredL2);
  copies.Search(rows.row(500), Graph(), &scratch, &found, nullptr);
  EXPECT_EQ(found.size(), 10u);
}

TEST(GraphIndexWithCodes, AnswersAQueryOfZeros) {
  const base::AlignedMatrix zeros(3, 64);
  EXPECT_GE(Recall(MakeIndex(1500, 64, base::Metric::kSquaredL2), zeros.view(), Graph()), 0.9);
  SearchScratch scratch;
  std::vector<base::Neighbor> found;
  const GraphIndex index = MakeIndex(1500, 64, base::Metric::kInnerProduct);  // all rows are equally near
  index.Search(zeros.row(0), Graph(), &scratch, &found, nullptr);
  EXPECT_EQ(found.size(), 10u);
}

TEST(GraphIndexWithCodes, TheUnitOfTheRowsDoesNotMatter) {
  base::AlignedMatrix rows = ClusteredVectors(1500, 64, base::Metric::kSquaredL2, 1);
  base::AlignedMatrix queries = ClusteredVectors(20, 64, base::Metric::kSquaredL2, 77);
  const double recall = Recall(MakeIndex(rows.view(), base::Metric::kSquaredL2), queries.view(), Graph());
  for (const float unit : {0x1p-24f, 0x1p44f}) {  // the second one is 2^20 of the rows as they were
    for (base::AlignedMatrix* matrix : {&rows, &queries}) {
      for (std::size_t i = 0; i < matrix->rows(); ++i) {
        for (std::size_t j = 0; j < 64; ++j) matrix->row(i)[j] *= unit;
      }
    }
    SearchScratch scratch;
    std::vector<base::Neighbor> found;
    const GraphIndex index = MakeIndex(rows.view(), base::Metric::kSquaredL2);
    std::size_t hits = 0;
    for (std::size_t i = 0; i < queries.rows(); ++i) {
      SearchCounters counters;
      index.Search(queries.row(i), Graph(), &scratch, &found, &counters);
      hits += CountFound(found, SlowSearch(rows.view(), base::Metric::kSquaredL2, queries.row(i), 10));
      EXPECT_EQ(counters.scan_distances, 0u);
    }
    EXPECT_NEAR(static_cast<double>(hits) / (10.0 * queries.rows()), recall, 0.02) << unit;
  }
}

// One entry of 63 for each four of so many dimensions would be more than 16 bits hold.
// Codes are relative to a mean of the rows: without it recall fell to 0.13 here.
TEST(GraphIndexWithCodes, RowsFarFromTheOriginAreFound) {
  for (const base::Metric metric : {base::Metric::kSquaredL2, base::Metric::kCosine}) {
    for (const float offset : {1.0f, 10.0f, 100.0f}) {
      auto rows = ClusteredVectors(3000, 128, base::Metric::kSquaredL2, 1);
      auto queries = ClusteredVectors(60, 128, base::Metric::kSquaredL2, 77);
      for (base::AlignedMatrix* matrix : {&rows, &queries}) {
        for (std::size_t i = 0; i < matrix->rows(); ++i) {
          double norm = 0;
          for (std::size_t j = 0; j < 128; ++j) {
            matrix->row(i)[j] += offset;
            norm += double{matrix->row(i)[j]} * matrix->row(i)[j];
          }
          const auto scale = static_cast<float>(metric == base::Metric::kCosine ? 1 / std::sqrt(norm) : 1);
          for (std::size_t j = 0; j < 128; ++j) matrix->row(i)[j] *= scale;
        }
      }
      const GraphIndex index = MakeIndex(rows.view(), metric);
      SearchScratch scratch;
      std::vector<base::Neighbor> found;
      std::size_t hits = 0;
      for (std::size_t i = 0; i < queries.rows(); ++i) {
        index.Search(queries.row(i), Graph(), &scratch, &found, nullptr);
        hits += CountFound(found, SlowSearch(index.rows(), metric, queries.row(i), 10));
      }
      EXPECT_GE(hits, 0.95 * 10 * queries.rows()) << offset;
    }
  }
}

TEST(GraphIndexWithCodes, TenThousandDimensionsAreNotTooMany) {
  const GraphIndex index = MakeIndex(400, 10000, base::Metric::kCosine);
  const auto queries = ClusteredVectors(20, 10000, base::Metric::kCosine, 77);
  EXPECT_GE(Recall(index, queries.view(), Graph()), 0.95);
}

TEST(GraphIndexWithCodes, TheyAreMadeOnlyWhereAskedForAndFrom64DimensionsOn) {
  EXPECT_EQ(MakeIndex(200, 63, base::Metric::kCosine).codes(), nullptr);
  EXPECT_NE(MakeIndex(200, 64, base::Metric::kCosine).codes(), nullptr);
  const auto rows = ClusteredVectors(200, 64, base::Metric::kCosine, 1);
  const GraphIndex without = MakeIndex(rows.view(), base::Metric::kCosine, false);
  EXPECT_EQ(without.codes(), nullptr);
  SearchCounters counters;
  EXPECT_GE(Recall(without, rows.view().First(20), Graph(), &counters), 0.95);
  EXPECT_EQ(counters.code_distances, 0u);
  EXPECT_GT(counters.graph_distances, 0u);
}

TEST(GraphIndexWithCodes, RowsThatWaitOutsideTheGraphAreFoundAndLaterHaveCodes) {
  GraphIndex index = MakeIndex(1500, 64, base::Metric::kCosine);
  const auto more = ClusteredVectors(50, 64, base::Metric::kCosine, 9);
  ASSERT_OK(index.Add(more.view(), 1));
  EXPECT_EQ(index.codes()->size(), 1500u);
  for (const bool sealed : {false, true}) {
    ASSERT_OK(sealed ? index.Seal(1) : absl::OkStatus());
    SearchCounters counters;
    EXPECT_GE(Recall(index, more.view(), Graph(), &counters), 0.95);
    EXPECT_EQ(counters.scan_distances, sealed ? 0u : 50 * 50u);
  }
  EXPECT_EQ(index.codes()->size(), 1550u);
}

}  // namespace
}  // namespace trivium::index
