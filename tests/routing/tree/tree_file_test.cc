// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/tree_file.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/segment_file.h"
#include "tests/support/slow_tree.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium::routing {
namespace {

using ::testing::HasSubstr;
using testing_support::RandomTree;
using testing_support::ReadWholeFile;
using testing_support::TempDir;
using testing_support::WriteWholeFile;

std::vector<float> Probabilities(const SplitTree& tree) {
  std::vector<float> x(tree.dimension), features(tree.features()), probabilities(tree.nodes());
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i));
  tree.Assign(x.data(), features.data(), probabilities.data());
  return probabilities;
}

TEST(TreeFile, ReadsBackWhatWasWritten) {
  for (const std::size_t hidden : {0, 5}) {
    const TempDir dir(TempDir::kMemory);
    const SplitTree tree = RandomTree(19, 4, hidden, 7);
    ASSERT_OK(WriteTree(tree, dir.File("tree")));
    ASSERT_OK_AND_ASSIGN(const SplitTree read, OpenTree(dir.File("tree")));
    EXPECT_EQ(read.dimension, 19u);
    EXPECT_EQ(read.depth, 4u);
    EXPECT_EQ(read.layer.rows(), hidden);
    EXPECT_EQ(read.mass_unit, tree.mass_unit);
    EXPECT_EQ(Probabilities(read), Probabilities(tree));
    EXPECT_THAT(WriteTree(tree, dir.File("tree")), StatusIs(absl::StatusCode::kAlreadyExists));
  }
}

TEST(TreeFile, ReadsBackAGivenTree) {
  for (const std::size_t depth : {1u, 6u, 12u}) {
    const TempDir dir(TempDir::kMemory);
    SplitTree tree = SplitTree::Given(depth);
    tree.mass_unit = 0.25f / 255;
    ASSERT_OK(WriteTree(tree, dir.File("tree")));
    ASSERT_OK_AND_ASSIGN(const SplitTree read, OpenTree(dir.File("tree")));
    EXPECT_TRUE(read.given());
    EXPECT_EQ(read.dimension, std::size_t{1} << depth);
    EXPECT_EQ(read.depth, depth);
    EXPECT_EQ(read.mass_unit, tree.mass_unit);
    EXPECT_EQ(Probabilities(read), Probabilities(tree));
  }
}

TEST(TreeFile, IsNotFoundWhereThereIsNone) {
  const TempDir dir(TempDir::kMemory);
  EXPECT_THAT(OpenTree(dir.File("tree")), StatusIs(absl::StatusCode::kNotFound));
}

// What is read of a file cut or changed anywhere is an error, or, where only padding changed, the same.
class DamagedTreeFile : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Given, DamagedTreeFile, ::testing::Bool());

TEST_P(DamagedTreeFile, IsRefusedWhereItWasCutOrChanged) {
  const TempDir dir(TempDir::kMemory);
  const SplitTree tree = GetParam() ? SplitTree::Given(3) : RandomTree(6, 2, 3, 7);
  ASSERT_OK(WriteTree(tree, dir.File("tree")));
  const std::string bytes = ReadWholeFile(dir.File("tree"));
  std::size_t refused = 0, tried = 0;
  for (std::size_t at = 0; at < bytes.size(); at += at % 4096 < 100 ? 3 : 509) {
    WriteWholeFile(dir.File("short"), std::string_view(bytes).substr(0, at));
    EXPECT_THAT(OpenTree(dir.File("short")), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("short"))) << at;
    std::string flipped = bytes;
    flipped[at] ^= 4;
    WriteWholeFile(dir.File("flipped"), flipped);
    const absl::StatusOr<SplitTree> read = OpenTree(dir.File("flipped"));
    ++tried;
    if (read.ok()) {
      EXPECT_EQ(Probabilities(*read), Probabilities(tree)) << at;
    } else {
      EXPECT_THAT(read, StatusIs(absl::StatusCode::kDataLoss, HasSubstr("flipped"))) << at;
      ++refused;
    }
  }
  EXPECT_GT(refused, tried / 4);
}

struct Header {
  std::uint64_t version = 1, dimension = 6, depth = 2, hidden = 0;
  double mass_unit = 0.01;
};
struct SecondHeader {
  Header first{.version = 2};
  std::uint64_t kind = 0;
};

// A file whose checksums are right.
template <class AnyHeader>
void WriteBlocks(const std::string& path, const AnyHeader& header, const std::vector<float>& splits,
                 const std::vector<float>& biases) {
  ASSERT_OK_AND_ASSIGN(const auto writer, storage::SegmentFileWriter::Create(path));
  const auto add = [&](std::string_view name, const void* data, std::size_t size) {
    ASSERT_OK(writer->AddBlock(name, {static_cast<const std::byte*>(data), size}));
  };
  add("tree_header", &header, sizeof(header));
  add("splits", splits.data(), splits.size() * sizeof(float));
  add("biases", biases.data(), biases.size() * sizeof(float));
  ASSERT_OK(writer->Commit());
}

TEST(TreeFile, RefusesSizesAndValuesThatMakeNoSense) {
  const TempDir dir(TempDir::kMemory);
  int number = 0;
  const auto open_any = [&](const auto& header, const std::vector<float>& splits,
                            const std::vector<float>& biases) {
    const std::string path = dir.File("tree" + std::to_string(++number));
    WriteBlocks(path, header, splits, biases);
    return OpenTree(path).status();
  };
  const auto open = [&](const Header& header, const std::vector<float>& splits,
                        const std::vector<float>& biases) { return open_any(header, splits, biases); };
  const std::vector<float> splits(18, 0.5f), biases(3, 0.5f);
  EXPECT_OK(open({}, splits, biases));  // of version 1
  EXPECT_OK(open_any(SecondHeader(), splits, biases));
  EXPECT_OK(open_any(SecondHeader{{.version = 2, .dimension = 4}, 1}, {}, {}));  // a given tree
  for (const SecondHeader& header :
       {SecondHeader{{.version = 1}, 0}, SecondHeader{{.version = 3}, 0}, SecondHeader{{.version = 2}, 2},
        SecondHeader{{.version = 2}, 1}, SecondHeader{{.version = 2, .dimension = 4, .hidden = 3}, 1},
        SecondHeader{{.version = 2, .dimension = 8}, 1},
        SecondHeader{{.version = 2, .dimension = 8192, .depth = 13}, 1},
        SecondHeader{{.version = 2, .dimension = 4, .mass_unit = 0}, 1}}) {
    EXPECT_THAT(open_any(header, {}, {}), StatusIs(absl::StatusCode::kDataLoss));
  }
  for (const Header& header :
       {Header{.version = 2}, Header{.dimension = 0}, Header{.dimension = 7},
        Header{.dimension = std::uint64_t{1} << 40}, Header{.depth = 0}, Header{.depth = 3},
        Header{.depth = 13}, Header{.depth = 63}, Header{.hidden = 6}, Header{.hidden = 65536},
        Header{.hidden = std::uint64_t{1} << 62}, Header{.mass_unit = 0}, Header{.mass_unit = 2},
        Header{.mass_unit = std::nan("")}}) {
    EXPECT_THAT(open(header, splits, biases), StatusIs(absl::StatusCode::kDataLoss));
  }
  EXPECT_THAT(open({}, std::vector<float>(17), biases),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("block 'splits' of 68 bytes, expected 72")));
  for (const float wrong : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    std::vector<float> changed = splits;
    changed[7] = wrong;
    EXPECT_THAT(open({}, changed, biases),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("block 'splits', row 1 is not finite")));
    EXPECT_THAT(open({}, splits, {0, wrong, 0}), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("biases")));
  }
}

}  // namespace
}  // namespace trivium::routing
