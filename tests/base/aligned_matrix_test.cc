// SPDX-License-Identifier: Apache-2.0
#include "base/aligned_matrix.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace trivium::base {
namespace {

TEST(AlignedMatrix, RowsAreAlignedAndPaddedWithZeros) {
  for (const std::size_t columns : {1u, 15u, 16u, 17u, 100u}) {
    AlignedMatrix matrix(columns);
    const std::vector<float> values(columns, 1.5f);
    for (int i = 0; i < 5; ++i) matrix.Append(values.data());
    EXPECT_EQ(matrix.stride() % 16, 0u);
    for (std::size_t i = 0; i < matrix.rows(); ++i) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(matrix.row(i)) % kRowAlignmentBytes, 0u);
      for (std::size_t j = 0; j < matrix.stride(); ++j) {
        EXPECT_EQ(matrix.row(i)[j], j < columns ? 1.5f : 0.0f) << columns << " " << i << " " << j;
      }
    }
  }
}

TEST(AlignedMatrix, AppendedRowsSurviveGrowth) {
  AlignedMatrix matrix(3);
  for (int i = 0; i < 1000; ++i) {
    const float values[3] = {float(i), float(i) + 0.25f, -float(i)};
    matrix.Append(values);
  }
  ASSERT_EQ(matrix.rows(), 1000u);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(matrix.row(i)[0], float(i));
    EXPECT_EQ(matrix.row(i)[1], float(i) + 0.25f);
    EXPECT_EQ(matrix.row(i)[2], -float(i));
  }
}

TEST(AlignedMatrix, ResizeClearsRowsThatHeldValuesBefore) {
  AlignedMatrix matrix(2, 2);
  matrix.row(1)[0] = 7;
  matrix.Resize(1);
  matrix.Resize(2);
  EXPECT_EQ(matrix.row(1)[0], 0.0f);
}

TEST(AlignedMatrix, MoveLeavesTheSourceEmpty) {
  AlignedMatrix source(4, 3);
  source.row(3)[2] = 9;
  const AlignedMatrix target = std::move(source);
  EXPECT_EQ(source.rows(), 0u);  // NOLINT(bugprone-use-after-move): the state is documented
  ASSERT_EQ(target.rows(), 4u);
  EXPECT_EQ(target.row(3)[2], 9.0f);
  EXPECT_EQ(target.view().columns, 3u);
}

}  // namespace
}  // namespace trivium::base
