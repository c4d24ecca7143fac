// SPDX-License-Identifier: Apache-2.0
// An index half of whose rows are replaced answers as well as one built from the rows it has then.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"
#include "trivium/vector_index.h"

namespace trivium {
namespace {

constexpr std::size_t kColumns = 96, kRows = 6000, kQueries = 100;

struct Data {
  Data(std::size_t rows, std::uint64_t seed, std::uint64_t first_label) {
    const auto matrix = testing_support::ClusteredVectors(rows, kColumns, base::Metric::kCosine, seed, 40);
    for (std::size_t i = 0; i < rows; ++i) {
      values.insert(values.end(), matrix.row(i), matrix.row(i) + kColumns);
      labels.push_back(first_label + i);
    }
  }
  MatrixView view() const { return {values.data(), labels.size(), kColumns}; }
  std::vector<float> values;
  std::vector<std::uint64_t> labels;
};

VectorIndex Empty(Profile profile) {
  VectorIndexOptions options;
  options.dimension = kColumns;
  options.profile = profile;
  options.build_beam_width = 80;
  options.threads = 2;
  auto index = VectorIndex::Create(options);
  EXPECT_OK(index);
  return *std::move(index);
}

std::vector<std::uint64_t> Search(const VectorIndex& index, const Data& queries, bool exact) {
  VectorSearchOptions options;
  options.exact = exact;
  options.force_graph = !exact;
  std::vector<std::uint64_t> labels(kQueries * 10);
  std::vector<float> scores(labels.size());
  std::vector<std::size_t> counts(kQueries);
  EXPECT_OK(index.SearchBatch(queries.view(), options, 1, absl::MakeSpan(labels), absl::MakeSpan(scores),
                              absl::MakeSpan(counts)));
  return labels;
}

double Recall(const VectorIndex& index, const Data& queries) {
  const auto found = Search(index, queries, false), truth = Search(index, queries, true);
  std::size_t hits = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto first = truth.begin() + static_cast<std::ptrdiff_t>(i / 10 * 10);
    hits += std::count(first, first + 10, found[i]);
  }
  return static_cast<double>(hits) / static_cast<double>(found.size());
}

TEST(VectorIndexChurn, HalfOfTheRowsReplacedCostNoRecall) {
  const Data old(kRows, 1, 0), fresh(kRows / 2, 2, 1'000'000), queries(kQueries, 3, 0);
  for (const Profile profile : {Profile::kSpeed, Profile::kSmall}) {
    VectorIndex index = Empty(profile);
    ASSERT_OK(index.Add(old.labels, old.view()));
    std::vector<std::uint64_t> removed;
    for (std::uint64_t label = 0; label < kRows; label += 2) removed.push_back(label);
    ASSERT_OK(index.Remove(removed));
    ASSERT_OK(index.Compact());
    EXPECT_EQ(index.size(), kRows / 2);
    EXPECT_GE(Recall(index, queries), 0.95);
    ASSERT_OK(index.Add(fresh.labels, fresh.view()));

    VectorIndex anew = Empty(profile);
    Data kept(0, 1, 0);
    for (std::size_t i = 1; i < kRows; i += 2) {
      kept.labels.push_back(i);
      kept.values.insert(kept.values.end(), old.values.begin() + static_cast<std::ptrdiff_t>(i * kColumns),
                         old.values.begin() + static_cast<std::ptrdiff_t>((i + 1) * kColumns));
    }
    ASSERT_OK(anew.Add(kept.labels, kept.view()));
    ASSERT_OK(anew.Add(fresh.labels, fresh.view()));
    EXPECT_EQ(index.size(), anew.size());
    EXPECT_GE(Recall(index, queries), Recall(anew, queries) - 0.01);
    for (const std::uint64_t label : Search(index, queries, false)) EXPECT_TRUE(index.Contains(label));
  }
}

TEST(VectorIndexChurn, RemovingAlmostEverythingLeavesTheRest) {
  const Data data(kRows, 1, 0);
  VectorIndex index = Empty(Profile::kSpeed);
  ASSERT_OK(index.Add(data.labels, data.view()));
  ASSERT_OK(index.Remove(absl::MakeConstSpan(data.labels).first(kRows - 5)));
  ASSERT_OK(index.Compact());
  EXPECT_EQ(index.Labels(), std::vector<std::uint64_t>(data.labels.end() - 5, data.labels.end()));
  ASSERT_OK(index.Remove(absl::MakeConstSpan(data.labels).last(5)));
  ASSERT_OK(index.Compact());
  EXPECT_EQ(index.size(), 0u);
}

}  // namespace
}  // namespace trivium
