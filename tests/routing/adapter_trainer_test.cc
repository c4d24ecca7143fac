// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/adapter_trainer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "routing/expert/adapter_bytes.h"
#include "routing/expert/adapter_fold_trainer.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"

namespace trivium::routing {
namespace {

using ::testing::HasSubstr;
using testing_support::StatusIs;

constexpr std::size_t kDimension = 16, kDocuments = 300, kNear = 20;

// Queries are their documents with some components turned round, and noise: a map that turns them back finds
// them. With `useful` off the judged document has nothing to do with the query.
class Questions {
 public:
  explicit Questions(bool useful, std::size_t count = 150) {
    base::Random random(11);
    documents_ = testing_support::ClusteredVectors(kDocuments, kDimension, base::Metric::kCosine, 12, 5);
    queries_ = base::AlignedMatrix(count, kDimension);
    view_.queries = queries_.view();
    view_.documents = documents_.view();
    for (std::uint64_t i = 0; i < kDocuments; ++i) view_.document_keys.push_back(1000 + i);
    judgements_.reserve(count);
    for (std::size_t q = 0; q < count; ++q) {
      const auto source = static_cast<std::uint32_t>(random.Below(kDocuments));
      const auto relevant = useful ? source : static_cast<std::uint32_t>(random.Below(kDocuments));
      for (std::size_t j = 0; j < kDimension; ++j) {
        const float sign = j < kDimension / 4 ? -1 : 1;
        queries_.row(q)[j] = sign * documents_.row(source)[j] + 0.05f * static_cast<float>(random.Normal());
      }
      judgements_.push_back(Judgements({{1000 + relevant, 1.0}}));
      view_.relevant.push_back({relevant});
      view_.groups.push_back(relevant);
      view_.twins.push_back(relevant);
    }
    testing_support::Normalise(&queries_);
    for (std::size_t q = 0; q < count; ++q) {
      view_.judgements.push_back(&judgements_[q]);
      std::vector<std::uint32_t> near;
      for (const base::Neighbor& neighbor :
           testing_support::SlowSearch(documents_.view(), base::Metric::kCosine, queries_.row(q), kNear)) {
        if (neighbor.row != view_.relevant[q].front()) near.push_back(neighbor.row);
      }
      view_.negatives.push_back(std::move(near));
      view_.ignored.emplace_back();
    }
  }

  AdapterQueries& view() { return view_; }

  // nDCG@10 over all documents.
  double Evaluate(std::size_t query, const float* vector) const {
    std::vector<std::uint64_t> keys;
    for (const base::Neighbor& neighbor :
         testing_support::SlowSearch(documents_.view(), base::Metric::kCosine, vector, 10)) {
      keys.push_back(1000 + neighbor.row);
    }
    return NdcgAt(10, keys, judgements_[query]);
  }
  EvaluateReading Evaluator() const {
    return [this](std::size_t query, const float* vector) { return Evaluate(query, vector); };
  }

 private:
  base::AlignedMatrix documents_, queries_;
  std::vector<Judgements> judgements_;
  AdapterQueries view_;
};

AdapterTrainingOptions Quick() {
  AdapterTrainingOptions options;
  options.batch_size = 32;
  options.rate = 1e-2;
  options.step_count = 200;
  options.bootstrap_rounds = 200;
  options.thread_count = 2;
  return options;
}

TEST(AdapterTrainer, LearnsHowToReadQueriesAndAcceptsIt) {
  Questions questions(/*useful=*/true);
  for (std::size_t rank : {0u, 6u}) {
    AdapterTrainingOptions options = Quick();
    options.rank = rank;
    ASSERT_OK_AND_ASSIGN(const TrainedAdapter trained,
                         TrainAdapter(questions.view(), questions.Evaluator(), options));
    EXPECT_TRUE(trained.report.accepted) << trained.report.reason;
    EXPECT_GT(trained.report.adapted, trained.report.plain + 0.1);
    EXPECT_GT(trained.report.steps, 0u);
    EXPECT_NEAR(trained.report.gain, trained.report.adapted - trained.report.plain, 1e-12);
    EXPECT_LE(trained.report.gain_low, trained.report.gain);
    EXPECT_GE(trained.report.gain_high, trained.report.gain);
  }
}

TEST(AdapterTrainer, FiguresAreThoseOfTheHeldOutReadings) {
  Questions questions(/*useful=*/true);
  ASSERT_OK_AND_ASSIGN(const TrainedAdapter trained,
                       TrainAdapter(questions.view(), questions.Evaluator(), Quick()));
  const std::size_t count = questions.view().queries.rows;
  double plain = 0, adapted = 0;
  for (std::size_t q = 0; q < count; ++q) {
    plain += questions.Evaluate(q, questions.view().queries.row(q));
    adapted += questions.Evaluate(q, trained.apart_from_related.row(q));
  }
  EXPECT_NEAR(trained.report.plain, plain / count, 1e-9);
  EXPECT_NEAR(trained.report.adapted, adapted / count, 1e-9);
}

// Groups of about seven queries, each its own twin. What is judged relevant for one group may change how its
// queries are read by adapters that are apart from twins, but not by those that are apart from the group.
TEST(AdapterTrainer, NoQueryIsReadByAnAdapterThatLearnedFromIt) {
  Questions questions(/*useful=*/true), changed(/*useful=*/true);
  const std::size_t count = questions.view().queries.rows;
  for (AdapterQueries* view : {&questions.view(), &changed.view()}) {
    for (std::size_t q = 0; q < count; ++q) {
      view->groups[q] = q % 20;
      view->twins[q] = q;
    }
  }
  AdapterTrainingOptions options = Quick();
  options.step_count = options.look_every = 1;  // all folds stop after the same step
  options.batch_size = 256;                     // every query is drawn
  options.averaging = 0;
  ASSERT_OK_AND_ASSIGN(const TrainedAdapter before,
                       TrainAdapter(questions.view(), questions.Evaluator(), options));
  ASSERT_EQ(before.report.steps, 1u);
  const std::uint64_t group = changed.view().groups[7];
  for (std::size_t q = 0; q < count; ++q) {
    if (changed.view().groups[q] == group)
      changed.view().relevant[q] = {(changed.view().relevant[q][0] + 1) % 300};
  }
  ASSERT_OK_AND_ASSIGN(const TrainedAdapter after,
                       TrainAdapter(changed.view(), changed.Evaluator(), options));
  ASSERT_EQ(after.report.steps, 1u);
  const auto same = [](const base::AlignedMatrix& a, const base::AlignedMatrix& b, std::size_t q) {
    return std::equal(a.row(q), a.row(q) + kDimension, b.row(q));
  };
  std::size_t of_group = 0, apart_from_twins_changed = 0, others_changed = 0;
  for (std::size_t q = 0; q < count; ++q) {
    const bool related_same = same(before.apart_from_related, after.apart_from_related, q);
    if (changed.view().groups[q] != group) {
      others_changed += related_same ? 0 : 1;
      continue;
    }
    ++of_group;
    EXPECT_TRUE(related_same) << q;
    apart_from_twins_changed += same(before.apart_from_twins, after.apart_from_twins, q) ? 0 : 1;
  }
  EXPECT_GT(of_group, 2u);
  EXPECT_EQ(apart_from_twins_changed, of_group);
  EXPECT_GT(others_changed, count / 2);
}

TEST(AdapterTrainer, LeavesQueriesAloneWhereNothingIsToBeLearned) {
  Questions questions(/*useful=*/false);
  ASSERT_OK_AND_ASSIGN(const TrainedAdapter trained,
                       TrainAdapter(questions.view(), questions.Evaluator(), Quick()));
  EXPECT_FALSE(trained.report.accepted) << trained.report.reason;
  EXPECT_THAT(trained.report.reason, HasSubstr("plain queries, which stay the default"));
}

double DistanceFromIdentity(const base::AlignedMatrix& matrix) {
  double squares = 0;
  for (std::size_t i = 0; i < matrix.rows(); ++i) {
    for (std::size_t j = 0; j < matrix.columns(); ++j) {
      const double difference = matrix.row(i)[j] - (i == j ? 1.0 : 0.0);
      squares += difference * difference;
    }
  }
  return std::sqrt(squares);
}

TEST(AdapterTrainer, RidgeHoldsTheMatrixNearTheIdentity) {
  Questions questions(/*useful=*/true);
  std::vector<double> distances;
  for (const double ridge : {0.0, 0.03, 1.0}) {
    AdapterTrainingOptions options = Quick();
    options.ridge = ridge;
    options.look_every = options.step_count = 100;
    ASSERT_OK_AND_ASSIGN(const TrainedAdapter trained,
                         TrainAdapter(questions.view(), questions.Evaluator(), options));
    ASSERT_EQ(trained.report.steps, 100u);
    distances.push_back(DistanceFromIdentity(trained.matrix));
  }
  EXPECT_LT(distances[1], 0.95 * distances[0]);
  EXPECT_LT(distances[2], 0.5 * distances[1]);
}

TEST(AdapterTrainer, KeepsTheMeanOfTheMatricesAfterEachStep) {
  Questions questions(/*useful=*/true);
  const auto after = [&](std::size_t steps, double averaging, std::size_t rank = 0) {
    AdapterTrainingOptions options = Quick();
    options.rank = rank;
    options.averaging = averaging;
    std::vector<std::uint32_t> all(questions.view().queries.rows);
    std::iota(all.begin(), all.end(), 0u);
    AdapterFoldTrainer run(questions.view(), all, options, /*seed=*/3);
    for (std::size_t step = 0; step < steps; ++step) run.Step();
    return run.matrix().row(1)[2];
  };
  const float first = after(1, 0), second = after(2, 0);
  EXPECT_NE(first, second);
  EXPECT_NEAR(after(2, 0.75), 0.75 * 0.25 * first + 0.25 * second, 1e-7);
  EXPECT_EQ(after(2, 0.75, /*rank=*/4), after(2, 0, /*rank=*/4));  // a mean would have a higher rank
}

TEST(AdapterTrainer, IsTheSameForAnyNumberOfThreads) {
  Questions questions(/*useful=*/true);
  AdapterTrainingOptions options = Quick();
  options.step_count = 50;
  options.thread_count = 1;
  ASSERT_OK_AND_ASSIGN(const TrainedAdapter one,
                       TrainAdapter(questions.view(), questions.Evaluator(), options));
  options.thread_count = 3;
  ASSERT_OK_AND_ASSIGN(const TrainedAdapter three,
                       TrainAdapter(questions.view(), questions.Evaluator(), options));
  for (std::size_t i = 0; i < kDimension; ++i) {
    for (std::size_t j = 0; j < kDimension; ++j) EXPECT_EQ(one.matrix.row(i)[j], three.matrix.row(i)[j]);
  }
}

TEST(AdapterTrainer, SaysWhatIsWrongWithItsInput) {
  Questions questions(/*useful=*/true), few(/*useful=*/true, /*count=*/9);
  const auto train = [&](AdapterQueries view, AdapterTrainingOptions options) {
    return TrainAdapter(view, questions.Evaluator(), options).status();
  };
  EXPECT_THAT(train(few.view(), Quick()), StatusIs(absl::StatusCode::kFailedPrecondition,
                                                   HasSubstr("judged queries: 9, expected at least 10")));
  AdapterQueries no_negative = questions.view();
  no_negative.negatives[3].clear();
  EXPECT_THAT(train(no_negative, Quick()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("query 3: 1 relevant and 0 other")));
  AdapterQueries short_list = questions.view();
  short_list.ignored.pop_back();
  EXPECT_THAT(train(short_list, Quick()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ignored: 149, expected 150")));
  AdapterTrainingOptions cold = Quick();
  cold.temperature = 0;
  EXPECT_THAT(train(questions.view(), cold),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("temperature: 0")));
  std::atomic<bool> cancelled = true;
  AdapterTrainingOptions stopped = Quick();
  stopped.cancelled = &cancelled;
  EXPECT_THAT(train(questions.view(), stopped),
              StatusIs(absl::StatusCode::kCancelled, HasSubstr("cancelled")));
}

TEST(AdapterBytes, RoundTripAndRefuseDamage) {
  std::vector<float> matrix(9);
  std::iota(matrix.begin(), matrix.end(), 0.5f);
  const std::string bytes = SaveAdapter(matrix, 3);
  ASSERT_OK_AND_ASSIGN(const std::vector<float> loaded, LoadAdapter(bytes, 3));
  EXPECT_EQ(loaded, matrix);
  EXPECT_THAT(LoadAdapter(bytes, 4).status(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("adapter")));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    EXPECT_EQ(LoadAdapter(damaged, 3).status().code(), absl::StatusCode::kDataLoss) << i;
    EXPECT_EQ(LoadAdapter(bytes.substr(0, i), 3).ok(), i == 9 * sizeof(float)) << i;
  }
  const std::string bare(reinterpret_cast<const char*>(matrix.data()), matrix.size() * sizeof(float));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> old, LoadAdapter(bare, 3));
  EXPECT_EQ(old, matrix);
}

}  // namespace
}  // namespace trivium::routing
