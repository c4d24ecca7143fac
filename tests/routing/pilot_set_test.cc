// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/pilot_set.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace trivium::routing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

PilotSet TwoPilots() {
  PilotSet pilots(3, 2);
  EXPECT_OK(pilots.Add({.vector = {1, 0, 0}, .utilities = {0.5f, kNan}, .weight = 2, .time = -7}));
  EXPECT_OK(pilots.Add({.vector = {0, 0.6f, 0.8f},
                        .utilities = {0.25f, 1},
                        .owners = {1, 3},
                        .time = 1'700'000'000,
                        .source = PilotSource::kFeedback}));
  return pilots;
}

TEST(PilotSet, ForgetsExpertsWithoutEvidence) {
  PilotSet pilots(2, 4);
  EXPECT_OK(pilots.Add({.vector = {1, 0}, .utilities = {0, 0.5f, 0, kNan}, .owners = {0, 0, 1, 0}}));
  EXPECT_OK(pilots.Add({.vector = {0, 1}, .utilities = {0, 0, 0, 0}}));
  pilots.ForgetExpertsWithoutEvidence();
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(std::isnan(pilots.utilities(i)[0])) << i;
    EXPECT_TRUE(std::isnan(pilots.utilities(i)[3])) << i;
    EXPECT_EQ(pilots.utilities(i)[2], 0) << i;  // its own question, which it could not answer
  }
  EXPECT_THAT(pilots.utilities(0)[1], 0.5f);
  EXPECT_THAT(pilots.utilities(1)[1], 0);
}

TEST(PilotSet, KeepsWhatWasAdded) {
  const PilotSet pilots = TwoPilots();
  ASSERT_EQ(pilots.size(), 2u);
  EXPECT_EQ(pilots.pilot(1).vector[2], 0.8f);
  EXPECT_EQ(pilots.pilot(1).source, PilotSource::kFeedback);
  EXPECT_EQ(pilots.pilot(0).weight, 2);
  EXPECT_EQ(pilots.pilot(0).time, -7);
  EXPECT_TRUE(std::isnan(pilots.utilities(0)[1]));
}

TEST(PilotSet, OwnersFollowTheirPilotsAndExperts) {
  PilotSet pilots = TwoPilots();
  EXPECT_THAT(pilots.owners(0), ElementsAre(0, 0));  // unknown
  EXPECT_THAT(pilots.owners(1), ElementsAre(1, 3));
  const PilotSet subset = pilots.Subset({1, 0});
  EXPECT_THAT(subset.owners(0), ElementsAre(1, 3));
  EXPECT_THAT(subset.owners(1), ElementsAre(0, 0));
  PilotSet read(3, 2);
  ASSERT_OK(read.AddEncoded(pilots.EncodePilot(1, {7, 9}), {9, 7}));
  EXPECT_THAT(read.owners(0), ElementsAre(3, 1));
  pilots.AddExpert();
  EXPECT_THAT(pilots.owners(1), ElementsAre(1, 3, 0));
  pilots.RemoveExpert(0);
  EXPECT_THAT(pilots.owners(1), ElementsAre(3, 0));
}

// What version 1 wrote: no owners.
TEST(PilotSet, ReadsPilotsWithoutOwners) {
  std::string bytes = TwoPilots().EncodePilot(0, {7, 9});
  bytes[0] = 1;
  bytes.resize(bytes.size() - sizeof(std::uint32_t));
  PilotSet read(3, 2);
  ASSERT_OK(read.AddEncoded(bytes, {7, 9}));
  EXPECT_THAT(read.owners(0), ElementsAre(0, 0));
  EXPECT_EQ(read.utilities(0)[0], 0.5f);
}

TEST(PilotSet, RefusesBadPilotsAndStaysUnchanged) {
  PilotSet pilots = TwoPilots();
  const auto refused = [&](const PilotView& pilot, const char* why) {
    EXPECT_THAT(pilots.Add(pilot), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
    EXPECT_EQ(pilots.size(), 2u);
  };
  refused({.vector = {1, 0}, .utilities = {0, 0}}, "dimension: 2, expected 3");
  refused({.vector = {1, 0, 0}, .utilities = {0}}, "utilities: 1, expected 2");
  refused({.vector = {1, 1, 0}, .utilities = {0, 0}}, "norm");
  refused({.vector = {kNan, 1, 0}, .utilities = {0, 0}}, "norm");
  refused({.vector = {0, 0, 0}, .utilities = {0, 0}}, "norm: 0");
  refused({.vector = {1, 0, 0}, .utilities = {kInfinity, 0}}, "utility");
  refused({.vector = {1, 0, 0}, .utilities = {0, 0}, .owners = {1}}, "owners: 1, expected 2");
  refused({.vector = {1, 0, 0}, .utilities = {0, 0}, .owners = {0, -1}}, "owner: -1");
  refused({.vector = {1, 0, 0}, .utilities = {0, 0}, .weight = -1}, "weight: -1");
  refused({.vector = {1, 0, 0}, .utilities = {0, 0}, .weight = kNan}, "weight");
}

TEST(PilotSet, NewColumnIsUnknownAndRemovedColumnLeavesTheOthers) {
  PilotSet pilots = TwoPilots();
  pilots.AddExpert();
  ASSERT_EQ(pilots.expert_count(), 3u);
  EXPECT_TRUE(std::isnan(pilots.utilities(1)[2]));
  EXPECT_EQ(pilots.utilities(1)[1], 1);
  pilots.RemoveExpert(0);
  ASSERT_EQ(pilots.expert_count(), 2u);
  EXPECT_EQ(pilots.utilities(1)[0], 1);
  EXPECT_TRUE(std::isnan(pilots.utilities(1)[1]));
}

TEST(PilotSet, SubsetKeepsOrderAndEveryField) {
  const PilotSet pilots = TwoPilots();
  const PilotSet subset = pilots.Subset({1, 0, 1});
  ASSERT_EQ(subset.size(), 3u);
  EXPECT_EQ(subset.pilot(0).time, 1'700'000'000);
  EXPECT_EQ(subset.pilot(1).weight, 2);
  EXPECT_EQ(subset.pilot(2).vector[1], 0.6f);
  EXPECT_EQ(subset.utilities(1)[0], 0.5f);
}

TEST(PilotSet, EncodedPilotSurvivesChangesOfTheExperts) {
  const PilotSet pilots = TwoPilots();
  const std::string row = pilots.EncodePilot(1, {40, 41});
  PilotSet later(3, 3);
  ASSERT_OK(later.AddEncoded(row, {41, 50, 40}));
  EXPECT_EQ(later.utilities(0)[0], 1);
  EXPECT_TRUE(std::isnan(later.utilities(0)[1]));
  EXPECT_EQ(later.utilities(0)[2], 0.25f);
  EXPECT_EQ(later.pilot(0).time, 1'700'000'000);
  EXPECT_EQ(later.pilot(0).source, PilotSource::kFeedback);
  EXPECT_EQ(later.pilot(0).vector[2], 0.8f);
  PilotSet without(3, 1);
  ASSERT_OK(without.AddEncoded(row, {99}));
  EXPECT_TRUE(std::isnan(without.utilities(0)[0]));
}

TEST(PilotSet, EncodedPilotOfAnotherDimensionIsDataLoss) {
  PilotSet other(4, 2);
  EXPECT_THAT(other.AddEncoded(TwoPilots().EncodePilot(0, {1, 2}), {1, 2}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("dimension: 3, expected 4")));
}

TEST(PilotSet, TruncatedOrExtendedRowsAreDataLoss) {
  const std::string row = TwoPilots().EncodePilot(1, {1, 2});
  PilotSet pilots(3, 2);
  for (std::size_t size = 0; size < row.size(); ++size) {
    EXPECT_THAT(pilots.AddEncoded(row.substr(0, size), {1, 2}), StatusIs(absl::StatusCode::kDataLoss))
        << size;
  }
  EXPECT_THAT(pilots.AddEncoded(row + "x", {1, 2}), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_EQ(pilots.size(), 0u);
}

TEST(PilotSet, FlippedBitsNeverGiveAnInvalidPilot) {
  const std::string row = TwoPilots().EncodePilot(1, {1, 2});
  for (std::size_t bit = 0; bit < row.size() * 8; ++bit) {
    std::string damaged = row;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    PilotSet pilots(3, 2);
    const absl::Status status = pilots.AddEncoded(damaged, {1, 2});
    if (!status.ok()) {
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << bit;
      continue;
    }
    double squared_norm = 0;
    for (float x : pilots.pilot(0).vector) squared_norm += static_cast<double>(x) * x;
    EXPECT_NEAR(squared_norm, 1, 0.01) << bit;
    EXPECT_GE(pilots.weight(0), 0) << bit;
  }
}

}  // namespace
}  // namespace trivium::routing
