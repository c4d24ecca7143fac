// SPDX-License-Identifier: Apache-2.0
// VectorIndex from 64 dimensions on, where its graph has edge codes: batches, files, changes.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "trivium/vector_index.h"

namespace trivium {
namespace {

using testing_support::TempDir;

constexpr std::size_t kColumns = 100;
constexpr Metric kMetrics[] = {Metric::kCosine, Metric::kInnerProduct, Metric::kSquaredL2};

// Rows without gaps and of any length, labelled 7, 10, 13, ...
struct Data {
  Data(std::size_t rows, std::uint64_t seed, std::uint64_t first_label = 7) {
    const auto matrix = testing_support::ClusteredVectors(rows, kColumns, base::Metric::kInnerProduct, seed);
    for (std::size_t i = 0; i < rows; ++i) {
      values.insert(values.end(), matrix.row(i), matrix.row(i) + kColumns);
      labels.push_back(first_label + 3 * i);
    }
  }
  MatrixView view() const { return {values.data(), labels.size(), kColumns}; }
  absl::Span<const float> row(std::size_t i) const {
    return absl::MakeConstSpan(values).subspan(i * kColumns, kColumns);
  }
  std::vector<float> values;
  std::vector<std::uint64_t> labels;
};

VectorIndex MakeIndex(const Data& data, Metric metric) {
  VectorIndexOptions options;
  options.dimension = kColumns;
  options.metric = metric;
  options.build_beam_width = 80;
  options.threads = 2;
  auto index = VectorIndex::Create(options);
  EXPECT_OK(index);
  EXPECT_OK(index->Add(data.labels, data.view()));
  return *std::move(index);
}

struct Answers {
  std::vector<std::uint64_t> labels;
  std::vector<float> scores;
  std::vector<std::size_t> counts;
  std::uint64_t hops = 0, distances = 0, bytes = 0;
  bool operator==(const Answers&) const = default;
};

Answers Room(std::size_t queries, std::size_t k) {
  return {.labels = std::vector<std::uint64_t>(queries * k, 99),
          .scores = std::vector<float>(queries * k, 99.0f),
          .counts = std::vector<std::size_t>(queries, 99)};
}

Answers AskBatch(const VectorIndex& index, MatrixView queries, const VectorSearchOptions& options,
                 int threads) {
  Answers answers = Room(queries.rows, options.k);
  VectorSearchStats stats;
  EXPECT_OK(index.SearchBatch(queries, options, threads, absl::MakeSpan(answers.labels),
                              absl::MakeSpan(answers.scores), absl::MakeSpan(answers.counts), &stats));
  answers.hops = stats.hops;
  answers.distances = stats.distance_computations;
  answers.bytes = stats.bytes_read;
  return answers;
}

Answers AskOneByOne(const VectorIndex& index, const Data& queries, const VectorSearchOptions& options) {
  Answers answers = Room(queries.labels.size(), options.k);
  VectorSearchStats stats;
  for (std::size_t i = 0; i < queries.labels.size(); ++i) {
    const auto count = index.Search(queries.row(i), options,
                                    absl::MakeSpan(answers.labels).subspan(i * options.k, options.k),
                                    absl::MakeSpan(answers.scores).subspan(i * options.k, options.k), &stats);
    EXPECT_OK(count);
    answers.counts[i] = count.value_or(0);
  }
  answers.hops = stats.hops;
  answers.distances = stats.distance_computations;
  answers.bytes = stats.bytes_read;
  return answers;
}

double Overlap(const Answers& found, const Answers& expected, std::size_t k) {
  std::size_t hits = 0;
  for (std::size_t i = 0; i < expected.labels.size(); ++i) {
    const auto first = found.labels.begin() + static_cast<std::ptrdiff_t>(i / k * k);
    hits += std::count(first, first + static_cast<std::ptrdiff_t>(k), expected.labels[i]);
  }
  return static_cast<double>(hits) / static_cast<double>(expected.labels.size());
}

TEST(VectorIndexWithCodes, BatchesAnswerAsOneByOneAtTheSameCostForAnyThreadCount) {
  for (const Metric metric : kMetrics) {
    SCOPED_TRACE(MetricName(metric));
    const Data data(2500, 1), queries(73, 5);
    const VectorIndex index = MakeIndex(data, metric);
    for (const std::size_t k : {1u, 10u, 100u}) {
      const VectorSearchOptions options{.k = k, .force_graph = true};
      const Answers expected = AskOneByOne(index, queries, options);
      EXPECT_GT(expected.hops, 73u * 10);
      EXPECT_GT(expected.bytes, 640 * expected.hops);  // a block of 100 dimensions is larger
      for (const int threads : {1, 2, 3, 0}) {
        EXPECT_EQ(AskBatch(index, queries.view(), options, threads), expected) << k << " on " << threads;
      }
      EXPECT_GE(Overlap(expected, AskBatch(index, queries.view(), {.k = k, .exact = true}, 2), k), 0.95);
    }
  }
}

TEST(VectorIndexWithCodes, APlaceWithoutAResultIsLeftAsItWas) {
  const Data data(5, 1), queries(4, 5);
  const Answers answers =
      AskBatch(MakeIndex(data, Metric::kSquaredL2), queries.view(), {.k = 8, .force_graph = true}, 1);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(answers.counts[i], 5u);
    for (std::size_t j = 5; j < 8; ++j) EXPECT_EQ(answers.labels[8 * i + j], 99u);
  }
}

TEST(VectorIndexWithCodes, BatchesWithAFilterReturnOnlyAllowedLabels) {
  const Data data(2500, 1), queries(21, 5);
  const VectorIndex index = MakeIndex(data, Metric::kCosine);
  std::vector<std::uint64_t> allowed;
  for (std::size_t i = 0; i < 2500; i += 6) allowed.push_back(data.labels[i]);
  VectorSearchOptions options{.force_graph = true, .filter = index.AllowLabels(allowed)};
  const Answers found = AskBatch(index, queries.view(), options, 2);
  EXPECT_EQ(found, AskOneByOne(index, queries, options));
  for (const std::uint64_t label : found.labels) {
    EXPECT_TRUE(std::binary_search(allowed.begin(), allowed.end(), label));
  }
  options.force_graph = false;
  options.exact = true;
  EXPECT_GE(Overlap(found, AskBatch(index, queries.view(), options, 1), 10), 0.95);
}

TEST(VectorIndexWithCodes, SavedAndLoadedAnswersAreTheSameAtTheSameCost) {
  const TempDir dir;
  const VectorSearchOptions options{.force_graph = true};
  for (const Metric metric : kMetrics) {
    SCOPED_TRACE(MetricName(metric));
    const Data data(2000, 1), more(300, 2, 1'000'000), queries(20, 5);
    VectorIndex index = MakeIndex(data, metric);
    const Answers before = AskBatch(index, queries.view(), options, 1);
    ASSERT_OK(index.Save(dir.File("index")));
    VectorIndexLoadOptions load;
    load.build_beam_width = 80;
    ASSERT_OK_AND_ASSIGN(VectorIndex loaded, VectorIndex::Load(dir.File("index"), load));
    EXPECT_EQ(AskBatch(loaded, queries.view(), options, 1), before);

    // What was loaded grows as what was built does, and its file does not change under it.
    for (VectorIndex* grown : {&index, &loaded}) {
      ASSERT_OK(grown->Add(more.labels, more.view()));
      ASSERT_OK(grown->Save(dir.File(grown == &index ? "index" : "loaded")));
    }
    const Answers after = AskBatch(index, queries.view(), options, 1);
    EXPECT_NE(after, before);
    EXPECT_EQ(AskBatch(loaded, queries.view(), options, 1), after);
    EXPECT_EQ(testing_support::ReadWholeFile(dir.File("index")),
              testing_support::ReadWholeFile(dir.File("loaded")));
    EXPECT_GE(Overlap(after, AskBatch(index, queries.view(), {.exact = true}, 1), 10), 0.95);
  }
}

TEST(VectorIndexWithCodes, RemovedRowsAreNeverFound) {
  const Data data(2000, 1), queries(20, 5);
  VectorIndex index = MakeIndex(data, Metric::kInnerProduct);
  const VectorSearchOptions options{.k = 20, .force_graph = true};
  const Answers before = AskBatch(index, queries.view(), options, 1);
  std::vector<std::uint64_t> removed(before.labels.begin(), before.labels.begin() + 20);
  ASSERT_OK(index.Remove(removed));
  for (const bool compacted : {false, true}) {
    ASSERT_OK(compacted ? index.Compact() : absl::OkStatus());
    const Answers after = AskBatch(index, queries.view(), options, 1);
    for (const std::size_t count : after.counts) EXPECT_EQ(count, 20u);
    for (const std::uint64_t label : after.labels)
      EXPECT_EQ(std::count(removed.begin(), removed.end(), label), 0);
    EXPECT_GE(Overlap(after, AskBatch(index, queries.view(), {.k = 20, .exact = true}, 1), 20), 0.95);
  }
}

}  // namespace
}  // namespace trivium
