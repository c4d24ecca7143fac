// SPDX-License-Identifier: Apache-2.0
#include "index/edge_query.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/random_vectors.h"

namespace trivium::index {
namespace {

using testing_support::ClusteredVectors;

constexpr std::size_t kDimensions[] = {64, 100, 384, 448, 512, 768};

std::vector<float> Rotated(const EdgeCodes& codes, const float* query) {
  std::vector<float> rotated(codes.rotation().padded_dimension());
  codes.rotation().Apply(query, rotated.data());
  return rotated;
}

TEST(EdgeQuery, TableEntriesStandForSignedSumsWithinHalfAStep) {
  for (const std::size_t dimension : kDimensions) {
    const EdgeCodes codes(dimension, base::Metric::kCosine, 32);
    const auto rows = ClusteredVectors(3, dimension, base::Metric::kInnerProduct, 1, 3);
    EdgeQuery query;
    for (std::size_t row = 0; row < rows.rows(); ++row) {
      query.Prepare(codes, rows.row(row));
      const kernels::EdgeQuery& view = query.view();
      const auto rotated = Rotated(codes, rows.row(row));
      const std::size_t groups = rotated.size() / 4;
      int largest = 0;
      for (std::size_t g = 0; g < groups; ++g) {
        for (std::size_t c = 0; c < 16; ++c) {
          double sum = 0;
          for (int d = 0; d < 4; ++d) sum += (c >> d & 1) != 0 ? rotated[4 * g + d] : -rotated[4 * g + d];
          const int entry = view.table[16 * g + c];
          largest = std::max(largest, entry);
          ASSERT_NEAR(entry * double{view.table_scale} + view.table_offset / static_cast<double>(groups), sum,
                      0.501 * view.table_scale)
              << dimension;
        }
      }
      EXPECT_EQ(largest, 63);  // the whole range is used
    }
  }
}

TEST(EdgeQuery, ValuesStandForComponentsWithinHalfAStep) {
  for (const std::size_t dimension : kDimensions) {
    const EdgeCodes codes(dimension, base::Metric::kSquaredL2, 32);
    const auto rows = ClusteredVectors(1, dimension, base::Metric::kInnerProduct, 1, 1);
    EdgeQuery query;
    query.Prepare(codes, rows.row(0));
    const auto rotated = Rotated(codes, rows.row(0));
    int sum = 0, largest = 0;
    double norm = 0;
    for (std::size_t i = 0; i < rotated.size(); ++i) {
      const int value = query.view().values[i];
      ASSERT_NEAR(value * double{query.view().value_scale}, rotated[i], 0.501 * query.view().value_scale);
      sum += value;
      largest = std::max(largest, std::abs(value));
      norm += double{rotated[i]} * rotated[i];
    }
    EXPECT_EQ(largest, 127);
    EXPECT_EQ(query.view().value_sum, sum);
    EXPECT_NEAR(query.view().squared_norm, norm, 1e-5 * norm);
  }
}

TEST(EdgeQuery, KnowsWhichDistanceTheCodesEstimate) {
  const std::vector<float> query(64, 1.0f);
  EdgeQuery prepared;
  prepared.Prepare(EdgeCodes(64, base::Metric::kInnerProduct, 32), query.data());
  EXPECT_TRUE(prepared.view().inner_product);
  // Unit vectors have the same order by squared distance.
  for (const base::Metric metric : {base::Metric::kCosine, base::Metric::kSquaredL2}) {
    prepared.Prepare(EdgeCodes(64, metric, 32), query.data());
    EXPECT_FALSE(prepared.view().inner_product);
  }
}

TEST(EdgeQuery, OfZerosEstimatesZeroProducts) {
  const EdgeCodes codes(100, base::Metric::kSquaredL2, 32);
  const std::vector<float> zeros(100, 0.0f);
  EdgeQuery query;
  query.Prepare(codes, zeros.data());
  EXPECT_EQ(query.view().squared_norm, 0.0f);
  EXPECT_EQ(query.view().value_sum, 0);
  EXPECT_TRUE(std::isfinite(query.view().table_scale));
  for (std::size_t i = 0; i < 128; ++i) ASSERT_EQ(query.view().values[i], 0);
  for (std::size_t i = 0; i < 4 * 128; ++i) {
    ASSERT_NEAR(query.view().table[i] * double{query.view().table_scale} + query.view().table_offset / 32.0,
                0, 0.501 * query.view().table_scale);
  }
}

TEST(EdgeQuery, UsedBeforeForMoreDimensionsGivesTheSame) {
  const EdgeCodes large(768, base::Metric::kCosine, 32), small(100, base::Metric::kCosine, 32);
  const auto rows = ClusteredVectors(2, 768, base::Metric::kInnerProduct, 1, 2);
  EdgeQuery used, fresh;
  used.Prepare(large, rows.row(0));
  used.Prepare(small, rows.row(1));
  fresh.Prepare(small, rows.row(1));
  EXPECT_EQ(std::memcmp(used.view().table, fresh.view().table, 4 * 128), 0);
  EXPECT_EQ(std::memcmp(used.view().values, fresh.view().values, 128), 0);
  EXPECT_EQ(used.view().table_scale, fresh.view().table_scale);
  EXPECT_EQ(used.view().table_offset, fresh.view().table_offset);
  EXPECT_EQ(used.view().value_sum, fresh.view().value_sum);
  EXPECT_EQ(used.view().squared_norm, fresh.view().squared_norm);
}

}  // namespace
}  // namespace trivium::index
