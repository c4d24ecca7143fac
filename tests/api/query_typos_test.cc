// SPDX-License-Identifier: Apache-2.0
#include "api/query_typos.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace trivium {
namespace {

std::size_t EditDistance(const std::string& a, const std::string& b) {  // neighbours that change places: 2
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

TEST(WithTypos, OneEditChangesALittleAndAlwaysSomething) {
  const std::string text = "how long must records be kept";
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const std::string edited = WithTypos(text, 1, seed);
    EXPECT_EQ(edited, WithTypos(text, 1, seed));
    EXPECT_GE(EditDistance(text, edited), 1u);
    EXPECT_LE(EditDistance(text, edited), 2u);
    seen.insert(edited);
  }
  EXPECT_GT(seen.size(), 200u);
}

TEST(WithTypos, MakesAsManyEditsAsAsked) {
  std::size_t most = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const std::string edited = WithTypos("abcdefghijklmnopqrstuvwxyz", 4, seed);
    EXPECT_LE(EditDistance("abcdefghijklmnopqrstuvwxyz", edited), 8u);
    most = std::max(most, EditDistance("abcdefghijklmnopqrstuvwxyz", edited));
  }
  EXPECT_GE(most, 4u);
  EXPECT_EQ(WithTypos("unchanged", 0, 3), "unchanged");
}

TEST(WithTypos, KeepsShortTextsAndUtf8Whole) {
  EXPECT_EQ(WithTypos("", 3, 1), "");
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    EXPECT_FALSE(WithTypos("x", 1, seed).empty());
    EXPECT_NE(WithTypos("x", 1, seed), "x");
    for (const char* text : {"äß", "日本語"}) {
      const std::string edited = WithTypos(text, 2, seed);
      for (std::size_t i = 0; i < edited.size();) {  // every lead byte is followed by its own continuation
        const auto lead = static_cast<unsigned char>(edited[i]);
        const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : 3;
        ASSERT_TRUE(lead < 0x80 || lead >= 0xC2) << edited;
        ASSERT_LE(i + length, edited.size()) << edited;
        for (std::size_t j = 1; j < length; ++j) {
          ASSERT_EQ(static_cast<unsigned char>(edited[i + j]) & 0xC0, 0x80) << edited;
        }
        i += length;
      }
    }
  }
}

}  // namespace
}  // namespace trivium
