// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "kernels/sign_pack_kernel.h"
#include "tests/kernels/every_table.h"
#include "tests/support/guarded_array.h"

namespace trivium::kernels {
namespace {

using testing_support::GuardedArray;

class SignPackKernels : public EveryTable {};
INSTANTIATE_TEST_SUITE_P(Kernels, SignPackKernels, ::testing::ValuesIn(RunnableTables()), TableName);

// Packs of random small integers, whose estimates have no rounding, at the end of the mapped memory.
struct Packs {
  Packs(std::size_t dimension, std::size_t count, std::uint64_t seed)
      : dimension(dimension),
        count(count),
        bytes(128 + 4 * dimension),
        packs(count * bytes),
        table(4 * dimension) {
    base::Random random(seed);
    for (std::size_t i = 0; i < packs.size(); ++i) packs.Set(i, static_cast<std::uint8_t>(random.Next()));
    for (std::size_t i = 0; i < table.size(); ++i) table.Set(i, static_cast<std::uint8_t>(random.Below(64)));
    for (std::size_t row = 0; row < 32 * count; ++row) {
      offsets.push_back(static_cast<float>(random.Below(255)) - 127);
      scales.push_back(static_cast<float>(random.Below(5)));
      SetFactor(row, 0, offsets.back());
      SetFactor(row, 64, scales.back());
    }
    estimate = {.center = 33, .table_scale = 2, .table_offset = -5};
  }
  void SetFactor(std::size_t row, std::size_t at, float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    const auto upper = static_cast<std::uint16_t>(bits >> 16);
    std::memcpy(packs.data() + row / 32 * bytes + at + 2 * (row % 32), &upper, sizeof(upper));
  }
  double Slow(std::size_t row) const {
    double sum = 0;
    for (std::size_t g = 0; g < dimension / 4; ++g) {
      const std::uint8_t pair = packs.Get(row / 32 * bytes + 128 + 16 * g + row % 16);
      sum += table.Get(16 * g + (row % 32 < 16 ? pair & 15 : pair >> 4));
    }
    return 33 + offsets[row] - scales[row] * (2 * sum - 5);
  }

  std::size_t dimension, count, bytes;
  GuardedArray<std::uint8_t> packs, table;
  std::vector<float> offsets, scales;
  EdgeEstimate estimate;
};

TEST_P(SignPackKernels, RowsBelowTheBoundAreToldInOrderWithTheBitsOfAPlainLoop) {
  for (const std::size_t dimension : {64, 128, 384, 448, 1024}) {
    for (const std::size_t count : {0, 1, 3, 8}) {
      Packs c(dimension, count, dimension + count);
      std::vector<float> bounds = {std::numeric_limits<float>::infinity(),
                                   -std::numeric_limits<float>::infinity()};
      if (count > 0) bounds.push_back(static_cast<float>(c.Slow(7)));  // itself not below
      for (const float bound : bounds) {
        c.estimate.bound = bound;
        GuardedArray<float> distances(32 * count + 16);
        GuardedArray<std::uint32_t> places(32 * count + 16);
        const std::size_t found = table().score_packs(c.packs.data(), count, dimension, c.table.data(),
                                                      c.estimate, distances.data(), places.data());
        std::size_t next = 0;
        for (std::size_t row = 0; row < 32 * count; ++row) {
          if (!(c.Slow(row) < bound)) continue;
          ASSERT_LT(next, found);
          ASSERT_EQ(places.Get(next), row);
          ASSERT_EQ(distances.Get(next), c.Slow(row));
          ++next;
        }
        EXPECT_EQ(found, next) << dimension << " " << count;
      }
    }
  }
}

TEST_P(SignPackKernels, FactorsThatAreNotFiniteNeverBringARowIn) {
  Packs c(64, 2, 3);
  c.SetFactor(5, 0, std::numeric_limits<float>::quiet_NaN());
  c.SetFactor(40, 64, std::numeric_limits<float>::quiet_NaN());
  c.estimate.bound = std::numeric_limits<float>::infinity();
  std::vector<float> distances(80);
  std::vector<std::uint32_t> places(80);
  EXPECT_EQ(
      table().score_packs(c.packs.data(), 2, 64, c.table.data(), c.estimate, distances.data(), places.data()),
      62u);
}

}  // namespace
}  // namespace trivium::kernels
