// SPDX-License-Identifier: Apache-2.0
#include "index/flat_index.h"

#include <cmath>
#include <limits>
#include <memory>

#include "index/search_scratch.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"

namespace trivium::index {
namespace {

using testing_support::ClusteredVectors;
using testing_support::SlowSearch;

constexpr base::Metric kMetrics[] = {base::Metric::kCosine, base::Metric::kInnerProduct,
                                     base::Metric::kSquaredL2};

void ExpectSame(const std::vector<base::Neighbor>& found, const std::vector<base::Neighbor>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i].distance, expected[i].distance, 1e-4f * (1 + std::abs(expected[i].distance)));
    if (i > 0) {
      EXPECT_LE(found[i - 1].distance, found[i].distance);
    }
  }
  EXPECT_GE(testing_support::CountFound(found, expected) + 1,
            expected.size());  // one may swap within rounding
}

TEST(FlatIndex, FindsWhatTheSlowReferenceFindsForEveryMetricAndShape) {
  SearchScratch scratch;
  std::vector<base::Neighbor> found;
  for (const base::Metric metric : kMetrics) {
    for (const std::size_t rows : {1u, 63u, 257u, 1000u}) {
      for (const std::size_t columns : {1u, 7u, 33u}) {
        const auto vectors = ClusteredVectors(rows, columns, metric, rows);
        const auto queries = ClusteredVectors(20, columns, metric, 99);
        FlatIndex index(columns, metric);
        ASSERT_OK(index.Add(vectors.view(), 1));
        for (const std::size_t k : {1u, 10u, 2000u}) {
          SearchParameters parameters;
          parameters.k = k;
          SearchCounters counters;
          index.Search(queries.row(3), parameters, &scratch, &found, &counters);
          ExpectSame(found, SlowSearch(vectors.view(), metric, queries.row(3), k));
          EXPECT_EQ(counters.scan_distances, rows);
          EXPECT_EQ(counters.graph_distances, 0u);
        }
      }
    }
  }
}

TEST(FlatIndex, ReturnsExactlyTheNearestAllowedRowsAtEverySelectivity) {
  SearchScratch scratch;
  std::vector<base::Neighbor> found;
  const auto vectors = ClusteredVectors(3000, 17, base::Metric::kSquaredL2, 5);
  FlatIndex index(17, base::Metric::kSquaredL2);
  ASSERT_OK(index.Add(vectors.view(), 1));
  base::Random random(8);
  for (const double selectivity : {0.0, 0.001, 0.05, 0.5, 0.9, 1.0}) {
    base::Bitmap allowed(3000);
    for (std::size_t i = 0; i < 3000; ++i) {
      if (random.Uniform() < selectivity) allowed.Set(i);
    }
    SearchParameters parameters;
    parameters.allowed = &allowed;
    parameters.allowed_count = allowed.CountSet();
    SearchCounters counters;
    index.Search(vectors.row(1234), parameters, &scratch, &found, &counters);
    const auto expected =
        SlowSearch(vectors.view(), base::Metric::kSquaredL2, vectors.row(1234), 10, &allowed);
    ExpectSame(found, expected);
    for (const base::Neighbor& neighbor : found) EXPECT_TRUE(allowed.Test(neighbor.row));
    if (selectivity < 0.3) {
      EXPECT_EQ(counters.scan_distances, parameters.allowed_count);
    }
  }
}

TEST(FlatIndex, AddingInPiecesIsAddingAtOnce) {
  const auto vectors = ClusteredVectors(500, 9, base::Metric::kCosine, 5);
  FlatIndex whole(9, base::Metric::kCosine), pieces(9, base::Metric::kCosine);
  ASSERT_OK(whole.Add(vectors.view(), 1));
  for (std::size_t i = 0; i < 500; ++i) {
    ASSERT_OK(pieces.Add(base::MatrixView(vectors.row(i), 1, 9, vectors.stride()), 1));
  }
  SearchScratch scratch;
  std::vector<base::Neighbor> a, b;
  whole.Search(vectors.row(77), {}, &scratch, &a, nullptr);
  pieces.Search(vectors.row(77), {}, &scratch, &b, nullptr);
  EXPECT_EQ(a, b);
  EXPECT_EQ(a.front().row, 77u);
}

TEST(FlatIndex, BorrowedRowsAreCopiedBeforeTheyGrow) {
  auto vectors = std::make_shared<base::AlignedMatrix>(ClusteredVectors(50, 5, base::Metric::kSquaredL2, 5));
  FlatIndex index(VectorRows(vectors->view(), vectors), base::Metric::kSquaredL2);
  EXPECT_EQ(index.rows().data, vectors->row(0));
  const auto more = ClusteredVectors(10, 5, base::Metric::kSquaredL2, 6);
  ASSERT_OK(index.Add(more.view(), 1));
  EXPECT_EQ(index.size(), 60u);
  EXPECT_EQ(vectors.use_count(), 1);
  vectors->row(0)[0] = 1e9f;
  EXPECT_NE(index.rows().row(0)[0], 1e9f);
  EXPECT_EQ(index.rows().row(55)[2], more.row(5)[2]);
}

TEST(FlatIndex, RefusesRowsOfAnotherDimension) {
  FlatIndex index(4, base::Metric::kCosine);
  const base::AlignedMatrix rows(2, 5);
  EXPECT_THAT(index.Add(rows.view(), 1),
              StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr("5, expected 4")));
}

TEST(FlatIndex, ARowThatIsNotANumberIsInfinitelyFar) {
  auto vectors = ClusteredVectors(30, 5, base::Metric::kInnerProduct, 5);
  vectors.row(3)[1] = std::numeric_limits<float>::quiet_NaN();
  FlatIndex index(5, base::Metric::kInnerProduct);
  ASSERT_OK(index.Add(vectors.view(), 1));
  SearchScratch scratch;
  std::vector<base::Neighbor> found;
  SearchParameters parameters;
  parameters.k = 30;
  index.Search(vectors.row(0), parameters, &scratch, &found, nullptr);
  ASSERT_EQ(found.size(), 30u);
  EXPECT_EQ(found.back().row, 3u);
}

}  // namespace
}  // namespace trivium::index
