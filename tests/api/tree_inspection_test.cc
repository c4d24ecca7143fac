// SPDX-License-Identifier: Apache-2.0
// What is told of the nodes of a tree, against sums over all documents.
#include "api/tree_inspection.h"

#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "routing/tree/tree_file.h"
#include "tests/support/random_vectors.h"
#include "tests/support/slow_tree.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "trivium/engine.h"

namespace trivium {
namespace {

using ::testing::HasSubstr;

TEST(DistinguishingTerms, AreThoseThatTheOtherSideLacks) {
  TermCounts own, other;
  for (int i = 0; i < 40; ++i) {
    own.Add({"kidney", "kidney", "patient", i % 2 == 0 ? "dose" : "blood"});
    other.Add({"court", "patient", i % 2 == 0 ? "dose" : "appeal"});
  }
  EXPECT_EQ(own.Count("kidney"), 40u);  // once a document
  EXPECT_EQ(own.total(), 120u);
  const std::vector<TreeTerm> terms = DistinguishingTerms(own, other, 10);
  ASSERT_EQ(terms.size(), 2u);
  EXPECT_EQ(terms[0].term, "kidney");
  EXPECT_EQ(terms[1].term, "blood");
  EXPECT_GT(terms[0].score, terms[1].score);
  // By the formula: prior 100 in proportion to both together, here 40 of 240.
  const double prior = 100.0 * 40 / 240;
  const double odds =
      std::log((40 + prior) / (120 + 100 - 40 - prior)) - std::log(prior / (120 + 100 - prior));
  EXPECT_NEAR(terms[0].score, odds / std::sqrt(1 / (40 + prior) + 1 / prior), 1e-9);
  EXPECT_EQ(DistinguishingTerms(own, other, 1).size(), 1u);
  EXPECT_TRUE(DistinguishingTerms(TermCounts(), other, 10).empty());
}

TEST(GreedyPath, GoesToTheMoreProbableChild) {
  const std::vector<std::uint8_t> leaves = {50, 60, 150, 40};
  std::vector<float> nodes;
  NodeProbabilities(leaves.data(), 2, &nodes);
  EXPECT_FLOAT_EQ(nodes[1], 1);
  EXPECT_FLOAT_EQ(nodes[2], 110.0f / 300);
  EXPECT_EQ(GreedyPath(nodes, 2), (std::vector<std::uint32_t>{1, 3, 6}));
}

class TreeInspectionTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kDimension = 16, kDocuments = 120, kDepth = 4;

  TreeInspectionTest()
      : vectors_(testing_support::ClusteredVectors(kDocuments, kDimension, base::Metric::kCosine, 1, 2)) {
    auto opened = Store::Open(dir_.File("kb"));
    EXPECT_OK(opened.status());
    store_ = *std::move(opened);
    EXPECT_OK(store_->AddSpace({.name = "dense", .dimension = kDimension}));
    // Two clusters, a partition and a word each.
    Write(0, kDocuments / 2, "medicine", "the kidney of a patient");
    Write(kDocuments / 2, kDocuments, "law", "the court of appeal");
    TrainTreeOptions options;
    options.training = {.depth = kDepth, .steps = 50, .threads = 1, .ignore_gate = true};
    EXPECT_OK(store_->TrainTree(options).status());
    for (const auto& entry : std::filesystem::directory_iterator(dir_.File("kb") + "/segments")) {
      auto tree = routing::OpenTree(entry.path());
      if (tree.ok()) tree_ = *std::move(tree);
    }
  }
  void Write(std::size_t first, std::size_t last, const std::string& partition, const std::string& text) {
    std::vector<std::string> ids, texts;
    std::vector<float> rows;
    for (std::size_t i = first; i < last; ++i) {
      ids.push_back(std::to_string(i));
      texts.push_back(text + " number " + std::to_string(i));
      rows.insert(rows.end(), vectors_.row(i), vectors_.row(i) + kDimension);
    }
    UpsertBatch batch;
    batch.ids = ids;
    batch.texts = texts;
    batch.vectors = {{"dense", {rows.data(), last - first, kDimension}}};
    batch.partition = partition;
    EXPECT_OK(store_->Upsert(batch).status());
  }

  testing_support::TempDir dir_{testing_support::TempDir::kMemory};
  base::AlignedMatrix vectors_;
  routing::SplitTree tree_;
  std::unique_ptr<Store> store_;
};

TEST_F(TreeInspectionTest, SumsUpTheDocumentsOfANode) {
  InspectTreeOptions options;
  options.levels = 2;
  ASSERT_OK_AND_ASSIGN(const TreeInspection told, store_->InspectTree(options));
  EXPECT_EQ(told.space, "dense");
  EXPECT_EQ(told.documents, kDocuments);
  EXPECT_EQ(told.depth, kDepth);
  EXPECT_TRUE(told.path.empty());
  ASSERT_EQ(told.nodes.size(), 7u);
  for (const TreeNode& node : told.nodes) {
    double documents = 0, second = 0, entropy = 0;
    std::uint64_t greedy = 0;
    for (std::size_t i = 0; i < kDocuments; ++i) {
      const auto probability = [&](std::size_t v) {
        return testing_support::SlowProbability(tree_, vectors_.row(i), v);
      };
      const double p = probability(node.node), q = probability(2 * node.node + 1);
      documents += p;
      second += q;
      const double share = q / p;
      if (share > 0 && share < 1)
        entropy -= p * (share * std::log2(share) + (1 - share) * std::log2(1 - share));
      bool here = true;
      for (std::size_t v = node.node; v > 1; v /= 2) here = here && probability(v) > probability(v ^ 1);
      greedy += here;
    }
    EXPECT_NEAR(node.documents, documents, 0.05) << node.node;
    EXPECT_NEAR(node.balance, second / documents, 0.01) << node.node;
    EXPECT_NEAR(node.split_entropy, entropy / documents, 0.02) << node.node;
    EXPECT_NEAR(static_cast<double>(node.greedy), static_cast<double>(greedy), 2)
        << node.node;  // by rounded masses
    EXPECT_EQ(node.level, node.node == 1 ? 0u : node.node < 4 ? 1u : 2u);
  }
  EXPECT_EQ(told.nodes[0].greedy, kDocuments);
  EXPECT_DOUBLE_EQ(told.nodes[0].purity, 0.5);
  EXPECT_TRUE(told.nodes[0].terms.empty());  // the root has no sibling
  // The first split tells the clusters apart.
  for (const TreeNode& node : {told.nodes[1], told.nodes[2]}) {
    EXPECT_GT(node.purity, 0.9);
    ASSERT_FALSE(node.terms.empty());
    const bool law = node.partition == "law";
    EXPECT_THAT(node.terms[0].term, ::testing::AnyOf(law ? "court" : "kidney", law ? "appeal" : "patient"));
    ASSERT_EQ(node.typical.size(), 3u);
    EXPECT_EQ(node.typical[0].partition, node.partition);
    EXPECT_GT(node.typical[0].probability, 0.5);
  }
}

TEST_F(TreeInspectionTest, TellsOfOneNode) {
  InspectTreeOptions options;
  options.node = 5;
  options.terms = 2;
  options.typical = 1;
  ASSERT_OK_AND_ASSIGN(const TreeInspection told, store_->InspectTree(options));
  ASSERT_EQ(told.nodes.size(), 1u);
  EXPECT_EQ(told.nodes[0].node, 5u);
  EXPECT_LE(told.nodes[0].terms.size(), 2u);
  EXPECT_LE(told.nodes[0].typical.size(), 1u);
}

TEST_F(TreeInspectionTest, FollowsAQuestionToWhereADocumentLeaves) {
  InspectTreeOptions options;
  options.question.vectors = {{"dense", {vectors_.row(3), 1, kDimension}}};
  options.document = "3";
  ASSERT_OK_AND_ASSIGN(const TreeInspection same, store_->InspectTree(options));
  ASSERT_EQ(same.path.size(), kDepth + 1);
  ASSERT_EQ(same.nodes.size(), kDepth + 1);
  for (std::size_t i = 0; i < same.path.size(); ++i) {
    EXPECT_FALSE(same.path[i].left);
    EXPECT_EQ(same.path[i].document, same.path[i].probability);
    EXPECT_EQ(same.nodes[i].node, same.path[i].node);
    EXPECT_NEAR(same.path[i].probability,
                testing_support::SlowProbability(tree_, vectors_.row(3), same.path[i].node), 1e-3);
  }
  options.document = std::to_string(kDocuments - 3);  // of the other cluster
  ASSERT_OK_AND_ASSIGN(const TreeInspection other, store_->InspectTree(options));
  EXPECT_TRUE(other.path[1].left);
  EXPECT_FALSE(other.path[0].left || other.path[2].left);
}

TEST_F(TreeInspectionTest, SaysWhatIsWrong) {
  const auto inspect = [&](auto change) {
    InspectTreeOptions options;
    change(&options);
    return store_->InspectTree(options).status();
  };
  EXPECT_THAT(inspect([](InspectTreeOptions* o) { o->node = 32; }),
              StatusIs(absl::StatusCode::kInvalidArgument, "node: 32, expected 1 to 31"));
  EXPECT_THAT(inspect([](InspectTreeOptions* o) { o->document = "3"; }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("without a question")));
  EXPECT_THAT(inspect([](InspectTreeOptions* o) { o->terms = 1001; }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("terms: 1001")));
  EXPECT_THAT(inspect([](InspectTreeOptions* o) { o->question.text = "a question"; }),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(inspect([](InspectTreeOptions* o) { o->space = "absent"; }),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(inspect([&](InspectTreeOptions* o) {
                o->question.vectors = {{"dense", {vectors_.row(3), 1, kDimension}}};
                o->document = "absent";
              }),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("absent")));
  ASSERT_OK(store_->AddSpace({.name = "other", .dimension = 3}));
  EXPECT_THAT(inspect([](InspectTreeOptions* o) { o->space = "other"; }),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("train it first")));
}

}  // namespace
}  // namespace trivium
