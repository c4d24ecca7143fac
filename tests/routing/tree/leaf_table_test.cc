// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/leaf_table.h"

#include <cmath>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "storage/segment_file.h"
#include "tests/support/random_vectors.h"
#include "tests/support/slow_tree.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium::routing {
namespace {

using ::testing::HasSubstr;
using testing_support::RandomTree;
using testing_support::SlowTreeSearch;

constexpr std::size_t kDimension = 12;

class LeafTableTest : public ::testing::Test {
 protected:
  std::vector<base::Neighbor> Find(const LeafTable& table, const SplitTree& tree, const float* query,
                                   std::size_t level, std::size_t k, const base::Bitmap* allowed = nullptr) {
    scratch_.query.Set(tree, query);
    std::vector<base::Neighbor> found;
    counters_ = {};
    table.Search(scratch_.query, level, k, allowed, &scratch_, &found, &counters_);
    return found;
  }

  base::AlignedMatrix rows_ = testing_support::ClusteredVectors(500, kDimension, base::Metric::kCosine, 1);
  base::AlignedMatrix queries_ = testing_support::ClusteredVectors(6, kDimension, base::Metric::kCosine, 2);
  LeafScratch scratch_;
  index::SearchCounters counters_;
};

TEST_F(LeafTableTest, AnswersAreThoseOfAScanAtEveryLevelAndDepth) {
  for (const std::size_t depth : {1u, 3u, 4u, 5u, 8u, 9u}) {
    for (const double steepness : {0.5, 4.0}) {  // spread over many leaves, and over few
      const SplitTree tree = RandomTree(kDimension, depth, 0, depth, steepness);
      const auto table = LeafTable::Build(tree, rows_.view(), 2);
      for (std::size_t level = 1; level <= depth; ++level) {
        for (std::size_t i = 0; i < queries_.rows(); ++i) {
          for (const std::size_t k : {1u, 10u, 600u}) {
            EXPECT_EQ(Find(*table, tree, queries_.row(i), level, k),
                      SlowTreeSearch(tree, rows_.view(), queries_.row(i), level, k))
                << depth << " " << level << " " << k;
          }
        }
      }
    }
  }
}

// Whether masses are cut at the leaves, on levels above, or nowhere.
TEST_F(LeafTableTest, AnswersOfGivenTreesAreThoseOfAScanAtEveryLevelAndUnit) {
  for (const std::size_t depth : {1u, 5u, 8u}) {
    for (const double sharpness : {0.3, 2.0, 8.0}) {
      const base::AlignedMatrix rows = testing_support::RandomDistributions(120, depth, sharpness, 1);
      const base::AlignedMatrix queries = testing_support::RandomDistributions(2, depth, sharpness, 2);
      SplitTree tree = SplitTree::Given(depth);
      for (std::size_t halvings = 0; halvings <= depth; halvings += 2) {
        tree.mass_unit = std::ldexp(1.0f / 255, -static_cast<int>(halvings));
        const auto table = LeafTable::Build(tree, rows.view(), 2);
        for (std::size_t level = 1; level <= depth; ++level) {
          for (std::size_t i = 0; i < queries.rows(); ++i) {
            EXPECT_EQ(Find(*table, tree, queries.row(i), level, 10),
                      SlowTreeSearch(tree, rows.view(), queries.row(i), level, 10))
                << depth << " " << sharpness << " " << halvings << " " << level;
          }
        }
      }
    }
  }
}

TEST_F(LeafTableTest, OnlyAllowedRowsAreFound) {
  const SplitTree tree = RandomTree(kDimension, 8, 0, 1, 3);
  const auto table = LeafTable::Build(tree, rows_.view(), 1);
  base::Bitmap allowed(rows_.rows());
  for (std::size_t i = 0; i < rows_.rows(); i += 7) allowed.Set(i);
  for (std::size_t i = 0; i < queries_.rows(); ++i) {
    EXPECT_EQ(Find(*table, tree, queries_.row(i), 8, 10, &allowed),
              SlowTreeSearch(tree, rows_.view(), queries_.row(i), 8, 10, &allowed));
  }
  EXPECT_TRUE(Find(*table, tree, queries_.row(0), 8, 10, &(allowed = base::Bitmap(rows_.rows()))).empty());
}

TEST_F(LeafTableTest, CoarseLevelsSaveReadingTheFine) {
  const SplitTree tree = RandomTree(kDimension, 10, 0, 1, 6);
  const auto table = LeafTable::Build(tree, rows_.view(), 1);
  EXPECT_EQ(table->bytes_per_row(), (64u + 64 + 256 + 1024) * 3 / 2);  // 16 masses take the room of 64
  Find(*table, tree, queries_.row(0), 10, 10);
  EXPECT_GE(counters_.code_distances, rows_.rows());
  EXPECT_LT(counters_.bytes_read, rows_.rows() * 1024 / 2);
}

TEST_F(LeafTableTest, MassesOfKeptLevelsAreHalvesOfTheirChildrensSumsRoundedUp) {
  const SplitTree tree = RandomTree(kDimension, 8, 0, 1, 2);
  const auto table = LeafTable::Build(tree, rows_.view(), 1);
  for (std::size_t i = 0; i < rows_.rows(); ++i) {
    for (const std::size_t level : {4u, 6u}) {
      for (std::size_t j = 0; j < std::size_t{1} << level; ++j) {
        const std::uint8_t* below = table->masses(i, level + 2) + 4 * j;
        const int first = (below[0] + below[1] + 1) / 2, second = (below[2] + below[3] + 1) / 2;
        ASSERT_EQ(table->masses(i, level)[j], (first + second + 1) / 2);
      }
    }
  }
  EXPECT_EQ(table->masses(0, 7), nullptr);
}

TEST_F(LeafTableTest, AFileAnswersAsTheTableThatWroteIt) {
  const testing_support::TempDir directory(testing_support::TempDir::kMemory);
  const SplitTree tree = RandomTree(kDimension, 6, 0, 1, 2);
  const auto table = LeafTable::Build(tree, rows_.view(), 1);
  const std::string path = directory.File("leaves");
  ASSERT_OK(table->Write(path));
  ASSERT_OK_AND_ASSIGN(const auto opened, LeafTable::Open(path, tree, rows_.rows(), /*verify=*/true));
  EXPECT_EQ(Find(*opened, tree, queries_.row(0), 6, 10), Find(*table, tree, queries_.row(0), 6, 10));
  EXPECT_EQ(opened->bytes_per_row(), table->bytes_per_row());
  EXPECT_THAT(table->Write(path), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(LeafTable::Open(path, tree, rows_.rows() + 1, false),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("expected version 2, 501 rows")));
  const SplitTree deeper = RandomTree(kDimension, 7, 0, 1, 2);
  EXPECT_THAT(LeafTable::Open(path, deeper, rows_.rows(), false), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(LeafTableTest, AFileOfTheFirstVersionHasNoCodesAndAnswersAlike) {
  const testing_support::TempDir directory(testing_support::TempDir::kMemory);
  const SplitTree tree = RandomTree(kDimension, 6, 0, 1, 2);
  const auto table = LeafTable::Build(tree, rows_.view(), 1);
  struct {
    std::uint64_t version, rows;
    std::uint32_t depth;
    float unit;
  } const header{1, rows_.rows(), 6, tree.mass_unit};
  const std::string path = directory.File("leaves");
  ASSERT_OK_AND_ASSIGN(const auto writer, storage::SegmentFileWriter::Create(path));
  const auto bytes_of = [](const void* bytes, std::size_t size) {
    return absl::MakeConstSpan(static_cast<const std::byte*>(bytes), size);
  };
  ASSERT_OK(writer->AddBlock("leaf_header", bytes_of(&header, sizeof(header))));
  for (const std::size_t level : {4u, 6u}) {
    ASSERT_OK(writer->AddBlock(level == 4 ? "leaves_4" : "leaves_6",
                               bytes_of(table->masses(0, level), rows_.rows() * 64)));
  }
  ASSERT_OK(writer->Commit());
  ASSERT_OK_AND_ASSIGN(const auto opened, LeafTable::Open(path, tree, rows_.rows(), /*verify=*/true));
  for (const std::size_t level : {3u, 6u}) {
    EXPECT_EQ(Find(*opened, tree, queries_.row(0), level, 10),
              Find(*table, tree, queries_.row(0), level, 10));
  }
}

TEST_F(LeafTableTest, DamageIsDataLoss) {
  const testing_support::TempDir directory(testing_support::TempDir::kMemory);
  const SplitTree tree = RandomTree(kDimension, 4, 0, 1, 2);
  const std::string path = directory.File("leaves"), other = directory.File("other");
  ASSERT_OK(LeafTable::Build(tree, rows_.view().First(40), 1)->Write(path));
  const std::string bytes = testing_support::ReadWholeFile(path);
  for (std::size_t size = 0; size < bytes.size(); size += 97) {
    testing_support::WriteWholeFile(other, bytes.substr(0, size));
    EXPECT_THAT(LeafTable::Open(other, tree, 40, false), StatusIs(absl::StatusCode::kDataLoss)) << size;
  }
  std::size_t unnoticed = 0;  // zeros between blocks carry nothing
  for (std::size_t at = 0; at < bytes.size(); at += 61) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 4);
    testing_support::WriteWholeFile(other, flipped);
    const auto opened = LeafTable::Open(other, tree, 40, /*verify=*/true);
    if (!opened.ok()) {
      EXPECT_THAT(opened, StatusIs(absl::StatusCode::kDataLoss)) << at;
      continue;
    }
    ++unnoticed;
    EXPECT_EQ(Find(**opened, tree, queries_.row(0), 4, 10),
              SlowTreeSearch(tree, rows_.view().First(40), queries_.row(0), 4, 10));
  }
  EXPECT_LT(unnoticed, bytes.size() / 61);
}

}  // namespace
}  // namespace trivium::routing
