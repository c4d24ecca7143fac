// SPDX-License-Identifier: Apache-2.0
#include "api/label_table.h"

#include <map>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"

namespace trivium {
namespace {

TEST(LabelTable, AgreesWithAMapThroughAdditionsAndRemovals) {
  LabelTable table;
  std::map<std::uint64_t, std::uint32_t> expected;
  std::vector<std::uint64_t> by_row;
  base::Random random(1);
  EXPECT_FALSE(table.Find(0));
  for (int round = 0; round < 300; ++round) {
    std::vector<std::uint64_t> batch;
    for (std::uint64_t i = 0, count = random.Below(40); i < count; ++i) {
      // Small ones, so that labels come back, and some that differ in their highest bits alone.
      const std::uint64_t label = random.Below(2) == 0 ? random.Below(2000) : random.Below(64) << 58;
      if (expected.contains(label)) continue;
      expected[label] = static_cast<std::uint32_t>(by_row.size());
      by_row.push_back(label);
      batch.push_back(label);
    }
    table.Append(batch);
    for (std::uint64_t label = 0; label < 2000; label += 1 + random.Below(40)) {
      if (!expected.contains(label)) continue;
      table.Remove(label);
      expected.erase(label);
    }
    ASSERT_EQ(table.row_count(), by_row.size());
    ASSERT_EQ(table.live_count(), expected.size());
    for (std::uint64_t label = 0; label < 2000; ++label) {
      const auto found = table.Find(label);
      const auto wanted = expected.find(label);
      ASSERT_EQ(found.has_value(), wanted != expected.end()) << label;
      if (found) {
        ASSERT_EQ(*found, wanted->second);
      }
    }
  }
  for (std::size_t row = 0; row < by_row.size(); ++row) {
    EXPECT_EQ(table.label(row), by_row[row]);
    const auto owner = expected.find(by_row[row]);
    EXPECT_EQ(table.live().Test(row), owner != expected.end() && owner->second == row);
  }
  EXPECT_EQ(table.LiveLabels().size(), expected.size());
}

TEST(LabelTable, RowsThatWereNeverGivenOutHaveNoLabel) {
  LabelTable table;
  table.Append(std::vector<std::uint64_t>{5, 6});
  table.AppendRemoved(1);
  table.Append(std::vector<std::uint64_t>{0});
  EXPECT_EQ(table.row_count(), 4u);
  EXPECT_EQ(table.live_count(), 3u);
  EXPECT_EQ(table.Find(0), 3u);
  EXPECT_EQ(table.LiveLabels(), (std::vector<std::uint64_t>{5, 6, 0}));
}

// What Load counts on to notice a damaged file.
TEST(LabelTable, OfALabelThatOccursTwiceOneRowIsLeft) {
  LabelTable table;
  table.Append(std::vector<std::uint64_t>{7, 8, 7});
  EXPECT_EQ(table.row_count(), 3u);
  EXPECT_EQ(table.live_count(), 2u);
  EXPECT_EQ(table.Find(7), 2u);
}

TEST(LabelTable, TakesThirteenToTwentyBytesARow) {
  LabelTable table;
  for (std::uint64_t label = 0; label < 20000; ++label) {
    table.Append(absl::MakeConstSpan(&label, 1));
    if (label < 100) continue;
    EXPECT_GE(table.bytes(), 13 * label);
    EXPECT_LE(table.bytes(), 20 * (label + 1));
  }
}

}  // namespace
}  // namespace trivium
