// SPDX-License-Identifier: Apache-2.0
// What every router must do, whichever it is.
#include "routing/expert/expert_router.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/synthetic_pilots.h"
#include "tests/support/temp_dir.h"

namespace trivium::routing {
namespace {

using ::testing::HasSubstr;
using testing_support::ClusteredQueries;
using testing_support::FactsOf;
using testing_support::TempDir;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr std::size_t kDimension = 37;  // odd, so that rows end inside a vector register
constexpr std::size_t kExpertCount = 5;

struct Prediction {
  std::vector<float> utility;
  std::vector<float> uncertainty;
};

Prediction Predict(const ExpertRouter& router, absl::Span<const float> query) {
  RouterScratch scratch;
  Prediction p{std::vector<float>(router.expert_count()), std::vector<float>(router.expert_count())};
  router.Predict(query, &scratch, absl::MakeSpan(p.utility), absl::MakeSpan(p.uncertainty));
  return p;
}

void ExpectSame(absl::Span<const float> a, absl::Span<const float> b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t e = 0; e < a.size(); ++e) {
    EXPECT_TRUE(a[e] == b[e] || (std::isnan(a[e]) && std::isnan(b[e]))) << e << ": " << a[e] << " " << b[e];
  }
}

class EveryRouter : public ::testing::TestWithParam<std::string_view> {
 protected:
  std::unique_ptr<ExpertRouter> Make() const { return *MakeRouter(GetParam()); }

  std::unique_ptr<ExpertRouter> Trained(const PilotSet& pilots) const {
    std::unique_ptr<ExpertRouter> router = Make();
    const ExpertFacts facts = FactsOf(pilots);
    EXPECT_OK(TrainRouter(pilots, &facts, RouterOptions{.neighbor_count = 20, .ridge = 1}, router.get()));
    return router;
  }

  ClusteredQueries source_{kDimension, kExpertCount, 1.0, 11};
};

TEST_P(EveryRouter, PrefersTheExpertOfTheQuerysCluster) {
  const std::unique_ptr<ExpertRouter> router = Trained(source_.Pilots(300));
  int right = 0;
  for (std::size_t i = 0; i < 100; ++i) {
    const Prediction p = Predict(*router, source_.Draw(i % kExpertCount));
    right += std::max_element(p.utility.begin(), p.utility.end()) - p.utility.begin() ==
             static_cast<std::ptrdiff_t>(i % kExpertCount);
  }
  if (GetParam() == "static_best") {
    EXPECT_EQ(right, 20);  // always the same expert
  } else {
    EXPECT_GE(right, 95);
  }
}

TEST_P(EveryRouter, KnowsNothingOfAnExpertWithoutUtilities) {
  PilotSet pilots = source_.Pilots(60);
  pilots.AddExpert();
  const Prediction p = Predict(*Trained(pilots), source_.Draw(0));
  EXPECT_TRUE(std::isnan(p.utility[kExpertCount]));
  EXPECT_TRUE(std::isnan(p.uncertainty[kExpertCount]));
  for (std::size_t e = 0; e < kExpertCount; ++e) {
    EXPECT_TRUE(std::isfinite(p.utility[e]));
    EXPECT_GE(p.uncertainty[e], 0);
  }
}

TEST_P(EveryRouter, UsesWhatIsKnownOfAPartlyKnownExpert) {
  PilotSet pilots(kDimension, 2);
  for (int i = 0; i < 40; ++i) {
    const std::vector<float> vector = source_.Draw(i % 2);
    const std::vector<float> utilities = {i % 2 == 0 ? 0.8f : 0.2f, i % 4 < 2 ? kNan : 0.5f};
    ASSERT_OK(pilots.Add({.vector = vector, .utilities = utilities}));
  }
  const Prediction p = Predict(*Trained(pilots), source_.Draw(0));
  EXPECT_TRUE(std::isfinite(p.utility[0]));
  EXPECT_TRUE(std::isfinite(p.utility[1]));
  if (GetParam() == "knn_utility" || GetParam() == "linear" || GetParam() == "static_best") {
    EXPECT_NEAR(p.utility[1], 0.5, 0.01);
  }
}

TEST_P(EveryRouter, NewExpertChangesNobodyElsesPrediction) {
  PilotSet pilots = source_.Pilots(80);
  const std::unique_ptr<ExpertRouter> router = Trained(pilots);
  const std::vector<float> query = source_.Draw(3);
  const Prediction before = Predict(*router, query);
  router->AddExpert();
  const Prediction after = Predict(*router, query);
  ASSERT_EQ(after.utility.size(), kExpertCount + 1);
  ExpectSame(before.utility, absl::MakeConstSpan(after.utility).first(kExpertCount));
  ExpectSame(before.uncertainty, absl::MakeConstSpan(after.uncertainty).first(kExpertCount));
  EXPECT_TRUE(std::isnan(after.utility.back()));

  pilots.AddExpert();  // and training with the new, unknown column is the same as adding it later
  ExpectSame(Predict(*Trained(pilots), query).utility, after.utility);
}

TEST_P(EveryRouter, RemovedExpertLeavesTheOthersPredictions) {
  const std::unique_ptr<ExpertRouter> router = Trained(source_.Pilots(80));
  const std::vector<float> query = source_.Draw(2);
  Prediction before = Predict(*router, query);
  router->RemoveExpert(1);
  before.utility.erase(before.utility.begin() + 1);
  before.uncertainty.erase(before.uncertainty.begin() + 1);
  const Prediction after = Predict(*router, query);
  ExpectSame(before.utility, after.utility);
  ExpectSame(before.uncertainty, after.uncertainty);
}

TEST_P(EveryRouter, PredictsTheSameAfterSaveAndLoad) {
  PilotSet pilots = source_.Pilots(70);
  pilots.AddExpert();
  const std::unique_ptr<ExpertRouter> router = Trained(pilots);
  TempDir dir;
  const std::unique_ptr<ExpertRouter> copy = Make();
  ASSERT_OK(copy->Load(router->Save()));
  EXPECT_EQ(copy->dimension(), kDimension);
  EXPECT_EQ(copy->expert_count(), kExpertCount + 1);
  if (router->NeedsIndex()) {
    ASSERT_OK(router->SaveIndex(dir.File("pilots")));
    ASSERT_OK(copy->OpenIndex(dir.File("pilots")));
    EXPECT_THAT(router->SaveIndex(dir.File("pilots")), StatusIs(absl::StatusCode::kAlreadyExists));
  } else {
    EXPECT_THAT(router->SaveIndex(dir.File("pilots")), StatusIs(absl::StatusCode::kFailedPrecondition));
  }
  for (std::size_t i = 0; i < 20; ++i) {
    const std::vector<float> query = source_.Draw(i % kExpertCount);
    ExpectSame(Predict(*router, query).utility, Predict(*copy, query).utility);
    ExpectSame(Predict(*router, query).uncertainty, Predict(*copy, query).uncertainty);
  }
}

TEST_P(EveryRouter, DamagedBytesAreDataLossAndChangeNothing) {
  const std::unique_ptr<ExpertRouter> router = Trained(source_.Pilots(12));
  const std::string bytes = router->Save();
  const std::vector<float> query = source_.Draw(0);
  const Prediction before = Predict(*router, query);
  for (std::size_t size = 0; size < bytes.size(); size += 1 + size / 64) {
    EXPECT_THAT(router->Load(bytes.substr(0, size)), StatusIs(absl::StatusCode::kDataLoss)) << size;
  }
  EXPECT_THAT(router->Load(bytes + "x"), StatusIs(absl::StatusCode::kDataLoss));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << i % 8));
    EXPECT_THAT(router->Load(damaged), StatusIs(absl::StatusCode::kDataLoss)) << i;
  }
  ExpectSame(before.utility, Predict(*router, query).utility);
}

TEST_P(EveryRouter, RefusesAnotherRoutersBytes) {
  const PilotSet pilots = source_.Pilots(10);
  const ExpertFacts facts = FactsOf(pilots);
  for (std::string_view other : RouterNames()) {
    if (other == GetParam()) continue;
    std::unique_ptr<ExpertRouter> trained = *MakeRouter(other);
    ASSERT_OK(TrainRouter(pilots, &facts, RouterOptions(), trained.get()));
    EXPECT_THAT(Make()->Load(trained->Save()),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr(std::string(other))));
  }
}

TEST_P(EveryRouter, LearnsFromPilotsOrFromFacts) {
  const PilotSet pilots = source_.Pilots(10);
  const ExpertFacts facts = FactsOf(pilots);
  const std::unique_ptr<ExpertRouter> router = Make();
  const absl::Status wrong = router->IsLabelFree() ? router->Train(pilots, RouterOptions())
                                                   : router->TrainLabelFree(facts, RouterOptions());
  EXPECT_THAT(wrong, StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(std::string(GetParam()))));
  if (!router->IsLabelFree()) return;
  EXPECT_THAT(TrainRouter(pilots, nullptr, RouterOptions(), router.get()),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(router->TrainLabelFree(FactsOf(PilotSet(4, 2)), RouterOptions()),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(router->TrainLabelFree(facts, {.temperature = 0, .depth = 0}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_P(EveryRouter, RefusesToTrainOnNoPilots) {
  if (Make()->IsLabelFree()) return;  // see above
  EXPECT_THAT(Make()->Train(PilotSet(4, 2), RouterOptions()), StatusIs(absl::StatusCode::kInvalidArgument));
  PilotSet no_experts(1, 0);
  ASSERT_OK(no_experts.Add({.vector = {1}, .utilities = {}}));
  EXPECT_THAT(Make()->Train(no_experts, RouterOptions()), StatusIs(absl::StatusCode::kInvalidArgument));
  PilotSet weightless(1, 1);
  ASSERT_OK(weightless.Add({.vector = {1}, .utilities = {1}, .weight = 0}));
  EXPECT_THAT(Make()->Train(weightless, RouterOptions()), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_P(EveryRouter, LearnsFromASinglePilot) {
  PilotSet pilots(2, 2);
  ASSERT_OK(pilots.Add({.vector = {1, 0}, .utilities = {0.7f, 0}}));
  const Prediction p = Predict(*Trained(pilots), {1, 0});
  EXPECT_TRUE(p.utility[0] > p.utility[1] || std::isnan(p.utility[1]));  // no fact says anything of it
}

INSTANTIATE_TEST_SUITE_P(Routers, EveryRouter,
                         ::testing::ValuesIn(RouterNames().begin(), RouterNames().end()),
                         [](const auto& info) { return std::string(info.param); });

TEST(MakeRouter, ListsTheNamesItKnowsForOneItDoesNot) {
  EXPECT_THAT(MakeRouter("oracle").status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("static_best, mean_pilot, max_pilot")));
  for (std::string_view name : RouterNames()) EXPECT_EQ((*MakeRouter(name))->name(), name);
  EXPECT_OK(MakeRouter(kDefaultRouter));
}

TEST(RouterOptions, NamesTheFieldOutOfRange) {
  const auto refused = [](const RouterOptions& options, const char* why) {
    EXPECT_THAT(options.Validate(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
  };
  EXPECT_OK(RouterOptions().Validate());
  refused({.class_balance = 3}, "class_balance: 3");
  refused({.neighbor_count = 0}, "neighbor_count");
  refused({.temperature = 0}, "temperature: 0");
  refused({.shrinkage = -1}, "shrinkage: -1");
  refused({.cluster_count = 0}, "cluster_count");
  refused({.depth = 0}, "depth: 0");
  refused({.ridge = kNan}, "ridge");
  refused({.owner_power = 0.5f}, "owner_power: 0.5");
  refused({.pilot_share = 1.5f}, "pilot_share: 1.5");
}

}  // namespace
}  // namespace trivium::routing
