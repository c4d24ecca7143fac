// SPDX-License-Identifier: Apache-2.0
// SearchCounters::bytes_read against what a search is known to read: of walks so wide that they read every
// vertex once, of a walk written down again, slowly, and of walks taken step by step.
#include <algorithm>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

#include "index/flat_index.h"
#include "index/graph_index.h"
#include "index/search_scratch.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"

namespace trivium::index {
namespace {

using testing_support::ClusteredVectors;
using testing_support::SlowDistance;

GraphIndex MakeIndex(base::MatrixView rows, base::Metric metric, Profile profile) {
  GraphBuildOptions options;
  options.beam_width = 40;
  options.profile = profile;
  GraphIndex index(rows.columns, metric, options);
  EXPECT_OK(index.Add(rows, 2));
  EXPECT_OK(index.Seal(2));
  return index;
}

SearchCounters Ask(const SearchIndex& index, base::MatrixView queries, const SearchParameters& parameters) {
  SearchScratch scratch;
  std::vector<std::vector<base::Neighbor>> found(queries.rows);
  std::vector<SearchCounters> counters(queries.rows);
  index.SearchMany(queries, parameters, &scratch, found.data(), counters.data());
  SearchCounters sum;
  for (const SearchCounters& each : counters) sum.Add(each);
  return sum;
}

// The parts as they are drawn, at 64 dimensions and degree bound 32 (31 where compressed).
constexpr std::size_t kColumns = 64;
constexpr std::size_t kFloatRow = 64 * 4, kHalfRow = 64 * 2, kByteRow = 64 + 4;
constexpr std::size_t kList = 48 * 4, kShortList = 32 * 4;
// Center, header, vertices, offsets, scales, padding, signs; of the entries, 256, with the mean.
constexpr std::size_t kBlock = 32 + 16 + 32 * 4 + 32 * 2 + 32 * 2 + 16 + 32 * 8;
constexpr std::size_t kEntryBlock = 32 + 16 + 256 * 4 + 256 * 2 + 256 * 2 + 16 + 256 * 8 + kFloatRow;
constexpr std::size_t kCode = 8 + 2 * 4;       // signs and factors
constexpr std::size_t kCenter = (64 + 1) * 4;  // with the longest row's norm

// Three searches so wide that each expands every vertex.
std::size_t ReadAll(std::size_t count, Profile profile, base::Metric metric) {
  const auto rows = ClusteredVectors(count, kColumns, metric, 1);
  const GraphIndex index = MakeIndex(rows.view(), metric, profile);
  const SearchCounters counters =
      Ask(index, rows.view().First(3), {.k = count, .method = SearchMethod::kGraph});
  EXPECT_EQ(counters.hops, 3 * count);
  EXPECT_EQ(counters.scan_distances, 0u);
  EXPECT_EQ(counters.bytes_read % 3, 0u);
  return counters.bytes_read / 3;
}

TEST(BytesRead, AWalkByRowCodesReadsAListARowAndTheCodesOfUnseenVertices) {
  for (const std::size_t count : {40u, 200u}) {
    // Each code once, when its vertex is first seen, but for those that the walk starts from: of a small
    // graph its entry, of a larger one the best two of a sample, whose codes are read, too.
    const std::size_t codes = (count == 40 ? 40 - 1 : 200 - 2 + 200 / 64) * kCode + kCenter;
    EXPECT_EQ(ReadAll(count, Profile::kBalanced, base::Metric::kCosine),
              count * (kShortList + kHalfRow) + codes);
    EXPECT_EQ(ReadAll(count, Profile::kSmall, base::Metric::kInnerProduct),
              count * (kShortList + kByteRow) + codes);
    // For squared distances each row of int8 has its norm, too.
    EXPECT_EQ(ReadAll(count, Profile::kSmall, base::Metric::kSquaredL2),
              count * (kShortList + kByteRow + 4) + codes);
  }
}

TEST(BytesRead, AWalkByExactDistancesReadsEveryListAndRow) {
  EXPECT_EQ(ReadAll(200, Profile::kExact, base::Metric::kCosine), 200 * (kList + kFloatRow));
}

// The walk by exact distances, written down again: best first, until the `width` nearest seen are expanded.
std::size_t SlowWalkBytes(const GraphIndex& index, const float* query, std::size_t width) {
  const auto distance = [&](std::uint32_t row) {
    return SlowDistance(index.metric(), query, index.rows().row(row), index.dimension());
  };
  std::size_t bytes = 0;
  std::set<std::uint32_t> seen, expanded;
  std::vector<std::pair<double, std::uint32_t>> pool;
  const auto look = [&](std::uint32_t row) {
    if (!seen.insert(row).second) return;
    bytes += kFloatRow;
    pool.emplace_back(distance(row), row);
    std::sort(pool.begin(), pool.end());
    if (pool.size() > width) pool.pop_back();
  };
  look(index.graph().entry());
  for (;;) {
    const auto next = std::find_if(pool.begin(), pool.end(),
                                   [&](const auto& entry) { return expanded.count(entry.second) == 0; });
    if (next == pool.end()) return bytes;
    const std::uint32_t vertex = next->second;
    expanded.insert(vertex);
    bytes += kList;
    for (const std::uint32_t neighbor : index.graph().Neighbors(vertex)) look(neighbor);
  }
}

TEST(BytesRead, AWalkByExactDistancesReadsWhatTheSlowWalkReads) {
  const auto rows = ClusteredVectors(1500, kColumns, base::Metric::kSquaredL2, 1);
  const auto queries = ClusteredVectors(20, kColumns, base::Metric::kSquaredL2, 77);
  const GraphIndex index = MakeIndex(rows.view(), base::Metric::kSquaredL2, Profile::kExact);
  for (const std::size_t width : {10u, 30u}) {
    std::size_t expected = 0;
    for (std::size_t i = 0; i < queries.rows(); ++i) expected += SlowWalkBytes(index, queries.row(i), width);
    EXPECT_EQ(Ask(index, queries.view(), {.beam_width = width, .method = SearchMethod::kGraph}).bytes_read,
              expected);
  }
}

// Of the same walks, taken step by step.
std::size_t SteppedWalkBytes(const GraphIndex& index, base::MatrixView queries, std::size_t width) {
  std::size_t bytes = 0;
  EdgeWalk walk;
  for (std::size_t i = 0; i < queries.rows; ++i) {
    walk.Begin(*index.codes(), {.beam_width = width}, queries.row(i));
    bytes += kEntryBlock;
    while (walk.Step()) bytes += kBlock;
    bytes += walk.result_count() * kFloatRow;
  }
  return bytes;
}

TEST(BytesRead, AWalkByEdgeCodesReadsABlockAStepTheEntryBlockAndTheRowsItRanks) {
  for (const base::Metric metric :
       {base::Metric::kCosine, base::Metric::kInnerProduct, base::Metric::kSquaredL2}) {
    const auto rows = ClusteredVectors(1500, kColumns, metric, 1);
    const auto queries = ClusteredVectors(20, kColumns, metric, 77);
    GraphIndex index = MakeIndex(rows.view(), metric, Profile::kSpeed);
    const std::size_t expected = SteppedWalkBytes(index, queries.view(), 20);
    const SearchParameters parameters{.beam_width = 20, .method = SearchMethod::kGraph};
    EXPECT_EQ(Ask(index, queries.view(), parameters).bytes_read, expected);
    // Rows that wait outside the graph are read, too.
    ASSERT_OK(index.Add(rows.view().First(5), 1));
    EXPECT_EQ(Ask(index, queries.view(), parameters).bytes_read, expected + 20 * 5 * kFloatRow);
  }
}

TEST(BytesRead, AScanReadsTheRowsItScores) {
  // 20 columns of float32 are 80 bytes, in rows of 128.
  const auto rows = ClusteredVectors(1000, 20, base::Metric::kCosine, 1);
  base::Bitmap allowed(1000);
  for (std::size_t i = 0; i < 1000; i += 10) allowed.Set(i);
  const SearchParameters all{.method = SearchMethod::kExact};
  const SearchParameters some{
      .method = SearchMethod::kExact, .allowed = &allowed, .allowed_count = allowed.CountSet()};
  for (const auto& [format, profile, row_bytes] : {std::tuple(RowFormat::kFloat32, Profile::kSpeed, 128),
                                                   std::tuple(RowFormat::kFloat16, Profile::kBalanced, 64),
                                                   std::tuple(RowFormat::kInt8, Profile::kSmall, 64 + 4)}) {
    FlatIndex flat(20, base::Metric::kCosine, format);
    ASSERT_OK(flat.Add(rows.view(), 1));
    const GraphIndex graph = MakeIndex(rows.view(), base::Metric::kCosine, profile);
    for (const SearchIndex* index :
         {static_cast<const SearchIndex*>(&flat), static_cast<const SearchIndex*>(&graph)}) {
      EXPECT_EQ(Ask(*index, rows.view().First(2), all).bytes_read, 2u * 1000 * row_bytes);
      EXPECT_EQ(Ask(*index, rows.view().First(2), some).bytes_read, 2u * 100 * row_bytes);
    }
  }
}

TEST(BytesRead, AreTheSameOneByOneAsTogetherAndEveryTime) {
  const auto rows = ClusteredVectors(1500, kColumns, base::Metric::kCosine, 1);
  for (const Profile profile : {Profile::kExact, Profile::kSpeed, Profile::kBalanced, Profile::kSmall}) {
    const GraphIndex index = MakeIndex(rows.view(), base::Metric::kCosine, profile);
    const SearchParameters parameters{.beam_width = 20, .method = SearchMethod::kGraph};
    const SearchCounters together = Ask(index, rows.view().First(30), parameters);
    SearchCounters alone;
    for (std::size_t i = 0; i < 30; ++i) {
      alone.Add(Ask(index, base::MatrixView(rows.row(i), 1, kColumns), parameters));
    }
    EXPECT_GT(together.bytes_read, 0u);
    EXPECT_EQ(together.bytes_read, alone.bytes_read);
    EXPECT_EQ(Ask(index, rows.view().First(30), parameters).bytes_read, together.bytes_read);
  }
}

}  // namespace
}  // namespace trivium::index
