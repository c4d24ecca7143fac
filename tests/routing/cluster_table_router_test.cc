// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/cluster_table_router.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "routing/expert/pilot_weights.h"
#include "routing/expert/spherical_clusters.h"
#include "tests/support/status_matchers.h"
#include "tests/support/synthetic_pilots.h"

namespace trivium::routing {
namespace {

using testing_support::ClusteredQueries;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr std::size_t kDimension = 24, kExpertCount = 4;

// The definition in the header, over the pilots themselves and with a full sort.
std::vector<double> SlowUtilities(const PilotSet& pilots, const RouterOptions& options,
                                  const std::vector<float>& query) {
  const std::vector<float> weights = BalancedWeights(pilots, options.class_balance);
  const UtilityPrior prior = PriorOf(pilots, weights);
  const SphericalClusters clusters = ClusterDirections(pilots.vectors(), weights, options.cluster_count, 1);
  std::vector<std::pair<double, std::size_t>> nearest;
  for (std::size_t k = 0; k < clusters.centroids.rows(); ++k) {
    double cosine = 0;
    for (std::size_t c = 0; c < kDimension; ++c) cosine += double{query[c]} * clusters.centroids.row(k)[c];
    nearest.push_back({-cosine, k});
  }
  std::sort(nearest.begin(), nearest.end());
  nearest.resize(std::min<std::size_t>(nearest.size(), 8));
  std::vector<double> utilities;
  for (std::size_t e = 0; e < kExpertCount; ++e) {
    double sum = 0, total = 0;
    for (const auto& [distance, k] : nearest) {
      double votes = 0, mean = 0;
      for (std::size_t i = 0; i < pilots.size(); ++i) {
        if (clusters.cluster_of[i] != k || std::isnan(pilots.utilities(i)[e])) continue;
        votes += weights[i];
        mean += double{weights[i]} * pilots.utilities(i)[e];
      }
      if (votes > 0) mean /= votes;
      const double trust = votes / (votes + options.shrinkage);
      const double weight = std::exp((nearest[0].first - distance) / options.temperature);
      sum += weight * (trust * mean + (1 - trust) * prior.mean[e]);
      total += weight;
    }
    utilities.push_back(sum / total);
  }
  return utilities;
}

PilotSet RandomPilots(ClusteredQueries* source, std::size_t count, double unknown_share) {
  base::Random random(count);
  PilotSet pilots(kDimension, kExpertCount);
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<float> utilities(kExpertCount);
    for (float& u : utilities) {
      u = random.Uniform() < unknown_share ? kNan : static_cast<float>(random.Uniform());
    }
    const std::vector<float> vector = source->Draw(random.Below(kExpertCount));
    EXPECT_OK(pilots.Add(
        {.vector = vector, .utilities = utilities, .weight = static_cast<float>(1 + random.Below(3))}));
  }
  return pilots;
}

struct Prediction {
  std::vector<float> utility = std::vector<float>(kExpertCount), uncertainty = utility;
};

Prediction Predict(const ClusterTableRouter& router, const std::vector<float>& query) {
  RouterScratch scratch;
  Prediction p;
  router.Predict(query, &scratch, absl::MakeSpan(p.utility), absl::MakeSpan(p.uncertainty));
  return p;
}

TEST(ClusterTableRouter, AgreesWithTheSlowDefinition) {
  ClusteredQueries source(kDimension, kExpertCount, 0.8, 5);
  for (std::size_t count : {1, 7, 60, 301}) {
    const PilotSet pilots = RandomPilots(&source, count, 0.3);
    for (const RouterOptions& options :
         {RouterOptions{.class_balance = 0, .temperature = 0.1f, .shrinkage = 3, .cluster_count = 4},
          RouterOptions{.temperature = 0.04f, .shrinkage = 0.5f, .cluster_count = 20}}) {
      ClusterTableRouter router;
      ASSERT_OK(router.Train(pilots, options));
      for (int q = 0; q < 20; ++q) {
        const std::vector<float> query = source.Draw(q % 4);
        const std::vector<float> utility = Predict(router, query).utility;
        const std::vector<double> expected = SlowUtilities(pilots, options, query);
        for (std::size_t e = 0; e < kExpertCount; ++e) {
          if (std::isnan(expected[e])) {
            EXPECT_TRUE(std::isnan(utility[e]));
          } else {
            EXPECT_NEAR(utility[e], expected[e], 2e-4) << count << " pilots, expert " << e;
          }
        }
      }
    }
  }
}

TEST(ClusterTableRouter, IsOfTheSameSizeForAnyNumberOfPilots) {
  ClusteredQueries source(kDimension, kExpertCount, 0.8, 5);
  ClusterTableRouter few, many;
  ASSERT_OK(few.Train(RandomPilots(&source, 100, 0), {.cluster_count = 16}));
  ASSERT_OK(many.Train(RandomPilots(&source, 1000, 0), {.cluster_count = 16}));
  EXPECT_EQ(few.Save().size(), many.Save().size());
}

TEST(ClusterTableRouter, IsLessCertainWherePilotsDisagreeOrAreFew) {
  PilotSet pilots(2, 3);
  for (int i = 0; i < 20; ++i) {
    const std::vector<float> utilities = {0.5f, i % 2 == 0 ? 0.0f : 1.0f,
                                          i < 2 ? static_cast<float>(i) : kNan};
    ASSERT_OK(pilots.Add({.vector = {1, 0}, .utilities = utilities}));
  }
  ClusterTableRouter router;
  ASSERT_OK(router.Train(pilots, {.class_balance = 0}));
  RouterScratch scratch;
  std::vector<float> utility(3), uncertainty(3);
  router.Predict({1, 0}, &scratch, absl::MakeSpan(utility), absl::MakeSpan(uncertainty));
  EXPECT_NEAR(uncertainty[0], 0, 1e-3);
  EXPECT_NEAR(uncertainty[1], 0.5 / std::sqrt(20.0), 0.01);
  EXPECT_GT(uncertainty[2], 2 * uncertainty[1]);
}

}  // namespace
}  // namespace trivium::routing
