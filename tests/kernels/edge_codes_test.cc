// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "kernels/edge_code_functions.h"
#include "tests/kernels/every_table.h"
#include "tests/support/slow_distances.h"
#include "tests/support/slow_edge_codes.h"

namespace trivium::kernels {
namespace {

using base::Random;
using testing_support::GuardedArray;
using testing_support::SlowEdgeBlock;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::uint16_t kBfloatInfinity = 0x7F80, kBfloatNan = 0x7FC0;

class EdgeCodeKernels : public EveryTable {};
INSTANTIATE_TEST_SUITE_P(Kernels, EdgeCodeKernels, ::testing::ValuesIn(RunnableTables()), TableName);

EdgeBlockShape Shape(std::size_t dimension, std::size_t edges) {
  EdgeBlockShape shape{.dimension = dimension, .edge_count = edges, .header = dimension / 2};
  shape.vertices = shape.header + 16;
  shape.offsets = shape.vertices + 4 * edges;
  shape.scales = shape.offsets + 2 * edges;
  shape.codes = (shape.scales + 2 * edges + 63) / 64 * 64;
  shape.bytes = shape.codes + edges * dimension / 8;
  return shape;
}

std::uint16_t BfloatFromInteger(int value) {
  const float wide = static_cast<float>(value);
  std::uint32_t bits;
  std::memcpy(&bits, &wide, sizeof(bits));
  EXPECT_EQ(bits & 0xFFFF, 0u) << value;
  return static_cast<std::uint16_t>(bits >> 16);
}

// A block and a query of random small integers, whose estimates therefore have no rounding. The block, the
// table and the values end where the mapped memory ends.
struct IntegerCase {
  IntegerCase(std::size_t dimension, std::size_t edges, bool inner_product, std::uint64_t seed)
      : shape(Shape(dimension, edges)), block(shape.bytes), table(4 * dimension), values(dimension) {
    Random random(seed);
    for (std::size_t i = 0; i < shape.bytes; ++i) block.Set(i, static_cast<std::uint8_t>(random.Next()));
    for (std::size_t i = 0; i < table.size(); ++i) table.Set(i, static_cast<std::uint8_t>(random.Below(64)));
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < dimension; ++i) {
      values.Set(i, static_cast<std::int8_t>(static_cast<int>(random.Below(255)) - 127));
      sum += values.Get(i);
    }
    Put(shape.header, 2.0f);
    Put(shape.header + 4, 1000.0f);
    for (std::size_t e = 0; e < edges; ++e) {
      Put(shape.vertices + 4 * e, static_cast<std::uint32_t>(random.Next()));
      Put(shape.offsets + 2 * e, BfloatFromInteger(static_cast<int>(random.Below(255)) - 127));
      Put(shape.scales + 2 * e, BfloatFromInteger(static_cast<int>(random.Below(5))));
    }
    query = {.table = table.data(),
             .table_scale = 2,
             .table_offset = -5,
             .values = values.data(),
             .value_scale = 1,
             .value_sum = sum,
             .squared_norm = 77,
             .inner_product = inner_product};
  }

  template <class T>
  void Put(std::size_t offset, T value) {
    std::memcpy(block.data() + offset, &value, sizeof(value));
  }
  SlowEdgeBlock Slow() const { return {shape, block.data()}; }

  EdgeBlockShape shape;
  GuardedArray<std::uint8_t> block, table;
  GuardedArray<std::int8_t> values;
  EdgeQuery query;
};

// What ScoreEdges found, in memory no larger than it asks for.
struct Scored {
  Scored(const DistanceTable& table, const IntegerCase& c, float bound)
      : distances(c.shape.edge_count + 16), vertices(c.shape.edge_count + 16) {
    count = table.score_edges(c.shape, c.query, c.block.data(), bound, &center, distances.data(),
                              vertices.data());
  }
  GuardedArray<float> distances;
  GuardedArray<std::uint32_t> vertices;
  float center = 0;
  std::size_t count = 0;
};

TEST_P(EdgeCodeKernels, EstimatesOfIntegersHaveTheBitsOfAPlainLoopOverTheDrawnLayout) {
  for (const std::size_t dimension : {64, 128, 192, 384, 448, 512, 768, 1024}) {
    for (const std::size_t edges : {32, 64, 96, 256}) {
      const IntegerCase c(dimension, edges, edges % 64 == 0, dimension + edges);
      const Scored scored(table(), c, kInfinity);
      EXPECT_EQ(scored.center, c.Slow().Center(c.query)) << dimension;
      ASSERT_EQ(scored.count, edges);
      for (std::size_t e = 0; e < edges; ++e) {
        ASSERT_EQ(scored.distances.Get(e), c.Slow().Distance(c.query, e)) << dimension << " edge " << e;
        ASSERT_EQ(scored.vertices.Get(e), c.Slow().Vertex(e));
      }
    }
  }
}

TEST_P(EdgeCodeKernels, OnlyDistancesBelowTheBoundAreReturnedInTheOrderOfTheEdges) {
  const IntegerCase c(128, 96, false, 5);
  std::vector<double> sorted;
  for (std::size_t e = 0; e < 96; ++e) sorted.push_back(c.Slow().Distance(c.query, e));
  std::sort(sorted.begin(), sorted.end());
  for (const std::size_t rank : {0, 1, 15, 16, 17, 48, 95}) {
    const auto bound = static_cast<float>(sorted[rank]);  // itself not below
    const Scored scored(table(), c, bound);
    std::size_t next = 0;
    for (std::size_t e = 0; e < 96; ++e) {
      if (c.Slow().Distance(c.query, e) >= bound) continue;
      ASSERT_LT(next, scored.count);
      EXPECT_EQ(scored.vertices.Get(next), c.Slow().Vertex(e));
      EXPECT_EQ(scored.distances.Get(next), c.Slow().Distance(c.query, e));
      ++next;
    }
    EXPECT_EQ(scored.count, next);
  }
  EXPECT_EQ(Scored(table(), c, -kInfinity).count, 0u);
}

TEST_P(EdgeCodeKernels, SumsOfTheLargestEntriesDoNotOverflowUpTo4160Dimensions) {
  for (const std::size_t dimension : {1024, 4096, 4160}) {
    IntegerCase c(dimension, 32, true, 9);
    for (std::size_t i = 0; i < c.table.size(); ++i) c.table.Set(i, 63);
    const Scored scored(table(), c, kInfinity);
    ASSERT_EQ(scored.count, 32u);
    for (std::size_t e = 0; e < 32; ++e) {
      ASSERT_EQ(scored.distances.Get(e), static_cast<float>(c.Slow().Distance(c.query, e))) << dimension;
    }
  }
}

TEST_P(EdgeCodeKernels, TheCentreIsExactAtTheExtremes) {
  for (const int value : {-128, -127, 127}) {
    for (const std::uint8_t pair : {0x00, 0x0F, 0xF0, 0xFF}) {
      IntegerCase c(1024, 32, true, 3);
      for (std::size_t d = 0; d < 1024; ++d) c.values.Set(d, static_cast<std::int8_t>(value));
      std::memset(c.block.data(), pair, 512);
      c.query.value_sum = value * 1024;
      EXPECT_EQ(Scored(table(), c, kInfinity).center, c.Slow().Center(c.query)) << value << " " << int{pair};
    }
  }
}

TEST_P(EdgeCodeKernels, FactorsThatAreNotFiniteNeverBringAnEdgeIn) {
  for (const std::uint16_t factor : {kBfloatInfinity, kBfloatNan}) {
    IntegerCase c(64, 64, false, 4);
    c.Put(c.shape.offsets + 2 * 3, factor);
    c.Put(c.shape.offsets + 2 * 40, factor);
    const Scored scored(table(), c, kInfinity);
    EXPECT_EQ(scored.count, 62u);
    for (std::size_t i = 0; i < scored.count; ++i) {
      EXPECT_NE(scored.vertices.Get(i), c.Slow().Vertex(3));
      EXPECT_NE(scored.vertices.Get(i), c.Slow().Vertex(40));
      EXPECT_TRUE(std::isfinite(scored.distances.Get(i)));
    }
    IntegerCase lost(64, 32, false, 4);
    lost.Put(lost.shape.header, std::numeric_limits<float>::quiet_NaN());
    EXPECT_EQ(Scored(table(), lost, kInfinity).count, 0u);
  }
}

TEST_P(EdgeCodeKernels, AnEdgeIsEncodedAsItsSignsAndThreeSums) {
  Random random(6);
  for (const std::size_t dimension : {64, 128, 192, 384, 768}) {
    for (const bool integers : {true, false}) {
      GuardedArray<float> from(dimension), to(dimension);
      for (std::size_t i = 0; i < dimension; ++i) {
        from.Set(i,
                 integers ? static_cast<float>(random.Below(17)) - 8 : static_cast<float>(random.Normal()));
        to.Set(i, integers ? static_cast<float>(random.Below(17)) - 8 : static_cast<float>(random.Normal()));
      }
      GuardedArray<std::uint8_t> signs(dimension / 4);
      float moments[3];
      table().encode_edge(from.data(), to.data(), dimension, signs.data(), moments);
      double expected[3] = {0, 0, 0};
      for (std::size_t i = 0; i < dimension; ++i) {
        const float r = to.Get(i) - from.Get(i);
        ASSERT_EQ(signs.Get(i / 4) >> (i % 4) & 1, r >= 0 ? 1 : 0);
        expected[0] += double{r} * r;
        expected[1] += std::abs(r);
        expected[2] += r >= 0 ? from.Get(i) : -from.Get(i);
      }
      for (std::size_t g = 0; g < dimension / 4; ++g) ASSERT_EQ(signs.Get(g) >> 4, 0);
      for (int m = 0; m < 3; ++m) {
        EXPECT_NEAR(moments[m], expected[m], integers ? 0 : 1e-6 * dimension * 8) << m;
      }
    }
  }
}

TEST_P(EdgeCodeKernels, TableEntriesAreRoundedSumsOfFourAndTheSameOnEveryTable) {
  Random random(7);
  for (const std::size_t dimension : {64, 192, 384}) {
    GuardedArray<float> query(dimension);
    float largest = 0;
    for (std::size_t i = 0; i < dimension; ++i) query.Set(i, static_cast<float>(random.Normal()));
    for (std::size_t i = 0; i < dimension; i += 4) {
      largest = std::max(largest, std::abs(query.Get(i)) + std::abs(query.Get(i + 1)) +
                                      std::abs(query.Get(i + 2)) + std::abs(query.Get(i + 3)));
    }
    GuardedArray<std::uint8_t> entries(4 * dimension), baseline(4 * dimension);
    table().fill_sign_table(query.data(), dimension, largest, 63 / (2 * largest), entries.data());
    kBaselineDistances.fill_sign_table(query.data(), dimension, largest, 63 / (2 * largest), baseline.data());
    for (std::size_t g = 0; g < dimension / 4; ++g) {
      for (std::size_t c = 0; c < 16; ++c) {
        double sum = largest;
        for (int d = 0; d < 4; ++d) sum += (c >> d & 1) != 0 ? query.Get(4 * g + d) : -query.Get(4 * g + d);
        ASSERT_NEAR(entries.Get(16 * g + c), sum * 63 / (2 * largest), 0.5001);
        ASSERT_EQ(entries.Get(16 * g + c), baseline.Get(16 * g + c));
      }
    }
  }
}

TEST_P(EdgeCodeKernels, ComponentsAreRoundedToTheNearestByteTiesToEven) {
  const std::vector<float> values = {0.5f,  1.5f,   2.5f, -0.5f, -1.5f,  -2.5f, 63.25f, -63.75f,
                                     63.5f, -63.5f, 0,    -0.0f, 1e-30f, 50.5f, 3,      -3};
  const std::vector<int> expected = {0, 2, 2, 0, -2, -2, 63, -64, 64, -64, 0, 0, 0, 50, 3, -3};
  std::vector<std::int8_t> bytes(values.size());
  table().round_to_bytes(values.data(), values.size(), 1, bytes.data());
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(bytes[i], expected[i]) << values[i];
  table().round_to_bytes(values.data(), values.size(), 2, bytes.data());
  EXPECT_EQ(bytes[0], 1);
  EXPECT_EQ(bytes[8], 127);
}

}  // namespace
}  // namespace trivium::kernels
