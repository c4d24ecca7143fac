// SPDX-License-Identifier: Apache-2.0
#include "index/edge_walk.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <vector>

#include "index/graph_builder.h"
#include "index/graph_search.h"
#include "tests/support/guarded_array.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"

namespace trivium::index {
namespace {

using testing_support::ClusteredVectors;

// Rows with a graph and its codes.
struct Collection {
  Collection(base::AlignedMatrix given, base::Metric metric)
      : rows(std::move(given)), graph(16), codes(rows.columns(), metric, 16) {
    GraphBuildOptions options;
    options.degree_bound = 16;
    options.beam_width = 60;
    options.threads = 2;
    EXPECT_OK(ExtendGraph(rows.view(), metric, options, &graph));
    codes.Update(rows.view(), graph, 2);
  }
  Collection(std::size_t size, std::size_t dimension, base::Metric metric)
      : Collection(ClusteredVectors(size, dimension, metric, 1), metric) {}

  base::AlignedMatrix rows;
  ProximityGraph graph;
  EdgeCodes codes;
};

struct Walked {
  std::vector<std::uint32_t> results;
  std::uint64_t hops = 0;
  bool operator==(const Walked&) const = default;
};

Walked Outcome(const EdgeWalk& walk) {
  Walked walked{.hops = walk.hops()};
  for (std::size_t i = 0; i < walk.result_count(); ++i) walked.results.push_back(walk.result(i));
  return walked;
}

Walked Walk(const Collection& collection, const float* query, EdgeWalkOptions options, EdgeWalk* walk) {
  options.entry = collection.graph.entry();
  walk->Begin(collection.codes, options, query);
  while (walk->Step()) {
  }
  return Outcome(*walk);
}
Walked Walk(const Collection& collection, const float* query, const EdgeWalkOptions& options = {}) {
  EdgeWalk walk;
  return Walk(collection, query, options, &walk);
}

float CenterDistance(const EdgeCodes& codes, const float* query, std::uint32_t vertex) {
  EdgeQuery prepared;
  prepared.Prepare(codes, query);
  std::vector<float> distances(codes.shape().edge_count + 16);
  std::vector<std::uint32_t> vertices(distances.size());
  float center;
  kernels::ActiveDistances().score_edges(codes.shape(), prepared.view(), codes.block(vertex), 0, &center,
                                         distances.data(), vertices.data());
  return center;
}

TEST(EdgeWalk, ReturnsDistinctVerticesInTheOrderOfTheirCodesAndMoreThanK) {
  for (const base::Metric metric :
       {base::Metric::kCosine, base::Metric::kInnerProduct, base::Metric::kSquaredL2}) {
    const Collection collection(1500, 128, metric);
    const auto queries = ClusteredVectors(20, 128, metric, 5);
    for (std::size_t i = 0; i < queries.rows(); ++i) {
      const Walked walked = Walk(collection, queries.row(i), {.k = 20, .beam_width = 64});
      EXPECT_GT(walked.results.size(), 20u);
      EXPECT_GE(walked.hops, walked.results.size());
      EXPECT_LT(walked.hops, 700u);
      const std::set<std::uint32_t> distinct(walked.results.begin(), walked.results.end());
      EXPECT_EQ(distinct.size(), walked.results.size());
      EXPECT_TRUE(std::is_sorted(walked.results.begin(), walked.results.end(), [&](auto a, auto b) {
        return CenterDistance(collection.codes, queries.row(i), a) <
               CenterDistance(collection.codes, queries.row(i), b);
      }));
    }
  }
}

TEST(EdgeWalk, TwoThatTakeTurnsGoTheSameWayAsAlone) {
  const Collection collection(1500, 64, base::Metric::kCosine);
  const auto queries = ClusteredVectors(10, 64, base::Metric::kCosine, 5);
  EdgeWalk first, second;
  for (std::size_t i = 0; i + 1 < queries.rows(); ++i) {
    const EdgeWalkOptions options = {.k = 10, .beam_width = 40, .entry = collection.graph.entry()};
    first.Begin(collection.codes, options, queries.row(i));
    second.Begin(collection.codes, options, queries.row(i + 1));
    for (bool more = true; more;) {
      first.PrefetchNext();
      more = first.Step();
      second.PrefetchNext();
      more |= second.Step();
    }
    EXPECT_EQ(Outcome(first), Walk(collection, queries.row(i), options));
    EXPECT_EQ(Outcome(second), Walk(collection, queries.row(i + 1), options));
  }
}

TEST(EdgeWalk, UsedBeforeOnALargerCollectionGoesTheSameWay) {
  const Collection large(1200, 384, base::Metric::kSquaredL2), small(100, 64, base::Metric::kInnerProduct);
  EdgeWalk used;
  Walk(large, large.rows.row(3), {.k = 100, .beam_width = 600}, &used);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(Walk(small, small.rows.row(i), {.k = 5, .beam_width = 20}, &used),
              Walk(small, small.rows.row(i), {.k = 5, .beam_width = 20}));
  }
}

TEST(EdgeWalk, AWiderBeamTakesMoreHopsAndAnEasyQueryFewer) {
  const Collection collection(3000, 128, base::Metric::kCosine);
  const auto queries = ClusteredVectors(30, 128, base::Metric::kCosine, 5);
  std::uint64_t narrow = 0, wide = 0;
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    narrow += Walk(collection, queries.row(i), {.beam_width = 16}).hops;
    wide += Walk(collection, queries.row(i), {.beam_width = 128}).hops;
  }
  EXPECT_GT(wide, 2 * narrow);
  // Near copies of one row: how far the k-th is says that nothing else is worth a visit.
  base::AlignedMatrix rows = ClusteredVectors(3000, 128, base::Metric::kCosine, 1);
  for (std::size_t i = 0; i < 40; ++i) {
    std::copy_n(rows.row(1000), 128, rows.row(1000 + i));
    rows.row(1000 + i)[i] += 0.01f;
  }
  testing_support::Normalise(&rows);
  const Collection copies(std::move(rows), base::Metric::kCosine);
  EXPECT_LT(Walk(copies, copies.rows.row(1000), {.beam_width = 128}).hops, wide / queries.rows() / 2);
}

TEST(EdgeWalk, OnlyAllowedVerticesAreResults) {
  const Collection collection(1500, 64, base::Metric::kCosine);
  base::Bitmap allowed(1500);
  for (std::size_t i = 0; i < 1500; i += 5) allowed.Set(i);
  const auto queries = ClusteredVectors(10, 64, base::Metric::kCosine, 5);
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    const Walked walked = Walk(collection, queries.row(i), {.k = 10, .beam_width = 320, .allowed = &allowed});
    EXPECT_GE(walked.results.size(), 10u);
    for (const std::uint32_t vertex : walked.results) EXPECT_EQ(vertex % 5, 0u);
  }
  const base::Bitmap none(1500);
  EXPECT_TRUE(Walk(collection, queries.row(0), {.allowed = &none}).results.empty());
}

TEST(EdgeWalk, VisitsEveryVertexOnceWhereKIsTheSizeOfASmallGraph) {
  for (const std::size_t size : {1u, 2u, 9u, 10u, 11u, 33u}) {
    const Collection collection(size, 64, base::Metric::kSquaredL2);
    const Walked walked = Walk(collection, collection.rows.row(0), {.k = size + 5, .beam_width = 200});
    EXPECT_EQ(walked.hops, size);
    EXPECT_EQ(walked.results.size(), size);
    EXPECT_EQ(walked.results.front(), 0u);
  }
}

TEST(EdgeWalk, AQueryOfZerosFindsTheShortestRows) {
  const Collection collection(600, 64, base::Metric::kSquaredL2);
  const std::vector<float> zeros(64, 0.0f);
  const auto expected =
      testing_support::SlowSearch(collection.rows.view(), base::Metric::kSquaredL2, zeros.data(), 10);
  const Walked walked = Walk(collection, zeros.data());
  std::size_t hits = 0;
  for (const base::Neighbor& neighbor : expected) {
    hits += std::count(walked.results.begin(), walked.results.end(), neighbor.row);
  }
  EXPECT_GE(hits, 9u);
}

// As from a file whose blocks nobody verified. The blocks end where the mapped memory ends.
TEST(EdgeWalk, RandomBytesInPlaceOfBlocksAreWalkedWithoutLeavingThem) {
  base::Random random(1);
  for (const base::Metric metric : {base::Metric::kInnerProduct, base::Metric::kSquaredL2}) {
    const EdgeCodes shape(100, metric, 40);
    testing_support::GuardedArray<std::uint8_t> blocks(50 * shape.shape().bytes);
    testing_support::GuardedArray<std::uint8_t> entries(shape.entry_shape().bytes);
    const auto query = ClusteredVectors(1, 100, metric, 1, 1);
    for (int repeat = 0; repeat < 300; ++repeat) {
      for (std::size_t i = 0; i < blocks.size(); ++i) blocks.Set(i, static_cast<std::uint8_t>(random.Next()));
      for (std::size_t i = 0; i < entries.size(); ++i)
        entries.Set(i, static_cast<std::uint8_t>(random.Next()));
      const auto put = [&](auto* bytes, std::size_t offset, std::uint64_t vertex) {
        const auto value = static_cast<std::uint32_t>(vertex);
        std::memcpy(bytes->data() + offset, &value, sizeof(value));
      };
      // Some ids are in range or just beyond, or nothing would be walked at all.
      for (std::size_t i = 0; i < 256; i += 2)
        put(&entries, shape.entry_shape().vertices + 4 * i, random.Below(52));
      for (std::size_t v = 0; v < 50; ++v) {
        for (std::size_t e = 0; e < 64; e += 3) {
          put(&blocks, v * shape.shape().bytes + shape.shape().vertices + 4 * e, random.Below(52));
        }
      }
      const EdgeCodes codes(100, metric, 40, 50, blocks.data(), entries.data(), nullptr);
      EdgeWalk walk;
      walk.Begin(codes, {.k = 10, .beam_width = 50, .entry = 7}, query.row(0));
      while (walk.Step()) walk.PrefetchNext();
      EXPECT_LE(walk.hops(), 50u);
      for (std::size_t i = 0; i < walk.result_count(); ++i) EXPECT_LT(walk.result(i), 50u);
    }
  }
}

// Nine rows next to each other offer one another so often that a narrow pool holds nothing else, and k is
// ten.
TEST(EdgeWalk, WhereANarrowWalkRunsDryItIsDoneAgainAndNothingScanned) {
  constexpr std::uint32_t kTight = 9, kRows = 600;
  auto rows = ClusteredVectors(kRows, 64, base::Metric::kSquaredL2, 1);
  for (std::uint32_t i = 1; i < kTight; ++i) {
    for (std::size_t j = 0; j < 64; ++j) rows.row(i)[j] = rows.row(0)[j] + 0.001f * static_cast<float>(i);
  }
  ProximityGraph graph(16);
  graph.Resize(kRows);
  for (std::uint32_t vertex = 0; vertex < kRows; ++vertex) {
    std::vector<std::uint32_t> neighbors;
    for (std::uint32_t other = 0; vertex < kTight && other < kTight; ++other) {
      if (other != vertex) neighbors.push_back(other);
    }
    for (const std::uint32_t step : {1u, 7u, 31u, 97u}) {
      neighbors.push_back(kTight + (vertex + step) % (kRows - kTight));
    }
    std::erase(neighbors, vertex);
    graph.SetNeighbors(vertex, neighbors);
  }
  graph.set_entry(0);
  EdgeCodes codes(64, base::Metric::kSquaredL2, 16);
  codes.Update(rows.view(), graph, 1);
  codes.SetEntries(rows.view(), {0, 1});
  EdgeWalk walk;
  walk.Begin(codes, {.k = 10, .beam_width = 10}, rows.row(4));
  while (walk.Step()) {
  }
  ASSERT_LT(walk.result_count(), 10u);  // it does run dry

  SearchParameters parameters;
  parameters.beam_width = 10;
  parameters.method = SearchMethod::kGraph;
  SearchScratch scratch;
  std::vector<base::Neighbor> found;
  SearchCounters counters;
  SearchRowsWithGraph(
      {.rows = rows.view(), .metric = base::Metric::kSquaredL2, .graph = &graph, .edge_codes = &codes},
      rows.row(4), parameters, &scratch, &found, &counters);
  ASSERT_EQ(found.size(), 10u);
  for (std::size_t i = 0; i < kTight; ++i) EXPECT_LT(found[i].row, kTight);
  EXPECT_EQ(counters.scan_distances, 0u);
  EXPECT_GT(counters.hops, walk.hops());  // both walks are counted
}

}  // namespace
}  // namespace trivium::index
