// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/bilevel_router.h"

#include <cmath>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "routing/expert/logistic_router.h"
#include "routing/expert/router_bytes.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"
#include "tests/support/status_matchers.h"
#include "tests/support/synthetic_pilots.h"

namespace trivium::routing {
namespace {

using testing_support::ClusteredQueries;

constexpr std::size_t kDimension = 24;

std::vector<float> Predict(const ExpertRouter& router, absl::Span<const float> query) {
  RouterScratch scratch;
  std::vector<float> utility(router.expert_count()), uncertainty(router.expert_count());
  router.Predict(query, &scratch, absl::MakeSpan(utility), absl::MakeSpan(uncertainty));
  return utility;
}

// What Save writes, field by field.
struct Payload {
  std::uint64_t dimension = 0, experts = 0, classes = 0, regions = 0;
  std::vector<std::uint32_t> first, class_of;
  std::vector<float> region_bias, class_bias, counts, region_weights, class_weights;

  static Payload Of(const BilevelRouter& router) {
    const std::string bytes = router.Save();
    storage::ByteReader reader(*OpenRouterBytes("bilevel", bytes));
    Payload p;
    for (std::uint64_t* field : {&p.dimension, &p.experts, &p.classes, &p.regions}) {
      *field = reader.Read<std::uint64_t>();
    }
    p.first = reader.ReadArray<std::uint32_t>(p.regions + 1);
    p.region_bias = reader.ReadArray<float>(p.regions);
    p.class_bias = reader.ReadArray<float>(p.classes);
    p.counts = reader.ReadArray<float>(p.classes);
    p.class_of = reader.ReadArray<std::uint32_t>(p.experts);
    p.region_weights = reader.ReadArray<float>(p.regions * p.dimension);
    p.class_weights = reader.ReadArray<float>(p.classes * p.dimension);
    EXPECT_TRUE(reader.AtEnd());
    return p;
  }

  std::string Seal() const {
    storage::ByteWriter writer;
    for (const std::uint64_t field : {dimension, experts, classes, regions}) writer.Put(field);
    writer.PutArray(first.data(), first.size());
    writer.PutArray(region_bias.data(), region_bias.size());
    writer.PutArray(class_bias.data(), class_bias.size());
    writer.PutArray(counts.data(), counts.size());
    writer.PutArray(class_of.data(), class_of.size());
    writer.PutArray(region_weights.data(), region_weights.size());
    writer.PutArray(class_weights.data(), class_weights.size());
    return SealRouterBytes("bilevel", writer.bytes());
  }
};

std::vector<double> SlowExponentials(const std::vector<float>& weights, const std::vector<float>& bias,
                                     absl::Span<const float> query) {
  std::vector<double> values;
  for (std::size_t c = 0; c < bias.size(); ++c) {
    double score = bias[c];
    for (std::size_t j = 0; j < query.size(); ++j) score += double{weights[c * query.size() + j]} * query[j];
    values.push_back(std::exp(score));
  }
  return values;
}

// The same by definition, from what is saved.
std::vector<double> SlowShares(const Payload& p, absl::Span<const float> query) {
  std::vector<double> of_region = SlowExponentials(p.region_weights, p.region_bias, query);
  const double all = std::accumulate(of_region.begin(), of_region.end(), 0.0);
  for (double& share : of_region) share /= all;
  const std::vector<double> values = SlowExponentials(p.class_weights, p.class_bias, query);
  std::vector<bool> read(p.regions);
  double covered = 0, sum = 0;
  for (std::size_t region = 0; region < p.regions; ++region) {
    double before = 0;
    std::size_t rank = 0;
    for (const double other : of_region) {
      if (other <= of_region[region]) continue;
      before += other;
      ++rank;
    }
    read[region] = rank < 4 && before < 0.98;
    if (!read[region]) continue;
    covered += of_region[region];
    for (std::size_t c = p.first[region]; c < p.first[region + 1]; ++c) sum += values[c];
  }
  std::vector<double> shares(p.classes);
  for (std::size_t region = 0; region < p.regions; ++region) {
    const std::size_t first = p.first[region], last = p.first[region + 1];
    const double pilots = std::accumulate(p.counts.begin() + first, p.counts.begin() + last, 0.0);
    for (std::size_t c = first; c < last; ++c) {
      shares[c] = read[region] ? covered * values[c] / sum : of_region[region] * p.counts[c] / pilots;
    }
  }
  std::vector<double> of_expert;
  for (const std::uint32_t own : p.class_of) of_expert.push_back(shares[own]);
  return of_expert;
}

TEST(BilevelRouter, PredictsWhatItsDefinitionSays) {
  constexpr std::size_t kExperts = 60;
  for (const double noise : {0.3, 1.5}) {  // sure of one region, and of none
    ClusteredQueries source(kDimension, kExperts, noise, 11);
    BilevelRouter router;
    ASSERT_OK(router.Train(source.Pilots(600), {.ridge = 0.1f}));
    const Payload payload = Payload::Of(router);
    EXPECT_EQ(payload.classes, kExperts);
    EXPECT_GT(payload.regions, 4u);
    EXPECT_LE(payload.regions, 8u);
    for (std::size_t i = 0; i < 50; ++i) {
      const std::vector<float> query = source.Draw(i);
      const std::vector<float> found = Predict(router, query);
      const std::vector<double> expected = SlowShares(payload, query);
      for (std::size_t e = 0; e < kExperts; ++e) EXPECT_NEAR(found[e], expected[e], 1e-5) << i << " " << e;
      EXPECT_NEAR(std::accumulate(found.begin(), found.end(), 0.0), 1, 1e-5);
    }
  }
}

TEST(BilevelRouter, NamesTheOwnerAmongManyExperts) {
  constexpr std::size_t kExperts = 100;
  ClusteredQueries source(48, kExperts, 0.5, 3);
  BilevelRouter router;
  ASSERT_OK(router.Train(source.Pilots(1000), {.ridge = 0.1f}));
  int right = 0;
  for (std::size_t i = 0; i < 200; ++i) {
    const std::vector<float> shares = Predict(router, source.Draw(i % kExperts));
    right += std::max_element(shares.begin(), shares.end()) - shares.begin() ==
             static_cast<std::ptrdiff_t>(i % kExperts);
  }
  EXPECT_GE(right, 190);
}

TEST(BilevelRouter, IsLogisticWhereExpertsAreFew) {
  ClusteredQueries source(kDimension, 15, 1.0, 5);
  const PilotSet pilots = source.Pilots(300);
  BilevelRouter router;
  LogisticRouter logistic;
  ASSERT_OK(router.Train(pilots, {.ridge = 0.1f}));
  ASSERT_OK(logistic.Train(pilots, {.ridge = 0.1f}));
  EXPECT_EQ(Payload::Of(router).regions, 1u);
  for (std::size_t i = 0; i < 20; ++i) {
    const std::vector<float> query = source.Draw(i % 15);
    const std::vector<float> found = Predict(router, query), expected = Predict(logistic, query);
    for (std::size_t e = 0; e < 15; ++e) EXPECT_NEAR(found[e], expected[e], 1e-6);
  }
}

TEST(BilevelRouter, LearnsTheSameTwice) {
  ClusteredQueries source(kDimension, 40, 1.0, 9);
  const PilotSet pilots = source.Pilots(200);
  BilevelRouter first, second;
  ASSERT_OK(first.Train(pilots, {}));
  ASSERT_OK(second.Train(pilots, {}));
  EXPECT_EQ(first.Save(), second.Save());
}

TEST(BilevelRouter, PilotsWithoutAnOwnerOrUtilityLeaveEverybodyAsLikely) {
  PilotSet pilots(4, 20);
  ASSERT_OK(pilots.Add({.vector = {1, 0, 0, 0}, .utilities = std::vector<float>(20, 0.0f)}));
  BilevelRouter router;
  ASSERT_OK(router.Train(pilots, {}));
  for (const float share : Predict(router, {1, 0, 0, 0})) EXPECT_NEAR(share, 0.05f, 1e-6);
}

TEST(BilevelRouter, ARemovedExpertKeepsItsShare) {
  ClusteredQueries source(kDimension, 40, 1.0, 6);
  BilevelRouter router;
  ASSERT_OK(router.Train(source.Pilots(400), {.ridge = 0.1f}));
  const std::vector<float> query = source.Draw(2);
  std::vector<float> before = Predict(router, query);
  router.RemoveExpert(1);
  before.erase(before.begin() + 1);
  EXPECT_EQ(Predict(router, query), before);
  BilevelRouter read;
  ASSERT_OK(read.Load(router.Save()));
  EXPECT_EQ(Predict(read, query), before);
}

// The checksum is right each time, so only the numbers can tell.
TEST(BilevelRouter, RefusesNumbersThatDoNotFitTogether) {
  ClusteredQueries source(kDimension, 40, 1.0, 6);
  BilevelRouter router;
  ASSERT_OK(router.Train(source.Pilots(400), {.ridge = 0.1f}));
  ASSERT_OK(BilevelRouter().Load(Payload::Of(router).Seal()));
  const std::vector<std::function<void(Payload*)>> changes = {
      [](Payload* p) { p->dimension = 0; },
      [](Payload* p) { p->dimension = ~std::uint64_t{0}; },
      [](Payload* p) { ++p->experts; },
      [](Payload* p) { p->experts = ~std::uint64_t{0}; },
      [](Payload* p) { --p->classes; },
      [](Payload* p) { p->classes = ~std::uint64_t{0}; },
      [](Payload* p) { p->classes = p->regions = ~std::uint64_t{0}; },
      [](Payload* p) { p->regions = 0; },
      [](Payload* p) { ++p->regions; },
      [](Payload* p) { p->regions = p->classes + 1; },
      [](Payload* p) { p->first.front() = 1; },
      [](Payload* p) { p->first[1] = p->first[2]; },
      [](Payload* p) { p->first[1] = 1000; },
      [](Payload* p) { --p->first.back(); },
      [](Payload* p) { p->counts[3] = -1; },
      [](Payload* p) { p->counts[3] = std::nanf(""); },
      [](Payload* p) { p->class_of[0] = p->class_of[1]; },
      [](Payload* p) { p->class_of[0] = static_cast<std::uint32_t>(p->classes); },
      [](Payload* p) { p->class_bias.push_back(0); },
      [](Payload* p) { p->class_weights.pop_back(); },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    Payload payload = Payload::Of(router);
    changes[i](&payload);
    BilevelRouter read;
    EXPECT_THAT(read.Load(payload.Seal()), StatusIs(absl::StatusCode::kDataLoss)) << i;
    EXPECT_EQ(read.expert_count(), 0u);
  }
}

}  // namespace
}  // namespace trivium::routing
