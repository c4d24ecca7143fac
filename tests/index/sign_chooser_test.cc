// SPDX-License-Identifier: Apache-2.0
// Signs chosen by a covariance of queries, and the codes that are made with them.
#include "index/sign_chooser.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "index/edge_codes.h"
#include "index/edge_query.h"
#include "tests/support/random_graph.h"
#include "tests/support/random_vectors.h"
#include "tests/support/slow_edge_codes.h"
#include "tests/support/slow_sign_chooser.h"

namespace trivium::index {
namespace {

using testing_support::ClusteredVectors;
using testing_support::RandomGraph;
using testing_support::SlowEdgeBlock;

constexpr std::size_t kDimension = 64;

// A mixing matrix of a few strong directions: queries are its product with normal numbers.
std::vector<double> Mixing(std::uint64_t seed) {
  base::Random random(seed);
  std::vector<double> mixing(kDimension * kDimension);
  for (std::size_t i = 0; i < kDimension; ++i) {
    for (std::size_t j = 0; j < kDimension; ++j) {
      mixing[i * kDimension + j] = random.Normal() / (1 + 0.3 * static_cast<double>(j));
    }
  }
  return mixing;
}

std::shared_ptr<QuerySpread> SpreadOf(const std::vector<double>& mixing, float pull) {
  auto spread = std::make_shared<QuerySpread>();
  spread->dimension = kDimension;
  spread->pull = pull;
  for (std::size_t i = 0; i < kDimension; ++i) {
    for (std::size_t j = 0; j < kDimension; ++j) {
      double sum = 0;
      for (std::size_t k = 0; k < kDimension; ++k) {
        sum += mixing[i * kDimension + k] * mixing[j * kDimension + k];
      }
      spread->covariance.push_back(static_cast<float>(sum));
    }
  }
  return spread;
}

std::shared_ptr<QuerySpread> Identity(float pull) {
  std::vector<double> mixing(kDimension * kDimension, 0);
  for (std::size_t i = 0; i < kDimension; ++i) mixing[i * kDimension + i] = 1;
  return SpreadOf(mixing, pull);
}

TEST(SignChooser, ChoosesAsTheSlowReferenceAndNeverWorseThanTheSignsOfTheComponents) {
  const auto spread = SpreadOf(Mixing(1), 1);
  SignChooser chooser(*spread);
  const auto rows = ClusteredVectors(80, kDimension, base::Metric::kSquaredL2, 2, 5);
  std::size_t equal = 0, turned = 0;
  for (std::size_t e = 0; e + 1 < rows.rows(); ++e) {
    const float *center = rows.row(e), *end = rows.row(e + 1);
    std::vector<std::uint8_t> packed(kDimension / 4);
    const SignChooser::Moments moments = chooser.Choose(center, end, packed.data());
    std::vector<double> r, signs, plain;
    double squares = 0, along = 0, by_signs = 0, of_center = 0;
    for (std::size_t i = 0; i < kDimension; ++i) {
      r.push_back(end[i] - center[i]);
      plain.push_back(r[i] >= 0 ? 1 : -1);
      signs.push_back((packed[i / 4] >> (i % 4) & 1) != 0 ? 1 : -1);
      turned += plain[i] != signs[i];
      squares += r[i] * r[i];
      along += center[i] * r[i];
      by_signs += signs[i] * r[i];
      of_center += signs[i] * center[i];
    }
    EXPECT_NEAR(moments.squares, squares, 1e-4 * squares);
    EXPECT_NEAR(moments.along, along, 1e-4 * squares);
    EXPECT_NEAR(moments.signs, by_signs, 1e-4 * (1 + std::abs(by_signs)));
    EXPECT_NEAR(moments.center, of_center, 1e-4 * (1 + std::abs(of_center)));
    const double scale = testing_support::SlowScale(r);
    const double error = testing_support::SlowErrorOfSigns(*spread, r, signs, scale);
    EXPECT_LE(error, testing_support::SlowErrorOfSigns(*spread, r, plain, scale) * (1 + 1e-5));
    equal += signs == testing_support::SlowSigns(*spread, r, 3);
  }
  EXPECT_GE(equal, 77u);  // of 79; rounding may decide where two signs are as good
  EXPECT_GT(turned, 79u * 3);
}

TEST(SignChooser, KeepsTheSignsOfTheComponentsWhereQueriesLookEverywhereAlike) {
  const auto spread = Identity(1);
  SignChooser chooser(*spread);
  const auto rows = ClusteredVectors(40, kDimension, base::Metric::kSquaredL2, 3, 5);
  for (std::size_t e = 0; e + 1 < rows.rows(); ++e) {
    std::vector<std::uint8_t> packed(kDimension / 4);
    chooser.Choose(rows.row(e), rows.row(e + 1), packed.data());
    for (std::size_t i = 0; i < kDimension; ++i) {
      EXPECT_EQ((packed[i / 4] >> (i % 4) & 1) != 0, rows.row(e + 1)[i] >= rows.row(e)[i]);
    }
  }
}

TEST(SignChooser, TakesEqualEnds) {
  const auto spread = SpreadOf(Mixing(1), 1);
  SignChooser chooser(*spread);
  const auto rows = ClusteredVectors(1, kDimension, base::Metric::kSquaredL2, 3, 5);
  std::vector<std::uint8_t> packed(kDimension / 4);
  const SignChooser::Moments moments = chooser.Choose(rows.row(0), rows.row(0), packed.data());
  EXPECT_EQ(moments.squares, 0);
  EXPECT_EQ(moments.signs, 0);
}

EdgeCodes CodesWith(base::MatrixView rows, base::Metric metric, const ProximityGraph& graph,
                    std::shared_ptr<const QuerySpread> spread, int threads = 1) {
  EdgeCodes codes(rows.columns, metric, graph.degree_bound());
  codes.SetSpread(std::move(spread));
  codes.Update(rows, graph, threads);
  return codes;
}

// Queries drawn around pull * v: the mean square of (estimate - exact), and the mean error.
struct SpreadErrors {
  double squares = 0, mean = 0;
};
SpreadErrors ErrorsAround(const EdgeCodes& codes, base::MatrixView rows, const std::vector<double>& mixing,
                          double pull) {
  const bool inner_product = codes.inner_product();
  base::Random random(7);
  EdgeQuery query;
  SpreadErrors errors;
  std::size_t count = 0;
  // The rotation is orthogonal: its columns are the images of unit vectors.
  std::vector<float> columns(kDimension * kDimension), unit(kDimension);
  for (std::size_t i = 0; i < kDimension; ++i) {
    unit.assign(kDimension, 0);
    unit[i] = 1;
    codes.rotation().Apply(unit.data(), &columns[i * kDimension]);
  }
  std::vector<float> q(kDimension), distances(codes.shape().edge_count + 16);
  std::vector<std::uint32_t> vertices(distances.size());
  for (std::uint32_t v = 0; v < rows.rows; ++v) {
    for (int draw = 0; draw < 4; ++draw) {
      std::vector<double> u(kDimension, 0), normal(kDimension);
      for (double& value : normal) value = random.Normal();
      for (std::size_t i = 0; i < kDimension; ++i) {
        for (std::size_t j = 0; j < kDimension; ++j) u[i] += mixing[i * kDimension + j] * normal[j];
      }
      for (std::size_t i = 0; i < kDimension; ++i) {
        double value = inner_product ? 0 : codes.mean()[i] + pull * (rows.row(v)[i] - codes.mean()[i]);
        for (std::size_t j = 0; j < kDimension; ++j) value += columns[i * kDimension + j] * u[j];
        q[i] = static_cast<float>(value);
      }
      query.Prepare(codes, q.data());
      float center;
      const std::size_t edges = kernels::ActiveDistances().score_edges(
          codes.shape(), query.view(), codes.block(v), std::numeric_limits<float>::infinity(), &center,
          distances.data(), vertices.data());
      for (std::size_t e = 0; e < edges; ++e) {
        double exact = 0;  // of n less that of v
        for (std::size_t i = 0; i < kDimension; ++i) {
          const double n = rows.row(vertices[e])[i], own = rows.row(v)[i];
          exact += inner_product ? q[i] * (own - n) : (q[i] - n) * (q[i] - n) - (q[i] - own) * (q[i] - own);
        }
        const double error = double{distances[e]} - center - exact;
        errors.squares += error * error;
        errors.mean += error;
        ++count;
      }
    }
  }
  errors.squares /= static_cast<double>(count);
  errors.mean /= static_cast<double>(count);
  return errors;
}

TEST(EdgeCodesWithSpread, EstimateUnbiasedAndWithHalfOfTheErrorWhereQueriesLook) {
  for (const base::Metric metric : {base::Metric::kSquaredL2, base::Metric::kInnerProduct}) {
    const auto rows = ClusteredVectors(200, kDimension, metric, 1, 15);
    const ProximityGraph graph = RandomGraph(200, 24, 3);
    const std::vector<double> mixing = Mixing(4);
    const EdgeCodes plain = CodesWith(rows.view(), metric, graph, nullptr);
    const EdgeCodes learned = CodesWith(rows.view(), metric, graph, SpreadOf(mixing, 0.5f));
    const SpreadErrors before = ErrorsAround(plain, rows.view(), mixing, 0.5);
    const SpreadErrors after = ErrorsAround(learned, rows.view(), mixing, 0.5);
    EXPECT_LT(after.squares, 0.6 * before.squares) << int(metric);
    EXPECT_LT(std::abs(after.mean), 0.1 * std::sqrt(after.squares)) << int(metric);
  }
}

TEST(EdgeCodesWithSpread, ReadFromPullTimesTheVertex) {
  const auto rows = ClusteredVectors(60, kDimension, base::Metric::kSquaredL2, 1, 5);
  const ProximityGraph graph = RandomGraph(60, 32, 2);
  const EdgeCodes codes = CodesWith(rows.view(), base::Metric::kSquaredL2, graph, Identity(0.25f));
  std::vector<float> center(kDimension), end(kDimension);
  for (std::uint32_t v = 0; v < 60; ++v) {
    const SlowEdgeBlock block{codes.shape(), codes.block(v)};
    codes.rotation().Apply(rows.row(v), codes.mean(), center.data());
    for (std::size_t e = 0; e < graph.Neighbors(v).size(); ++e) {
      codes.rotation().Apply(rows.row(graph.Neighbors(v)[e]), codes.mean(), end.data());
      double squares = 0, by_signs = 0, of_center = 0, along = 0;
      for (std::size_t i = 0; i < kDimension; ++i) {
        const double r = double{end[i]} - center[i], sign = block.IsPositive(e, i) ? 1 : -1;
        squares += r * r;
        by_signs += r * sign;
        of_center += center[i] * sign;
        along += center[i] * r;
      }
      const double scale = 2 * squares / by_signs;
      EXPECT_NEAR(block.Scale(e), scale, 0.01 * scale);
      const double offset = squares + 0.25 * scale * of_center + 2 * 0.75 * along;
      EXPECT_NEAR(block.Offset(e), offset, 0.01 * (squares + scale * std::abs(of_center) + std::abs(along)));
    }
  }
}

TEST(EdgeCodesWithSpread, KeepItOverUpdatesForAnyThreadCount) {
  const auto rows = ClusteredVectors(300, kDimension, base::Metric::kCosine, 1);
  const ProximityGraph whole = RandomGraph(300, 12, 2);
  const auto spread = SpreadOf(Mixing(1), 0.65f);
  const EdgeCodes expected = CodesWith(rows.view(), base::Metric::kCosine, whole, spread, 2);
  const EdgeCodes plain = CodesWith(rows.view(), base::Metric::kCosine, whole, nullptr);
  EdgeCodes grown = CodesWith(rows.view().First(280), base::Metric::kCosine, RandomGraph(280, 12, 3), spread);
  grown.Update(rows.view(), whole, 1);
  EXPECT_EQ(grown.spread(), spread);
  const std::size_t bytes = 300 * expected.shape().bytes;
  EXPECT_EQ(std::memcmp(grown.blocks(), expected.blocks(), bytes), 0);
  EXPECT_NE(std::memcmp(plain.blocks(), expected.blocks(), bytes), 0);
}

}  // namespace
}  // namespace trivium::index
