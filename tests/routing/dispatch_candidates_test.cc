// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/dispatch_candidates.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "routing/expert/dispatch_trainer.h"
#include "tests/support/status_matchers.h"
#include "tests/support/synthetic_pilots.h"

namespace trivium::routing {
namespace {

using ::testing::Contains;
using ::testing::Not;
using testing_support::ClusteredQueries;

constexpr std::size_t kDimension = 16, kExperts = 3;

std::vector<std::string> Tried(const PilotSet& pilots, const std::vector<std::string>& named = {}) {
  DispatchTrainingOptions options;
  options.bootstrap_rounds = 10;
  options.routers = named;
  const EvaluateChoice best = [&](std::size_t query, const Dispatch& choice, const AnswerSettings&) {
    double quality = 0;
    for (const std::uint32_t e : choice.chosen) {
      quality = std::max<double>(quality, pilots.utilities(query)[e]);
    }
    return quality;
  };
  const absl::StatusOr<TrainedDispatch> trained = TrainDispatch({.pilots = &pilots}, nullptr, best, options);
  EXPECT_OK(trained.status());
  std::vector<std::string> names;
  if (!trained.ok()) return names;
  for (const DispatchSettings& settings : trained->report.settings) names.push_back(settings.router);
  return names;
}

TEST(RouterCandidates, AreValid) {
  for (const std::string_view router : RouterNames()) {
    for (const bool several_owners : {false, true}) {
      const std::vector<RouterOptions> candidates = RouterCandidates(router, several_owners);
      EXPECT_FALSE(candidates.empty());
      for (const RouterOptions& options : candidates) EXPECT_OK(options.Validate()) << router;
    }
  }
}

TEST(RouterCandidates, SharpenOwnersOnlyWhereQueriesHaveSeveral) {
  const auto sharpens = [](std::string_view router, bool several_owners) {
    const std::vector<RouterOptions> candidates = RouterCandidates(router, several_owners);
    return std::any_of(candidates.begin(), candidates.end(),
                       [](const RouterOptions& options) { return options.owner_power > 1; });
  };
  for (const std::string_view router : {"logistic", "bilevel", "pooled"}) EXPECT_TRUE(sharpens(router, true));
  EXPECT_FALSE(sharpens("logistic", false));
  EXPECT_FALSE(sharpens("linear", true));
}

TEST(TrainDispatch, TriesPooledWhereQueriesHaveSeveralOwnersOrByName) {
  ClusteredQueries source(kDimension, kExperts, 0.7, 1);
  const PilotSet single = source.Pilots(60);
  PilotSet several(kDimension, kExperts);
  for (std::size_t i = 0; i < single.size(); ++i) {
    PilotView pilot = single.pilot(i);
    std::vector<float> owners(kExperts, 1.0f);  // everybody holds something, one most
    owners[i % kExperts] = 2;
    pilot.owners = owners;
    ASSERT_OK(several.Add(pilot));
  }
  EXPECT_THAT(Tried(single), Not(Contains("pooled")));
  EXPECT_THAT(Tried(several), Contains("pooled"));
  EXPECT_THAT(Tried(single, {"pooled"}), Contains("pooled"));
}

}  // namespace
}  // namespace trivium::routing
