// SPDX-License-Identifier: Apache-2.0
#include "base/huge_bytes.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <new>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace trivium::base {
namespace {

constexpr std::size_t kHugePage = HugeBytes::kHugePage;

// Of the pages of a block, how many bytes the system has given memory for.
std::size_t ResidentBytes(const std::uint8_t* data, std::size_t size) {
  const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> resident((size + page - 1) / page);
  EXPECT_EQ(::mincore(const_cast<std::uint8_t*>(data), size, resident.data()), 0);
  return page * std::count_if(resident.begin(), resident.end(), [](unsigned char c) { return (c & 1) != 0; });
}

TEST(HugeBytes, AreZeroAndAlignedWhateverWasInTheMemoryBefore) {
  for (int repeat = 0; repeat < 2; ++repeat) {
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, std::size_t{64}, std::size_t{4097}, HugeBytes::kSmallestMapping - 1,
          HugeBytes::kSmallestMapping, kHugePage - 1, kHugePage, kHugePage + 1, 3 * kHugePage}) {
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

TEST(HugeBytes, RoomThatIsNotUsedTakesNoMemory) {
  HugeBytes bytes(16 * kHugePage);
  EXPECT_EQ(ResidentBytes(bytes.data(), bytes.size()), 0u);
  bytes.data()[5 * kHugePage] = 1;
  EXPECT_LE(ResidentBytes(bytes.data(), bytes.size()), kHugePage);
}

TEST(HugeBytes, GrowKeepsWhatIsUsedAndClearsTheRest) {
  for (const std::size_t size : {std::size_t{100}, 3 * kHugePage + 5, 9 * kHugePage}) {
    for (const std::size_t grown : {size + 1, 2 * size, 12 * kHugePage}) {
      HugeBytes bytes(size);
      for (std::size_t i = 0; i < size; ++i) bytes.data()[i] = static_cast<std::uint8_t>(i % 251 + 1);
      const std::size_t used = size - 3;
      bytes.Grow(used, grown);
      ASSERT_EQ(bytes.size(), grown);
      for (std::size_t i = 0; i < used; ++i) ASSERT_EQ(bytes.data()[i], i % 251 + 1) << i;
      EXPECT_TRUE(
          std::all_of(bytes.data() + used, bytes.data() + grown, [](std::uint8_t b) { return b == 0; }));
    }
  }
  HugeBytes none;
  none.Grow(0, 10);
  EXPECT_EQ(none.size(), 10u);
  EXPECT_THROW(none.Grow(10, std::numeric_limits<std::size_t>::max()), std::bad_alloc);
  EXPECT_EQ(none.size(), 10u);
}

TEST(HugeBytes, ThrowsWhereASizeCannotBeRoundedUp) {
  EXPECT_THROW(HugeBytes(std::numeric_limits<std::size_t>::max()), std::bad_alloc);
  EXPECT_THROW(HugeBytes(std::numeric_limits<std::size_t>::max() - 4096), std::bad_alloc);
}

}  // namespace
}  // namespace trivium::base
