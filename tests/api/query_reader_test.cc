// SPDX-License-Identifier: Apache-2.0
#include "api/query_reader.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "base/aligned_matrix.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace trivium {
namespace {

constexpr std::uint32_t kSpace = 1, kEuclidean = 2, kFirst = 6, kSecond = 7, kThird = 8;
constexpr std::size_t kDimension = 3;

// Moves every component one place on, `by` times, and makes it `scale` as long.
std::vector<float> Turn(std::size_t by, float scale) {
  std::vector<float> matrix(kDimension * kDimension, 0.0f);
  for (std::size_t i = 0; i < kDimension; ++i) matrix[((i + by) % kDimension) * kDimension + i] = scale;
  return matrix;
}

class QueryReaderTest : public ::testing::Test {
 protected:
  QueryReaderTest() : query_(base::PaddedStride(kDimension), 0.0f) {
    query_[0] = 1;
    state_.schema.spaces = {
        {.id = kSpace, .name = "text", .dimension = kDimension},
        {.id = kEuclidean, .name = "flat", .dimension = kDimension, .metric = Metric::kSquaredL2}};
    state_.schema.experts = {
        {.id = kFirst, .name = "first", .space = kSpace, .adapter = AdapterRecord{.enabled = true}},
        {.id = kSecond, .name = "second", .space = kSpace, .adapter = AdapterRecord{.enabled = false}},
        {.id = kThird, .name = "third", .space = kSpace}};
    state_.adapters[kFirst] = std::make_shared<const std::vector<float>>(Turn(1, 2));
    state_.adapters[kSecond] = std::make_shared<const std::vector<float>>(Turn(2, 5));
    state_.ResolveExperts();
    choices_.resize(3);
  }

  void AdaptAllDomains() {
    state_.schema.spaces[0].adapter = AdapterRecord{.enabled = false};
    state_.adapters[kSpace] = std::make_shared<const std::vector<float>>(Turn(2, 1));
  }

  std::vector<float> Mixed(const QueryReader& reader, std::vector<float> probabilities, float own,
                           float plain) {
    for (std::size_t e = 0; e < 3; ++e) choices_[e].probability = probabilities[e];
    std::vector<float> reading;
    EXPECT_OK(reader.Mix(kSpace, choices_, {own, plain}, query_.data(), &reading));
    EXPECT_EQ(reading.size(), base::PaddedStride(kDimension));
    reading.resize(kDimension);
    return reading;
  }

  // What the equation says, of unit length.
  static void ExpectDirection(const std::vector<float>& reading, std::vector<float> expected) {
    const float norm =
        std::sqrt(expected[0] * expected[0] + expected[1] * expected[1] + expected[2] * expected[2]);
    for (std::size_t i = 0; i < kDimension; ++i) EXPECT_NEAR(reading[i], expected[i] / norm, 1e-6) << i;
  }

  StoreState state_;
  std::vector<float> query_;
  std::vector<routing::ExpertChoice> choices_;
};

TEST_F(QueryReaderTest, MixesUnitReadingsByProbability) {
  const QueryReader reader(&state_, AdapterUse::kStore);
  ASSERT_TRUE(reader.CanMix(kSpace));
  // Read as 010 by the first expert, as 001 by the second (refused by the gate alone, not here), else as 100.
  ExpectDirection(Mixed(reader, {0.6f, 0.3f, 0.1f}, 1, 0), {0.1f, 0.6f, 0.3f});
  ExpectDirection(Mixed(reader, {0.6f, 0.4f, 0}, 0.5f, 1), {0.5f, 0.3f, 0.2f});
  ExpectDirection(Mixed(reader, {0.3f, 0.2f, 0}, 0.5f, 1), {0.5f, 0.3f, 0.2f});  // shares of this space's
  AdaptAllDomains();
  ExpectDirection(Mixed(reader, {0.6f, 0, 0.4f}, 0.5f, 0.5f), {0.25f, 0.3f, 0.2f + 0.25f});
  ExpectDirection(Mixed(reader, {1, 0, 0}, 0, 0), {0, 0, 1});
}

TEST_F(QueryReaderTest, LeavesOutWhoIsHardlyMeant) {
  const QueryReader reader(&state_, AdapterUse::kStore);
  ExpectDirection(Mixed(reader, {0.995f, 0.005f, 0}, 1, 0), {0, 1, 0});
}

TEST_F(QueryReaderTest, MixesNothingWithoutAdaptersOrCosine) {
  EXPECT_FALSE(QueryReader(&state_, AdapterUse::kNever).CanMix(kSpace));
  EXPECT_FALSE(QueryReader(&state_, AdapterUse::kAlways).CanMix(kEuclidean));
}

TEST_F(QueryReaderTest, ReadsHeldOutQueriesAsTheyWereHeldOut) {
  HeldOutReadings held_out;
  const std::vector<float> kept = {0, 0, 1};
  held_out.Add(kFirst, kDimension, query_.data(), kept.data());
  const QueryReader reader(&state_, AdapterUse::kStore, &held_out);
  std::vector<float> reading;
  ASSERT_OK(reader.ReadAs(state_.experts[0], query_.data(), &reading));
  EXPECT_EQ(reading[2], 1);
  query_ = {0, 1, 0, 0};
  query_.resize(base::PaddedStride(kDimension));
  ASSERT_OK(reader.ReadAs(state_.experts[0], query_.data(), &reading));
  EXPECT_EQ(reading[2], 1);  // by the adapter: 010 becomes 001
  EXPECT_EQ(reading[1], 0);
}

TEST_F(QueryReaderTest, NamesTheAdapterThatMakesNothingOfAQuery) {
  state_.adapters[kFirst] = std::make_shared<const std::vector<float>>(kDimension * kDimension, 0.0f);
  state_.ResolveExperts();
  std::vector<float> reading;
  EXPECT_THAT(
      QueryReader(&state_, AdapterUse::kStore).ReadAs(state_.experts[0], query_.data(), &reading),
      StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr("adapter of expert 'first'")));
}

}  // namespace
}  // namespace trivium
