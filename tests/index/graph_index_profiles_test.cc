// SPDX-License-Identifier: Apache-2.0
// The graph index in each profile: what it finds beside the profile speed, and what it takes.
#include <cstdint>
#include <vector>

#include "index/graph_index.h"
#include "index/search_scratch.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"

namespace trivium::index {
namespace {

using testing_support::ClusteredVectors;
using testing_support::CountFound;
using testing_support::SlowSearch;

constexpr std::size_t kColumns = 128;
constexpr Profile kCompressed[] = {Profile::kBalanced, Profile::kSmall};
constexpr base::Metric kMetrics[] = {base::Metric::kCosine, base::Metric::kInnerProduct,
                                     base::Metric::kSquaredL2};

GraphBuildOptions Options(Profile profile) {
  GraphBuildOptions options;
  options.beam_width = 80;
  options.threads = 2;
  options.profile = profile;
  return options;
}

GraphIndex MakeIndex(base::MatrixView rows, base::Metric metric, Profile profile) {
  GraphIndex index(rows.columns, metric, Options(profile));
  EXPECT_OK(index.Add(rows, 2));
  EXPECT_OK(index.Seal(2));
  return index;
}

// Share of the true neighbours among `rows`, over 50 queries.
double Recall(const GraphIndex& index, base::MatrixView rows, const SearchParameters& parameters,
              SearchCounters* counters = nullptr) {
  const auto queries = ClusteredVectors(50, rows.columns, index.metric(), 99);
  SearchScratch scratch;
  std::vector<std::vector<base::Neighbor>> found(queries.rows());
  std::vector<SearchCounters> costs(queries.rows());
  index.SearchMany(queries.view(), parameters, &scratch, found.data(), costs.data());
  std::size_t hits = 0, wanted = 0;
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    const auto expected = SlowSearch(rows, index.metric(), queries.row(i), parameters.k, parameters.allowed);
    hits += CountFound(found[i], expected);
    wanted += expected.size();
    if (counters != nullptr) counters->Add(costs[i]);
  }
  return static_cast<double>(hits) / static_cast<double>(wanted);
}

TEST(GraphIndexProfiles, FindAboutAsMuchAsSpeedAtEqualBeam) {
  for (const base::Metric metric : kMetrics) {
    const auto vectors = ClusteredVectors(6000, kColumns, metric, 1);
    const GraphIndex speed = MakeIndex(vectors.view(), metric, Profile::kSpeed);
    for (const Profile profile : kCompressed) {
      const GraphIndex index = MakeIndex(vectors.view(), metric, profile);
      ASSERT_NE(index.row_codes(), nullptr);
      EXPECT_EQ(index.codes(), nullptr);
      for (const std::size_t beam_width : {64u, 128u}) {
        const SearchParameters parameters{.beam_width = beam_width, .method = SearchMethod::kGraph};
        EXPECT_GE(Recall(index, vectors.view(), parameters), Recall(speed, vectors.view(), parameters) - 0.06)
            << static_cast<int>(metric) << " " << static_cast<int>(profile) << " " << beam_width;
      }
    }
  }
}

TEST(GraphIndexProfiles, AWalkCountsItsCodesAndOneRowAHop) {
  const auto vectors = ClusteredVectors(6000, kColumns, base::Metric::kCosine, 1);
  const GraphIndex index = MakeIndex(vectors.view(), base::Metric::kCosine, Profile::kSmall);
  SearchCounters first, second;
  const SearchParameters parameters{.beam_width = 64, .method = SearchMethod::kGraph};
  Recall(index, vectors.view(), parameters, &first);
  Recall(index, vectors.view(), parameters, &second);
  EXPECT_EQ(first.graph_distances, first.hops);
  EXPECT_EQ(first.scan_distances, 0u);
  EXPECT_GT(first.code_distances, first.hops);
  EXPECT_EQ(first.hops, second.hops);
  EXPECT_EQ(first.code_distances, second.code_distances);
  EXPECT_LT(first.distances() / 50, 3000u);
}

TEST(GraphIndexProfiles, OneQueryAtATimeGivesWhatABatchGives) {
  const auto vectors = ClusteredVectors(3000, kColumns, base::Metric::kCosine, 1);
  const GraphIndex index = MakeIndex(vectors.view(), base::Metric::kCosine, Profile::kSmall);
  const auto queries = ClusteredVectors(9, kColumns, base::Metric::kCosine, 5);
  SearchScratch scratch;
  std::vector<std::vector<base::Neighbor>> many(9);
  const SearchParameters parameters{.method = SearchMethod::kGraph};
  std::vector<SearchCounters> costs(9);
  index.SearchMany(queries.view(), parameters, &scratch, many.data(), costs.data());
  for (std::size_t i = 0; i < 9; ++i) {
    std::vector<base::Neighbor> one;
    SearchCounters cost;
    index.Search(queries.row(i), parameters, &scratch, &one, &cost);
    EXPECT_EQ(one, many[i]);
    EXPECT_EQ(cost, costs[i]);
  }
}

TEST(GraphIndexProfiles, ScanAndWalkGiveARowTheSameDistance) {
  for (const Profile profile : kCompressed) {
    const auto vectors = ClusteredVectors(2000, kColumns, base::Metric::kCosine, 1);
    const GraphIndex index = MakeIndex(vectors.view(), base::Metric::kCosine, profile);
    SearchScratch scratch;
    std::vector<base::Neighbor> walked, scanned;
    index.Search(vectors.row(77), {.method = SearchMethod::kGraph}, &scratch, &walked, nullptr);
    index.Search(vectors.row(77), {.method = SearchMethod::kExact}, &scratch, &scanned, nullptr);
    EXPECT_EQ(walked.front(), scanned.front());
    EXPECT_EQ(walked.front().row, 77u);
  }
}

TEST(GraphIndexProfiles, EveryFilterGetsAllItsRows) {
  const auto vectors = ClusteredVectors(5000, kColumns, base::Metric::kSquaredL2, 1);
  for (const Profile profile : kCompressed) {
    const GraphIndex index = MakeIndex(vectors.view(), base::Metric::kSquaredL2, profile);
    for (const std::size_t step : {2u, 10u, 1000u}) {
      base::Bitmap allowed(5000);
      std::size_t count = 0;
      for (std::size_t i = 0; i < 5000; i += step, ++count) allowed.Set(i);
      const SearchParameters parameters{.beam_width = 64, .allowed = &allowed, .allowed_count = count};
      EXPECT_GE(Recall(index, vectors.view(), parameters), 0.9) << step;
    }
  }
}

TEST(GraphIndexProfiles, GrowingInPiecesFindsAsMuchAsOneBatch) {
  const auto vectors = ClusteredVectors(6000, kColumns, base::Metric::kCosine, 1);
  for (const Profile profile : kCompressed) {
    const GraphIndex whole = MakeIndex(vectors.view(), base::Metric::kCosine, profile);
    GraphIndex pieces(kColumns, base::Metric::kCosine, Options(profile));
    for (std::size_t i = 0; i < 6000; i += 500) {
      ASSERT_OK(pieces.Add(base::MatrixView(vectors.row(i), 500, kColumns, vectors.stride()), 2));
      ASSERT_EQ(pieces.size(), i + 500);
    }
    const SearchParameters parameters{.beam_width = 64, .method = SearchMethod::kGraph};
    EXPECT_GE(Recall(pieces, vectors.view(), parameters), Recall(whole, vectors.view(), parameters) - 0.02);
    ASSERT_OK(pieces.Seal(2));
    EXPECT_EQ(pieces.row_codes()->size(), 6000u);
    EXPECT_GE(Recall(pieces, vectors.view(), parameters), Recall(whole, vectors.view(), parameters) - 0.02);
  }
}

TEST(GraphIndexProfiles, WithFewDimensionsTheRowsAreWalkedBy) {
  const auto vectors = ClusteredVectors(3000, 24, base::Metric::kSquaredL2, 1);
  for (const Profile profile : kCompressed) {
    const GraphIndex index = MakeIndex(vectors.view(), base::Metric::kSquaredL2, profile);
    EXPECT_EQ(index.row_codes(), nullptr);
    EXPECT_GE(Recall(index, vectors.view(), {.beam_width = 64, .method = SearchMethod::kGraph}), 0.93);
  }
}

TEST(GraphIndexProfiles, TheGraphGivesUpOneNeighbourForACacheLine) {
  EXPECT_EQ(DegreeBoundOf(Profile::kSmall, 32), 31u);
  EXPECT_EQ(DegreeBoundOf(Profile::kBalanced, 64), 63u);
  EXPECT_EQ(DegreeBoundOf(Profile::kBalanced, 24), 24u);
  EXPECT_EQ(DegreeBoundOf(Profile::kSmall, 31), 31u);
  EXPECT_EQ(DegreeBoundOf(Profile::kSpeed, 32), 32u);
  EXPECT_EQ(ProximityGraph::Stride(DegreeBoundOf(Profile::kSmall, 32)) * sizeof(std::uint32_t), 128u);
}

}  // namespace
}  // namespace trivium::index
