// SPDX-License-Identifier: Apache-2.0
#include "index/edge_codes.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "index/graph_builder.h"
#include "tests/support/random_graph.h"
#include "tests/support/random_vectors.h"
#include "tests/support/slow_edge_codes.h"
#include "tests/support/status_matchers.h"

namespace trivium::index {
namespace {

using testing_support::ClusteredVectors;
using testing_support::RandomGraph;
using testing_support::SlowEdgeBlock;
using testing_support::StatusIs;

constexpr base::Metric kMetrics[] = {base::Metric::kCosine, base::Metric::kInnerProduct,
                                     base::Metric::kSquaredL2};

EdgeCodes MakeCodes(base::MatrixView rows, base::Metric metric, const ProximityGraph& graph,
                    int threads = 1) {
  EdgeCodes codes(rows.columns, metric, graph.degree_bound());
  codes.Update(rows, graph, threads);
  return codes;
}

std::string Block(const EdgeCodes& codes, std::uint32_t vertex) {
  return {reinterpret_cast<const char*>(codes.block(vertex)), codes.shape().bytes};
}
std::string AllBytes(const EdgeCodes& codes) {
  return std::string(reinterpret_cast<const char*>(codes.blocks()), codes.size() * codes.shape().bytes) +
         std::string(reinterpret_cast<const char*>(codes.entry_block()), codes.entry_shape().bytes);
}

std::vector<double> RotatedRow(const EdgeCodes& codes, const float* row) {
  std::vector<float> rotated(codes.rotation().padded_dimension());
  codes.rotation().Apply(row, codes.mean(), rotated.data());
  return {rotated.begin(), rotated.end()};
}

GraphBuildOptions SmallOptions(std::size_t degree_bound) {
  GraphBuildOptions options;
  options.degree_bound = degree_bound;
  options.beam_width = 40;
  options.threads = 1;
  return options;
}

TEST(EdgeCodes, TakeOneBlockOf2048BytesAVertexAt384Dimensions) {
  EXPECT_EQ(EdgeCodes(384, base::Metric::kCosine, 32).shape().bytes, 2048u);
  EXPECT_EQ(EdgeCodes(384, base::Metric::kCosine, 33).shape().edge_count, 64u);
  EXPECT_EQ(EdgeCodes(100, base::Metric::kCosine, 5).shape().dimension, 128u);
  EXPECT_EQ(EdgeCodes(100, base::Metric::kCosine, 5).shape().bytes % 64, 0u);
}

TEST(EdgeCodes, HoldNeighboursSignsAndFactorsAsDrawn) {
  for (const base::Metric metric : kMetrics) {
    for (const auto& [dimension, degree] : {std::pair<std::size_t, std::size_t>{64, 4},
                                            {100, 24},
                                            {384, 32},
                                            {448, 33},
                                            {512, 64},
                                            {768, 100}}) {
      SCOPED_TRACE(dimension);
      const auto rows = ClusteredVectors(120, dimension, metric, 1, 5);
      const ProximityGraph graph = RandomGraph(120, degree, 2);
      const EdgeCodes codes = MakeCodes(rows.view(), metric, graph);
      ASSERT_EQ(codes.size(), 120u);
      for (std::uint32_t vertex = 0; vertex < 120; vertex += 7) {
        const SlowEdgeBlock block{codes.shape(), codes.block(vertex)};
        const auto center = RotatedRow(codes, rows.row(vertex));
        double norm = 0;
        for (const double value : center) norm += value * value;
        EXPECT_NEAR(block.SquaredNorm(), norm, 2e-3 * norm);
        const auto neighbors = graph.Neighbors(vertex);
        for (std::size_t e = 0; e < codes.shape().edge_count; ++e) {
          if (e >= neighbors.size()) {
            ASSERT_EQ(block.Vertex(e), kNoVertex);
            ASSERT_EQ(block.Offset(e), INFINITY);
            continue;
          }
          ASSERT_EQ(block.Vertex(e), neighbors[e]);
          const auto end = RotatedRow(codes, rows.row(neighbors[e]));
          double squares = 0, lengths = 0, products = 0, magnitude = 0;
          for (std::size_t i = 0; i < center.size(); ++i) {
            const double r = end[i] - center[i];
            // Rotated rows are rounded to binary16 first.
            const double rounding = 1e-3 * (std::abs(end[i]) + std::abs(center[i]));
            ASSERT_TRUE(block.IsPositive(e, i) == (r > 0) || std::abs(r) <= rounding) << i;
            squares += r * r;
            lengths += std::abs(r);
            products += block.IsPositive(e, i) ? center[i] : -center[i];
            magnitude += std::abs(center[i]);
          }
          const double scale = (metric == base::Metric::kInnerProduct ? 1 : 2) * squares / lengths;
          EXPECT_NEAR(block.Scale(e), scale, 0.006 * scale);
          const double offset = metric == base::Metric::kInnerProduct ? 0 : squares + scale * products;
          EXPECT_NEAR(block.Offset(e), offset,
                      0.006 * (std::abs(offset) + squares) + 4e-3 * scale * std::sqrt(magnitude));
        }
      }
    }
  }
}

// Beyond the rows that the mean is made from.
TEST(EdgeCodes, UpdateEncodesOnlyNewVerticesAndThoseWhoseNeighboursChanged) {
  for (const base::Metric metric : kMetrics) {
    const auto rows = ClusteredVectors(1120, 100, metric, 1);
    ProximityGraph graph(16);
    ASSERT_OK(ExtendGraph(rows.view().First(1100), metric, SmallOptions(16), &graph));
    const EdgeCodes first = MakeCodes(rows.view().First(1100), metric, graph);
    std::vector<std::vector<std::uint32_t>> before;
    for (std::uint32_t v = 0; v < 1100; ++v) {
      before.emplace_back(graph.Neighbors(v).begin(), graph.Neighbors(v).end());
    }
    // A mark where encoding a block again writes zeros.
    const std::size_t bytes = first.shape().bytes, mark = first.shape().header + 15;
    auto memory = std::make_shared<std::vector<std::uint8_t>>(first.blocks(), first.blocks() + 1100 * bytes);
    for (std::size_t v = 0; v < 1100; ++v) (*memory)[v * bytes + mark] = 1;
    const std::vector<std::uint8_t> marked = *memory;
    EdgeCodes codes(100, metric, 16, 1100, memory->data(), first.entry_block(), memory);

    ASSERT_OK(ExtendGraph(rows.view(), metric, SmallOptions(16), &graph));
    codes.Update(rows.view(), graph, 1);
    EXPECT_EQ(*memory, marked);  // what was borrowed is left as it was
    const EdgeCodes scratch = MakeCodes(rows.view(), metric, graph);
    ASSERT_EQ(codes.size(), 1120u);
    std::size_t kept = 0;
    for (std::uint32_t v = 0; v < 1120; ++v) {
      std::string expected = Block(scratch, v);
      const auto now = graph.Neighbors(v);
      if (v < 1100 && std::equal(now.begin(), now.end(), before[v].begin(), before[v].end())) {
        expected[mark] = 1;
        ++kept;
      }
      ASSERT_EQ(Block(codes, v), expected) << v;
    }
    EXPECT_GT(kept, 40u);
    EXPECT_LT(kept, 1100u);
  }
}

TEST(EdgeCodes, AreTheSameForAnyThreadCountAndAnyWayToGetThere) {
  for (const base::Metric metric : kMetrics) {
    const auto rows = ClusteredVectors(700, 64, metric, 1);
    ProximityGraph graph(12);
    EdgeCodes grown(64, metric, 12);
    for (const std::size_t size : {0u, 1u, 3u, 100u, 101u, 650u, 700u}) {
      ASSERT_OK(ExtendGraph(rows.view().First(size), metric, SmallOptions(12), &graph));
      grown.Update(rows.view().First(size), graph, 2);
      EXPECT_EQ(grown.size(), size);
      ASSERT_EQ(AllBytes(grown), AllBytes(MakeCodes(rows.view().First(size), metric, graph))) << size;
    }
  }
}

// Rows come sorted by region more often than not.
TEST(EdgeCodes, MeanIsOfRowsFromEverywhere) {
  constexpr std::size_t kRows = 8192;
  auto rows = ClusteredVectors(kRows, 64, base::Metric::kSquaredL2, 1);
  for (std::size_t i = 0; i < kRows; ++i) rows.row(i)[0] = static_cast<float>(i) / kRows;
  const EdgeCodes codes = MakeCodes(rows.view(), base::Metric::kSquaredL2, RandomGraph(kRows, 16, 2), 2);
  EXPECT_NEAR(codes.mean()[0], 0.5, 0.01);
}

TEST(EdgeCodes, StreamHandsOutTheBlocksOfUpdateInOrder) {
  for (const base::Metric metric : kMetrics) {
    for (const std::size_t size : {0u, 1u, 700u, 6000u}) {  // the last of them in several pieces
      const auto rows = ClusteredVectors(size, 100, metric, 1);
      const ProximityGraph graph = size == 0 ? ProximityGraph(32) : RandomGraph(size, 32, 2);
      const EdgeCodes expected = MakeCodes(rows.view(), metric, graph);
      EdgeCodes codes(100, metric, 32);
      std::string blocks;
      std::size_t calls = 0;
      ASSERT_OK(codes.Stream(rows.view(), graph, 2, [&](absl::Span<const std::uint8_t> bytes) {
        ++calls;
        blocks.append(bytes.begin(), bytes.end());
        return absl::OkStatus();
      }));
      ASSERT_EQ(blocks.size(), size * expected.shape().bytes);
      EXPECT_TRUE(std::equal(blocks.begin(), blocks.end(), reinterpret_cast<const char*>(expected.blocks())));
      EXPECT_EQ(std::memcmp(codes.entry_block(), expected.entry_block(), expected.entry_shape().bytes), 0);
      EXPECT_EQ(codes.size(), 0u);
      EXPECT_EQ(calls > 1, size == 6000) << size;
    }
  }
}

TEST(EdgeCodes, StreamEndsAtTheFirstErrorOfItsTaker) {
  const auto rows = ClusteredVectors(6000, 100, base::Metric::kCosine, 1);
  EdgeCodes codes(100, base::Metric::kCosine, 32);
  std::size_t calls = 0;
  EXPECT_THAT(codes.Stream(rows.view(), RandomGraph(6000, 32, 2), 2,
                           [&](absl::Span<const std::uint8_t>) {
                             ++calls;
                             return absl::ResourceExhaustedError("full");
                           }),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(calls, 1u);
}

TEST(EdgeCodes, SampleOneStartForEach64RowsUpTo256) {
  for (const auto& [size, entries] : {std::pair<std::size_t, std::size_t>{0, 0},
                                      {1, 0},
                                      {63, 0},
                                      {64, 1},
                                      {128, 2},
                                      {1000, 15},
                                      {16384, 256},
                                      {20000, 256}}) {
    const auto rows = ClusteredVectors(size, 64, base::Metric::kInnerProduct, 1);
    ProximityGraph graph(4);
    graph.Resize(size);
    const EdgeCodes codes = MakeCodes(rows.view(), base::Metric::kInnerProduct, graph, 2);
    const SlowEdgeBlock block{codes.entry_shape(), codes.entry_block()};
    std::set<std::uint32_t> starts;
    for (std::size_t place = 0; place < EdgeCodes::kEntryCount; ++place) {
      if (block.Vertex(place) == kNoVertex) continue;
      EXPECT_LT(block.Vertex(place), size);
      EXPECT_TRUE(std::isfinite(block.Offset(place)));
      starts.insert(block.Vertex(place));
    }
    EXPECT_EQ(starts.size(), entries) << size;
    double largest = 0;
    for (std::size_t i = 0; i < size; ++i) {
      largest = std::max(
          largest, -testing_support::SlowDistance(base::Metric::kInnerProduct, rows.row(i), rows.row(i), 64));
    }
    EXPECT_NEAR(codes.largest_norm(), std::sqrt(largest), 1e-5 * std::sqrt(largest));
  }
}

TEST(EdgeCodes, GivenEntriesReplaceTheSampleAndStayOverUpdates) {
  const auto rows = ClusteredVectors(1500, 64, base::Metric::kCosine, 1);
  ProximityGraph graph(12);
  ASSERT_OK(ExtendGraph(rows.view().First(1100), base::Metric::kCosine, SmallOptions(12), &graph));
  EdgeCodes codes = MakeCodes(rows.view().First(1100), base::Metric::kCosine, graph);
  EXPECT_EQ(codes.Entries().size(), 1100u / 64);
  EXPECT_TRUE(codes.given_entries().empty());
  const std::string blocks(reinterpret_cast<const char*>(codes.blocks()), 1100 * codes.shape().bytes);

  const std::vector<std::uint32_t> entries = {3, 500, 1099};
  codes.SetEntries(rows.view().First(1100), entries);
  EXPECT_EQ(codes.Entries(), entries);
  EXPECT_EQ(blocks, std::string(reinterpret_cast<const char*>(codes.blocks()), 1100 * codes.shape().bytes));
  ASSERT_OK(ExtendGraph(rows.view(), base::Metric::kCosine, SmallOptions(12), &graph));
  codes.Update(rows.view(), graph, 1);
  EXPECT_EQ(codes.Entries(), entries);

  // As loaded from a file.
  auto memory = std::make_shared<std::vector<std::uint8_t>>(codes.entry_block(),
                                                            codes.entry_block() + codes.entry_shape().bytes);
  EdgeCodes loaded(64, base::Metric::kCosine, 12, 1500, codes.blocks(), memory->data(), memory);
  loaded.KeepEntries();
  EXPECT_EQ(loaded.given_entries(), entries);
  // Of a damaged one: what is no vertex is left out.
  const std::uint32_t wild = 1'000'000;
  std::memcpy(memory->data() + codes.entry_shape().vertices + sizeof(wild), &wild, sizeof(wild));
  loaded.KeepEntries();
  EXPECT_EQ(loaded.given_entries(), (std::vector<std::uint32_t>{3, 1099}));
}

// Codes say how far rows are in relation to each other, whatever the unit.
TEST(EdgeCodes, SignsAndLevelsDoNotDependOnTheUnitOfTheRows) {
  const ProximityGraph graph = RandomGraph(60, 32, 2);
  const auto rows = ClusteredVectors(60, 64, base::Metric::kSquaredL2, 1, 5);
  const EdgeCodes codes = MakeCodes(rows.view(), base::Metric::kSquaredL2, graph);
  for (const int exponent : {-30, -12, 12, 30}) {
    base::AlignedMatrix scaled(60, 64);
    for (std::size_t i = 0; i < 60; ++i) {
      for (std::size_t j = 0; j < 64; ++j) scaled.row(i)[j] = std::ldexp(rows.row(i)[j], exponent);
    }
    const EdgeCodes other = MakeCodes(scaled.view(), base::Metric::kSquaredL2, graph);
    for (std::uint32_t v = 0; v < 60; ++v) {
      const SlowEdgeBlock one{codes.shape(), codes.block(v)}, two{other.shape(), other.block(v)};
      for (std::size_t i = 0; i < 64; ++i) ASSERT_EQ(one.CenterLevel(i), two.CenterLevel(i)) << exponent;
      for (std::size_t e = 0; e < graph.Neighbors(v).size(); ++e) {
        ASSERT_EQ(two.Scale(e), std::ldexp(one.Scale(e), exponent)) << exponent;
        ASSERT_EQ(two.Offset(e), std::ldexp(one.Offset(e), 2 * exponent)) << exponent;
        for (std::size_t g = 0; g < 16; ++g) ASSERT_EQ(one.Signs(e, g), two.Signs(e, g)) << exponent;
      }
    }
  }
}

}  // namespace
}  // namespace trivium::index
