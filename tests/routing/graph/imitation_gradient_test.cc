// SPDX-License-Identifier: Apache-2.0
// The derivatives of a whole batch by everything that is learned, against finite differences. Without noise
// walks stay the same under small changes, so the loss is differentiable where it is asked.
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"
#include "routing/graph/imitation/code_model.h"
#include "routing/graph/imitation/imitation_batch.h"
#include "tests/support/random_graph.h"
#include "tests/support/random_vectors.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kRows = 120, kDimension = 12, kCode = 5, kQueries = 6;

class ImitationGradient : public ::testing::Test {
 protected:
  void Make(CodeSource source) {
    scale_ = MeasureFeatures(rows_.view());
    ProjectedStart start = StartFromProjection(rows_.view(), base::Metric::kSquaredL2, scale_, kCode, 1, 4);
    model_ = MakeCodeModel(source, graph_, rows_.view(), scale_, start, 0.2, 7, 1, 5);
    codes_.codes = base::AlignedMatrix(kRows, kCode);
    codes_.biases.assign(kRows, 0.0f);
    codes_.query_map = std::move(start.query_map);
    // The outer layer starts at zero, where the inner one has no derivative.
    const std::vector<base::AlignedMatrix*> weights = model_->weights();
    base::Random random(6);
    if (weights.size() == 3) {
      for (std::size_t i = 0; i < weights[2]->rows(); ++i) {
        for (std::size_t j = 0; j < weights[2]->columns(); ++j) {
          weights[2]->row(i)[j] = static_cast<float>(0.3 * random.Normal());
        }
      }
    }
    model_->Encode(&codes_);
    std::iota(chosen_.begin(), chosen_.end(), 0u);
  }

  double Loss() {
    CodeGradient ignored;
    return batch_.Run(codes_, queries_, chosen_, 1, &ignored, nullptr);
  }

  // `refresh` makes a changed value felt.
  void ExpectDerivative(float* value, double derivative, const std::function<void()>& refresh) {
    const float kept = *value;
    const auto loss_at = [&](float changed) {
      *value = changed;
      refresh();
      return Loss();
    };
    const auto difference = [&](float step) {
      return (loss_at(kept + step) - loss_at(kept - step)) / (double(kept + step) - double(kept - step));
    };
    const float step = 1e-3f * std::max(1.0f, std::abs(kept));
    const double wide = difference(step), narrow = difference(step / 2);
    loss_at(kept);
    // Where another walk begins in between the loss jumps, and the two differ by a factor of two.
    if (std::abs(wide - narrow) > 4e-3 + 0.02 * std::abs(narrow)) {
      ++jumps_;
      return;
    }
    EXPECT_NEAR(derivative, narrow, 4e-3 + 0.02 * std::abs(narrow));
    if (std::abs(narrow) > 2e-2) ++checked_;
  }

  base::AlignedMatrix rows_ =
      testing_support::ClusteredVectors(kRows, kDimension, base::Metric::kSquaredL2, 1, 4);
  base::AlignedMatrix asked_ =
      testing_support::ClusteredVectors(kQueries, kDimension, base::Metric::kSquaredL2, 2, 4);
  index::ProximityGraph graph_ = testing_support::RandomGraph(kRows, 6, 3);
  std::vector<std::uint32_t> targets_ = {3, 50, 14, 77, 101, 60};
  std::vector<std::uint32_t> hidden_ = {HopOracle::kNoVertex, 9, 10, HopOracle::kNoVertex, 0, 12};
  AnsweredQueries queries_{asked_.view(), targets_, 1, hidden_};
  HopOracle oracle_{graph_};
  ImitationBatch batch_{graph_, oracle_, BatchOptions{60, 4, 0, 1.5}, 1};
  FeatureScale scale_;
  std::unique_ptr<CodeModel> model_;
  RoutingCodes codes_;
  std::vector<std::uint32_t> chosen_ = std::vector<std::uint32_t>(kQueries);
  int checked_ = 0;  // derivatives that are not about zero
  int jumps_ = 0;    // values at which the loss has no derivative
};

TEST_F(ImitationGradient, OfCodesAndBiasesMatchesFiniteDifferences) {
  Make(CodeSource::kFree);
  CodeGradient gradient;
  batch_.Run(codes_, queries_, chosen_, 1, &gradient, nullptr);
  for (std::size_t v = 0; v < kRows; ++v) {
    for (std::size_t j = 0; j < kCode; ++j) {
      ExpectDerivative(&codes_.codes.row(v)[j], gradient.codes.row(v)[j], [] {});
    }
    ExpectDerivative(&codes_.biases[v], gradient.biases[v], [] {});
  }
  EXPECT_GT(checked_, 100);
  EXPECT_LT(jumps_, checked_ / 10);
}

TEST_F(ImitationGradient, OfTheQueryMapMatchesFiniteDifferences) {
  Make(CodeSource::kFree);
  CodeGradient gradient;
  base::AlignedMatrix map(kCode, kDimension);
  batch_.Run(codes_, queries_, chosen_, 1, &gradient, &map);
  for (std::size_t i = 0; i < kCode; ++i) {
    for (std::size_t j = 0; j < kDimension; ++j) {
      ExpectDerivative(&codes_.query_map.row(i)[j], map.row(i)[j], [] {});
    }
  }
  EXPECT_GT(checked_, 20);
  EXPECT_LT(jumps_, checked_ / 5);
}

TEST_F(ImitationGradient, OfTheSharedMapsMatchesFiniteDifferences) {
  for (const CodeSource source : {CodeSource::kLinear, CodeSource::kHidden}) {
    Make(source);
    CodeGradient gradient;
    batch_.Run(codes_, queries_, chosen_, 1, &gradient, nullptr);
    const std::vector<base::AlignedMatrix> gradients = model_->WeightGradient(gradient);
    const std::vector<base::AlignedMatrix*> weights = model_->weights();
    ASSERT_EQ(weights.size(), gradients.size());
    for (std::size_t w = 0; w < weights.size(); ++w) {
      checked_ = jumps_ = 0;
      for (std::size_t i = 0; i < weights[w]->rows(); ++i) {
        for (std::size_t j = 0; j < weights[w]->columns(); j += 2) {
          ExpectDerivative(&weights[w]->row(i)[j], gradients[w].row(i)[j], [&] { model_->Encode(&codes_); });
        }
      }
      EXPECT_GT(checked_, 10) << w;
      EXPECT_LT(jumps_, 10 + checked_ / 3) << w;
    }
  }
}

TEST_F(ImitationGradient, DoesNotDependOnTheNumberOfThreads) {
  Make(CodeSource::kFree);
  BatchOptions options{60, 4, 0.5f, 1};
  ImitationBatch one(graph_, oracle_, options, 1), three(graph_, oracle_, options, 3);
  CodeGradient first, second;
  EXPECT_EQ(one.Run(codes_, queries_, chosen_, 8, &first, nullptr),
            three.Run(codes_, queries_, chosen_, 8, &second, nullptr));
  EXPECT_EQ(first.biases, second.biases);
}

}  // namespace
}  // namespace trivium::routing
