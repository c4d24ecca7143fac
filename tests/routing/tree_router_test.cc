// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/tree_router.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "routing/expert/dispatch_candidates.h"
#include "routing/expert/router_bytes.h"
#include "storage/byte_writer.h"
#include "tests/support/status_matchers.h"
#include "tests/support/synthetic_pilots.h"

namespace trivium::routing {
namespace {

using ::testing::HasSubstr;
using testing_support::RandomUnitVector;

constexpr std::size_t kDimension = 13;

struct Prediction {
  std::vector<float> utility, uncertainty;
};

Prediction Predict(const TreeRouter& router, const std::vector<float>& query) {
  RouterScratch scratch;
  Prediction p{std::vector<float>(router.expert_count()), std::vector<float>(router.expert_count())};
  router.Predict(query, &scratch, absl::MakeSpan(p.utility), absl::MakeSpan(p.uncertainty));
  return p;
}

// Sets of 1 to 9 groups anywhere. Expert e searches set e; one more searches all, and the last is unknown.
ExpertFacts RandomFacts(std::size_t set_count, base::Random* random) {
  ExpertFacts facts;
  facts.dimension = kDimension;
  facts.cells_are_nodes = true;
  facts.cells.directions = base::AlignedMatrix(kDimension);
  facts.experts.resize(set_count + 2);
  for (std::size_t s = 0; s < set_count; ++s) {
    const std::size_t groups = 1 + random->Next() % 9;
    std::vector<double> weights(groups);
    double sum = 0;
    for (double& weight : weights) sum += weight = 0.01 + random->Uniform();
    for (const double weight : weights) {
      const auto g = static_cast<std::uint32_t>(facts.cells.shares.size());
      facts.experts[s].cells.push_back(g);
      facts.experts[set_count].cells.push_back(g);
      facts.cells.directions.Append(RandomUnitVector(kDimension, random).data());
      facts.cells.shares.push_back(static_cast<float>(weight / sum));
    }
  }
  return facts;
}

// The definition in the header, term by term.
std::vector<double> SlowUtilities(const ExpertFacts& facts, double temperature,
                                  const std::vector<float>& query) {
  const auto mass = [&](std::size_t g) {
    double cosine = 0;
    for (std::size_t c = 0; c < kDimension; ++c)
      cosine += double{query[c]} * facts.cells.directions.row(g)[c];
    return facts.cells.shares[g] * std::exp(cosine / temperature);
  };
  double total = 0;
  for (std::size_t g = 0; g < facts.cells.shares.size(); ++g) total += mass(g);
  std::vector<double> utilities;
  for (const ExpertFacts::Expert& expert : facts.experts) {
    utilities.push_back(expert.cells.empty() ? std::numeric_limits<double>::quiet_NaN() : 0);
    for (const std::uint32_t g : expert.cells) utilities.back() += mass(g) / total;
  }
  return utilities;
}

TEST(TreeRouter, AgreesWithTheSlowDefinition) {
  base::Random random(3);
  for (const std::size_t set_count : {1, 2, 7, 40}) {
    for (const float temperature : {0.01f, 0.03f, 0.5f}) {
      const ExpertFacts facts = RandomFacts(set_count, &random);
      TreeRouter router;
      if (set_count == 1) {
        EXPECT_FALSE(router.TrainLabelFree(facts, {.temperature = temperature}).ok());
        continue;
      }
      ASSERT_OK(router.TrainLabelFree(facts, {.temperature = temperature}));
      EXPECT_EQ(router.dimension(), kDimension);
      for (int q = 0; q < 20; ++q) {
        const std::vector<float> query = RandomUnitVector(kDimension, &random);
        const Prediction predicted = Predict(router, query);
        const std::vector<double> expected = SlowUtilities(facts, temperature, query);
        for (std::size_t e = 0; e <= set_count; ++e) {
          EXPECT_NEAR(predicted.utility[e], expected[e], 1e-4) << set_count << " " << temperature;
          EXPECT_NEAR(predicted.uncertainty[e], std::sqrt(std::max(0.0, expected[e] * (1 - expected[e]))),
                      1e-2);
        }
        EXPECT_TRUE(std::isnan(predicted.utility.back()));
        EXPECT_TRUE(std::isnan(predicted.uncertainty.back()));
      }
    }
  }
}

// An expert with ten times the documents of another, spread in the same way, is not more probable for that.
TEST(TreeRouter, CountsSharesNotDocuments) {
  ExpertFacts facts;
  facts.dimension = 2;
  facts.cells_are_nodes = true;
  facts.cells.directions = base::AlignedMatrix(2);
  for (const std::vector<float>& row : {std::vector<float>{1, 0}, {0, 1}, {1, 0}, {-1, 0}}) {
    facts.cells.directions.Append(row.data());
  }
  facts.cells.shares = {0.5f, 0.5f, 0.25f, 0.75f};
  facts.experts.resize(2);
  facts.experts[0].cells = {0, 1};
  facts.experts[1].cells = {2, 3};
  TreeRouter router;
  ASSERT_OK(router.TrainLabelFree(facts, {.temperature = 0.03f}));
  const Prediction p = Predict(router, {1, 0});
  EXPECT_NEAR(p.utility[0], 2.0 / 3, 1e-4);
  EXPECT_NEAR(p.utility[1], 1.0 / 3, 1e-4);
}

TEST(TreeRouter, ComingAndGoingExpertsChangeNobodyElse) {
  base::Random random(4);
  const ExpertFacts facts = RandomFacts(5, &random);
  TreeRouter router;
  ASSERT_OK(router.TrainLabelFree(facts, {.temperature = 0.05f}));
  const std::vector<float> query = RandomUnitVector(kDimension, &random);
  const Prediction before = Predict(router, query);
  router.AddExpert();
  router.RemoveExpert(1);
  const Prediction after = Predict(router, query);
  ASSERT_EQ(after.utility.size(), 7u);
  EXPECT_EQ(after.utility[0], before.utility[0]);
  for (std::size_t e = 1; e < 5; ++e) EXPECT_EQ(after.utility[e], before.utility[e + 1]) << e;
  EXPECT_TRUE(std::isnan(after.utility[5]));
  EXPECT_TRUE(std::isnan(after.utility[6]));
  TreeRouter read;
  ASSERT_OK(read.Load(router.Save()));
  EXPECT_EQ(Predict(read, query).utility[1], after.utility[1]);
}

TEST(TreeRouter, SaysWhatItLacks) {
  const auto refused = [](const ExpertFacts& facts, const char* why) {
    TreeRouter router;
    EXPECT_THAT(router.TrainLabelFree(facts, {}),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
    EXPECT_EQ(router.expert_count(), 0u);
  };
  base::Random random(5);
  ExpertFacts facts = RandomFacts(4, &random);
  refused(ExpertFacts(), "train the tree first");
  for (ExpertFacts::Expert& expert : facts.experts) expert.cells = {0, 1};
  refused(facts, "6 experts, all of the same vectors");
  for (ExpertFacts::Expert& expert : facts.experts) expert.cells.clear();
  refused(facts, "0 experts");
}

// Sealed well, but numbers do not fit together.
TEST(TreeRouter, RefusesBytesThatCannotBe) {
  const auto bytes = [](std::uint64_t groups, float temperature, float share, std::uint32_t group) {
    storage::ByteWriter writer;
    writer.Put<std::uint64_t>(2);
    writer.Put<std::uint64_t>(1);
    writer.Put<std::uint64_t>(groups);
    writer.Put(temperature);
    writer.Put(share);
    writer.Put<std::uint64_t>(1);
    writer.Put(group);
    writer.Put(1.0f);
    writer.Put(0.0f);
    return SealRouterBytes("tree", writer.bytes());
  };
  TreeRouter router;
  ASSERT_OK(router.Load(bytes(1, 0.1f, 1, 0)));
  for (const std::string& wrong :
       {bytes(0, 0.1f, 1, 0), bytes(2, 0.1f, 1, 0), bytes(std::uint64_t{1} << 62, 0.1f, 1, 0),
        bytes(1, 0, 1, 0), bytes(1, std::nanf(""), 1, 0), bytes(1, 0.1f, 0, 0), bytes(1, 0.1f, 2, 0),
        bytes(1, 0.1f, 1, 1)}) {
    EXPECT_THAT(router.Load(wrong), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("router tree")));
  }
  EXPECT_EQ(Predict(TreeRouter(std::move(router)), {1, 0}).utility[0], 1);
}

TEST(RouterCandidates, OfTheTreeStartWithWhatIsUsedWithoutComparison) {
  EXPECT_EQ(RouterCandidates("tree").front().temperature, 0.03f);
  EXPECT_OK(PolicyCandidates("tree", UncomparedPolicy("tree")).front().Validate());
}

}  // namespace
}  // namespace trivium::routing
