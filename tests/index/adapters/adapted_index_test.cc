// SPDX-License-Identifier: Apache-2.0
// What SearchIndex promises, asked of every adapted library and metric.
#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "index/adapters/faiss_index.h"
#include "index/adapters/hnswlib_index.h"
#include "index/search_scratch.h"
#include "tests/index/adapters/random_rows.h"
#include "tests/support/status_matchers.h"

namespace trivium::index {
namespace {

using base::Metric;
using ::testing::HasSubstr;
using testing_support::RandomRows;
using testing_support::SlowNearestRows;

constexpr std::size_t kDimension = 19;
constexpr std::size_t kRows = 800;

enum class Library { kHnswlib, kFaissFlat, kFaissCells };

std::unique_ptr<SearchIndex> MakeIndex(Library library, std::size_t dimension, Metric metric) {
  if (library == Library::kHnswlib)
    return std::make_unique<HnswlibIndex>(dimension, metric, HnswlibOptions{});
  FaissOptions options;
  options.kind = library == Library::kFaissFlat ? FaissOptions::Kind::kFlat : FaissOptions::Kind::kCells;
  return std::make_unique<FaissIndex>(dimension, metric, options);
}

class AdaptedIndex : public ::testing::TestWithParam<std::tuple<Library, Metric>> {
 protected:
  AdaptedIndex()
      : metric_(std::get<1>(GetParam())),
        rows_(RandomRows(kRows, kDimension, metric_, 1)),
        queries_(RandomRows(20, kDimension, metric_, 2)),
        index_(MakeIndex(std::get<0>(GetParam()), kDimension, metric_)) {}

  void AddAll() { ASSERT_OK(index_->Add(rows_.view(), 1)); }

  std::vector<base::Neighbor> Search(const float* query, const SearchParameters& parameters) {
    std::vector<base::Neighbor> found = {{1, 1}};  // must be overwritten
    index_->Search(query, parameters, &scratch_, &found, &counters_);
    return found;
  }

  // `found` is what the slow search finds.
  void ExpectExact(const float* query, const SearchParameters& parameters) {
    const auto found = Search(query, parameters);
    const auto want = SlowNearestRows(rows_.view(), query, parameters.k, metric_, parameters.allowed);
    ASSERT_EQ(found.size(), want.size());
    for (std::size_t i = 0; i < want.size(); ++i) {
      EXPECT_EQ(found[i].row, want[i].second) << i;
      EXPECT_NEAR(found[i].distance, want[i].first, 1e-4);
    }
  }

  Metric metric_;
  base::AlignedMatrix rows_;
  base::AlignedMatrix queries_;
  std::unique_ptr<SearchIndex> index_;
  SearchScratch scratch_;
  SearchCounters counters_;
};

std::string LibraryAndMetric(const ::testing::TestParamInfo<std::tuple<Library, Metric>>& info) {
  const char* libraries[] = {"Hnswlib", "FaissFlat", "FaissCells"};
  const char* metrics[] = {"Cosine", "InnerProduct", "SquaredL2"};
  return std::string(libraries[static_cast<int>(std::get<0>(info.param))]) +
         metrics[static_cast<int>(std::get<1>(info.param))];
}

INSTANTIATE_TEST_SUITE_P(
    All, AdaptedIndex,
    ::testing::Combine(::testing::Values(Library::kHnswlib, Library::kFaissFlat, Library::kFaissCells),
                       ::testing::Values(Metric::kCosine, Metric::kInnerProduct, Metric::kSquaredL2)),
    LibraryAndMetric);

TEST_P(AdaptedIndex, KnowsItsShape) {
  EXPECT_EQ(index_->size(), 0);
  AddAll();
  EXPECT_EQ(index_->size(), kRows);
  EXPECT_EQ(index_->dimension(), kDimension);
  EXPECT_EQ(index_->metric(), metric_);
}

TEST_P(AdaptedIndex, AnEmptyIndexFindsNothing) {
  EXPECT_TRUE(Search(queries_.row(0), {.k = 5}).empty());
  ASSERT_OK(index_->Add(base::MatrixView(rows_.row(0), 0, kDimension, rows_.stride()), 1));
  EXPECT_TRUE(Search(queries_.row(0), {.k = 5, .method = SearchMethod::kGraph}).empty());
}

TEST_P(AdaptedIndex, ExactSearchFindsWhatTheSlowSearchFinds) {
  AddAll();
  for (std::size_t i = 0; i < queries_.rows(); ++i) {
    ExpectExact(queries_.row(i), {.k = 10, .method = SearchMethod::kExact});
  }
}

TEST_P(AdaptedIndex, RecallIsHighWithAWideBeam) {
  AddAll();
  std::size_t hits = 0;
  for (std::size_t i = 0; i < queries_.rows(); ++i) {
    const auto found = Search(queries_.row(i), {.k = 10, .beam_width = 60, .method = SearchMethod::kGraph});
    ASSERT_EQ(found.size(), 10);
    EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
    std::set<std::uint32_t> rows;
    for (const base::Neighbor& neighbor : found) rows.insert(neighbor.row);
    for (const auto& [distance, row] : SlowNearestRows(rows_.view(), queries_.row(i), 10, metric_)) {
      hits += rows.count(row);
    }
  }
  EXPECT_GT(hits, 0.9 * 10 * queries_.rows());
}

TEST_P(AdaptedIndex, FiltersNeverReturnFewerThanThereAre) {
  AddAll();
  base::Random random(3);
  for (std::size_t allowed_count : {0, 1, 3, 10, 11, 40, 400, 799, 800}) {
    std::vector<std::uint32_t> order(kRows);
    for (std::size_t i = 0; i < kRows; ++i) order[i] = static_cast<std::uint32_t>(i);
    random.Shuffle(order);
    base::Bitmap allowed(kRows + 7);
    for (std::size_t i = 0; i < allowed_count; ++i) allowed.Set(order[i]);
    for (SearchMethod method : {SearchMethod::kAuto, SearchMethod::kGraph, SearchMethod::kExact}) {
      SearchParameters parameters{
          .k = 10, .method = method, .allowed = &allowed, .allowed_count = allowed_count};
      const auto found = Search(queries_.row(0), parameters);
      ASSERT_EQ(found.size(), std::min<std::size_t>(10, allowed_count));
      std::set<std::uint32_t> distinct;
      for (const base::Neighbor& neighbor : found) {
        EXPECT_TRUE(allowed.Test(neighbor.row));
        distinct.insert(neighbor.row);
      }
      EXPECT_EQ(distinct.size(), found.size());
      if (method == SearchMethod::kExact || allowed_count <= 10) ExpectExact(queries_.row(0), parameters);
    }
  }
}

TEST_P(AdaptedIndex, RowsFarFromTheQueryAreFoundWhereOnlyTheyAreAllowed) {
  AddAll();
  base::Bitmap farthest(kRows);
  const auto all = SlowNearestRows(rows_.view(), queries_.row(0), kRows, metric_);
  for (std::size_t i = kRows - 5; i < kRows; ++i) farthest.Set(all[i].second);
  ExpectExact(
      queries_.row(0),
      {.k = 8, .beam_width = 1, .method = SearchMethod::kGraph, .allowed = &farthest, .allowed_count = 5});
}

TEST_P(AdaptedIndex, AskingForMoreThanThereIsReturnsAllRows) {
  AddAll();
  for (SearchMethod method : {SearchMethod::kAuto, SearchMethod::kGraph, SearchMethod::kExact}) {
    EXPECT_EQ(Search(queries_.row(0), {.k = kRows + 100, .method = method}).size(), kRows);
  }
}

TEST_P(AdaptedIndex, RowsAddedLaterAreFoundToo) {
  const base::MatrixView all = rows_.view();
  for (std::size_t first = 0, count = 100; first < kRows; first += count, count *= 2) {
    count = std::min(count, kRows - first);
    ASSERT_OK(index_->Add(base::MatrixView(all.row(first), count, all.columns, all.stride), 2));
  }
  EXPECT_EQ(index_->size(), kRows);
  for (std::size_t i = 0; i < 5; ++i) {
    ExpectExact(queries_.row(i), {.k = 10, .method = SearchMethod::kExact});
    EXPECT_EQ(Search(queries_.row(i), {.k = 10, .beam_width = 64, .method = SearchMethod::kGraph}).size(),
              10);
  }
}

TEST_P(AdaptedIndex, RowsSideBySideAreReadLikePaddedOnes) {
  std::vector<float> packed;
  for (std::size_t i = 0; i < kRows; ++i)
    packed.insert(packed.end(), rows_.row(i), rows_.row(i) + kDimension);
  ASSERT_OK(index_->Add(base::MatrixView(packed.data(), kRows, kDimension), 1));
  ExpectExact(queries_.row(0), {.k = 10, .method = SearchMethod::kExact});
}

TEST_P(AdaptedIndex, FewerRowsThanCellsOrLinksAreFine) {
  ASSERT_OK(index_->Add(base::MatrixView(rows_.row(0), 1, kDimension, rows_.stride()), 4));
  const auto found = Search(queries_.row(0), {.k = 3, .method = SearchMethod::kGraph});
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].row, 0);
}

TEST_P(AdaptedIndex, EqualRowsAreAllKept) {
  base::AlignedMatrix equal(300, kDimension);
  for (std::size_t i = 0; i < equal.rows(); ++i) std::copy_n(rows_.row(0), kDimension, equal.row(i));
  ASSERT_OK(index_->Add(equal.view(), 1));
  EXPECT_EQ(Search(rows_.row(0), {.k = 300, .method = SearchMethod::kGraph}).size(), 300);
}

TEST_P(AdaptedIndex, RowsAtAnInfiniteDistanceCountOrAreRefused) {
  base::AlignedMatrix huge(50, kDimension);
  for (std::size_t i = 0; i < huge.rows(); ++i) {
    std::fill_n(huge.row(i), kDimension, i % 2 == 0 ? 3e38f : -3e38f);
  }
  if (std::get<0>(GetParam()) == Library::kFaissCells) {
    EXPECT_THAT(index_->Add(huge.view(), 1),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("squared vector length: inf")));
    return;
  }
  ASSERT_OK(index_->Add(huge.view(), 1));
  EXPECT_EQ(Search(huge.row(0), {.k = 50, .method = SearchMethod::kGraph}).size(), 50);
  EXPECT_EQ(Search(huge.row(1), {.k = 7}).size(), 7);
}

TEST_P(AdaptedIndex, RowsOfAnotherDimensionAreRefused) {
  AddAll();
  const auto other = RandomRows(3, kDimension + 1, metric_, 4);
  EXPECT_THAT(index_->Add(other.view(), 1),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("vector dimension: 20, expected 19")));
  EXPECT_EQ(index_->size(), kRows);
}

TEST_P(AdaptedIndex, SearchesCountTheirDistances) {
  AddAll();
  Search(queries_.row(0), {.k = 10, .method = SearchMethod::kExact});
  EXPECT_GE(counters_.scan_distances, kRows);
  const SearchCounters before = counters_;
  Search(queries_.row(0), {.k = 10, .beam_width = 20, .method = SearchMethod::kGraph});
  const std::uint64_t once = counters_.distances() - before.distances();
  EXPECT_GT(once, 20);
  Search(queries_.row(0), {.k = 10, .beam_width = 20, .method = SearchMethod::kGraph});
  EXPECT_EQ(counters_.distances() - before.distances(), 2 * once);
  EXPECT_EQ(counters_.bytes_read, counters_.distances() * kDimension * sizeof(float));
}

TEST_P(AdaptedIndex, ThreadsMaySearchAtTheSameTime) {
  AddAll();
  const SearchParameters parameters{.k = 10, .beam_width = 50, .method = SearchMethod::kGraph};
  std::vector<std::vector<base::Neighbor>> alone(queries_.rows());
  for (std::size_t i = 0; i < queries_.rows(); ++i) alone[i] = Search(queries_.row(i), parameters);
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      SearchScratch scratch;
      std::vector<base::Neighbor> found;
      for (std::size_t i = 0; i < queries_.rows(); ++i) {
        index_->Search(queries_.row(i), parameters, &scratch, &found, nullptr);
        EXPECT_EQ(found, alone[i]);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(FaissIndex, FlatSearchIsExactWhateverTheMethod) {
  const auto rows = RandomRows(kRows, kDimension, Metric::kCosine, 1);
  const auto queries = RandomRows(20, kDimension, Metric::kCosine, 2);
  FaissIndex index(kDimension, Metric::kCosine, {});
  ASSERT_OK(index.Add(rows.view(), 1));
  SearchScratch scratch;
  std::vector<base::Neighbor> found;
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    index.Search(queries.row(i), {.k = 10}, &scratch, &found, nullptr);
    const auto want = SlowNearestRows(rows.view(), queries.row(i), 10, Metric::kCosine);
    ASSERT_EQ(found.size(), want.size());
    for (std::size_t j = 0; j < want.size(); ++j) EXPECT_EQ(found[j].row, want[j].second);
  }
}

TEST(FaissIndex, CellsRefuseRowsThatAreNotFiniteAndKeepTheOthers) {
  auto rows = RandomRows(100, kDimension, Metric::kSquaredL2, 1);
  FaissIndex index(kDimension, Metric::kSquaredL2, {.kind = FaissOptions::Kind::kCells});
  ASSERT_OK(index.Add(rows.view(), 1));
  rows.row(50)[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(index.Add(rows.view(), 1), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("(row 50)")));
  EXPECT_EQ(index.size(), 100);
}

TEST(FaissIndex, MoreProbedCellsFindMore) {
  const auto rows = RandomRows(kRows, kDimension, Metric::kSquaredL2, 1);
  const auto queries = RandomRows(20, kDimension, Metric::kSquaredL2, 2);
  FaissIndex index(kDimension, Metric::kSquaredL2, {.kind = FaissOptions::Kind::kCells, .cell_count = 50});
  ASSERT_OK(index.Add(rows.view(), 1));
  SearchScratch scratch;
  std::vector<base::Neighbor> few, many;
  double few_sum = 0, many_sum = 0;
  SearchCounters few_counters, many_counters;
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    index.Search(queries.row(i), {.k = 10, .beam_width = 2}, &scratch, &few, &few_counters);
    index.Search(queries.row(i), {.k = 10, .beam_width = 30}, &scratch, &many, &many_counters);
    few_sum += few.back().distance;
    many_sum += many.back().distance;
  }
  EXPECT_LT(many_sum, few_sum);
  EXPECT_GT(many_counters.scan_distances, 4 * few_counters.scan_distances);
}

TEST(AdapterOptions, FieldsOutOfRangeAreNamed) {
  EXPECT_OK(HnswlibOptions{}.Validate());
  EXPECT_THAT(HnswlibOptions{.degree_bound = 1}.Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("degree_bound: 1")));
  EXPECT_THAT(HnswlibOptions{.build_beam_width = 5000}.Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("build_beam_width: 5000")));
  EXPECT_OK(FaissOptions{}.Validate());
  EXPECT_THAT(FaissOptions{.cell_count = 1 << 21}.Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("cell_count: 2097152")));
  EXPECT_THAT(FaissOptions{.probed_cells = 0}.Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("probed_cells: 0")));
}

}  // namespace
}  // namespace trivium::index
