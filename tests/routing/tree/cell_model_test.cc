// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_model.h"

#include <cmath>
#include <functional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/cell_world.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium::routing {
namespace {

using ::testing::HasSubstr;

const testing_support::CellWorld& TheWorld() {
  static const auto* const world = new testing_support::CellWorld(300, 11, 4, base::Metric::kSquaredL2);
  return *world;
}

void ExpectSame(const base::AlignedMatrix& one, const base::AlignedMatrix& other) {
  ASSERT_EQ(one.rows(), other.rows());
  ASSERT_EQ(one.columns(), other.columns());
  for (std::size_t i = 0; i < one.rows(); ++i) {
    EXPECT_TRUE(std::equal(one.row(i), one.row(i) + one.columns(), other.row(i)));
  }
}

class CellModelTest : public ::testing::Test {
 protected:
  testing_support::TempDir folder_;
  std::string path_ = folder_.path() + "/cells";
};

TEST_F(CellModelTest, IsReadAsItWasWritten) {
  for (const bool with_map : {true, false}) {
    for (const bool with_tree : {true, false}) {
      CellParts parts = TheWorld().Parts(4);
      if (!with_map) {
        parts.map = {};
        parts.levels.clear();
      }
      if (!with_tree) parts.splits = {};
      if (!with_map) parts.router = CellRouterKind::kCentroids;
      const auto model = CellModel::Create(std::move(parts));
      ASSERT_OK(model);
      const std::string path = path_ + (with_map ? "m" : "") + (with_tree ? "t" : "");
      ASSERT_OK((*model)->Write(path));
      EXPECT_THAT((*model)->Write(path), StatusIs(absl::StatusCode::kAlreadyExists));
      const auto read = CellModel::Open(path, /*verify=*/true);
      ASSERT_OK(read);
      const CellParts &one = (*model)->parts(), &other = (*read)->parts();
      EXPECT_EQ(one.depth, other.depth);
      EXPECT_EQ(one.metric, other.metric);
      EXPECT_EQ(one.router, other.router);
      EXPECT_EQ(one.probes, other.probes);
      EXPECT_EQ(one.centroid_weight, other.centroid_weight);
      EXPECT_EQ(one.mean_rows, other.mean_rows);
      ExpectSame(one.centroids, other.centroids);
      ExpectSame(one.map.weights, other.map.weights);
      ExpectSame(one.splits.weights, other.splits.weights);
      EXPECT_EQ(one.map.biases, other.map.biases);
      ASSERT_EQ(one.levels.size(), other.levels.size());
      for (std::size_t i = 0; i < one.levels.size(); ++i) {
        ExpectSame(one.levels[i].weights, other.levels[i].weights);
        EXPECT_EQ(one.levels[i].biases, other.levels[i].biases);
      }
      EXPECT_EQ((*read)->Has(CellRouterKind::kLevels), with_map);
      EXPECT_EQ(one.splits.biases, other.splits.biases);
      EXPECT_EQ((*read)->Has(CellRouterKind::kMap), with_map);
      EXPECT_EQ((*read)->Has(CellRouterKind::kTree), with_tree);
    }
  }
}

TEST_F(CellModelTest, ProbesAreThoseOfTheNextRecall) {
  const auto model = *CellModel::Create(TheWorld().Parts(4));
  EXPECT_EQ(model->Probes(CellRouterKind::kCentroids, 0.95), 3u);
  EXPECT_EQ(model->Probes(CellRouterKind::kCentroids, 0.5), 1u);
  EXPECT_EQ(model->Probes(CellRouterKind::kCentroids, 0.81), 2u);
  EXPECT_EQ(model->Probes(CellRouterKind::kMap, 1.0), 3u);
  CellParts parts = TheWorld().Parts(4);
  parts.probes = {};
  EXPECT_EQ((*CellModel::Create(std::move(parts)))->Probes(CellRouterKind::kMap), 1u);
}

TEST_F(CellModelTest, PartsThatDoNotFitAreRefused) {
  const std::function<void(CellParts*)> spoilers[] = {
      [](CellParts* parts) { parts->depth = 5; },
      [](CellParts* parts) { parts->depth = 0; },
      [](CellParts* parts) { parts->centroids.row(3)[2] = NAN; },
      [](CellParts* parts) { parts->map.weights.row(3)[2] = INFINITY; },
      [](CellParts* parts) { parts->map.biases.pop_back(); },
      [](CellParts* parts) { parts->map = {}; },  // which is the router
      [](CellParts* parts) {
        parts->map = {};  // which the levels need
        parts->router = CellRouterKind::kCentroids;
      },
      [](CellParts* parts) { parts->levels.emplace_back(); },
      [](CellParts* parts) { parts->levels[0].weights.row(1)[1] = NAN; },
      [](CellParts* parts) { parts->levels[0].biases.pop_back(); },
      [](CellParts* parts) { parts->splits.weights.Resize(16); },
      [](CellParts* parts) { parts->probes[1][1] = 17; },
      [](CellParts* parts) { parts->centroid_weight = NAN; },
      [](CellParts* parts) { parts->mean_rows = -1; },
      [](CellParts* parts) { parts->router = static_cast<CellRouterKind>(9); },
  };
  ASSERT_OK(CellModel::Create(TheWorld().Parts(4)));
  for (const auto& spoil : spoilers) {
    CellParts parts = TheWorld().Parts(4);
    spoil(&parts);
    EXPECT_THAT(CellModel::Create(std::move(parts)).status(), StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST_F(CellModelTest, DamageIsFoundWhereverItIs) {
  ASSERT_OK((*CellModel::Create(TheWorld().Parts(4)))->Write(path_));
  const std::string whole = testing_support::ReadWholeFile(path_);
  for (std::size_t at = 0; at < whole.size(); at += 37) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 16);
    testing_support::WriteWholeFile(path_, damaged);
    EXPECT_THAT(CellModel::Open(path_, /*verify=*/true).status(), StatusIs(absl::StatusCode::kDataLoss))
        << at;
    (void)CellModel::Open(path_, /*verify=*/false);  // fails or not, within its bounds
  }
  for (std::size_t size = 0; size < whole.size(); size += 501) {
    testing_support::WriteWholeFile(path_, whole.substr(0, size));
    EXPECT_THAT(CellModel::Open(path_, /*verify=*/false).status(), StatusIs(absl::StatusCode::kDataLoss))
        << size;
  }
}

TEST_F(CellModelTest, ADepthWithOtherBlocksIsFoundWithoutChecksums) {
  const auto write = [&](std::string_view magic, std::uint32_t version, std::uint32_t depth) {
    const std::string path = path_ + std::to_string(depth) + std::to_string(version);
    auto writer = *storage::SegmentFileWriter::Create(path);
    std::string header(128, '\0');
    header.replace(0, 8, magic);
    const std::uint32_t fields[] = {version, depth, 11, 2, 0, 0, 0, 0};
    header.replace(8, sizeof(fields), reinterpret_cast<const char*>(fields), sizeof(fields));
    const std::string centroids(std::size_t{16} * 11 * 4, '\0');
    const auto bytes = [](const std::string& text) {
      return absl::Span<const std::byte>(reinterpret_cast<const std::byte*>(text.data()), text.size());
    };
    EXPECT_OK(writer->AddBlock("cell_model", bytes(header)));
    EXPECT_OK(writer->AddBlock("centroids", bytes(centroids)));
    EXPECT_OK(writer->Commit());
    return CellModel::Open(path, /*verify=*/true).status();
  };
  const std::string_view magic("TRIVCEL", 8);
  EXPECT_OK(write(magic, 1, 4));
  EXPECT_THAT(write(magic, 1, 5), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("in block 'centroids'")));
  EXPECT_THAT(write(magic, 1, 200), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("depth")));
  EXPECT_THAT(write(magic, 7, 4), StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("version: 7")));
  EXPECT_THAT(write("SOMEFILE", 2, 4), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("first bytes")));
}

}  // namespace
}  // namespace trivium::routing
