// SPDX-License-Identifier: Apache-2.0
#include "base/huge_bytes.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <new>
#include <utility>

#include "gtest/gtest.h"

namespace trivium::base {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

TEST(HugeBytes, AreZeroAndAlignedWhateverWasInTheMemoryBefore) {
  for (int repeat = 0; repeat < 2; ++repeat) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{64}, std::size_t{4097},
                                   kHugePage - 1, kHugePage, kHugePage + 1, 3 * kHugePage}) {
      HugeBytes bytes(size);
      ASSERT_NE(bytes.data(), nullptr);
      EXPECT_EQ(bytes.size(), size);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % (size >= kHugePage ? kHugePage : 64), 0u);
      EXPECT_TRUE(std::all_of(bytes.data(), bytes.data() + size, [](std::uint8_t b) { return b == 0; }));
      std::fill_n(bytes.data(), size, std::uint8_t{0xAB});  // for the next one to clear
    }
  }
}

TEST(HugeBytes, AMovedFromBlockIsEmptyAndTheOtherHasItsBytes) {
  HugeBytes first(100);
  first.data()[99] = 7;
  const std::uint8_t* const memory = first.data();
  HugeBytes second = std::move(first);
  EXPECT_EQ(second.data(), memory);
  EXPECT_EQ(second.size(), 100u);
  EXPECT_EQ(first.data(), nullptr);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(first.size(), 0u);
  HugeBytes third(5);
  third = std::move(second);
  EXPECT_EQ(third.size(), 100u);
  EXPECT_EQ(third.data()[99], 7);
  EXPECT_EQ(second.size(), 0u);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(HugeBytes().data(), nullptr);
}

TEST(HugeBytes, ThrowsWhereASizeCannotBeRoundedUp) {
  EXPECT_THROW(HugeBytes(std::numeric_limits<std::size_t>::max()), std::bad_alloc);
  EXPECT_THROW(HugeBytes(std::numeric_limits<std::size_t>::max() - 4096), std::bad_alloc);
}

}  // namespace
}  // namespace trivium::base
