// SPDX-License-Identifier: Apache-2.0
// CellLists::Search by codes, beside the same cells without codes.
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/vector_rows.h"
#include "routing/tree/cell_lists.h"
#include "tests/support/cell_world.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium::routing {
namespace {

using base::Metric;
using Found = std::vector<base::Neighbor>;

constexpr Metric kMetrics[] = {Metric::kCosine, Metric::kInnerProduct, Metric::kSquaredL2};
constexpr int kDepth = 5;
constexpr std::size_t kRows = 4000, kDimension = 96;

struct World : testing_support::CellWorld {
  explicit World(Metric metric)
      : CellWorld(kRows, kDimension, kDepth, metric),
        model(*CellModel::Create(Parts(kDepth))),
        coded(*CellLists::Build(*model, rows.view(), 2)),
        queries(testing_support::ClusteredVectors(60, kDimension, metric, 9)) {
    std::vector<std::uint32_t> cell_of(kRows);
    for (std::uint32_t cell = 0; cell < coded->cell_count(); ++cell) {
      for (const std::uint32_t row : coded->Rows(cell)) cell_of[row] = cell;
    }
    plain = CellLists::FromCells(cell_of, coded->cell_count());
  }
  std::shared_ptr<const CellModel> model;
  std::shared_ptr<const CellLists> coded, plain;
  base::AlignedMatrix queries;
};

const World& Of(Metric metric) {
  static const auto* const cosine = new World(Metric::kCosine);
  static const auto* const product = new World(Metric::kInnerProduct);
  static const auto* const squared = new World(Metric::kSquaredL2);
  return metric == Metric::kCosine ? *cosine : metric == Metric::kInnerProduct ? *product : *squared;
}

class CellSearchTest : public ::testing::Test {
 protected:
  Found Search(const CellLists& lists, const CellModel& model, const index::RowDistances& distances,
               const float* query, const CellSearchParameters& parameters) {
    Found found;
    counters_ = {};
    lists.Search(model, distances, query, parameters, &order_, &scratch_, &found, &counters_);
    return found;
  }

  CellOrder order_;
  index::SearchScratch scratch_;
  index::SearchCounters counters_;
  testing_support::TempDir folder_;
  std::string path_ = folder_.path() + "/lists";
};

TEST_F(CellSearchTest, CodesLoseLittleOfWhatTheRowsOfTheSameCellsHold) {
  for (const Metric metric : kMetrics) {
    const World& world = Of(metric);
    for (const index::RowFormat format :
         {index::RowFormat::kFloat32, index::RowFormat::kFloat16, index::RowFormat::kInt8}) {
      index::VectorRows stored(kDimension, format, metric);
      ASSERT_OK(stored.Append(world.rows.view()));
      const index::RowDistances distances(stored.view(), metric);
      std::size_t wanted = 0, kept = 0, coded_rows = 0, compared = 0;
      for (const std::size_t probes : {1, 6, 32}) {
        for (std::size_t i = 0; i < world.queries.rows(); ++i) {
          const float* query = world.queries.row(i);
          const CellSearchParameters parameters = {.k = 10, .probes = probes};
          const Found expected = Search(*world.plain, *world.model, distances, query, parameters);
          const std::uint64_t rows = counters_.scan_distances;
          const Found found = Search(*world.coded, *world.model, distances, query, parameters);
          ASSERT_EQ(found.size(), 10u);
          EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
          for (const base::Neighbor& one : found) {
            // To the last bit the distance of the row: found again by comparing it alone.
            const index::RowQuery asked = scratch_.query_words.Prepare(format, query, kDimension);
            float distance;
            distances.Gather(asked, &one.row, 1, &distance);
            EXPECT_EQ(one.distance, distance);
          }
          for (const base::Neighbor& one : expected) {
            kept += std::count(found.begin(), found.end(), one);
            ++wanted;
          }
          coded_rows += rows;
          compared += counters_.scan_distances;
        }
      }
      EXPECT_GE(static_cast<double>(kept), 0.998 * static_cast<double>(wanted));
      EXPECT_LT(compared, coded_rows / 2);
    }
  }
}

TEST_F(CellSearchTest, WhatIsReadIsCounted) {
  const World& world = Of(Metric::kCosine);
  const index::RowDistances distances(world.rows.view(), Metric::kCosine);
  const float* query = world.queries.row(3);
  Search(*world.coded, *world.model, distances, query,
         {.k = 10, .probes = 5, .router = CellRouterKind::kCentroids});
  CellOrder order;
  order.Start(*world.model, CellRouterKind::kCentroids, query, 5);
  std::size_t rows = 0, packs = 0, before[33] = {};
  for (std::size_t cell = 0; cell < 32; ++cell)
    before[cell + 1] = before[cell] + world.coded->Rows(cell).size();
  for (std::size_t i = 0; i < 5; ++i) {
    const std::size_t cell = order.Cell(i);
    rows += before[cell + 1] - before[cell];
    packs += (before[cell + 1] + 31) / 32 - before[cell] / 32;
  }
  EXPECT_EQ(counters_.code_distances, rows + 32 + 5);
  EXPECT_LT(counters_.scan_distances, rows);
  EXPECT_GE(counters_.scan_distances, 10u);
  EXPECT_EQ(counters_.bytes_read, counters_.scan_distances * 384 + (32 + 5) * 384 + packs * (128 + 4 * 128));
}

TEST_F(CellSearchTest, AsManyAsAreAskedForAreFoundWhateverTheFilter) {
  for (const Metric metric : kMetrics) {
    const World& world = Of(metric);
    const index::RowDistances distances(world.rows.view(), metric);
    base::Random random(4);
    for (const std::size_t allowed_rows : {0, 1, 40, 900, 3000, 4000}) {
      base::Bitmap allowed(kRows);
      while (allowed.CountSet() < allowed_rows) allowed.Set(random.Below(kRows));
      for (const std::size_t k : {1, 10, 400, 5000}) {
        const Found found = Search(*world.coded, *world.model, distances, world.rows.row(3),
                                   {.k = k, .probes = 1, .allowed = &allowed, .allowed_count = allowed_rows});
        EXPECT_EQ(found.size(), std::min(k, allowed_rows));
        EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
        std::set<std::uint32_t> distinct;
        for (const base::Neighbor& one : found) {
          EXPECT_TRUE(allowed.Test(one.row));
          distinct.insert(one.row);
        }
        EXPECT_EQ(distinct.size(), found.size());
      }
    }
    EXPECT_EQ(
        Search(*world.coded, *world.model, distances, world.rows.row(3), {.k = 9999, .probes = 1}).size(),
        kRows);
  }
}

TEST_F(CellSearchTest, CodesLoseLittleUnderAFilterToo) {
  const World& world = Of(Metric::kCosine);
  const index::RowDistances distances(world.rows.view(), Metric::kCosine);
  base::Bitmap allowed(kRows);
  for (std::size_t i = 0; i < kRows; i += 2) allowed.Set(i);
  const CellSearchParameters parameters = {
      .k = 10, .probes = 6, .allowed = &allowed, .allowed_count = kRows / 2};
  std::size_t kept = 0;
  for (std::size_t i = 0; i < world.queries.rows(); ++i) {
    const float* query = world.queries.row(i);
    const Found expected = Search(*world.plain, *world.model, distances, query, parameters);
    const Found found = Search(*world.coded, *world.model, distances, query, parameters);
    ASSERT_EQ(found.size(), 10u);
    for (const base::Neighbor& one : expected) kept += std::count(found.begin(), found.end(), one);
  }
  EXPECT_GE(kept, 10 * world.queries.rows() * 995 / 1000);
}

TEST_F(CellSearchTest, OfFewAllowedRowsNoCodesAreRead) {
  const World& world = Of(Metric::kSquaredL2);
  const index::RowDistances distances(world.rows.view(), Metric::kSquaredL2);
  base::Bitmap allowed(kRows);
  for (std::size_t i = 0; i < 100; ++i) allowed.Set(i * 40);
  const CellSearchParameters parameters = {.k = 10, .probes = 32, .allowed = &allowed, .allowed_count = 100};
  const Found found = Search(*world.coded, *world.model, distances, world.queries.row(1), parameters);
  EXPECT_EQ(counters_.scan_distances, 100u);
  EXPECT_EQ(found, Search(*world.plain, *world.model, distances, world.queries.row(1), parameters));
}

TEST_F(CellSearchTest, RowsBeyondFloat32AreFoundToo) {
  const World& world = Of(Metric::kSquaredL2);
  base::AlignedMatrix rows = testing_support::CopyOf(world.rows);
  for (std::size_t i = 0; i < 50; ++i) rows.row(i * 7)[3] = 3e38f;
  const auto lists = CellLists::Build(*world.model, rows.view(), 1);
  ASSERT_OK(lists);
  const index::RowDistances distances(rows.view(), Metric::kSquaredL2);
  EXPECT_EQ(Search(**lists, *world.model, distances, world.queries.row(0), {.k = kRows, .probes = 1}).size(),
            kRows);
}

TEST_F(CellSearchTest, AFileBringsTheCodesBackAndDamageIsFound) {
  const World& world = Of(Metric::kCosine);
  const index::RowDistances distances(world.rows.view(), Metric::kCosine);
  ASSERT_OK(world.coded->Write(path_));
  const auto read = CellLists::Open(path_, /*verify=*/true);
  ASSERT_OK(read);
  ASSERT_NE((*read)->codes(), nullptr);
  EXPECT_EQ((*read)->bytes(), world.coded->bytes());
  EXPECT_EQ((*read)->bytes(), 33u * 4 + kRows * 4 + kRows / 32 * (128 + 4 * 128));
  const CellSearchParameters parameters = {.k = 10, .probes = 4};
  for (std::size_t i = 0; i < 10; ++i) {
    const float* query = world.queries.row(i);
    const Found expected = Search(*world.coded, *world.model, distances, query, parameters);
    const index::SearchCounters counted = counters_;
    EXPECT_EQ(Search(**read, *world.model, distances, query, parameters), expected);
    EXPECT_EQ(counters_, counted);
  }
  const std::string whole = testing_support::ReadWholeFile(path_);
  for (std::size_t at = 0; at < whole.size(); at += 1031) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x41);
    testing_support::WriteWholeFile(path_, damaged);
    EXPECT_THAT(CellLists::Open(path_, true).status(), StatusIs(absl::StatusCode::kDataLoss)) << at;
    const auto unverified = CellLists::Open(path_, false);
    if (!unverified.ok()) continue;
    EXPECT_EQ(
        Search(**unverified, *world.model, distances, world.queries.row(0), {.k = 10, .probes = 32}).size(),
        10u);
  }
  for (std::size_t size = 0; size < whole.size(); size += 4999) {
    testing_support::WriteWholeFile(path_, whole.substr(0, size));
    EXPECT_THAT(CellLists::Open(path_, false).status(), StatusIs(absl::StatusCode::kDataLoss)) << size;
  }
}

TEST_F(CellSearchTest, OtherCodesThanTheModelsAreRefusedOrNotUsed) {
  const auto write = [&](std::uint32_t dimension, std::uint32_t metric, std::size_t code_bytes,
                         std::vector<float> origin) {
    std::remove(path_.c_str());
    auto writer = *storage::SegmentFileWriter::Create(path_);
    std::string header(64, '\0');
    header.replace(0, 7, "TRIVCLS");
    header[8] = 2;
    header[16] = 4;  // rows
    header[24] = 2;  // cells
    std::memcpy(&header[32], &dimension, 4);
    std::memcpy(&header[36], &metric, 4);
    const auto bytes = [](const auto& values) {
      return absl::Span<const std::byte>(reinterpret_cast<const std::byte*>(values.data()),
                                         values.size() * sizeof(values[0]));
    };
    EXPECT_OK(writer->AddBlock("cell_lists", bytes(header)));
    EXPECT_OK(writer->AddBlock("offsets", bytes(std::vector<std::uint32_t>{0, 2, 4})));
    EXPECT_OK(writer->AddBlock("rows", bytes(std::vector<std::uint32_t>{0, 3, 1, 2})));
    EXPECT_OK(writer->AddBlock("codes", bytes(std::string(code_bytes, '\1'))));
    EXPECT_OK(writer->AddBlock("origin", bytes(origin)));
    EXPECT_OK(writer->Commit());
    return CellLists::Open(path_, /*verify=*/true);
  };
  const auto damaged = StatusIs(absl::StatusCode::kDataLoss);
  const std::size_t pack = 128 + 4 * 64;
  EXPECT_OK(write(64, 2, pack, std::vector<float>(64)));
  EXPECT_THAT(write(64, 3, pack, std::vector<float>(64)).status(), damaged);
  EXPECT_THAT(write(64, 2, pack - 1, std::vector<float>(64)).status(), damaged);
  EXPECT_THAT(write(64, 2, pack, std::vector<float>(63)).status(), damaged);
  EXPECT_THAT(write(64, 2, pack, std::vector<float>(64, NAN)).status(), damaged);
  EXPECT_THAT(write(70000, 2, pack, std::vector<float>(64)).status(), damaged);
  EXPECT_EQ((*write(0, 0, 0, {}))->codes(), nullptr);
  // Codes of another dimension than the model's: cells are searched by rows.
  CellParts parts;
  parts.depth = 1;
  parts.metric = Metric::kSquaredL2;
  parts.centroids = testing_support::RandomMatrix(2, 128, 1);
  const auto model = *CellModel::Create(std::move(parts));
  const base::AlignedMatrix rows = testing_support::RandomMatrix(4, 128, 2);
  const auto lists = *write(64, 2, pack, std::vector<float>(64));
  EXPECT_EQ(
      Search(*lists, *model, index::RowDistances(rows.view(), Metric::kSquaredL2), rows.row(1), {.k = 4})
          .size(),
      4u);
}

// Rows, centroids and queries of small integers, so that all distances are exact: found rows, counts and
// codes are the same on every instruction set (CMakeLists.txt runs this on each).
TEST_F(CellSearchTest, IsTheSameOnEveryInstructionSet) {
  base::Random random(5);
  const auto integers = [&](std::size_t rows) {
    base::AlignedMatrix matrix(rows, 128);
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < 128; ++j) {
        matrix.row(i)[j] = static_cast<float>((i * 131 + j * j) % 29 < 9 ? i % 16 : 0) +
                           static_cast<float>(random.Below(21)) - 10;
      }
    }
    return matrix;
  };
  CellParts parts;
  parts.depth = 4;
  parts.metric = Metric::kSquaredL2;
  parts.centroids = integers(16);
  const auto model = *CellModel::Create(std::move(parts));
  const base::AlignedMatrix rows = integers(3000), queries = integers(50);
  const auto lists = *CellLists::Build(*model, rows.view(), 1);
  const index::RowDistances distances(rows.view(), Metric::kSquaredL2);
  std::uint64_t hash = 14695981039346656037u;
  const auto add = [&](std::uint64_t value) { hash = (hash ^ value) * 1099511628211u; };
  for (std::size_t i = 0; i < lists->codes()->bytes(); ++i) add(lists->codes()->packs()[i]);
  EXPECT_EQ(hash, 13453201430033724107u);  // of the codes
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    for (const base::Neighbor& one :
         Search(*lists, *model, distances, queries.row(i), {.k = 10, .probes = 5})) {
      add(one.row);
    }
    add(counters_.scan_distances);
    add(counters_.bytes_read);
  }
  EXPECT_EQ(hash, 4774685363328916387u);
}

}  // namespace
}  // namespace trivium::routing
