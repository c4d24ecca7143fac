// SPDX-License-Identifier: Apache-2.0
// VectorIndex::Calibrate: the width it chooses, where that is kept, what it refuses.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "index/beam_calibration.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "trivium/vector_index.h"

namespace trivium {
namespace {

using ::testing::HasSubstr;
using testing_support::TempDir;
using Algorithm = VectorIndexAlgorithm;

constexpr std::size_t kColumns = 80, kQueries = 50;

// Rows without gaps, labelled 0, 1, ...; hard to tell apart, so that narrow beams miss some.
struct Data {
  explicit Data(std::size_t rows, std::uint64_t seed = 1) {
    const auto matrix = testing_support::ClusteredVectors(rows, kColumns, base::Metric::kCosine, seed, 3);
    for (std::size_t i = 0; i < rows; ++i) {
      values.insert(values.end(), matrix.row(i), matrix.row(i) + kColumns);
      labels.push_back(i);
    }
  }
  MatrixView view() const { return {values.data(), labels.size(), kColumns}; }
  std::vector<float> values;
  std::vector<std::uint64_t> labels;
};

VectorIndex MakeIndex(const Data& data, Algorithm algorithm, Profile profile = Profile::kSpeed) {
  VectorIndexOptions options;
  options.dimension = kColumns;
  options.algorithm = algorithm;
  options.profile = profile;
  options.degree_bound = 16;
  options.build_beam_width = 40;
  options.threads = algorithm == Algorithm::kHnswlib ? 1 : 2;  // hnswlib's graph depends on the threads
  auto index = VectorIndex::Create(options);
  EXPECT_OK(index);
  EXPECT_OK(index->Add(data.labels, data.view()));
  return *std::move(index);
}

std::vector<std::uint64_t> Ask(const VectorIndex& index, const Data& queries,
                               const VectorSearchOptions& options, VectorSearchStats* stats = nullptr) {
  std::vector<std::uint64_t> labels(queries.labels.size() * options.k);
  std::vector<float> scores(labels.size());
  std::vector<std::size_t> counts(queries.labels.size());
  EXPECT_OK(index.SearchBatch(queries.view(), options, 2, absl::MakeSpan(labels), absl::MakeSpan(scores),
                              absl::MakeSpan(counts), stats));
  return labels;
}

// By labels, without regard to scores.
double SlowRecall(const VectorIndex& index, const Data& queries, std::size_t k, std::size_t beam_width) {
  const auto truth = Ask(index, queries, {.k = k, .exact = true});
  const auto found = Ask(index, queries, {.k = k, .beam_width = beam_width, .force_graph = true});
  std::size_t hits = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const auto first = found.begin() + static_cast<std::ptrdiff_t>(i / k * k);
    hits += std::count(first, first + static_cast<std::ptrdiff_t>(k), truth[i]);
  }
  return static_cast<double>(hits) / static_cast<double>(truth.size());
}

struct Kind {
  Algorithm algorithm;
  Profile profile;
};

class CalibratedIndex : public ::testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(All, CalibratedIndex,
                         ::testing::Values(Kind{Algorithm::kGraph, Profile::kSpeed},
                                           Kind{Algorithm::kGraph, Profile::kBalanced},
                                           Kind{Algorithm::kGraph, Profile::kSmall},
                                           Kind{Algorithm::kHnswlib, Profile::kSpeed},
                                           Kind{Algorithm::kFaissIvf, Profile::kSpeed}),
                         [](const auto& info) {
                           return std::string(VectorIndexAlgorithmName(info.param.algorithm)) + "_" +
                                  std::string(ProfileName(info.param.profile));
                         });

TEST_P(CalibratedIndex, TakesTheNarrowestWidthThatReachesTheTarget) {
  const Data data(3000), queries(kQueries, 7);
  VectorIndex index = MakeIndex(data, GetParam().algorithm, GetParam().profile);
  EXPECT_EQ(index.beam_width(), 0u);
  EXPECT_EQ(index.target_recall(), 0.0);
  const std::size_t narrowest = GetParam().algorithm == Algorithm::kFaissIvf ? 1 : 10;
  std::size_t before = 0;
  for (const double target : {0.5, 0.8, 0.95}) {
    ASSERT_OK_AND_ASSIGN(const VectorCalibrationReport report,
                         index.Calibrate(queries.view(), {.target_recall = target}));
    std::size_t expected = narrowest;
    for (const std::size_t width : index::kBeamWidths) {
      expected = std::max(width, narrowest);
      if (SlowRecall(index, queries, 10, expected) >= target) break;
    }
    EXPECT_EQ(report.beam_width, expected);
    EXPECT_DOUBLE_EQ(report.recall, SlowRecall(index, queries, 10, expected));
    EXPECT_TRUE(report.reached);
    EXPECT_EQ(report.target_recall, target);
    EXPECT_EQ(report.k, 10u);
    EXPECT_EQ(report.queries, kQueries);
    EXPECT_EQ(index.beam_width(), expected);
    EXPECT_EQ(index.target_recall(), target);
    EXPECT_GE(expected, before);
    before = expected;
  }
  EXPECT_GT(before, narrowest);  // the targets differ in fact
}

TEST_P(CalibratedIndex, SearchesThatDoNotSayUseTheWidthChosen) {
  const Data data(3000), queries(kQueries, 7);
  VectorIndex index = MakeIndex(data, GetParam().algorithm, GetParam().profile);
  const auto cost = [&](std::size_t beam_width) {
    VectorSearchStats stats;
    Ask(index, queries, {.beam_width = beam_width, .force_graph = true}, &stats);
    return stats.distance_computations;
  };
  const std::uint64_t before = cost(0);
  ASSERT_OK(index.Calibrate(queries.view(), {.target_recall = 0.8}));
  EXPECT_EQ(cost(0), cost(index.beam_width()));
  EXPECT_NE(cost(0), before);
  EXPECT_NE(cost(0), cost(200));  // those that say are not touched
}

TEST(VectorIndexCalibrate, TheWidthIsAtLeastK) {
  const Data data(3000), queries(kQueries, 7);
  VectorIndex index = MakeIndex(data, Algorithm::kGraph);
  ASSERT_OK_AND_ASSIGN(const auto report, index.Calibrate(queries.view(), {.target_recall = 0.01, .k = 100}));
  EXPECT_EQ(report.beam_width, 128u);
}

TEST(VectorIndexCalibrate, ATargetOutOfReachTakesTheWidestBeam) {
  const Data data(3000), queries(kQueries, 7);
  VectorIndexOptions options;
  options.dimension = kColumns;
  options.degree_bound = 4;
  options.build_beam_width = 8;
  ASSERT_OK_AND_ASSIGN(VectorIndex index, VectorIndex::Create(options));
  ASSERT_OK(index.Add(data.labels, data.view()));
  ASSERT_OK_AND_ASSIGN(const auto report, index.Calibrate(queries.view(), {.target_recall = 1, .k = 1000}));
  EXPECT_FALSE(report.reached);
  EXPECT_LT(report.recall, 1);
  EXPECT_EQ(report.beam_width, 1024u);
  EXPECT_EQ(index.beam_width(), 1024u);
  EXPECT_EQ(index.target_recall(), 1.0);
}

TEST(VectorIndexCalibrate, MeasuresWalksEvenWhereRowsWaitedOutsideTheGraph) {
  const Data data(900), queries(kQueries, 7);
  VectorIndex index = MakeIndex(data, Algorithm::kGraph);
  VectorSearchStats stats;
  Ask(index, queries, {.force_graph = true}, &stats);
  ASSERT_EQ(stats.hops, 0u);  // scans what waits
  ASSERT_OK(index.Calibrate(queries.view(), {.target_recall = 0.97}));
  Ask(index, queries, {.force_graph = true}, &stats);
  EXPECT_GT(stats.hops, 0u);
  EXPECT_GE(SlowRecall(index, queries, 10, 0), 0.97);
}

TEST(VectorIndexCalibrate, TheWidthIsKeptThroughChangesAndInTheFile) {
  const TempDir dir;
  const Data data(3000), queries(kQueries, 7);
  VectorIndex index = MakeIndex(data, Algorithm::kGraph);
  ASSERT_OK(index.Save(dir.File("index")));
  ASSERT_OK_AND_ASSIGN(VectorIndex plain, VectorIndex::Load(dir.File("index")));
  EXPECT_EQ(plain.beam_width(), 0u);
  EXPECT_EQ(plain.target_recall(), 0.0);

  ASSERT_OK(index.Calibrate(queries.view(), {.target_recall = 0.9}));
  const std::size_t width = index.beam_width();
  const std::vector<std::uint64_t> more = {10000, 10001};
  ASSERT_OK(index.Add(more, {queries.values.data(), 2, kColumns}));
  EXPECT_EQ(index.beam_width(), width);
  ASSERT_OK(index.Remove(absl::MakeConstSpan(data.labels).first(500)));
  EXPECT_EQ(index.beam_width(), width);
  ASSERT_OK(index.Compact());
  EXPECT_EQ(index.beam_width(), width);
  ASSERT_OK(index.Save(dir.File("index")));
  EXPECT_EQ(index.beam_width(), width);

  ASSERT_OK_AND_ASSIGN(VectorIndex loaded, VectorIndex::Load(dir.File("index")));
  EXPECT_EQ(loaded.beam_width(), width);
  EXPECT_EQ(loaded.target_recall(), 0.9);
  VectorSearchStats before, after;
  const auto answers = Ask(index, queries, {.force_graph = true}, &before);
  EXPECT_EQ(Ask(loaded, queries, {.force_graph = true}, &after), answers);
  EXPECT_EQ(before.hops, after.hops);
  // A width of this graph says nothing of other structures.
  for (const Algorithm other : {Algorithm::kExact, Algorithm::kHnswlib, Algorithm::kFaissIvf}) {
    ASSERT_OK_AND_ASSIGN(loaded, VectorIndex::Load(dir.File("index"), {.algorithm = other}));
    EXPECT_EQ(loaded.beam_width(), 0u) << VectorIndexAlgorithmName(other);
  }
  // Nor is that of another one kept with the rows.
  ASSERT_OK_AND_ASSIGN(loaded, VectorIndex::Load(dir.File("index"), {.algorithm = Algorithm::kHnswlib}));
  ASSERT_OK(loaded.Calibrate(queries.view()));
  EXPECT_GT(loaded.beam_width(), 0u);
  ASSERT_OK(loaded.Save(dir.File("hnswlib")));
  ASSERT_OK_AND_ASSIGN(loaded, VectorIndex::Load(dir.File("hnswlib"), {.algorithm = Algorithm::kGraph}));
  EXPECT_EQ(loaded.beam_width(), 0u);
}

TEST(VectorIndexCalibrate, BadCallsAreRefusedAndChangeNothing) {
  const Data data(2000), queries(3, 7);
  VectorIndex index = MakeIndex(data, Algorithm::kGraph);
  ASSERT_OK(index.Calibrate(queries.view(), {.target_recall = 0.9}));
  const std::size_t width = index.beam_width();
  const auto refused = [&](MatrixView view, const VectorCalibrateOptions& options, const char* message) {
    EXPECT_THAT(index.Calibrate(view, options),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
    EXPECT_EQ(index.beam_width(), width);
    EXPECT_EQ(index.target_recall(), 0.9);
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  refused(queries.view(), {.target_recall = 0}, "target_recall: 0, expected more than 0, at most 1");
  refused(queries.view(), {.target_recall = 1.5}, "target_recall: 1.5");
  refused(queries.view(), {.target_recall = -1}, "target_recall: -1");
  refused(queries.view(), {.target_recall = nan}, "target_recall: nan");
  refused(queries.view(), {.k = 0}, "k: 0, expected 1 to 1000");
  refused(queries.view(), {.k = 1001}, "k: 1001");
  refused(queries.view(), {.threads = -1}, "threads: -1");
  refused({queries.values.data(), 0, kColumns}, {}, "sample queries: 0 rows, expected at least 1");
  refused({queries.values.data(), 3, kColumns - 1}, {}, "query dimension: 79, expected 80");
  std::vector<float> bad = queries.values;
  bad[kColumns + 2] = std::numeric_limits<float>::quiet_NaN();
  refused({bad.data(), 3, kColumns}, {}, "query, row 1, component 2");
  std::fill_n(bad.begin() + kColumns, kColumns, 0.0f);
  refused({bad.data(), 3, kColumns}, {}, "query, row 1: zero");
}

TEST(VectorIndexCalibrate, NeedsRowsAndABeam) {
  const Data data(50), queries(3, 7);
  for (const Algorithm algorithm : {Algorithm::kExact, Algorithm::kFaissFlat}) {
    VectorIndex index = MakeIndex(data, algorithm);
    EXPECT_THAT(index.Calibrate(queries.view()),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("expected one with a beam")));
  }
  VectorIndex index = MakeIndex(Data(0), Algorithm::kGraph);
  EXPECT_THAT(index.Calibrate(queries.view()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("0 rows, expected at least 1")));
  ASSERT_OK(index.Add({7}, {data.values.data(), 1, kColumns}));
  ASSERT_OK_AND_ASSIGN(const auto report, index.Calibrate(queries.view(), {.target_recall = 1}));
  EXPECT_EQ(report.recall, 1.0);
  EXPECT_EQ(report.beam_width, 10u);
}

}  // namespace
}  // namespace trivium
