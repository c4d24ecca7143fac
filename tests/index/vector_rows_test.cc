// SPDX-License-Identifier: Apache-2.0
// Rows in every format: what is kept of them, and the distances to what is kept.
#include "index/vector_rows.h"

#include <cmath>
#include <memory>
#include <numeric>
#include <vector>

#include "index/row_distances.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"

namespace trivium::index {
namespace {

using testing_support::ClusteredVectors;
using testing_support::SlowDistance;

constexpr RowFormat kFormats[] = {RowFormat::kFloat32, RowFormat::kFloat16, RowFormat::kInt8};
constexpr base::Metric kMetrics[] = {base::Metric::kCosine, base::Metric::kInnerProduct,
                                     base::Metric::kSquaredL2};

base::AlignedMatrix Decoded(const RowsView& rows) {
  base::AlignedMatrix decoded(rows.rows, rows.columns);
  for (std::size_t i = 0; i < rows.rows; ++i) rows.CopyRow(i, decoded.row(i));
  return decoded;
}

TEST(VectorRows, DecodesToWithinTheErrorOfTheFormat) {
  for (const std::size_t columns : {1u, 31u, 100u, 384u}) {
    const auto vectors = ClusteredVectors(50, columns, base::Metric::kSquaredL2, 1);
    for (const RowFormat format : kFormats) {
      VectorRows rows(columns, format, base::Metric::kSquaredL2);
      ASSERT_OK(rows.Append(vectors.view().First(20)));
      ASSERT_OK(rows.Append(base::MatrixView(vectors.row(20), 30, columns, vectors.stride())));
      ASSERT_EQ(rows.size(), 50u);
      const base::AlignedMatrix decoded = Decoded(rows.view());
      for (std::size_t i = 0; i < 50; ++i) {
        float largest = 0;
        for (std::size_t j = 0; j < columns; ++j) largest = std::max(largest, std::abs(vectors.row(i)[j]));
        for (std::size_t j = 0; j < columns; ++j) {
          const float value = vectors.row(i)[j];
          const float error = format == RowFormat::kFloat32   ? 0
                              : format == RowFormat::kFloat16 ? std::abs(value) / 2048 + 1e-7f
                                                              : largest / 254 * 1.001f;
          ASSERT_NEAR(decoded.row(i)[j], value, error);
        }
      }
    }
  }
}

TEST(VectorRows, DistancesAreThoseOfTheDecodedRowsInEveryForm) {
  for (const base::Metric metric : kMetrics) {
    const auto vectors = ClusteredVectors(200, 100, metric, 2);
    const auto queries = ClusteredVectors(5, 100, metric, 3);
    for (const RowFormat format : kFormats) {
      VectorRows rows(100, format, metric);
      ASSERT_OK(rows.Append(vectors.view()));
      const base::AlignedMatrix decoded = Decoded(rows.view());
      const RowDistances distances(rows.view(), metric);
      std::vector<std::uint32_t> ids(200);
      std::iota(ids.rbegin(), ids.rend(), 0u);
      for (std::size_t q = 0; q < queries.rows(); ++q) {
        RowQueryWords words;
        const RowQuery query = words.Prepare(format, queries.row(q), 100);
        std::vector<float> block(200), gathered(200);
        distances.Block(query, 0, 200, block.data());
        distances.Gather(query, ids.data(), 200, gathered.data());
        for (std::size_t i = 0; i < 200; ++i) {
          const double expected = SlowDistance(metric, queries.row(q), decoded.row(i), 100);
          const double size =
              1 + std::abs(SlowDistance(base::Metric::kInnerProduct, queries.row(q), queries.row(q), 100)) +
              std::abs(expected);
          EXPECT_NEAR(block[i], expected, 1e-4 * size);
          EXPECT_EQ(gathered[i], block[ids[i]]);
        }
      }
    }
  }
}

TEST(VectorRows, EncodingWhatWasDecodedChangesNothing) {
  const auto vectors = ClusteredVectors(40, 65, base::Metric::kSquaredL2, 4);
  for (const RowFormat format : kFormats) {
    VectorRows once(65, format), twice(65, format);
    ASSERT_OK(once.Append(vectors.view()));
    ASSERT_OK(twice.Append(Decoded(once.view()).view()));
    for (std::size_t i = 0; i < 40; ++i) {
      EXPECT_TRUE(
          std::equal(once.view().row(i), once.view().row(i) + RowBytes(format, 65), twice.view().row(i)));
    }
  }
}

TEST(VectorRows, CopiesBorrowedRowsBeforeItAppends) {
  const auto vectors = ClusteredVectors(30, 70, base::Metric::kSquaredL2, 5);
  for (const RowFormat format : kFormats) {
    auto owner = std::make_shared<VectorRows>(70, format, base::Metric::kSquaredL2);
    ASSERT_OK(owner->Append(vectors.view()));
    const base::AlignedMatrix before = Decoded(owner->view());
    VectorRows borrowed(owner->view(), owner);
    EXPECT_EQ(borrowed.view().data, owner->view().data);
    ASSERT_OK(borrowed.Append(vectors.view()));
    owner.reset();
    ASSERT_EQ(borrowed.size(), 60u);
    const base::AlignedMatrix after = Decoded(borrowed.view());
    for (std::size_t i = 0; i < 60; ++i) {
      EXPECT_TRUE(std::equal(after.row(i), after.row(i) + 70, before.row(i % 30)));
    }
    VectorRows copied(70, format, base::Metric::kSquaredL2);
    for (std::size_t i = 0; i < 60; i += 7) copied.AppendEncoded(borrowed.view(), i);
    const base::AlignedMatrix some = Decoded(copied.view());
    for (std::size_t i = 0; i < copied.size(); ++i) {
      EXPECT_TRUE(std::equal(some.row(i), some.row(i) + 70, after.row(7 * i)));
    }
  }
}

TEST(VectorRows, ZerosAndTinyComponentsAreKeptAsZeros) {
  base::AlignedMatrix vectors(3, 64);
  vectors.row(1)[5] = 1e-42f;
  vectors.row(2)[5] = 3e38f;
  VectorRows rows(64, RowFormat::kInt8, base::Metric::kInnerProduct);
  ASSERT_OK(rows.Append(vectors.view()));
  const base::AlignedMatrix decoded = Decoded(rows.view());
  EXPECT_EQ(decoded.row(0)[5], 0.0f);
  EXPECT_NEAR(decoded.row(1)[5], 0.0f, 1e-41f);
  EXPECT_NEAR(decoded.row(2)[5], 3e38f, 1e36f);
  EXPECT_EQ(decoded.row(2)[6], 0.0f);
}

TEST(VectorRows, RefusesComponentsBeyondBinary16AndKeepsWhatItHad) {
  base::AlignedMatrix vectors(2, 64);
  VectorRows rows(64, RowFormat::kFloat16);
  ASSERT_OK(rows.Append(vectors.view()));
  vectors.row(1)[3] = -70000.0f;
  EXPECT_THAT(rows.Append(vectors.view()),
              StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr("row 1")));
  EXPECT_EQ(rows.size(), 2u);
  vectors.row(1)[3] = -65504.0f;
  EXPECT_OK(rows.Append(vectors.view()));
}

}  // namespace
}  // namespace trivium::index
