// SPDX-License-Identifier: Apache-2.0
// Codes of rows: how well they estimate, and that they depend on nothing but the rows.
#include "index/row_codes.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "index/row_code_query.h"
#include "index/vector_rows.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"

namespace trivium::index {
namespace {

using testing_support::ClusteredVectors;
using testing_support::SlowDistance;

constexpr base::Metric kMetrics[] = {base::Metric::kCosine, base::Metric::kInnerProduct,
                                     base::Metric::kSquaredL2};

// In the terms of the codes: squared distances for unit vectors.
double TrueDistance(base::Metric metric, const float* a, const float* b, std::size_t columns) {
  return SlowDistance(metric == base::Metric::kCosine ? base::Metric::kSquaredL2 : metric, a, b, columns);
}

TEST(RowCodes, EstimateDistancesWithoutBiasAndToWithinTheirNoise) {
  for (const base::Metric metric : kMetrics) {
    for (const std::size_t columns : {64u, 100u, 384u}) {
      const auto rows = ClusteredVectors(1000, columns, metric, 1);
      const auto queries = ClusteredVectors(10, columns, metric, 2);
      RowCodes codes(columns, metric);
      codes.Update(rows.view(), 2);
      std::vector<std::uint32_t> ids(1000);
      std::iota(ids.begin(), ids.end(), 0u);
      double sum = 0, squares = 0, spread = 0, mean = 0;
      std::vector<double> truths;
      for (std::size_t q = 0; q < queries.rows(); ++q) {
        RowCodeQuery query;
        query.Prepare(codes, queries.row(q));
        std::vector<float> estimates(1000);
        query.Estimate(codes, codes.records(), ids.data(), 1000, estimates.data());
        for (std::size_t i = 0; i < 1000; ++i) {
          truths.push_back(TrueDistance(metric, queries.row(q), rows.row(i), columns));
          sum += estimates[i] - truths.back();
          squares += (estimates[i] - truths.back()) * (estimates[i] - truths.back());
        }
      }
      const double count = static_cast<double>(truths.size());
      for (const double truth : truths) mean += truth / count;
      for (const double truth : truths) spread += (truth - mean) * (truth - mean);
      // Noise far below the spread of the distances, bias far below the noise.
      EXPECT_LT(squares, 0.35 * spread) << columns;
      EXPECT_LT(std::abs(sum / count), 0.25 * std::sqrt(squares / count)) << columns;
    }
  }
}

TEST(RowCodes, AreTheSameForAnyThreadsAndStayWhereRowsAreAdded) {
  const auto rows = ClusteredVectors(3000, 100, base::Metric::kInnerProduct, 1);
  RowCodes one(100, base::Metric::kInnerProduct), many(100, base::Metric::kInnerProduct);
  one.Update(rows.view(), 1);
  many.Update(rows.view(), 4);
  ASSERT_EQ(one.size(), 3000u);
  EXPECT_TRUE(std::equal(one.records(), one.records() + 3000 * one.record_bytes(), many.records()));
  EXPECT_TRUE(std::equal(one.center(), one.center() + one.center_size(), many.center()));
  // Within a doubling old records stay as they are, and so does the centre.
  RowCodes grown(100, base::Metric::kInnerProduct);
  grown.Update(rows.view().First(2100), 1);
  const std::vector<std::uint8_t> before(grown.records(), grown.records() + 2100 * grown.record_bytes());
  grown.Update(rows.view(), 1);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), grown.records()));
  EXPECT_EQ(grown.size(), 3000u);
  double largest = 0;
  for (std::size_t i = 0; i < 3000; ++i) {
    largest = std::max(largest, -SlowDistance(base::Metric::kInnerProduct, rows.row(i), rows.row(i), 100));
  }
  EXPECT_NEAR(grown.largest_norm(), std::sqrt(largest), 1e-3);
}

TEST(RowCodes, TakeACacheLineAt384Dimensions) {
  EXPECT_EQ(RowCodes(384, base::Metric::kCosine).record_bytes(), 64u);
  EXPECT_EQ(RowCodes(128, base::Metric::kCosine).record_bytes(), 32u);
  EXPECT_EQ(RowCodes(768, base::Metric::kCosine).record_bytes(), 128u);
}

TEST(RowCodes, RowsAndQueriesWithoutAnEstimateAreFarNeverNaN) {
  base::AlignedMatrix rows(70, 64);
  for (std::size_t i = 0; i < 70; ++i) rows.row(i)[i % 64] = static_cast<float>(i);
  rows.row(3)[1] = 3e38f;
  rows.row(4)[1] = -3e38f;
  RowCodes codes(64, base::Metric::kSquaredL2);
  codes.Update(rows.view(), 1);
  std::vector<std::uint32_t> ids(70);
  std::iota(ids.begin(), ids.end(), 0u);
  for (const float value : {0.0f, 1.0f, 3e38f}) {
    const std::vector<float> values(64, value);
    RowCodeQuery query;
    query.Prepare(codes, values.data());
    std::vector<float> estimates(70);
    query.Estimate(codes, codes.records(), ids.data(), 70, estimates.data());
    for (const float estimate : estimates) EXPECT_FALSE(std::isnan(estimate));
  }
}

}  // namespace
}  // namespace trivium::index
