// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/imitation/imitation_loss.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/slow_imitation_loss.h"

namespace trivium::routing {
namespace {

using testing_support::OwnedPath;
using testing_support::RandomPath;
using testing_support::SlowImitationLoss;
using testing_support::SlowLoss;

void ExpectSameAsSlow(const OwnedPath& path, double final_weight) {
  ImitationLoss fast;
  std::vector<float> derivative(path.scores.size());
  const double loss = fast.Evaluate(path.view(), final_weight, derivative);
  const SlowLoss slow = SlowImitationLoss(path.view(), final_weight);
  EXPECT_NEAR(loss, slow.loss, 1e-5 * (1 + std::abs(slow.loss)));
  for (std::size_t i = 0; i < derivative.size(); ++i) {
    EXPECT_NEAR(derivative[i], slow.derivative[i], 1e-4) << i;
  }
}

TEST(ImitationLoss, EqualsOneSoftmaxAnExpansion) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    ExpectSameAsSlow(RandomPath(200, 40, 5, 1.5, 0, seed), 1);
    ExpectSameAsSlow(RandomPath(60, 60, 3, 4, 0, seed), 2.5);
  }
}

// Scores that rise or fall by hundreds of nats on the way leave nothing of sums over the whole walk.
TEST(ImitationLoss, KeepsItsDigitsWhereScoresWander) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    ExpectSameAsSlow(RandomPath(200, 40, 5, 12, 0, seed), 1);
    ExpectSameAsSlow(RandomPath(200, 40, 5, 2, 1.5, seed), 1);
    ExpectSameAsSlow(RandomPath(200, 40, 5, 2, -1.5, seed), 1);
    ExpectSameAsSlow(RandomPath(200, 40, 5, 40, 0, seed), 1);
  }
}

TEST(ImitationLoss, IsTheSameWithBuffersOfAnotherPath) {
  const OwnedPath large = RandomPath(300, 50, 6, 3, 0, 1);
  const OwnedPath small = RandomPath(40, 10, 2, 1, 0, 2);
  ImitationLoss reused, fresh;
  std::vector<float> first(300), second(40), third(40);
  reused.Evaluate(large.view(), 1, first);
  EXPECT_EQ(reused.Evaluate(small.view(), 1, second), fresh.Evaluate(small.view(), 1, third));
  EXPECT_EQ(second, third);
}

TEST(ImitationLoss, DerivativeMatchesFiniteDifferences) {
  OwnedPath path = RandomPath(50, 20, 4, 1, 0, 3);
  ImitationLoss loss;
  std::vector<float> derivative(50), ignored(50);
  loss.Evaluate(path.view(), 1, derivative);
  for (std::size_t i = 0; i < 50; ++i) {
    const float score = path.scores[i];
    path.scores[i] = score + 1e-2f;
    const double above = loss.Evaluate(path.view(), 1, ignored);
    path.scores[i] = score - 1e-2f;
    const double below = loss.Evaluate(path.view(), 1, ignored);
    path.scores[i] = score;
    EXPECT_NEAR(derivative[i], (above - below) / 2e-2, 1e-3) << i;
  }
}

TEST(ImitationLoss, TeachesNothingWhereAllCandidatesAreEquallyFar) {
  OwnedPath path = RandomPath(50, 20, 4, 1, 0, 3);
  path.hops.assign(50, 5);
  ImitationLoss loss;
  std::vector<float> derivative(50, 1.0f);
  EXPECT_NEAR(loss.Evaluate(path.view(), 1, derivative), 0, 1e-9);
  for (const float each : derivative) EXPECT_NEAR(each, 0, 1e-7);
}

}  // namespace
}  // namespace trivium::routing
