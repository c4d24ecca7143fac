// SPDX-License-Identifier: Apache-2.0
#include "index/graph_index.h"

#include <algorithm>
#include <vector>

#include "index/graph_search.h"
#include "index/search_scratch.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"

namespace trivium::index {
namespace {

using testing_support::ClusteredVectors;
using testing_support::CountFound;
using testing_support::SlowSearch;

constexpr base::Metric kMetrics[] = {base::Metric::kCosine, base::Metric::kInnerProduct,
                                     base::Metric::kSquaredL2};
constexpr std::size_t kColumns = 16;
constexpr std::size_t kQueryCount = 100;

struct Recall {
  double value = 0;
  SearchCounters counters;
};

// Of `kQueryCount` queries; every answer must be sorted, complete and allowed.
Recall MeasureRecall(const GraphIndex& index, const SearchParameters& parameters) {
  const auto queries = ClusteredVectors(kQueryCount, kColumns, index.metric(), 77);
  SearchScratch scratch;
  std::vector<base::Neighbor> found;
  Recall recall;
  std::size_t hits = 0, wanted = 0;
  for (std::size_t i = 0; i < kQueryCount; ++i) {
    const auto expected =
        SlowSearch(index.rows(), index.metric(), queries.row(i), parameters.k, parameters.allowed);
    index.Search(queries.row(i), parameters, &scratch, &found, &recall.counters);
    EXPECT_EQ(found.size(), expected.size());
    EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
    for (const base::Neighbor& neighbor : found) {
      EXPECT_TRUE(parameters.allowed == nullptr || parameters.allowed->Test(neighbor.row));
    }
    hits += CountFound(found, expected);
    wanted += expected.size();
  }
  recall.value = wanted == 0 ? 1.0 : static_cast<double>(hits) / static_cast<double>(wanted);
  return recall;
}

GraphIndex MakeIndex(std::size_t rows, base::Metric metric) {
  GraphBuildOptions options;
  options.degree_bound = 24;
  options.beam_width = 80;
  GraphIndex index(kColumns, metric, options);
  EXPECT_OK(index.Add(ClusteredVectors(rows, kColumns, metric, 1).view(), 2));
  return index;
}

TEST(GraphIndex, FindsAlmostAllTrueNeighboursForEveryMetric) {
  for (const base::Metric metric : kMetrics) {
    const GraphIndex index = MakeIndex(5000, metric);
    SearchParameters parameters;
    parameters.method = SearchMethod::kGraph;
    const Recall recall = MeasureRecall(index, parameters);
    EXPECT_GE(recall.value, 0.95) << static_cast<int>(metric);
    EXPECT_EQ(recall.counters.scan_distances, 0u);
    EXPECT_LT(recall.counters.graph_distances, kQueryCount * 5000 / 3);
    EXPECT_GE(recall.counters.hops, kQueryCount * kDefaultBeamWidth);
  }
}

TEST(GraphIndex, AWiderBeamFindsMoreAndCostsMore) {
  const GraphIndex index = MakeIndex(5000, base::Metric::kCosine);
  SearchParameters parameters;
  parameters.method = SearchMethod::kGraph;
  parameters.beam_width = 10;
  const Recall narrow = MeasureRecall(index, parameters);
  parameters.beam_width = 200;
  const Recall wide = MeasureRecall(index, parameters);
  EXPECT_GT(wide.value, narrow.value);
  EXPECT_GT(wide.value, 0.99);
  EXPECT_GT(wide.counters.distances(), narrow.counters.distances());
}

TEST(GraphIndex, EveryFilterGetsAllItsRowsAndAlmostAllTrueNeighbours) {
  const GraphIndex index = MakeIndex(6000, base::Metric::kCosine);
  for (const double selectivity : {0.5, 0.1, 0.01, 0.001, 0.0}) {
    for (const SearchMethod method : {SearchMethod::kAuto, SearchMethod::kGraph, SearchMethod::kExact}) {
      SCOPED_TRACE(selectivity);
      base::Bitmap allowed(index.size());
      base::Random random(3);
      for (std::size_t i = 0; i < index.size(); ++i) {
        if (random.Uniform() < selectivity) allowed.Set(i);
      }
      SearchParameters parameters;
      parameters.method = method;
      parameters.allowed = &allowed;
      parameters.allowed_count = allowed.CountSet();
      EXPECT_GE(MeasureRecall(index, parameters).value, 0.95);
    }
  }
}

TEST(GraphIndex, AFilterFarFromTheQueryIsAnsweredToo) {
  const GraphIndex index = MakeIndex(6000, base::Metric::kSquaredL2);
  base::Bitmap allowed(index.size());
  for (std::size_t i = 5700; i < 6000; ++i) allowed.Set(i);  // the last cluster
  SearchParameters parameters;
  parameters.allowed = &allowed;
  parameters.allowed_count = 300;
  for (const SearchMethod method : {SearchMethod::kAuto, SearchMethod::kGraph}) {
    parameters.method = method;
    EXPECT_GE(MeasureRecall(index, parameters).value, 0.9);
  }
}

TEST(GraphIndex, ReturnsEveryRowWhenKIsLargerThanTheIndex) {
  const GraphIndex index = MakeIndex(2000, base::Metric::kCosine);
  SearchParameters parameters;
  parameters.k = 5000;
  parameters.method = SearchMethod::kGraph;
  EXPECT_EQ(MeasureRecall(index, parameters).value, 1.0);
}

TEST(GraphIndex, RowsThatWaitOutsideTheGraphAreFound) {
  GraphIndex index = MakeIndex(3000, base::Metric::kCosine);
  ASSERT_EQ(index.graph().size(), 3000u);
  const auto more = ClusteredVectors(50, kColumns, base::Metric::kCosine, 9);
  ASSERT_OK(index.Add(more.view(), 1));
  EXPECT_EQ(index.graph().size(), 3000u);
  SearchScratch scratch;
  std::vector<base::Neighbor> found;
  SearchParameters parameters;
  parameters.method = SearchMethod::kGraph;
  index.Search(more.row(20), parameters, &scratch, &found, nullptr);
  EXPECT_EQ(found.front().row, 3020u);
  ASSERT_OK(index.Seal(1));
  EXPECT_EQ(index.graph().size(), 3050u);
  index.Search(more.row(20), parameters, &scratch, &found, nullptr);
  EXPECT_EQ(found.front().row, 3020u);
}

TEST(GraphIndex, RowsAddedOneByOneEnterTheGraphInTheEnd) {
  const auto vectors = ClusteredVectors(3000, kColumns, base::Metric::kCosine, 1);
  GraphIndex index(kColumns, base::Metric::kCosine, {});
  for (std::size_t i = 0; i < vectors.rows(); ++i) {
    ASSERT_OK(index.Add(base::MatrixView(vectors.row(i), 1, kColumns, vectors.stride()), 1));
    ASSERT_LE(index.size() - index.graph().size(), GraphIndex::kMaxTailRows);
  }
  EXPECT_GT(index.graph().size(), 1000u);
  SearchParameters parameters;
  parameters.method = SearchMethod::kGraph;
  EXPECT_GE(MeasureRecall(index, parameters).value, 0.95);
}

TEST(GraphIndex, ScansWhereThatIsCheaperUnlessAskedForTheGraph) {
  const GraphIndex index = MakeIndex(1100, base::Metric::kCosine);
  EXPECT_EQ(MeasureRecall(index, {}).counters.graph_distances, 0u);
  SearchParameters parameters;
  parameters.method = SearchMethod::kGraph;
  EXPECT_EQ(MeasureRecall(index, parameters).counters.scan_distances, 0u);
  const GraphIndex large = MakeIndex(6000, base::Metric::kCosine);
  EXPECT_EQ(MeasureRecall(large, {}).counters.scan_distances, 0u);
  parameters.method = SearchMethod::kExact;
  EXPECT_EQ(MeasureRecall(large, parameters).counters.scan_distances, kQueryCount * 6000);
}

TEST(GraphIndex, CountersAreTheSameEveryTime) {
  const GraphIndex first = MakeIndex(4000, base::Metric::kInnerProduct);
  const GraphIndex second = MakeIndex(4000, base::Metric::kInnerProduct);
  SearchParameters parameters;
  parameters.method = SearchMethod::kGraph;
  const Recall a = MeasureRecall(first, parameters), b = MeasureRecall(second, parameters);
  EXPECT_EQ(a.counters.hops, b.counters.hops);
  EXPECT_EQ(a.counters.graph_distances, b.counters.graph_distances);
  EXPECT_EQ(a.value, b.value);
}

TEST(GraphIndex, AnswersWithNothingWhenEmpty) {
  const GraphIndex index(kColumns, base::Metric::kCosine, {});
  EXPECT_EQ(MeasureRecall(index, {}).counters.distances(), 0u);
}

TEST(GraphIndex, RefusesRowsOfAnotherDimension) {
  GraphIndex index(4, base::Metric::kCosine, {});
  const base::AlignedMatrix rows(2, 5);
  EXPECT_THAT(index.Add(rows.view(), 1),
              StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr("5, expected 4")));
}

}  // namespace
}  // namespace trivium::index
