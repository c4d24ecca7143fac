// SPDX-License-Identifier: Apache-2.0
// Gradients of the tree against finite differences, and what steps do.
#include "routing/tree/tree_learner.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "routing/tree/distillation_loss.h"
#include "tests/support/random_vectors.h"
#include "tests/support/slow_tree.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kDimension = 6, kDepth = 3, kAnchors = 4, kDocuments = 9;
constexpr float kTemperature = 12;

class TreeLearnerTest : public ::testing::TestWithParam<std::size_t> {
 protected:
  TreeLearnerTest() : teacher_(kAnchors, kDocuments) {
    base::Random random(8);
    for (std::size_t i = 0; i < kAnchors; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < kDocuments; ++j) {
        teacher_.row(i)[j] = static_cast<float>(random.Uniform());
        sum += teacher_.row(i)[j];
      }
      for (std::size_t j = 0; j < kDocuments; ++j) teacher_.row(i)[j] /= static_cast<float>(sum);
    }
  }

  TreeLearner Learner(SplitTree tree) const { return TreeLearner(std::move(tree), steepness_, 0.05); }
  SplitTree Start() const { return testing_support::RandomTree(kDimension, kDepth, GetParam(), 3); }

  TreeLoss Loss(TreeLearner* learner, std::size_t level) const {
    learner->Forward(rows_.view(), 1);
    return DistillationLoss(learner->probabilities(), teacher_, level, kTemperature, 1, 1,
                            &learner->gradient());
  }
  double LossOf(SplitTree tree, std::size_t level) const {
    TreeLearner learner = Learner(std::move(tree));
    return Loss(&learner, level).value;
  }
  // Of the loss by a weight of the tree that `pick` finds in a copy.
  template <class Pick>
  double Slope(Pick pick, std::size_t level) const {
    constexpr float kStep = 2e-3f;
    SplitTree up = Start(), down = Start();
    pick(&up) += kStep;
    pick(&down) -= kStep;
    const double apart = double(pick(&up)) - pick(&down);
    return (LossOf(std::move(up), level) - LossOf(std::move(down), level)) / apart;
  }

  base::AlignedMatrix rows_ =
      testing_support::ClusteredVectors(kAnchors + kDocuments, kDimension, base::Metric::kCosine, 7);
  base::AlignedMatrix teacher_;
  float steepness_ = 1.5f;
};
INSTANTIATE_TEST_SUITE_P(Hidden, TreeLearnerTest, ::testing::Values(0, 5));

TEST_P(TreeLearnerTest, GradientsAreThoseOfFiniteDifferencesAtEveryLevel) {
  for (std::size_t level = 1; level <= kDepth; ++level) {
    TreeLearner learner = Learner(Start());
    Loss(&learner, level);
    learner.Backward(1);
    for (std::size_t i = 0; i < learner.weights().inner_nodes(); ++i) {
      for (std::size_t j = 0; j < learner.weights().features(); ++j) {
        const double slope = Slope([&](SplitTree* t) -> float& { return t->splits.row(i)[j]; }, level);
        EXPECT_NEAR(learner.split_gradient().row(i)[j], slope, 4e-3) << level << " " << i << " " << j;
      }
      const double slope = Slope([&](SplitTree* t) -> float& { return t->biases[i]; }, level);
      EXPECT_NEAR(learner.bias_gradient().row(0)[i], slope, 4e-3) << level << " " << i;
    }
    for (std::size_t i = 0; i < GetParam(); ++i) {
      for (std::size_t j = 0; j < kDimension; ++j) {
        const double slope = Slope([&](SplitTree* t) -> float& { return t->layer.row(i)[j]; }, level);
        EXPECT_NEAR(learner.layer_gradient().row(i)[j], slope, 4e-3) << level << " " << i << " " << j;
      }
    }
  }
}

TEST_P(TreeLearnerTest, GradientsByTheLogarithmsOfSteepnessAndTemperature) {
  TreeLearner learner = Learner(Start());
  const TreeLoss loss = Loss(&learner, kDepth);
  learner.Backward(1);
  constexpr double kStep = 1e-2;
  const auto steep = [&](double by) {
    TreeLearner other(Start(), static_cast<float>(steepness_ * std::exp(by)), 0.05);
    return Loss(&other, kDepth).value;
  };
  EXPECT_NEAR(learner.steepness_gradient(), (steep(kStep) - steep(-kStep)) / (2 * kStep), 3e-3);
  const auto warm = [&](double by) {
    TreeLearner other = Learner(Start());
    other.Forward(rows_.view(), 1);
    return DistillationLoss(other.probabilities(), teacher_, kDepth,
                            static_cast<float>(kTemperature * std::exp(by)), 1, 1, &other.gradient())
        .value;
  };
  EXPECT_NEAR(loss.by_temperature, (warm(kStep) - warm(-kStep)) / (2 * kStep), 3e-3);
}

TEST_P(TreeLearnerTest, ThreadsChangeRoundingOnly) {
  TreeLearner one = Learner(Start()), three = Learner(Start());
  const double alone = Loss(&one, kDepth).value;
  three.Forward(rows_.view(), 3);
  const double together =
      DistillationLoss(three.probabilities(), teacher_, kDepth, kTemperature, 1, 3, &three.gradient()).value;
  EXPECT_NEAR(alone, together, 1e-9);
  one.Backward(1);
  three.Backward(3);
  for (std::size_t i = 0; i < one.weights().inner_nodes(); ++i) {
    for (std::size_t j = 0; j < one.weights().features(); ++j) {
      EXPECT_NEAR(one.split_gradient().row(i)[j], three.split_gradient().row(i)[j], 1e-6);
    }
  }
}

TEST_P(TreeLearnerTest, StepsLowerTheLossAndTheTreeHasTheSteepnessInIt) {
  TreeLearner learner = Learner(Start());
  const double before = Loss(&learner, kDepth).value;
  double after = before;
  for (int step = 0; step < 100; ++step) {
    after = Loss(&learner, kDepth).value;
    learner.Backward(1);
    learner.Step(1);
  }
  EXPECT_LT(after, 0.3 * before);
  learner.Forward(rows_.view(), 1);
  const SplitTree tree = learner.tree();
  for (std::size_t v = 1; v < tree.nodes(); ++v) {
    EXPECT_NEAR(learner.probabilities().row(0)[v], testing_support::SlowProbability(tree, rows_.row(0), v),
                1e-5);
  }
}

TEST_P(TreeLearnerTest, WhatIsSavedGoesOnTheSame) {
  TreeLearner first = Learner(Start());
  const auto step = [&](TreeLearner* learner) {
    Loss(learner, kDepth);
    learner->Backward(1);
    learner->Step(0.7);
  };
  step(&first);
  storage::ByteWriter writer;
  first.Save(&writer);
  TreeLearner second = Learner(testing_support::RandomTree(kDimension, kDepth, GetParam(), 99));
  storage::ByteReader reader(writer.bytes());
  ASSERT_TRUE(second.Load(&reader));
  EXPECT_TRUE(reader.AtEnd());
  step(&first);
  step(&second);
  for (std::size_t i = 0; i < first.weights().inner_nodes(); ++i) {
    for (std::size_t j = 0; j < first.weights().features(); ++j) {
      EXPECT_EQ(first.tree().splits.row(i)[j], second.tree().splits.row(i)[j]);
    }
  }
  for (std::size_t size = 0; size < writer.bytes().size(); size += 7) {
    storage::ByteReader cut(std::string_view(writer.bytes()).substr(0, size));
    EXPECT_FALSE(second.Load(&cut)) << size;
  }
}

TEST_P(TreeLearnerTest, ADocumentThatDoesNotCountTakesNoGradient) {
  for (std::size_t i = 0; i < kAnchors; ++i) teacher_.row(i)[2] = -1;
  TreeLearner learner = Learner(Start());
  Loss(&learner, kDepth);
  for (std::size_t v = 0; v < learner.weights().nodes(); ++v) {
    EXPECT_EQ(learner.gradient().row(kAnchors + 2)[v], 0);
  }
}

}  // namespace
}  // namespace trivium::routing
