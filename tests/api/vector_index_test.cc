// SPDX-License-Identifier: Apache-2.0
#define NO_MANUAL_VECTORIZATION  // as in index/adapters/hnswlib_index.cc
#include "trivium/vector_index.h"

#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing_support::ReadWholeFile;
using testing_support::TempDir;
using testing_support::WriteWholeFile;
using Algorithm = VectorIndexAlgorithm;

constexpr std::size_t kColumns = 20;
constexpr Algorithm kAlgorithms[] = {Algorithm::kGraph, Algorithm::kExact, Algorithm::kHnswlib,
                                     Algorithm::kFaissFlat, Algorithm::kFaissIvf};
constexpr Metric kMetrics[] = {Metric::kCosine, Metric::kInnerProduct, Metric::kSquaredL2};

base::Metric BaseMetric(Metric metric) { return static_cast<base::Metric>(metric); }

// Rows without gaps and of any length, as callers have them, with labels that are far apart.
struct Data {
  Data(std::size_t rows, Metric metric, std::uint64_t seed = 1) {
    // Not of unit length: for cosine that is the index's business.
    const auto matrix = testing_support::ClusteredVectors(rows, kColumns, base::Metric::kInnerProduct, seed);
    stored = base::AlignedMatrix(rows, kColumns);
    for (std::size_t i = 0; i < rows; ++i) {
      values.insert(values.end(), matrix.row(i), matrix.row(i) + kColumns);
      std::copy_n(matrix.row(i), kColumns, stored.row(i));
      labels.push_back(1'000'000'000'000 + 13 * i);
    }
    if (metric == Metric::kCosine) testing_support::Normalise(&stored);
  }
  MatrixView view() const { return {values.data(), labels.size(), kColumns}; }
  absl::Span<const float> row(std::size_t i) const {
    return absl::MakeConstSpan(values).subspan(i * kColumns, kColumns);
  }

  std::vector<float> values;
  base::AlignedMatrix stored;  // as the index should hold them
  std::vector<std::uint64_t> labels;
};

VectorIndex MakeIndex(const Data& data, Metric metric, Algorithm algorithm) {
  VectorIndexOptions options;
  options.dimension = kColumns;
  options.metric = metric;
  options.algorithm = algorithm;
  options.threads = 2;
  auto index = VectorIndex::Create(options);
  EXPECT_OK(index);
  EXPECT_OK(index->Add(data.labels, data.view()));
  return *std::move(index);
}

struct Answer {
  std::vector<std::uint64_t> labels;
  std::vector<float> scores;
  bool operator==(const Answer&) const = default;
};

Answer Ask(const VectorIndex& index, absl::Span<const float> query, const VectorSearchOptions& options = {}) {
  Answer answer;
  answer.labels.resize(options.k);
  answer.scores.resize(options.k);
  const auto count =
      index.Search(query, options, absl::MakeSpan(answer.labels), absl::MakeSpan(answer.scores));
  EXPECT_OK(count);
  answer.labels.resize(count.value_or(0));
  answer.scores.resize(count.value_or(0));
  return answer;
}

// The share of the true neighbours of 40 queries that are found; checks order and scores on the way.
double Recall(const VectorIndex& index, const Data& data, const VectorSearchOptions& options,
              const base::Bitmap* allowed = nullptr) {
  const base::Metric metric = BaseMetric(index.metric());
  const Data queries(40, index.metric(), 99);
  std::size_t hits = 0, wanted = 0;
  for (std::size_t q = 0; q < 40; ++q) {
    const auto expected =
        testing_support::SlowSearch(data.stored.view(), metric, queries.stored.row(q), options.k, allowed);
    const Answer answer = Ask(index, queries.row(q), options);
    EXPECT_EQ(answer.labels.size(), expected.size());
    EXPECT_TRUE(std::is_sorted(answer.scores.rbegin(), answer.scores.rend()));
    for (std::size_t i = 0; i < answer.labels.size(); ++i) {
      const std::size_t row = (answer.labels[i] - data.labels[0]) / 13;
      const double distance =
          testing_support::SlowDistance(metric, queries.stored.row(q), data.stored.row(row), kColumns);
      EXPECT_NEAR(answer.scores[i], -distance, 1e-3 * (1 + std::abs(distance)));
      EXPECT_TRUE(allowed == nullptr || allowed->Test(row));
      hits += std::any_of(expected.begin(), expected.end(), [&](const auto& n) { return n.row == row; });
    }
    wanted += expected.size();
  }
  return wanted == 0 ? 1.0 : static_cast<double>(hits) / static_cast<double>(wanted);
}

TEST(VectorIndex, EveryAlgorithmAndMetricFindsTheNeighbours) {
  for (const Metric metric : kMetrics) {
    const Data data(2000, metric);
    for (const Algorithm algorithm : kAlgorithms) {
      SCOPED_TRACE(std::string(VectorIndexAlgorithmName(algorithm)) + " " + std::string(MetricName(metric)));
      const VectorIndex index = MakeIndex(data, metric, algorithm);
      EXPECT_EQ(index.size(), 2000u);
      EXPECT_EQ(index.dimension(), kColumns);
      EXPECT_EQ(index.metric(), metric);
      EXPECT_EQ(index.algorithm(), algorithm);
      EXPECT_EQ(index.Labels(), data.labels);
      const bool exact = algorithm == Algorithm::kExact || algorithm == Algorithm::kFaissFlat;
      EXPECT_GE(Recall(index, data, {}), exact ? 0.999 : algorithm == Algorithm::kFaissIvf ? 0.6 : 0.9);
      VectorSearchOptions scan;
      scan.exact = true;
      EXPECT_GE(Recall(index, data, scan), 0.999);
    }
  }
}

TEST(VectorIndex, StatsTellScanAndWalkApart) {
  const Data data(3000, Metric::kCosine);
  const VectorIndex index = MakeIndex(data, Metric::kCosine, Algorithm::kGraph);
  VectorSearchOptions options;
  std::uint64_t labels[10];
  float scores[10];
  VectorSearchStats walk, again, scan;
  options.force_graph = true;
  ASSERT_OK(index.Search(data.row(5), options, labels, scores, &walk));
  ASSERT_OK(index.Search(data.row(5), options, labels, scores, &again));
  EXPECT_GE(walk.hops, 10u);
  EXPECT_LT(walk.distance_computations, 3000u);
  EXPECT_EQ(walk.hops, again.hops);
  EXPECT_EQ(walk.distance_computations, again.distance_computations);
  // Rows of 20 floats take two cache lines, lists of up to 32 neighbours three.
  EXPECT_EQ(walk.bytes_read, walk.hops * 192 + walk.distance_computations * 128);
  options = {};
  options.exact = true;
  ASSERT_OK(index.Search(data.row(5), options, labels, scores, &scan));
  EXPECT_EQ(scan.hops, 0u);
  EXPECT_EQ(scan.distance_computations, 3000u);
  EXPECT_EQ(scan.bytes_read, 3000u * 128);
  EXPECT_EQ(labels[0], data.labels[5]);
  EXPECT_NEAR(scores[0], 1.0f, 1e-5f);
}

TEST(VectorIndex, FiltersReturnOnlyAllowedLabelsAndAllOfThem) {
  const Data data(2000, Metric::kCosine);
  for (const Algorithm algorithm : kAlgorithms) {
    SCOPED_TRACE(VectorIndexAlgorithmName(algorithm));
    const VectorIndex index = MakeIndex(data, Metric::kCosine, algorithm);
    for (const std::size_t step : {2u, 10u, 100u, 1000u, 5000u}) {
      std::vector<std::uint64_t> labels = {7};  // not in the index
      base::Bitmap allowed(2000);
      for (std::size_t i = step - 1; i < 2000; i += step) {
        labels.push_back(data.labels[i]);
        allowed.Set(i);
      }
      VectorSearchOptions options;
      options.filter = index.AllowLabels(labels);
      EXPECT_GE(Recall(index, data, options, &allowed), 0.85);
    }
  }
}

TEST(VectorIndex, ABitmapOfLabelsFilters) {
  VectorIndexOptions options{.dimension = 1, .metric = Metric::kSquaredL2};
  ASSERT_OK_AND_ASSIGN(VectorIndex index, VectorIndex::Create(options));
  const std::vector<std::uint64_t> labels = {0, 63, 64, 100, 1'000'000'000'000};
  const std::vector<float> rows = {0, 1, 2, 3, 4};
  ASSERT_OK(index.Add(labels, {rows.data(), 5, 1}));
  const std::vector<std::uint64_t> words = {std::uint64_t{1} << 63 | 2, 1};  // labels 1, 63, 64
  VectorSearchOptions search;
  search.filter = index.AllowBitmap(words);
  const float query[] = {10};
  EXPECT_EQ(Ask(index, query, search), (Answer{{64, 63}, {-64, -81}}));
  EXPECT_EQ(Ask(index, query).labels.size(), 5u);
}

TEST(VectorIndex, AFilterIsRefusedOnceTheIndexChangedOrForAnother) {
  const Data data(100, Metric::kCosine);
  VectorIndex index = MakeIndex(data, Metric::kCosine, Algorithm::kGraph);
  const VectorIndex other = MakeIndex(data, Metric::kCosine, Algorithm::kGraph);
  VectorSearchOptions options;
  options.filter = index.AllowLabels(data.labels);
  std::uint64_t labels[10];
  float scores[10];
  ASSERT_OK(index.Search(data.row(0), options, labels, scores));
  EXPECT_THAT(other.Search(data.row(0), options, labels, scores),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("filter")));
  ASSERT_OK(index.Remove({data.labels[3]}));
  EXPECT_THAT(index.Search(data.row(0), options, labels, scores),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(VectorIndex, RemovedRowsAreNeverFoundAndTheirLabelsMayComeBack) {
  const Data data(1500, Metric::kSquaredL2);
  for (const Algorithm algorithm : kAlgorithms) {
    SCOPED_TRACE(VectorIndexAlgorithmName(algorithm));
    VectorIndex index = MakeIndex(data, Metric::kSquaredL2, algorithm);
    std::vector<std::uint64_t> removed;
    base::Bitmap live(1500, true);
    for (std::size_t i = 0; i < 1500; i += 3) {
      removed.push_back(data.labels[i]);
      live.Clear(i);
    }
    ASSERT_OK(index.Remove(removed));
    EXPECT_EQ(index.size(), 1000u);
    EXPECT_FALSE(index.Contains(data.labels[3]));
    EXPECT_TRUE(index.Contains(data.labels[4]));
    EXPECT_THAT(index.Get(data.labels[3]), StatusIs(absl::StatusCode::kNotFound));
    VectorSearchOptions scan;
    scan.exact = true;
    EXPECT_GE(Recall(index, data, scan, &live), 0.999);
    EXPECT_GE(Recall(index, data, {}, &live), 0.6);
    ASSERT_OK(index.Compact());
    EXPECT_GE(Recall(index, data, scan, &live), 0.999);
    EXPECT_EQ(index.size(), 1000u);

    ASSERT_OK(index.Add({data.labels[3]}, {data.row(3).data(), 1, kColumns}));
    EXPECT_EQ(Ask(index, data.row(3), scan).labels.front(), data.labels[3]);
    EXPECT_EQ(index.size(), 1001u);
  }
}

TEST(VectorIndex, RemovingIsAllOrNone) {
  const Data data(10, Metric::kCosine);
  VectorIndex index = MakeIndex(data, Metric::kCosine, Algorithm::kGraph);
  EXPECT_THAT(index.Remove({data.labels[1], 42}), StatusIs(absl::StatusCode::kNotFound, HasSubstr("42")));
  EXPECT_THAT(index.Remove({data.labels[1], data.labels[1]}), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(index.size(), 10u);
  ASSERT_OK(index.Remove(data.labels));
  EXPECT_EQ(index.size(), 0u);
  EXPECT_TRUE(Ask(index, data.row(0)).labels.empty());
}

TEST(VectorIndex, GetReturnsTheStoredVector) {
  for (const Algorithm algorithm : kAlgorithms) {
    for (const Metric metric : kMetrics) {
      const Data data(50, metric);
      const VectorIndex index = MakeIndex(data, metric, algorithm);
      ASSERT_OK_AND_ASSIGN(const std::vector<float> vector, index.Get(data.labels[20]));
      ASSERT_EQ(vector.size(), kColumns);
      for (std::size_t j = 0; j < kColumns; ++j) EXPECT_NEAR(vector[j], data.stored.row(20)[j], 1e-6f);
    }
  }
}

TEST(VectorIndex, RefusesBadBatchesWholeAndNamesTheRow) {
  const Data data(20, Metric::kCosine);
  const auto expect_refused = [&](auto change, absl::StatusCode code, const std::string& message) {
    for (const Algorithm algorithm : kAlgorithms) {
      VectorIndex index = MakeIndex(data, Metric::kCosine, algorithm);
      Data more(6, Metric::kCosine, 2);
      for (std::uint64_t& label : more.labels) label += 5;
      change(&more);
      EXPECT_THAT(index.Add(more.labels, more.view()), StatusIs(code, HasSubstr(message)));
      EXPECT_EQ(index.size(), 20u);
      EXPECT_EQ(index.Labels(), data.labels);
    }
  };
  using enum absl::StatusCode;
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  expect_refused([](Data* d) { d->values[3 * kColumns + 4] = kNan; }, kInvalidArgument,
                 "row 3, component 4: nan");
  expect_refused([](Data* d) { d->values[5 * kColumns] = -kInfinity; }, kInvalidArgument,
                 "row 5, component 0: -inf");
  expect_refused([](Data* d) { std::fill_n(d->values.begin() + 2 * kColumns, kColumns, 0.0f); },
                 kInvalidArgument, "row 2: zero");
  expect_refused([](Data* d) { d->labels[4] = d->labels[1]; }, kInvalidArgument, "row 4");
  expect_refused([&](Data* d) { d->labels[4] = data.labels[9]; }, kAlreadyExists, "row 4");

  VectorIndex index = MakeIndex(data, Metric::kCosine, Algorithm::kGraph);
  EXPECT_THAT(index.Add({1}, {data.values.data(), 1, kColumns - 1}),
              StatusIs(kInvalidArgument, HasSubstr("dimension: 19, expected 20")));
  EXPECT_THAT(index.Add({1, 2}, {data.values.data(), 1, kColumns}),
              StatusIs(kInvalidArgument, HasSubstr("labels: 2, expected 1")));
}

TEST(VectorIndex, ARowThatTheLibraryRefusesLeavesTheIndexAsItWas) {
  const Data data(300, Metric::kSquaredL2);
  VectorIndex index = MakeIndex(data, Metric::kSquaredL2, Algorithm::kFaissIvf);
  const std::vector<float> huge(kColumns, 3e38f);
  EXPECT_THAT(index.Add({1}, {huge.data(), 1, kColumns}), StatusIs(absl::StatusCode::kInvalidArgument));
  VectorSearchOptions scan;
  scan.exact = true;
  EXPECT_GE(Recall(index, data, scan), 0.999);
  EXPECT_EQ(index.size(), 300u);
  ASSERT_OK(index.Add({1}, {data.values.data(), 1, kColumns}));
}

TEST(VectorIndex, RowsWhoseDistancesOverflowDoNoHarm) {
  for (const Metric metric : kMetrics) {
    Data data(1500, metric);
    for (std::size_t i = 0; i < data.values.size(); i += 7) data.values[i] *= 1e37f;
    const VectorIndex index = MakeIndex(data, metric, Algorithm::kGraph);
    VectorSearchOptions options;
    options.force_graph = true;
    EXPECT_EQ(Ask(index, data.row(100), options).labels.size(), 10u);
  }
}

TEST(VectorIndex, RefusesBadQueriesAndBuffers) {
  const Data data(20, Metric::kCosine);
  const VectorIndex index = MakeIndex(data, Metric::kCosine, Algorithm::kGraph);
  std::uint64_t labels[10];
  float scores[10];
  const auto expect_refused = [&](absl::Span<const float> query, const VectorSearchOptions& options,
                                  const std::string& message) {
    EXPECT_THAT(index.Search(query, options, labels, scores),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  };
  std::vector<float> query(kColumns, 1.0f);
  expect_refused(absl::MakeConstSpan(query).first(7), {}, "query dimension: 7, expected 20");
  expect_refused(query, {.k = 0}, "k: 0");
  expect_refused(query, {.k = 11}, "result buffers: 10 labels");
  expect_refused(query, {.exact = true, .force_graph = true}, "exact");
  query[2] = std::numeric_limits<float>::quiet_NaN();
  expect_refused(query, {}, "component 2: nan");
  expect_refused(std::vector<float>(kColumns, 0.0f), {}, "zero");
}

TEST(VectorIndex, ReturnsEveryRowWhenKIsLarger) {
  const Data data(30, Metric::kCosine);
  for (const Algorithm algorithm : kAlgorithms) {
    const VectorIndex index = MakeIndex(data, Metric::kCosine, algorithm);
    const Answer answer = Ask(index, data.row(4), {.k = 500});
    EXPECT_EQ(std::set<std::uint64_t>(answer.labels.begin(), answer.labels.end()),
              std::set<std::uint64_t>(data.labels.begin(), data.labels.end()));
  }
}

TEST(VectorIndex, ABatchIsItsSearchesOnAnyNumberOfThreads) {
  const Data data(3000, Metric::kCosine);
  const VectorIndex index = MakeIndex(data, Metric::kCosine, Algorithm::kGraph);
  const Data queries(50, Metric::kCosine, 8);
  VectorSearchStats one_stats, three_stats;
  for (const int threads : {1, 3}) {
    std::vector<std::uint64_t> labels(50 * 7);
    std::vector<float> scores(50 * 7);
    std::vector<std::size_t> counts(50);
    ASSERT_OK(index.SearchBatch(queries.view(), {.k = 7}, threads, absl::MakeSpan(labels),
                                absl::MakeSpan(scores), absl::MakeSpan(counts),
                                threads == 1 ? &one_stats : &three_stats));
    for (std::size_t i = 0; i < 50; ++i) {
      ASSERT_EQ(counts[i], 7u);
      const Answer alone = Ask(index, queries.row(i), {.k = 7});
      EXPECT_TRUE(std::equal(alone.labels.begin(), alone.labels.end(), labels.begin() + 7 * i));
      EXPECT_TRUE(std::equal(alone.scores.begin(), alone.scores.end(), scores.begin() + 7 * i));
    }
  }
  EXPECT_EQ(one_stats.distance_computations, three_stats.distance_computations);
  EXPECT_EQ(one_stats.hops, three_stats.hops);

  Data bad(3, Metric::kCosine);
  bad.values[kColumns] = std::numeric_limits<float>::infinity();
  std::vector<std::uint64_t> labels(30);
  std::vector<float> scores(30);
  std::vector<std::size_t> counts(3);
  EXPECT_THAT(index.SearchBatch(bad.view(), {}, 1, absl::MakeSpan(labels), absl::MakeSpan(scores),
                                absl::MakeSpan(counts)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("query, row 1, component 0: inf")));
}

TEST(VectorIndex, ManyThreadsMaySearchAtOnce) {
  const Data data(2000, Metric::kCosine);
  const VectorIndex index = MakeIndex(data, Metric::kCosine, Algorithm::kGraph);
  const Answer expected = Ask(index, data.row(7));
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) wrong += Ask(index, data.row(7)) != expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(VectorIndex, SavedAndLoadedItAnswersTheSame) {
  const TempDir dir;
  for (const Metric metric : kMetrics) {
    const Data data(2500, metric);
    for (const Algorithm algorithm : {Algorithm::kGraph, Algorithm::kExact}) {
      const std::string path = dir.File("index");
      VectorIndex index = MakeIndex(data, metric, algorithm);
      ASSERT_OK(index.Save(path));  // from the second time on in place of a file that is there
      ASSERT_OK_AND_ASSIGN(VectorIndex loaded, VectorIndex::Load(path));
      EXPECT_EQ(loaded.algorithm(), algorithm);
      EXPECT_EQ(loaded.metric(), metric);
      EXPECT_EQ(loaded.Labels(), data.labels);
      for (std::size_t i = 0; i < 2500; i += 100)
        EXPECT_EQ(Ask(loaded, data.row(i)), Ask(index, data.row(i)));

      // What was mapped can grow, shrink and be saved again over itself.
      Data more(1500, metric, 5);
      for (std::uint64_t& label : more.labels) label += 5;
      ASSERT_OK(loaded.Add(more.labels, more.view()));
      ASSERT_OK(loaded.Remove(absl::MakeConstSpan(data.labels).first(700)));
      EXPECT_EQ(loaded.Get(more.labels[10]).value()[3], more.stored.row(10)[3]);
      ASSERT_OK(loaded.Save(path));
      ASSERT_OK_AND_ASSIGN(const VectorIndex again, VectorIndex::Load(path));
      EXPECT_EQ(again.size(), 3300u);
      EXPECT_EQ(Ask(again, more.row(10), {.exact = true}), Ask(loaded, more.row(10), {.exact = true}));
      EXPECT_EQ(again.Labels(), loaded.Labels());
    }
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

TEST(VectorIndex, LoadsAsAnotherAlgorithmWhenAsked) {
  const TempDir dir;
  const Data data(1500, Metric::kCosine);
  for (const Algorithm saved : {Algorithm::kHnswlib, Algorithm::kGraph}) {
    VectorIndex index = MakeIndex(data, Metric::kCosine, saved);
    ASSERT_OK(index.Save(dir.File("index")));
    for (const Algorithm algorithm : kAlgorithms) {
      SCOPED_TRACE(VectorIndexAlgorithmName(algorithm));
      VectorIndexLoadOptions options;
      options.algorithm = algorithm;
      ASSERT_OK_AND_ASSIGN(const VectorIndex loaded, VectorIndex::Load(dir.File("index"), options));
      EXPECT_EQ(loaded.algorithm(), algorithm);
      EXPECT_GE(Recall(loaded, data, {}), 0.6);
      EXPECT_GE(Recall(loaded, data, {.exact = true}), 0.999);
    }
  }
  VectorIndex exact = MakeIndex(data, Metric::kCosine, Algorithm::kFaissFlat);
  ASSERT_OK(exact.Save(dir.File("index")));
  ASSERT_OK_AND_ASSIGN(const VectorIndex loaded, VectorIndex::Load(dir.File("index")));
  EXPECT_EQ(loaded.algorithm(), Algorithm::kExact);
}

TEST(VectorIndex, SavesAndLoadsWithNoRowsAtAll) {
  const TempDir dir;
  for (const Algorithm algorithm : kAlgorithms) {
    ASSERT_OK_AND_ASSIGN(VectorIndex index, VectorIndex::Create({.dimension = 3, .algorithm = algorithm}));
    ASSERT_OK(index.Add({}, {nullptr, 0, 3}));
    ASSERT_OK(index.Save(dir.File("empty")));
    ASSERT_OK_AND_ASSIGN(VectorIndex loaded, VectorIndex::Load(dir.File("empty")));
    EXPECT_EQ(loaded.size(), 0u);
    const float query[] = {1, 2, 3};
    EXPECT_TRUE(Ask(loaded, query).labels.empty());
    ASSERT_OK(loaded.Add({5}, {query, 1, 3}));
    EXPECT_EQ(Ask(loaded, query).labels, std::vector<std::uint64_t>{5});
  }
}

TEST(VectorIndex, LoadingNamesWhatIsWrongWithTheFile) {
  const TempDir dir;
  EXPECT_THAT(VectorIndex::Load(dir.File("absent")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("absent")));
  const Data data(50, Metric::kCosine);
  VectorIndex index = MakeIndex(data, Metric::kCosine, Algorithm::kGraph);
  ASSERT_OK(index.Save(dir.File("index")));
  std::string bytes = ReadWholeFile(dir.File("index"));
  WriteWholeFile(dir.File("short"), std::string_view(bytes).substr(0, bytes.size() / 2));
  EXPECT_THAT(VectorIndex::Load(dir.File("short")),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("short")));
  bytes[bytes.find("TRIVVSEG") + 17] ^= 1;
  WriteWholeFile(dir.File("flipped"), bytes);
  EXPECT_THAT(VectorIndex::Load(dir.File("flipped")),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("flipped")));
  EXPECT_FALSE(index.Save(dir.path() + "/no/such/folder").ok());
}

TEST(VectorIndex, ImportsAFileOfHnswlib) {
  const TempDir dir;
  const Data data(200, Metric::kSquaredL2);
  {
    hnswlib::L2Space space(kColumns);
    hnswlib::HierarchicalNSW<float> hnsw(&space, 200);
    for (std::size_t i = 0; i < 200; ++i) {
      static_cast<hnswlib::AlgorithmInterface<float>&>(hnsw).addPoint(data.row(i).data(), data.labels[i]);
    }
    hnsw.saveIndex(dir.File("hnsw.bin"));
  }
  VectorIndexOptions options{.dimension = kColumns, .metric = Metric::kSquaredL2};
  ASSERT_OK_AND_ASSIGN(const VectorIndex index, VectorIndex::ImportHnswlib(dir.File("hnsw.bin"), options));
  EXPECT_EQ(index.size(), 200u);
  EXPECT_GE(Recall(index, data, {}), 0.999);
  options.dimension = kColumns - 1;
  EXPECT_FALSE(VectorIndex::ImportHnswlib(dir.File("hnsw.bin"), options).ok());
  EXPECT_THAT(VectorIndex::ImportHnswlib(dir.File("absent"), options), StatusIs(absl::StatusCode::kNotFound));
}

TEST(VectorIndex, ImportsAFileOfFaiss) {
  // An IndexFlat as faiss::write_index lays it out.
  const TempDir dir;
  const std::vector<float> rows = {1, 0, 0, 2, 3, 3};
  std::string bytes = "IxFI";
  const auto append = [&](const auto& value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  append(std::int32_t{2});  // dimension
  append(std::int64_t{3});  // rows
  append(std::int64_t{1} << 20);
  append(std::int64_t{1} << 20);
  append(char{1});          // is trained
  append(std::int32_t{0});  // inner product
  append(std::int64_t{6});
  for (const float value : rows) append(value);
  WriteWholeFile(dir.File("flat.faiss"), bytes);

  VectorIndexOptions options;
  options.metric = Metric::kInnerProduct;
  ASSERT_OK_AND_ASSIGN(const VectorIndex index, VectorIndex::ImportFaiss(dir.File("flat.faiss"), options));
  EXPECT_EQ(index.dimension(), 2u);
  const float query[] = {1, 1};
  EXPECT_EQ(Ask(index, query), (Answer{{2, 1, 0}, {6, 2, 1}}));
  options.metric = Metric::kCosine;
  ASSERT_OK_AND_ASSIGN(const VectorIndex cosine, VectorIndex::ImportFaiss(dir.File("flat.faiss"), options));
  EXPECT_EQ(Ask(cosine, query).labels.front(), 2u);
  options.metric = Metric::kSquaredL2;
  EXPECT_THAT(VectorIndex::ImportFaiss(dir.File("flat.faiss"), options),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("metric: squared_l2"), HasSubstr("flat.faiss"))));
}

TEST(VectorIndex, RefusesOptionsOutOfRangeByName) {
  const auto expect_refused = [](auto change, const std::string& message) {
    VectorIndexOptions options;
    options.dimension = 8;
    change(&options);
    EXPECT_THAT(VectorIndex::Create(options),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  };
  expect_refused([](VectorIndexOptions* o) { o->dimension = 0; }, "dimension: 0");
  expect_refused([](VectorIndexOptions* o) { o->dimension = 65537; }, "dimension: 65537");
  expect_refused([](VectorIndexOptions* o) { o->degree_bound = 3; }, "degree_bound: 3");
  expect_refused([](VectorIndexOptions* o) { o->build_beam_width = 5000; }, "build_beam_width: 5000");
  expect_refused([](VectorIndexOptions* o) { o->cell_count = 1 << 21; }, "cell_count: 2097152");
  expect_refused([](VectorIndexOptions* o) { o->threads = -1; }, "threads: -1");
}

TEST(VectorIndex, AlgorithmsHaveNames) {
  for (const Algorithm algorithm : kAlgorithms) {
    EXPECT_THAT(ParseVectorIndexAlgorithm(VectorIndexAlgorithmName(algorithm)), IsOkAndHolds(algorithm));
  }
  EXPECT_THAT(ParseVectorIndexAlgorithm("grap"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'grap', expected graph")));
}

TEST(VectorIndex, ReportsProgressWhileRowsEnterTheGraph) {
  const Data data(2000, Metric::kCosine);
  VectorIndexOptions options;
  options.dimension = kColumns;
  std::uint64_t last = 0;
  options.progress = [&](std::string_view stage, std::uint64_t done, std::uint64_t total) {
    EXPECT_EQ(stage, "build");
    EXPECT_LE(done, total);
    last = done;
  };
  ASSERT_OK_AND_ASSIGN(VectorIndex index, VectorIndex::Create(options));
  ASSERT_OK(index.Add(data.labels, data.view()));
  EXPECT_EQ(last, 2000u);
}

}  // namespace
}  // namespace trivium
