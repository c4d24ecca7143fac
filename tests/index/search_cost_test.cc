// SPDX-License-Identifier: Apache-2.0
// What a search costs on fixed collections, against recorded figures: a change that makes graphs or walks
// worse shows here before any clock is asked. Counters do not depend on the machine or the thread count;
// between instruction sets the build's roundings move them by some tenths of a percent.
//
// To update after a change that is meant: run
//   build/release/bin/trivium_index_test --gtest_filter='SearchCost*'
// copy what it prints as `measured` into the tables below, and say in the commit why they moved. Figures may
// always fall and recall rise; record that too, or the gate stays loose.
#include <cstdio>
#include <vector>

#include "absl/types/span.h"
#include "base/bitmap.h"
#include "index/graph_index.h"
#include "index/search_scratch.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"

namespace trivium::index {
namespace {

using testing_support::ClusteredVectors;

constexpr std::size_t kQueryCount = 100;

struct Cost {
  std::size_t beam_width;
  double recall;           // of 10 neighbours; may be lower by 0.005
  double hops;             // each a query; may be larger by 2 %
  double code_distances;   // estimated
  double graph_distances;  // exact
  double bytes;            // read
};

constexpr Cost kCosine[] = {{24, 0.986, 54.80, 2064.4, 16.00, 64104},
                            {64, 0.998, 82.47, 2977.5, 18.00, 90404}};
constexpr Cost kInnerProduct[] = {{64, 0.967, 39.66, 1564.8, 18.00, 51535}};
constexpr Cost kSquaredL2[] = {{64, 0.995, 34.32, 1388.6, 17.91, 46702}};
constexpr Cost kFiltered[] = {{64, 1.000, 648.14, 21644.6, 49.46, 617855}};
constexpr Cost kWithoutCodes[] = {{24, 0.990, 26.88, 0.0, 453.56, 63357},
                                  {64, 1.000, 66.13, 0.0, 938.98, 132856}};
constexpr Cost kBalanced[] = {{24, 0.912, 28.75, 509.0, 28.75, 27843},
                              {64, 0.998, 42.27, 639.8, 42.27, 37222}};
constexpr Cost kSmall[] = {{64, 0.989, 42.27, 639.0, 42.27, 31953}};

struct Collection {
  base::Metric metric;
  std::size_t rows, dimension;
  std::size_t allowed_step = 1;  // every so-manieth row may be found
  Profile profile = Profile::kSpeed;
};

void ExpectNotAbove(const Collection& collection, absl::Span<const Cost> recorded) {
  const auto rows = ClusteredVectors(collection.rows, collection.dimension, collection.metric, 1, 100);
  const auto queries = ClusteredVectors(kQueryCount, collection.dimension, collection.metric, 2, 100);
  GraphBuildOptions options;
  options.beam_width = 80;
  options.profile = collection.profile;
  GraphIndex index(collection.dimension, collection.metric, options);
  ASSERT_OK(index.Add(rows.view(), 2));
  base::Bitmap allowed(collection.rows);
  for (std::size_t i = 0; i < collection.rows; i += collection.allowed_step) allowed.Set(i);
  const bool filtered = collection.allowed_step > 1;
  std::vector<std::vector<base::Neighbor>> expected, found(kQueryCount);
  for (std::size_t i = 0; i < kQueryCount; ++i) {
    expected.push_back(
        testing_support::SlowSearch(rows.view(), collection.metric, queries.row(i), 10, &allowed));
  }
  SearchScratch scratch;
  for (const Cost& cost : recorded) {
    SearchCounters counters;
    const SearchParameters parameters = {.beam_width = cost.beam_width,
                                         .method = SearchMethod::kGraph,
                                         .allowed = filtered ? &allowed : nullptr,
                                         .allowed_count = filtered ? allowed.CountSet() : 0};
    std::vector<SearchCounters> costs(kQueryCount);
    index.SearchMany(queries.view(), parameters, &scratch, found.data(), costs.data());
    for (const SearchCounters& one : costs) counters.Add(one);
    double hits = 0;
    for (std::size_t i = 0; i < kQueryCount; ++i) hits += testing_support::CountFound(found[i], expected[i]);
    const double recall = hits / (10 * kQueryCount);
    const auto each = [](std::uint64_t count) { return static_cast<double>(count) / kQueryCount; };
    std::printf("measured: {%zu, %.3f, %.2f, %.1f, %.2f, %.0f}\n", cost.beam_width, recall,
                each(counters.hops), each(counters.code_distances), each(counters.graph_distances),
                each(counters.bytes_read));
    EXPECT_GE(recall, cost.recall - 0.005);
    EXPECT_LE(each(counters.hops), 1.02 * cost.hops);
    EXPECT_LE(each(counters.code_distances), 1.02 * cost.code_distances);
    EXPECT_LE(each(counters.graph_distances), 1.02 * cost.graph_distances);
    EXPECT_LE(each(counters.bytes_read), 1.02 * cost.bytes);
    EXPECT_EQ(counters.scan_distances, 0u);
  }
}

TEST(SearchCost, OfWalksForTheCosineIsAtMostAsRecorded) {
  ExpectNotAbove({base::Metric::kCosine, 10000, 128}, kCosine);
}
TEST(SearchCost, OfWalksForInnerProductsIsAtMostAsRecorded) {
  ExpectNotAbove({base::Metric::kInnerProduct, 5000, 128}, kInnerProduct);
}
TEST(SearchCost, OfWalksForSquaredDistancesIsAtMostAsRecorded) {
  ExpectNotAbove({base::Metric::kSquaredL2, 5000, 128}, kSquaredL2);
}
TEST(SearchCost, OfFilteredWalksIsAtMostAsRecorded) {
  ExpectNotAbove({base::Metric::kCosine, 5000, 128, 5}, kFiltered);
}
TEST(SearchCost, OfWalksWithExactDistancesIsAtMostAsRecorded) {
  ExpectNotAbove({base::Metric::kCosine, 5000, 32}, kWithoutCodes);
}
TEST(SearchCost, OfWalksInTheProfileBalancedIsAtMostAsRecorded) {
  ExpectNotAbove({base::Metric::kCosine, 5000, 128, 1, Profile::kBalanced}, kBalanced);
}
TEST(SearchCost, OfWalksInTheProfileSmallIsAtMostAsRecorded) {
  ExpectNotAbove({base::Metric::kCosine, 5000, 128, 1, Profile::kSmall}, kSmall);
}

}  // namespace
}  // namespace trivium::index
