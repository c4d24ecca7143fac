// SPDX-License-Identifier: Apache-2.0
#include "index/build_space.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "index/vector_rows.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"

namespace trivium::index {
namespace {

using testing_support::ClusteredVectors;

constexpr base::Metric kMetrics[] = {base::Metric::kCosine, base::Metric::kInnerProduct,
                                     base::Metric::kSquaredL2};

std::vector<float> AllDistances(const BuildSpace& space, std::uint32_t from) {
  std::vector<std::uint32_t> all(space.size());
  std::iota(all.begin(), all.end(), 0u);
  std::vector<float> distances(all.size());
  space.Distances(from, all.data(), all.size(), distances.data());
  return distances;
}

TEST(BuildSpace, DistancesAreThoseOfTheSphereForInnerProducts) {
  const auto rows = ClusteredVectors(100, 5, base::Metric::kInnerProduct, 4);
  const BuildSpace space(rows.view(), base::Metric::kInnerProduct);
  double largest = 0;
  std::vector<double> norms(100);
  for (std::size_t i = 0; i < 100; ++i) {
    norms[i] = -testing_support::SlowDistance(base::Metric::kInnerProduct, rows.row(i), rows.row(i), 5);
    largest = std::max(largest, norms[i]);
  }
  for (std::uint32_t a = 0; a < 100; a += 7) {
    for (std::uint32_t b = 0; b < 100; ++b) {
      const double squares =
          testing_support::SlowDistance(base::Metric::kSquaredL2, rows.row(a), rows.row(b), 5);
      const double extra = std::sqrt(largest - norms[a]) - std::sqrt(largest - norms[b]);
      float distance;
      space.Distances(a, &b, 1, &distance);
      EXPECT_NEAR(distance, squares + extra * extra, 1e-4 * largest);
    }
  }
}

TEST(BuildSpace, MedoidIsTheRowNearestToTheMean) {
  base::AlignedMatrix rows(1);
  for (const float place : {0.0f, 10.0f, 4.0f, 6.5f, 1.0f}) rows.Append(&place);  // mean 4.3
  EXPECT_EQ(BuildSpace(rows.view(), base::Metric::kSquaredL2).Medoid(), 2u);
}

TEST(BuildSpace, CodesGiveDistancesNearToTheExactOnes) {
  for (const base::Metric metric : kMetrics) {
    for (const std::size_t dimension : {1u, 7u, 64u, 100u, 384u}) {
      const auto rows = ClusteredVectors(300, dimension, metric, 5);
      const BuildSpace exact(rows.view(), metric);
      BuildSpace coded(rows.view(), metric);
      ASSERT_TRUE(coded.UseCodes(2)) << dimension;
      for (std::uint32_t from = 0; from < 300; from += 37) {
        const auto want = AllDistances(exact, from), got = AllDistances(coded, from);
        const float mean = std::accumulate(want.begin(), want.end(), 0.0f) / 300;
        for (std::size_t i = 0; i < 300; ++i) {
          ASSERT_GE(got[i], 0.0f);
          ASSERT_NEAR(got[i], want[i], 0.02 * std::sqrt(std::max(0.0f, want[i]) * mean) + 1e-3 * mean);
        }
      }
    }
  }
}

TEST(BuildSpace, CompressedRowsAreUsedAsTheyAreStored) {
  for (const base::Metric metric : kMetrics) {
    for (const RowFormat format : {RowFormat::kFloat16, RowFormat::kInt8}) {
      const auto values = ClusteredVectors(300, 100, metric, 5);
      VectorRows stored(100, format, metric);
      ASSERT_OK(stored.Append(values.view()));
      base::AlignedMatrix decoded(300, 100);
      for (std::size_t i = 0; i < 300; ++i) stored.view().CopyRow(i, decoded.row(i));
      BuildSpace expected(decoded.view(), metric), space(stored.view(), metric);
      EXPECT_EQ(space.Medoid(), expected.Medoid());
      for (std::uint32_t from = 0; from < 300; from += 37) {
        const auto want = AllDistances(expected, from), got = AllDistances(space, from);
        const float mean = std::accumulate(want.begin(), want.end(), 0.0f) / 300;
        for (std::size_t i = 0; i < 300; ++i) ASSERT_NEAR(got[i], want[i], 1e-3 * mean) << i;
      }
      ASSERT_TRUE(expected.UseCodes(2));
      ASSERT_TRUE(space.UseCodes(2));
      for (std::uint32_t from = 0; from < 300; from += 37) {
        EXPECT_EQ(AllDistances(space, from), AllDistances(expected, from));
      }
    }
  }
}

TEST(BuildSpace, CodesDoNotDependOnTheNumberOfThreads) {
  const auto rows = ClusteredVectors(9000, 20, base::Metric::kSquaredL2, 5);
  BuildSpace one(rows.view(), base::Metric::kSquaredL2), three(rows.view(), base::Metric::kSquaredL2);
  ASSERT_TRUE(one.UseCodes(1) && three.UseCodes(3));
  for (std::uint32_t from = 0; from < 9000; from += 999) {
    ASSERT_EQ(AllDistances(one, from), AllDistances(three, from));
  }
}

TEST(BuildSpace, EqualRowsStayEqualInCodes) {
  for (const base::Metric metric : kMetrics) {
    auto rows = ClusteredVectors(200, 24, metric, 6);
    for (std::size_t i = 0; i < 100; ++i) std::copy_n(rows.row(2 * i), 24, rows.row(2 * i + 1));
    BuildSpace space(rows.view(), metric);
    ASSERT_TRUE(space.UseCodes(1));
    for (std::uint32_t from = 0; from < 200; from += 2) {
      const auto distances = AllDistances(space, from);
      EXPECT_EQ(distances[from], distances[from + 1]);
      EXPECT_LT(distances[from + 1], 1e-5f);
    }
  }
}

TEST(BuildSpace, CodesAcceptRowsThatAreAllTheSame) {
  base::AlignedMatrix rows(50, 8);
  BuildSpace space(rows.view(), base::Metric::kSquaredL2);
  EXPECT_TRUE(space.UseCodes(1));
  EXPECT_EQ(AllDistances(space, 3), std::vector<float>(50, 0.0f));
}

TEST(BuildSpace, CodesAreRefusedWhereOneCoordinateOutweighsTheRest) {
  auto rows = ClusteredVectors(2000, 16, base::Metric::kSquaredL2, 6);
  base::Random random(1);
  for (std::size_t i = 0; i < rows.rows(); ++i) rows.row(i)[3] += random.Below(2) == 0 ? 3000.0f : 0.0f;
  BuildSpace space(rows.view(), base::Metric::kSquaredL2);
  const auto exact = AllDistances(space, 7);
  EXPECT_FALSE(space.UseCodes(1));
  EXPECT_EQ(AllDistances(space, 7), exact);
}

TEST(BuildSpace, CodesAreRefusedForSmallClustersFarApart) {
  auto rows = ClusteredVectors(2000, 4, base::Metric::kSquaredL2, 6);
  for (std::size_t i = 0; i < rows.rows(); ++i) rows.row(i)[0] += static_cast<float>(i / 20 * 1000);
  BuildSpace space(rows.view(), base::Metric::kSquaredL2);
  EXPECT_FALSE(space.UseCodes(1));
}

TEST(BuildSpace, CodesDoNotMindACommonOffset) {
  auto rows = ClusteredVectors(500, 16, base::Metric::kSquaredL2, 6);
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    for (std::size_t j = 0; j < 16; ++j) rows.row(i)[j] += 2000.0f;
  }
  BuildSpace space(rows.view(), base::Metric::kSquaredL2);
  EXPECT_TRUE(space.UseCodes(1));
}

// Rows of a damaged file that was opened without verification.
TEST(BuildSpace, CodedDistancesAreNeverNaN) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float bad : {kInfinity, -kInfinity, std::nanf(""), 3e38f, 1e19f}) {
    auto rows = ClusteredVectors(300, 12, base::Metric::kSquaredL2, 6);
    rows.row(17)[5] = rows.row(18)[5] = bad;
    const BuildCodes codes(rows.view(), 1);
    std::vector<std::uint32_t> all(300);
    std::iota(all.begin(), all.end(), 0u);
    std::vector<float> distances(300);
    for (const std::uint32_t from : {0u, 17u}) {
      codes.Distances(from, all.data(), all.size(), distances.data());
      for (const float distance : distances) EXPECT_GE(distance, 0.0f) << bad;
    }
    BuildSpace space(rows.view(), base::Metric::kSquaredL2);
    space.UseCodes(1);
    for (const float distance : AllDistances(space, 17)) EXPECT_FALSE(std::isnan(distance)) << bad;
  }
}

}  // namespace
}  // namespace trivium::index
