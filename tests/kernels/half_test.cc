// SPDX-License-Identifier: Apache-2.0
#include <xmmintrin.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "tests/kernels/every_table.h"
#include "tests/support/slow_distances.h"

namespace trivium::kernels {
namespace {

using testing_support::GuardedArray;
using testing_support::SlowFloatFromHalf;
using testing_support::SlowHalfFromFloat;

class Halves : public EveryTable {};
INSTANTIATE_TEST_SUITE_P(Kernels, Halves, ::testing::ValuesIn(RunnableTables()), TableName);

std::vector<Half> AllHalves() {
  std::vector<Half> halves(65536);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<Half>(i);
  return halves;
}

bool IsNan(Half half) { return (half & 0x7FFF) > 0x7C00; }

std::vector<Half> Narrow(const DistanceTable& table, const std::vector<float>& floats) {
  std::vector<Half> halves(floats.size());
  table.f16_from_f32(floats.data(), floats.size(), halves.data());
  return halves;
}

TEST_P(Halves, WidensEveryHalfExactly) {
  const std::vector<Half> halves = AllHalves();
  std::vector<float> floats(halves.size());
  table().f32_from_f16(halves.data(), halves.size(), floats.data());
  for (Half half : halves) {
    if (IsNan(half)) {
      // Quiet, same sign, same payload.
      const std::uint32_t want = (half & 0x8000u) << 16 | 0x7FC00000u | (half & 0x3FFu) << 13;
      EXPECT_EQ(std::bit_cast<std::uint32_t>(floats[half]), want) << half;
    } else {
      EXPECT_EQ(floats[half], SlowFloatFromHalf(half)) << half;
      EXPECT_EQ(std::signbit(floats[half]), half >= 0x8000) << half;
    }
  }
}

TEST_P(Halves, NarrowsEveryHalfBackToItself) {
  const std::vector<Half> halves = AllHalves();
  std::vector<float> floats(halves.size());
  table().f32_from_f16(halves.data(), halves.size(), floats.data());
  const std::vector<Half> back = Narrow(table(), floats);
  for (Half half : halves) EXPECT_EQ(back[half], IsNan(half) ? half | 0x200 : half);
}

TEST_P(Halves, RoundsHalfwayCasesToEven) {
  std::vector<float> floats;
  std::vector<Half> want;
  for (Half low = 0; low < 0x7BFF; ++low) {
    const float middle = static_cast<float>((SlowFloatFromHalf(low) + SlowFloatFromHalf(low + 1)) / 2);
    for (float sign : {1.0f, -1.0f}) {
      const Half bit = sign < 0 ? 0x8000 : 0;
      floats.push_back(sign * middle);
      want.push_back(bit | (low % 2 == 0 ? low : low + 1));
      floats.push_back(sign * std::nextafter(middle, 0.0f));
      want.push_back(bit | low);
      floats.push_back(sign * std::nextafter(middle, INFINITY));
      want.push_back(bit | (low + 1));
    }
  }
  EXPECT_EQ(Narrow(table(), floats), want);
}

TEST_P(Halves, NarrowsTheEdgesOfTheRange) {
  const float overflow = 65520.0f;  // halfway from the largest binary16 to the next power of two
  const std::vector<float> floats = {0.0f,     -0.0f,   65504.0f, std::nextafter(overflow, 0.0f),
                                     overflow, 1e30f,   1e-8f,    INFINITY,
                                     1e-40f,   0x1p-25f};
  EXPECT_EQ(Narrow(table(), floats),
            (std::vector<Half>{0, 0x8000, 0x7BFF, 0x7BFF, 0x7C00, 0x7C00, 0, 0x7C00, 0, 0}));
}

TEST_P(Halves, NarrowsRandomBitPatternsLikeTheReference) {
  base::Random random(5);
  std::vector<float> floats(100'003);
  for (float& value : floats) value = std::bit_cast<float>(static_cast<std::uint32_t>(random.Next()));
  for (std::size_t i = 0; i < floats.size(); i += 2) {  // half of them near the range of binary16
    floats[i] = static_cast<float>(std::ldexp(random.Normal(), static_cast<int>(random.Below(45)) - 28));
  }
  const std::vector<Half> halves = Narrow(table(), floats);
  for (std::size_t i = 0; i < floats.size(); ++i)
    ASSERT_EQ(halves[i], SlowHalfFromFloat(floats[i])) << floats[i];
}

TEST_P(Halves, ConvertsSubnormalHalvesWhereTheProcessFlushesSubnormalFloats) {
  std::vector<Half> halves(1024);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<Half>(i);
  std::vector<float> floats(halves.size());
  std::vector<Half> back(halves.size());
  const unsigned saved = _mm_getcsr();
  _mm_setcsr(saved | 0x8040);  // flush to zero, denormals are zero: as -ffast-math start-up code sets
  table().f32_from_f16(halves.data(), halves.size(), floats.data());
  table().f16_from_f32(floats.data(), floats.size(), back.data());
  _mm_setcsr(saved);
  for (Half half : halves) EXPECT_EQ(floats[half], SlowFloatFromHalf(half));
  EXPECT_EQ(back, halves);
}

TEST_P(Halves, ConvertsAnyCountAtAnyAlignmentAndNothingBeyond) {
  for (std::size_t count = 0; count <= 40; ++count) {
    for (std::size_t slack : {0, 1, 2, 3}) {
      GuardedArray<float> floats(count, slack), back(count, slack);
      GuardedArray<Half> halves(count, slack);
      for (std::size_t i = 0; i < count; ++i) floats.Set(i, static_cast<float>(i) - 7.5f);
      table().f16_from_f32(floats.data(), count, halves.data());
      table().f32_from_f16(halves.data(), count, back.data());
      for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(back.Get(i), floats.Get(i));
    }
  }
}

}  // namespace
}  // namespace trivium::kernels
