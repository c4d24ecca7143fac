// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_lists.h"

#include <numeric>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/vector_rows.h"
#include "tests/support/cell_world.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium::routing {
namespace {

using base::Metric;
using ::testing::HasSubstr;
using testing_support::SlowSearch;

constexpr int kDepth = 5;

const testing_support::CellWorld& World(Metric metric) {
  static const auto* const cosine = new testing_support::CellWorld(900, 16, kDepth, Metric::kCosine);
  static const auto* const product = new testing_support::CellWorld(900, 16, kDepth, Metric::kInnerProduct);
  static const auto* const squared = new testing_support::CellWorld(900, 16, kDepth, Metric::kSquaredL2);
  return metric == Metric::kCosine ? *cosine : metric == Metric::kInnerProduct ? *product : *squared;
}

std::vector<std::uint32_t> RowsOf(const CellLists& lists, std::size_t cell) {
  return {lists.Rows(cell).begin(), lists.Rows(cell).end()};
}

void ExpectSame(const CellLists& one, const CellLists& other) {
  ASSERT_EQ(one.cell_count(), other.cell_count());
  for (std::size_t cell = 0; cell < one.cell_count(); ++cell) {
    EXPECT_EQ(RowsOf(one, cell), RowsOf(other, cell));
  }
}

class CellListsTest : public ::testing::Test {
 protected:
  std::vector<base::Neighbor> Search(const testing_support::CellWorld& world, const CellModel& model,
                                     const float* query, const CellSearchParameters& parameters) {
    std::vector<base::Neighbor> found;
    counters_ = {};
    world.lists->Search(model, index::RowDistances(world.rows.view(), world.metric), query, parameters,
                        &order_, &scratch_, &found, &counters_);
    return found;
  }

  CellOrder order_;
  index::SearchScratch scratch_;
  index::SearchCounters counters_;
  testing_support::TempDir folder_;
  std::string path_ = folder_.path() + "/lists";
  int counter_ = 0;
};

TEST_F(CellListsTest, AreThoseOfTheBuilder) {
  for (const Metric metric : {Metric::kCosine, Metric::kInnerProduct, Metric::kSquaredL2}) {
    const auto model = *CellModel::Create(World(metric).Parts(kDepth));
    const auto lists = CellLists::Build(*model, World(metric).rows.view(), 2);
    ASSERT_OK(lists);
    ExpectSame(**lists, *World(metric).lists);
    EXPECT_EQ((*lists)->used_cells(), 32u);
    EXPECT_LE((*lists)->largest_cell(), 4u * 900 / 32);
  }
}

TEST_F(CellListsTest, AllCellsTogetherAnswerAsAScan) {
  for (const Metric metric : {Metric::kCosine, Metric::kInnerProduct, Metric::kSquaredL2}) {
    const auto& world = World(metric);
    const auto model = *CellModel::Create(world.Parts(kDepth));
    const auto queries = testing_support::ClusteredVectors(20, 16, metric, 9);
    for (const auto kind :
         {CellRouterKind::kCentroids, CellRouterKind::kMap, CellRouterKind::kTree, CellRouterKind::kLevels}) {
      for (std::size_t i = 0; i < queries.rows(); ++i) {
        const auto found = Search(world, *model, queries.row(i), {.k = 12, .probes = 32, .router = kind});
        const auto expected = SlowSearch(world.rows.view(), metric, queries.row(i), 12);
        ASSERT_EQ(found.size(), 12u);
        for (std::size_t j = 0; j < 12; ++j) EXPECT_EQ(found[j].row, expected[j].row);
        EXPECT_EQ(counters_.scan_distances, 900u);
      }
    }
  }
}

TEST_F(CellListsTest, ReadsOnlyTheCellsThatComeFirst) {
  const auto& world = World(Metric::kCosine);
  const auto model = *CellModel::Create(world.Parts(kDepth));
  const float* query = world.rows.row(500);
  const auto found =
      Search(world, *model, query, {.k = 3, .probes = 2, .router = CellRouterKind::kCentroids});
  CellOrder order;
  order.Start(*model, CellRouterKind::kCentroids, query, 2);
  std::vector<std::uint32_t> rows = RowsOf(*world.lists, order.Cell(0));
  const auto second = RowsOf(*world.lists, order.Cell(1));
  rows.insert(rows.end(), second.begin(), second.end());
  base::Bitmap in_cells(900);
  for (std::uint32_t row : rows) in_cells.Set(row);
  EXPECT_EQ(counters_.scan_distances, rows.size());
  EXPECT_EQ(counters_.code_distances, 32u);
  EXPECT_EQ(counters_.bytes_read, rows.size() * 64 + 32u * 64);
  const auto expected = SlowSearch(world.rows.view(), Metric::kCosine, query, 3, &in_cells);
  for (std::size_t j = 0; j < 3; ++j) EXPECT_EQ(found[j].row, expected[j].row);
  EXPECT_EQ(found[0].row, 500u);
}

TEST_F(CellListsTest, AsManyAsAreAskedForAreFoundWhateverTheFilter) {
  const auto& world = World(Metric::kSquaredL2);
  const auto model = *CellModel::Create(world.Parts(kDepth));
  base::Random random(4);
  for (const std::size_t allowed_rows : {0, 1, 5, 40, 300, 900}) {
    base::Bitmap allowed(900);
    while (allowed.CountSet() < allowed_rows) allowed.Set(random.Below(900));
    for (const std::size_t k : {1, 10, 200, 2000}) {
      for (const auto kind : {CellRouterKind::kMap, CellRouterKind::kTree, CellRouterKind::kLevels}) {
        const auto found =
            Search(world, *model, world.rows.row(3),
                   {.k = k, .probes = 1, .router = kind, .allowed = &allowed, .allowed_count = allowed_rows});
        EXPECT_EQ(found.size(), std::min(k, allowed_rows));
        for (const base::Neighbor& neighbor : found) EXPECT_TRUE(allowed.Test(neighbor.row));
        EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
      }
    }
    const auto found = Search(world, *model, world.rows.row(3), {.k = 2000, .probes = 1});
    EXPECT_EQ(found.size(), 900u);
  }
}

TEST_F(CellListsTest, FewAllowedRowsAreScannedExactly) {
  const auto& world = World(Metric::kCosine);
  const auto model = *CellModel::Create(world.Parts(kDepth));
  base::Bitmap allowed(900);
  for (std::size_t i = 0; i < 20; ++i) allowed.Set(i * 45);
  const auto found =
      Search(world, *model, world.rows.row(7), {.k = 5, .allowed = &allowed, .allowed_count = 20});
  const auto expected = SlowSearch(world.rows.view(), Metric::kCosine, world.rows.row(7), 5, &allowed);
  ASSERT_EQ(found.size(), 5u);
  for (std::size_t j = 0; j < 5; ++j) EXPECT_EQ(found[j].row, expected[j].row);
  EXPECT_EQ(counters_.scan_distances, 20u);
  EXPECT_EQ(counters_.code_distances, 0u);
}

TEST_F(CellListsTest, CompressedRowsAreSearchedAsTheyAreStored) {
  const auto& world = World(Metric::kCosine);
  const auto model = *CellModel::Create(world.Parts(kDepth));
  for (const index::RowFormat format : {index::RowFormat::kFloat16, index::RowFormat::kInt8}) {
    index::VectorRows stored(16, format, Metric::kCosine);
    ASSERT_OK(stored.Append(world.rows.view()));
    const auto lists = CellLists::Build(*model, stored.view(), 1);
    ASSERT_OK(lists);
    std::vector<base::Neighbor> found;
    (*lists)->Search(*model, index::RowDistances(stored.view(), Metric::kCosine), world.rows.row(11),
                     {.k = 5, .probes = 3, .router = CellRouterKind::kCentroids}, &order_, &scratch_, &found,
                     nullptr);
    ASSERT_EQ(found.size(), 5u);
    EXPECT_EQ(found[0].row, 11u);
  }
}

TEST_F(CellListsTest, OneRankingServesSegmentsOfASet) {
  const auto& world = World(Metric::kCosine);
  const auto model = *CellModel::Create(world.Parts(kDepth));
  const base::MatrixView all = world.rows.view();
  const base::MatrixView second_rows(all.row(500), 400, all.columns, all.stride);
  const auto first = *CellLists::Build(*model, all.First(500), 1),
             second = *CellLists::Build(*model, second_rows, 1);
  const auto queries = testing_support::ClusteredVectors(20, 16, Metric::kCosine, 9);
  CellSearchParameters parameters = {.k = 10, .probes = 4, .router = CellRouterKind::kLevels};
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    const float* query = queries.row(i);
    std::vector<base::Neighbor> alone, found;
    index::SearchCounters counted, resumed;
    const index::RowDistances distances(second_rows, Metric::kCosine);
    parameters.resume = false;
    second->Search(*model, distances, query, parameters, &order_, &scratch_, &alone, &counted);
    first->Search(*model, index::RowDistances(all.First(500), Metric::kCosine), query, parameters, &order_,
                  &scratch_, &found, nullptr);
    parameters.resume = true;
    second->Search(*model, distances, query, parameters, &order_, &scratch_, &found, &resumed);
    EXPECT_EQ(found, alone);
    EXPECT_EQ(resumed.scan_distances, counted.scan_distances);
    EXPECT_GT(counted.code_distances, 0u);
    EXPECT_EQ(resumed.code_distances, 0u);
  }
}

TEST_F(CellListsTest, GrowByRowsThatComeLater) {
  const auto& world = World(Metric::kSquaredL2);
  const auto model = *CellModel::Create(world.Parts(kDepth));
  const auto lists = CellLists::FromCells(absl::MakeConstSpan(world.built.cell_of).first(700), 32);
  const auto grown = lists->Extended(*model, world.rows.view(), 1);
  ASSERT_OK(grown);
  EXPECT_EQ((*grown)->size(), 900u);
  std::size_t same = 0;
  for (std::size_t cell = 0; cell < 32; ++cell) {
    for (std::uint32_t row : (*grown)->Rows(cell)) {
      if (row < 700) {
        EXPECT_EQ(world.built.cell_of[row], cell);
      }
      same += world.built.cell_of[row] == cell ? 1 : 0;
    }
  }
  EXPECT_GT(same, 890u);  // but for those that found a cell full
  EXPECT_THAT(lists->Extended(*model, world.rows.view().First(600), 1).status(),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(CellListsTest, NoRowsHaveListsToo) {
  const auto model = *CellModel::Create(World(Metric::kCosine).Parts(kDepth));
  const base::AlignedMatrix none(16);
  const auto lists = CellLists::Build(*model, base::MatrixView(nullptr, 0, 16), 1);
  ASSERT_OK(lists);
  std::vector<base::Neighbor> found;
  (*lists)->Search(*model, index::RowDistances(base::MatrixView(nullptr, 0, 16), Metric::kCosine),
                   World(Metric::kCosine).rows.row(0), {}, &order_, &scratch_, &found, nullptr);
  EXPECT_TRUE(found.empty());
  ASSERT_OK((*lists)->Write(path_));
  EXPECT_OK(CellLists::Open(path_, true));
  EXPECT_THAT(CellLists::Build(*model, base::MatrixView(nullptr, 0, 15), 1).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("of 15 numbers, expected 16")));
}

TEST_F(CellListsTest, AreReadAsTheyWereWritten) {
  const auto& world = World(Metric::kCosine);
  ASSERT_OK(world.lists->Write(path_));
  EXPECT_THAT(world.lists->Write(path_), StatusIs(absl::StatusCode::kAlreadyExists));
  const auto read = CellLists::Open(path_, /*verify=*/true);
  ASSERT_OK(read);
  ExpectSame(**read, *world.lists);
}

TEST_F(CellListsTest, DamageIsFoundWhereverItIs) {
  ASSERT_OK(World(Metric::kCosine).lists->Write(path_));
  const std::string whole = testing_support::ReadWholeFile(path_);
  for (std::size_t at = 0; at < whole.size(); at += 41) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 2);
    testing_support::WriteWholeFile(path_, damaged);
    EXPECT_THAT(CellLists::Open(path_, true).status(), StatusIs(absl::StatusCode::kDataLoss)) << at;
    (void)CellLists::Open(path_, false);
  }
  for (std::size_t size = 0; size < whole.size(); size += 501) {
    testing_support::WriteWholeFile(path_, whole.substr(0, size));
    EXPECT_THAT(CellLists::Open(path_, false).status(), StatusIs(absl::StatusCode::kDataLoss)) << size;
  }
}

TEST_F(CellListsTest, RowsAreCheckedWhateverTheChecksumsSay) {
  const auto open = [&](std::vector<std::uint32_t> offsets, std::vector<std::uint32_t> rows) {
    const std::string path = path_ + std::to_string(counter_++);
    auto writer = *storage::SegmentFileWriter::Create(path);
    std::string header(64, '\0');
    header.replace(0, 7, "TRIVCLS");
    header[8] = 1;
    header[16] = 4;  // rows
    header[24] = 2;  // cells
    const auto bytes = [](const auto& values) {
      return absl::Span<const std::byte>(reinterpret_cast<const std::byte*>(values.data()),
                                         values.size() * sizeof(values[0]));
    };
    EXPECT_OK(writer->AddBlock("cell_lists", bytes(header)));
    EXPECT_OK(writer->AddBlock("offsets", bytes(offsets)));
    EXPECT_OK(writer->AddBlock("rows", bytes(rows)));
    EXPECT_OK(writer->Commit());
    return CellLists::Open(path, /*verify=*/true).status();
  };
  const auto damaged = StatusIs(absl::StatusCode::kDataLoss);
  EXPECT_OK(open({0, 2, 4}, {0, 3, 1, 2}));
  EXPECT_OK(open({0, 0, 4}, {0, 1, 2, 3}));
  EXPECT_THAT(open({0, 2, 4}, {0, 4, 1, 2}), damaged);  // no such row
  EXPECT_THAT(open({0, 2, 4}, {0, 3, 1, 3}), damaged);  // twice
  EXPECT_THAT(open({0, 2, 4}, {3, 0, 1, 2}), damaged);  // out of order
  EXPECT_THAT(open({0, 5, 4}, {0, 3, 1, 2}), damaged);
  EXPECT_THAT(open({1, 2, 4}, {0, 3, 1, 2}), damaged);
  EXPECT_THAT(open({0, 2, 3}, {0, 3, 1, 2}), damaged);
  EXPECT_THAT(open({0, 2}, {0, 3, 1, 2}), damaged);
  EXPECT_THAT(open({0, 2, 4}, {0, 3, 1}), damaged);
}

}  // namespace
}  // namespace trivium::routing
