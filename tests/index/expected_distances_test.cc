// SPDX-License-Identifier: Apache-2.0
// What a search is expected to cost, against what searches did cost.
#include <cstddef>
#include <memory>
#include <numeric>
#include <vector>

#include "base/bitmap.h"
#include "gtest/gtest.h"
#include "index/graph_search.h"
#include "index/search_scratch.h"
#include "index/vector_segment.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium::index {
namespace {

constexpr std::size_t kRows = 4000, kColumns = 64, kQueries = 50;

class ExpectedDistances : public ::testing::TestWithParam<Profile> {
 protected:
  void SetUp() override {
    const auto rows = testing_support::ClusteredVectors(kRows, kColumns, base::Metric::kCosine, 1, 40);
    std::vector<std::uint64_t> labels(kRows);
    std::iota(labels.begin(), labels.end(), std::uint64_t{0});
    GraphBuildOptions options;
    options.profile = GetParam();
    ASSERT_OK(
        VectorSegment::Build(rows.view(), labels, base::Metric::kCosine, options, dir_.File("segment")));
    ASSERT_OK_AND_ASSIGN(segment_, VectorSegment::Open(dir_.File("segment"), false));
  }

  double Measured(const SearchParameters& parameters) const {
    const auto queries = testing_support::ClusteredVectors(kQueries, kColumns, base::Metric::kCosine, 2, 40);
    SearchScratch scratch;
    SearchCounters counters;
    std::vector<base::Neighbor> found;
    for (std::size_t i = 0; i < kQueries; ++i) {
      segment_->Search(queries.row(i), parameters, &scratch, &found, &counters);
    }
    return static_cast<double>(counters.distances()) / kQueries;
  }

  double Expected(const SearchParameters& parameters) const {
    return ExpectedSearchDistances(segment_->searchable(), parameters);
  }

  testing_support::TempDir dir_;
  std::shared_ptr<const VectorSegment> segment_;
};

TEST_P(ExpectedDistances, OfAScanAreItsRows) {
  base::Bitmap allowed(kRows);
  for (std::size_t i = 0; i < kRows; i += 5) allowed.Set(i);
  for (const SearchParameters& parameters :
       {SearchParameters{.method = SearchMethod::kExact},
        SearchParameters{.method = SearchMethod::kExact, .allowed = &allowed, .allowed_count = kRows / 5}}) {
    EXPECT_EQ(Expected(parameters), Measured(parameters));
  }
}

TEST_P(ExpectedDistances, OfAWalkAreAboutThoseOfWalks) {
  for (const std::size_t beam_width : {24, 64, 96, 200}) {
    const SearchParameters parameters = {.beam_width = beam_width, .method = SearchMethod::kGraph};
    const double measured = Measured(parameters), expected = Expected(parameters);
    EXPECT_LT(expected, 2.5 * measured) << beam_width;
    EXPECT_GT(expected, measured / 2.5) << beam_width;
  }
}

TEST_P(ExpectedDistances, AreOfTheWayThatTheIndexWouldTake) {
  SearchParameters parameters;
  parameters.beam_width = 16;
  const bool scans = Measured(parameters) == kRows;
  EXPECT_EQ(Expected(parameters) == kRows, scans);
  parameters.beam_width = kRows;  // so wide a beam loses to a scan
  EXPECT_EQ(Expected(parameters), kRows);
  EXPECT_EQ(Measured(parameters), kRows);
}

INSTANTIATE_TEST_SUITE_P(Profiles, ExpectedDistances,
                         ::testing::Values(Profile::kSpeed, Profile::kBalanced, Profile::kSmall,
                                           Profile::kExact));

}  // namespace
}  // namespace trivium::index
