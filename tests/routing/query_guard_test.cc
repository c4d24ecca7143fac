// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/query_guard.h"

#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "routing/expert/guard_trainer.h"
#include "tests/support/status_matchers.h"
#include "tests/support/synthetic_pilots.h"
#include "tests/support/temp_dir.h"

namespace trivium::routing {
namespace {

using ::testing::HasSubstr;
using testing_support::ClusteredQueries;
using testing_support::RandomUnitVector;

constexpr std::size_t kDimension = 24, kExpertCount = 4;

// Queries around four centres that are served, and background around others.
class World {
 public:
  explicit World(double noise = 1.0)
      : served_(kDimension, kExpertCount, noise, 1), others_(kDimension, 30, noise, 2) {}

  PilotSet Served(std::size_t count) { return served_.Pilots(count); }
  PilotSet Background(std::size_t count) {
    PilotSet pilots(kDimension, kExpertCount);
    const std::vector<float> unknown(kExpertCount, std::nanf(""));
    for (std::size_t i = 0; i < count; ++i) {
      const std::vector<float> vector = others_.Draw(i % 30);
      EXPECT_OK(pilots.Add({.vector = vector, .utilities = unknown, .source = PilotSource::kBackground}));
    }
    return pilots;
  }

 private:
  ClusteredQueries served_, others_;
};

GuardTrainingOptions Quick(double acceptance = 0.95) {
  return {.acceptance = acceptance, .bootstrap_rounds = 200, .thread_count = 2};
}

absl::StatusOr<TrainedGuard> Train(const PilotSet& served, const PilotSet& background,
                                   const GuardTrainingOptions& options = Quick()) {
  return TrainGuard({.pilots = &served}, {.pilots = &background}, options);
}

std::vector<double> Scores(const QueryGuard& guard, const PilotSet& queries) {
  RouterScratch scratch;
  std::vector<double> scores;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    scores.push_back(guard.Score(queries.pilot(i).vector, &scratch));
  }
  return scores;
}

double ShareAccepted(const QueryGuard& guard, const std::vector<double>& scores) {
  double accepted = 0;
  for (double score : scores) accepted += guard.Accepts(score) ? 1 : 0;
  return accepted / static_cast<double>(scores.size());
}

double HarmonicMean(const GuardReport& report) {
  return 2 * report.acceptance * report.rejection / (report.acceptance + report.rejection);
}

TEST(QueryGuard, AcceptsNewQueriesThatAreServedAsOftenAsDeclaredAndRejectsOthers) {
  World world;
  const PilotSet served = world.Served(1000), background = world.Background(300);
  ASSERT_OK_AND_ASSIGN(const TrainedGuard trained, Train(served, background));
  EXPECT_TRUE(trained.report.accepted) << trained.report.reason;
  EXPECT_EQ(trained.report.queries, 1000u);
  EXPECT_EQ(trained.report.background, 300u);
  EXPECT_NEAR(trained.report.acceptance, 0.95, 0.001);
  EXPECT_GE(trained.report.acceptance, 0.95);
  const double accepted = ShareAccepted(trained.guard, Scores(trained.guard, world.Served(1000)));
  const double wrongly = ShareAccepted(trained.guard, Scores(trained.guard, world.Background(1000)));
  EXPECT_NEAR(accepted, 0.95, 0.03);
  EXPECT_NEAR(1 - wrongly, trained.report.rejection, 0.05);  // what was promised for new queries
  EXPECT_GT(1 - wrongly, 0.8);
}

TEST(QueryGuard, ScoresAreProbabilitiesWhereBothSidesAreEqual) {
  World world(1.6);
  const PilotSet served = world.Served(1000), background = world.Background(600);
  ASSERT_OK_AND_ASSIGN(const TrainedGuard trained, Train(served, background));
  const std::vector<double> right = Scores(trained.guard, world.Served(3000));
  const std::vector<double> wrong = Scores(trained.guard, world.Background(3000));
  for (int bin = 0; bin < 5; ++bin) {  // fifths of the scores
    double sum = 0, served_count = 0, count = 0;
    for (const auto* side : {&right, &wrong}) {
      for (double score : *side) {
        ASSERT_GE(score, 0);
        ASSERT_LE(score, 1);
        if (std::min(4, static_cast<int>(score * 5)) != bin) continue;
        sum += score;
        ++count;
        served_count += side == &right ? 1 : 0;
      }
    }
    ASSERT_GT(count, 100) << bin;
    EXPECT_NEAR(served_count / count, sum / count, 0.12) << bin;
  }
}

TEST(QueryGuard, BestBalanceHasTheLargestHarmonicMean) {
  World world(1.6);
  const PilotSet served = world.Served(500), background = world.Background(200);
  ASSERT_OK_AND_ASSIGN(const TrainedGuard best, Train(served, background, Quick(0)));
  for (double acceptance : {0.5, 0.7, 0.8, 0.9, 0.95, 0.99}) {
    ASSERT_OK_AND_ASSIGN(const TrainedGuard other, Train(served, background, Quick(acceptance)));
    EXPECT_GE(other.report.acceptance, acceptance);
    EXPECT_LE(HarmonicMean(other.report), HarmonicMean(best.report) + 1e-12) << acceptance;
    EXPECT_EQ(other.report.auroc, best.report.auroc);
  }
}

TEST(QueryGuard, StaysOffWhereBackgroundCannotBeToldApart) {
  World world;
  const PilotSet served = world.Served(400), background = world.Served(200);
  ASSERT_OK_AND_ASSIGN(const TrainedGuard trained, Train(served, background));
  EXPECT_FALSE(trained.report.accepted) << trained.report.reason;
  EXPECT_THAT(trained.report.reason, HasSubstr("nothing is rejected"));
  EXPECT_NEAR(trained.report.auroc, 0.5, 0.08);
}

TEST(QueryGuard, CopiesOfAQueryInOneGroupDoNotVouchForEachOther) {
  base::Random random(5);
  PilotSet served(kDimension, 1), background(kDimension, 1);
  std::vector<std::uint64_t> groups;
  for (std::size_t i = 0; i < 40; ++i) {  // forty directions, each asked five times
    const std::vector<float> vector = RandomUnitVector(kDimension, &random);
    for (int copy = 0; copy < 5; ++copy) {
      ASSERT_OK(served.Add({.vector = vector, .utilities = {1.0f}}));
      groups.push_back(i);
    }
  }
  for (std::size_t i = 0; i < 200; ++i) {
    ASSERT_OK(background.Add({.vector = RandomUnitVector(kDimension, &random), .utilities = {0.0f}}));
  }
  ASSERT_OK_AND_ASSIGN(const TrainedGuard apart, Train(served, background));
  EXPECT_GT(apart.report.auroc, 0.99);
  ASSERT_OK_AND_ASSIGN(const TrainedGuard together,
                       TrainGuard({.pilots = &served, .groups = groups}, {.pilots = &background}, Quick()));
  EXPECT_LT(together.report.auroc, 0.8);
}

TEST(QueryGuard, SavedAndOpenedScoresTheSame) {
  World world;
  const PilotSet served = world.Served(300), background = world.Background(100);
  ASSERT_OK_AND_ASSIGN(const TrainedGuard trained, Train(served, background));
  const testing_support::TempDir directory;
  const std::string pilots_file = directory.File("1.pilots"), background_file = directory.File("2.pilots");
  ASSERT_OK(trained.guard.SaveIndexes(pilots_file, background_file));
  QueryGuard opened;
  ASSERT_OK(opened.Load(trained.guard.Save()));
  ASSERT_OK(opened.OpenIndexes(pilots_file, background_file));
  EXPECT_EQ(opened.threshold(), trained.guard.threshold());
  EXPECT_EQ(opened.dimension(), kDimension);
  const PilotSet queries = world.Served(50);
  EXPECT_EQ(Scores(opened, queries), Scores(trained.guard, queries));
  QueryGuard swapped;
  ASSERT_OK(swapped.Load(trained.guard.Save()));
  EXPECT_TRUE(absl::IsDataLoss(swapped.OpenIndexes(background_file, pilots_file)));
}

TEST(QueryGuard, DamagedBytesAreRefused) {
  World world;
  const PilotSet served = world.Served(50), background = world.Background(50);
  ASSERT_OK_AND_ASSIGN(const TrainedGuard trained, Train(served, background));
  const std::string bytes = trained.guard.Save();
  QueryGuard guard;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_TRUE(absl::IsDataLoss(guard.Load(std::string_view(bytes).substr(0, size)))) << size;
  }
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    ASSERT_TRUE(absl::IsDataLoss(guard.Load(flipped))) << bit;
  }
  EXPECT_EQ(guard.dimension(), 0u);  // unchanged
  ASSERT_OK(guard.Load(bytes));
}

TEST(QueryGuard, DamagedIndexesAreRefused) {
  World world;
  const PilotSet served = world.Served(50), background = world.Background(50);
  ASSERT_OK_AND_ASSIGN(const TrainedGuard trained, Train(served, background));
  const testing_support::TempDir directory;
  const std::string pilots_file = directory.File("1.pilots"), background_file = directory.File("2.pilots");
  ASSERT_OK(trained.guard.SaveIndexes(pilots_file, background_file));
  QueryGuard guard;
  ASSERT_OK(guard.Load(trained.guard.Save()));
  std::filesystem::resize_file(background_file, std::filesystem::file_size(background_file) / 2);
  EXPECT_TRUE(absl::IsDataLoss(guard.OpenIndexes(pilots_file, background_file)));
}

TEST(TrainGuard, NamesWhatIsWrong) {
  World world;
  const PilotSet served = world.Served(50), background = world.Background(50), few = world.Background(9);
  const auto message = [](const auto& result) { return std::string(result.status().message()); };
  EXPECT_THAT(message(Train(served, few)), HasSubstr("9 background queries, expected at least 10"));
  EXPECT_THAT(message(Train(few, background)), HasSubstr("9 judged queries, expected at least 10"));
  EXPECT_THAT(message(Train(served, background, Quick(1))), HasSubstr("guard acceptance: 1"));
  EXPECT_THAT(message(Train(served, background, Quick(-0.5))), HasSubstr("guard acceptance: -0.5"));
  ClusteredQueries narrow(8, kExpertCount, 1.0, 3);
  EXPECT_THAT(message(Train(served, narrow.Pilots(20))), HasSubstr("dimension 8, expected 24"));
  const std::atomic<bool> cancelled = true;
  GuardTrainingOptions options = Quick();
  options.cancelled = &cancelled;
  EXPECT_TRUE(absl::IsCancelled(Train(served, background, options).status()));
}

TEST(TrainGuard, IsTheSameForAnyNumberOfThreads) {
  World world;
  const PilotSet served = world.Served(200), background = world.Background(80);
  GuardTrainingOptions options = Quick();
  ASSERT_OK_AND_ASSIGN(const TrainedGuard two, Train(served, background, options));
  options.thread_count = 1;
  ASSERT_OK_AND_ASSIGN(const TrainedGuard one, Train(served, background, options));
  EXPECT_EQ(one.guard.Save(), two.guard.Save());
  EXPECT_EQ(one.report.reason, two.report.reason);
}

}  // namespace
}  // namespace trivium::routing
