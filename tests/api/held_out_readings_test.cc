// SPDX-License-Identifier: Apache-2.0
#include "api/held_out_readings.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace trivium {
namespace {

constexpr std::size_t kDimension = 5;
const std::vector<float> kQuery = {1, 0, 0, 0, 0}, kOther = {0, 1, 0, 0, 0}, kReading = {0, 0, 1, 0, 0};

std::vector<float> Read(const HeldOutReadings& readings, std::uint32_t adapter,
                        const std::vector<float>& query) {
  const std::vector<float>* found = readings.Find(adapter, kDimension, query.data());
  return found == nullptr ? std::vector<float>()
                          : std::vector<float>(found->begin(), found->begin() + kDimension);
}

TEST(HeldOutReadings, KnowsTheQueriesOfEachAdapterAfterSavingToo) {
  HeldOutReadings readings;
  readings.Add(3, kDimension, kQuery.data(), kReading.data());
  readings.Add(3, kDimension, kQuery.data(), kOther.data());  // the first one stays
  readings.Add(4, kDimension, kOther.data(), kQuery.data());
  HeldOutReadings loaded;
  ASSERT_OK(loaded.Load(3, kDimension, readings.Save(3, kDimension)));
  for (const HeldOutReadings* each : {&readings, &loaded}) {
    EXPECT_EQ(Read(*each, 3, kQuery), kReading);
    EXPECT_TRUE(Read(*each, 3, kOther).empty());
  }
  EXPECT_EQ(Read(readings, 4, kOther), kQuery);
  EXPECT_TRUE(Read(loaded, 4, kOther).empty());
}

TEST(HeldOutReadings, HalfOfTheQueriesStandForNewOnesAlwaysTheSame) {
  int count = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::vector<float> query = {static_cast<float>(i), 1, 2, 3, 4};
    const bool is_new = StandsForNewQueries(query.data(), kDimension);
    EXPECT_EQ(StandsForNewQueries(std::vector<float>(query).data(), kDimension), is_new);
    count += is_new ? 1 : 0;
  }
  EXPECT_GT(count, 450);
  EXPECT_LT(count, 550);
}

TEST(HeldOutReadings, BelievesNoDamagedBytes) {
  HeldOutReadings readings;
  readings.Add(3, kDimension, kQuery.data(), kReading.data());
  const std::string bytes = readings.Save(3, kDimension);
  HeldOutReadings read;
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_THAT(read.Load(3, kDimension, bytes.substr(0, length)), StatusIs(absl::StatusCode::kDataLoss));
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string flipped = bytes;
    flipped[i] ^= 4;
    EXPECT_THAT(read.Load(3, kDimension, flipped), StatusIs(absl::StatusCode::kDataLoss)) << i;
  }
  EXPECT_THAT(read.Load(3, kDimension + 1, bytes), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_EQ(read.Find(3, kDimension, kQuery.data()), nullptr);
}

}  // namespace
}  // namespace trivium
