// SPDX-License-Identifier: Apache-2.0
// How good the distances are that edge codes estimate.
#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "index/edge_codes.h"
#include "index/edge_query.h"
#include "kernels/distance_table.h"
#include "tests/support/random_graph.h"
#include "tests/support/random_vectors.h"
#include "tests/support/slow_edge_codes.h"

namespace trivium::index {
namespace {

using testing_support::ClusteredVectors;
using testing_support::RandomGraph;
using testing_support::SlowDistance;
using testing_support::SlowEdgeBlock;

constexpr base::Metric kMetrics[] = {base::Metric::kCosine, base::Metric::kInnerProduct,
                                     base::Metric::kSquaredL2};
constexpr std::size_t kDimensions[] = {64, 100, 384, 448, 512, 768};

// The distance that the codes of `metric` estimate.
double ExactDistance(base::Metric metric, const float* a, const float* b, std::size_t dimension) {
  return SlowDistance(metric == base::Metric::kCosine ? base::Metric::kSquaredL2 : metric, a, b, dimension);
}

// The estimates of all edges of a vertex.
struct Estimates {
  Estimates(const EdgeCodes& codes, const EdgeQuery& query, std::uint32_t vertex)
      : distances(codes.shape().edge_count + 16), vertices(codes.shape().edge_count + 16) {
    count = kernels::ActiveDistances().score_edges(codes.shape(), query.view(), codes.block(vertex),
                                                   std::numeric_limits<float>::infinity(), &center,
                                                   distances.data(), vertices.data());
  }
  std::vector<float> distances;
  std::vector<std::uint32_t> vertices;
  float center = 0;
  std::size_t count = 0;
};

// Errors in units of the deviation they should have.
struct Errors {
  double count = 0, sum = 0, squares = 0;
  void Add(double error, double deviation) {
    count += 1;
    sum += error / deviation;
    squares += error * error / (deviation * deviation);
  }
  double mean() const { return sum / count; }
  double deviation() const { return std::sqrt(squares / count); }
};

double Square(double x) { return x * x; }

// Given r, its signs s and the rotation's randomness, <q', r> is estimated with the variance
//   (|q'|^2 |r|^2 - <q', r>^2) (d |r|^2 / <r, s>^2 - 1) / (d - 1)      (Gao and Long 2024, Theorem 3.2)
// where q' is q - v for distances and q for inner products. On top comes the rounding of table entries, of
// factors and of the rotated rows.
TEST(EdgeEstimates, OfEdgesAreUnbiasedWithTheErrorThatRaBitQPredicts) {
  for (const base::Metric metric : kMetrics) {
    for (const std::size_t dimension : kDimensions) {
      SCOPED_TRACE(testing::Message() << "metric " << int(metric) << ", dimension " << dimension);
      const auto rows = ClusteredVectors(300, dimension, metric, 1, 15);
      const auto queries = ClusteredVectors(10, dimension, metric, 2, 5);
      const ProximityGraph graph = RandomGraph(300, 40, 3);
      EdgeCodes codes(dimension, metric, 40);
      codes.Update(rows.view(), graph, 1);
      const bool inner_product = metric == base::Metric::kInnerProduct;
      const double padded = static_cast<double>(codes.shape().dimension);
      EdgeQuery query;
      Errors errors;
      double product = 0, square = 0;
      for (std::size_t i = 0; i < queries.rows(); ++i) {
        const float* q = queries.row(i);
        query.Prepare(codes, q);
        const double step = query.view().table_scale;
        for (std::uint32_t v = 0; v < 300; v += 3) {
          const SlowEdgeBlock block{codes.shape(), codes.block(v)};
          const Estimates estimates(codes, query, v);
          ASSERT_EQ(estimates.count, graph.Neighbors(v).size());
          for (std::size_t e = 0; e < estimates.count; ++e) {
            const float* n = rows.row(estimates.vertices[e]);
            ASSERT_EQ(estimates.vertices[e], graph.Neighbors(v)[e]);
            ASSERT_NEAR(estimates.distances[e], block.Distance(query.view(), e),
                        1e-5 * (query.view().squared_norm + block.SquaredNorm()) + 1e-4);
            double rr = 0, qr = 0, qq = 0;
            for (std::size_t j = 0; j < dimension; ++j) {
              const double r = double{n[j]} - rows.row(v)[j];
              const double from = inner_product ? q[j] : double{q[j]} - rows.row(v)[j];
              rr += r * r;
              qr += from * r;
              qq += from * from;
            }
            const double factor = inner_product ? 1 : 2;
            const double scale = block.Scale(e);  // factor |r|^2 / <r, s>
            const double spread = padded * Square(scale / factor) / rr - 1;
            const double rounding = 5e-7 * (Square(block.Offset(e)) + Square(scale * padded * step / 16));
            const double deviation = std::sqrt(Square(factor) * (qq * rr - qr * qr) * spread / (padded - 1) +
                                               Square(scale * step) * padded / 48 + rounding);
            const double exact =
                ExactDistance(metric, q, n, dimension) - ExactDistance(metric, q, rows.row(v), dimension);
            const double estimate = double{estimates.distances[e]} - estimates.center;
            errors.Add(estimate - exact, deviation);
            product += estimate * exact;
            square += exact * exact;
          }
        }
      }
      EXPECT_GT(errors.count, 10000);
      EXPECT_NEAR(errors.mean(), 0, 0.1);
      EXPECT_NEAR(errors.deviation(), 1, 0.15);
      EXPECT_NEAR(product / square, 1, 0.03);  // neither shrunk nor stretched
    }
  }
}

// A uniform quantizer of 16 levels leaves 1.15 % of the variance of a normal distribution (Max 1960).
TEST(EdgeEstimates, OfTheVertexItselfAreUnbiasedWithTheErrorOfFourBits) {
  for (const base::Metric metric : kMetrics) {
    for (const std::size_t dimension : kDimensions) {
      SCOPED_TRACE(testing::Message() << "metric " << int(metric) << ", dimension " << dimension);
      const auto rows = ClusteredVectors(300, dimension, metric, 1, 15);
      const auto queries = ClusteredVectors(10, dimension, metric, 2, 5);
      const ProximityGraph graph = RandomGraph(300, 4, 3);
      EdgeCodes codes(dimension, metric, 4);
      codes.Update(rows.view(), graph, 1);
      const double padded = static_cast<double>(codes.shape().dimension);
      const double factor = metric == base::Metric::kInnerProduct ? 1 : 2;
      EdgeQuery query;
      Errors errors;
      for (std::size_t i = 0; i < queries.rows(); ++i) {
        query.Prepare(codes, queries.row(i));
        for (std::uint32_t v = 0; v < 300; ++v) {
          const float* x = rows.row(v);
          const bool inner_product = metric == base::Metric::kInnerProduct;
          double qq = 0, xx = 0, qx = 0, shift = 0;
          for (std::size_t j = 0; j < dimension; ++j) {
            const double mean = codes.mean()[j], q = queries.row(i)[j] - (inner_product ? 0 : mean);
            qq += q * q;
            xx += (x[j] - mean) * (x[j] - mean);
            qx += q * (x[j] - mean);
            shift += inner_product ? q * mean : 0;
          }
          const double deviation = factor * std::sqrt(0.0117 * (qq * xx - qx * qx) / padded);
          const double exact = ExactDistance(metric, queries.row(i), x, dimension) + shift;
          errors.Add(Estimates(codes, query, v).center - exact, deviation);
        }
      }
      EXPECT_NEAR(errors.mean(), 0, 0.1);
      EXPECT_NEAR(errors.deviation(), 1, 0.15);
    }
  }
}

TEST(EdgeEstimates, AVertexIsNearerToItselfThanToAnyOther) {
  const auto rows = ClusteredVectors(200, 384, base::Metric::kCosine, 1, 5);
  EdgeCodes codes(384, base::Metric::kCosine, 32);
  codes.Update(rows.view(), RandomGraph(200, 32, 3), 1);
  EdgeQuery query;
  for (std::uint32_t v = 0; v < 200; v += 10) {
    query.Prepare(codes, rows.row(v));
    const float own = Estimates(codes, query, v).center;
    EXPECT_NEAR(own, 0, 0.02);
    for (std::uint32_t other = 0; other < 200; ++other) {
      EXPECT_LE(own, Estimates(codes, query, other).center);
    }
  }
}

TEST(EdgeEstimates, AnEdgeToTheSameRowHasTheDistanceOfTheVertex) {
  for (const base::Metric metric : kMetrics) {
    base::AlignedMatrix rows(40, 100);
    const auto one = ClusteredVectors(1, 100, metric, 1, 1);
    for (std::size_t i = 0; i < 40; ++i) std::copy_n(one.row(0), 100, rows.row(i));
    EdgeCodes codes(100, metric, 32);
    codes.Update(rows.view(), RandomGraph(40, 32, 3), 1);
    const auto queries = ClusteredVectors(3, 100, metric, 2, 3);
    EdgeQuery query;
    for (std::size_t i = 0; i < 3; ++i) {
      query.Prepare(codes, queries.row(i));
      const Estimates estimates(codes, query, 4);
      ASSERT_EQ(estimates.count, 32u);
      for (std::size_t e = 0; e < 32; ++e) EXPECT_EQ(estimates.distances[e], estimates.center);
    }
  }
}

// Squares of such components are beyond float32.
TEST(EdgeEstimates, RowsBeyondFloat32HaveNoEdgesInsteadOfNonsense) {
  base::AlignedMatrix rows(40, 64);
  base::Random random(1);
  for (std::size_t i = 0; i < 40; ++i) {
    for (std::size_t j = 0; j < 64; ++j) rows.row(i)[j] = static_cast<float>(1e30 * random.Normal());
  }
  EdgeCodes codes(64, base::Metric::kSquaredL2, 32);
  codes.Update(rows.view(), RandomGraph(40, 32, 3), 1);
  EdgeQuery query;
  query.Prepare(codes, rows.row(0));
  for (std::uint32_t v = 0; v < 40; ++v) EXPECT_EQ(Estimates(codes, query, v).count, 0u);
}

}  // namespace
}  // namespace trivium::index
