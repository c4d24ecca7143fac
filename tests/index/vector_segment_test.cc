// SPDX-License-Identifier: Apache-2.0
#include "index/vector_segment.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "index/graph_builder.h"
#include "index/search_scratch.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium::index {
namespace {

using ::testing::HasSubstr;
using testing_support::ClusteredVectors;
using testing_support::CountFound;
using testing_support::ReadWholeFile;
using testing_support::SlowSearch;
using testing_support::TempDir;
using testing_support::WriteWholeFile;

constexpr std::size_t kColumns = 13;

GraphBuildOptions SmallOptions() {
  GraphBuildOptions options;
  options.degree_bound = 16;
  options.beam_width = 40;
  options.threads = 2;
  return options;
}

std::vector<std::uint64_t> Labels(std::size_t count) {
  std::vector<std::uint64_t> labels(count);
  for (std::size_t i = 0; i < count; ++i) labels[i] = 1'000'000'000'000ull + 7 * i;
  return labels;
}

std::vector<base::Neighbor> Search(const VectorSegment& segment, const float* query, SearchMethod method) {
  SearchScratch scratch;
  SearchParameters parameters;
  parameters.method = method;
  std::vector<base::Neighbor> found;
  segment.Search(query, parameters, &scratch, &found, nullptr);
  return found;
}

TEST(VectorSegment, ReopensWithTheSameRowsLabelsAndAnswers) {
  const TempDir dir;
  for (const base::Metric metric :
       {base::Metric::kCosine, base::Metric::kInnerProduct, base::Metric::kSquaredL2}) {
    for (const std::size_t rows : {1u, 2u, 2500u}) {
      const auto vectors = ClusteredVectors(rows, kColumns, metric, 1);
      const auto labels = Labels(rows);
      const std::string path =
          dir.File("segment-" + std::to_string(int(metric)) + "-" + std::to_string(rows));
      ASSERT_OK(VectorSegment::Build(vectors.view(), labels, metric, SmallOptions(), path));
      ASSERT_OK_AND_ASSIGN(const auto segment, VectorSegment::Open(path, true));
      EXPECT_EQ(segment->size(), rows);
      EXPECT_EQ(segment->dimension(), kColumns);
      EXPECT_EQ(segment->metric(), metric);
      EXPECT_TRUE(
          std::equal(labels.begin(), labels.end(), segment->labels().begin(), segment->labels().end()));
      for (std::size_t i = 0; i < rows; ++i) {
        ASSERT_TRUE(std::equal(vectors.row(i), vectors.row(i) + vectors.stride(), segment->row(i)));
      }
      EXPECT_OK(segment->Verify());
      EXPECT_EQ(segment->size_bytes(), std::filesystem::file_size(path));

      ProximityGraph graph(16);
      ASSERT_OK(ExtendGraph(vectors.view(), metric, SmallOptions(), &graph));
      ASSERT_EQ(segment->graph().size(), graph.size());
      EXPECT_EQ(segment->graph().entry(), graph.entry());
      EXPECT_TRUE(std::equal(graph.words(), graph.words() + rows * graph.stride(), segment->graph().words()));

      std::size_t hits = 0, wanted = 0;
      for (std::size_t i = 0; i < rows; i += 50) {
        const auto expected = SlowSearch(vectors.view(), metric, vectors.row(i), 10);
        hits += CountFound(Search(*segment, vectors.row(i), SearchMethod::kGraph), expected);
        wanted += expected.size();
        EXPECT_EQ(CountFound(Search(*segment, vectors.row(i), SearchMethod::kExact), expected),
                  expected.size());
      }
      EXPECT_GE(hits, 0.95 * wanted);
    }
  }
}

TEST(VectorSegment, TakesRowsOfAnyStride) {
  const TempDir dir;
  std::vector<float> dense(20 * 5);
  std::iota(dense.begin(), dense.end(), 0.0f);
  const base::MatrixView view(dense.data(), 20, 5);
  ASSERT_OK(VectorSegment::Build(view, Labels(20), base::Metric::kSquaredL2, SmallOptions(), dir.File("s")));
  ASSERT_OK_AND_ASSIGN(const auto segment, VectorSegment::Open(dir.File("s"), true));
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_TRUE(std::equal(view.row(i), view.row(i) + 5, segment->row(i)));
    EXPECT_EQ(segment->row(i)[5], 0.0f);
  }
}

TEST(VectorSegment, HoldsNoRowsOrNoGraphWhereNoneWereGiven) {
  const TempDir dir;
  const base::AlignedMatrix none(kColumns);
  ASSERT_OK(VectorSegment::Build(none.view(), {}, base::Metric::kCosine, SmallOptions(), dir.File("none")));
  ASSERT_OK_AND_ASSIGN(const auto empty, VectorSegment::Open(dir.File("none"), true));
  EXPECT_EQ(empty->size(), 0u);
  const std::vector<float> query(kColumns, 1.0f);
  EXPECT_TRUE(Search(*empty, query.data(), SearchMethod::kGraph).empty());

  const auto vectors = ClusteredVectors(100, kColumns, base::Metric::kCosine, 1);
  ASSERT_OK(VectorSegment::Write({.rows = vectors.view()}, Profile::kExact, Labels(100), dir.File("flat")));
  ASSERT_OK_AND_ASSIGN(const auto flat, VectorSegment::Open(dir.File("flat"), true));
  EXPECT_EQ(flat->graph().size(), 0u);
  EXPECT_EQ(Search(*flat, vectors.row(7), SearchMethod::kGraph).front().row, 7u);
}

TEST(VectorSegment, RefusesShapesThatDoNotFitAndLeavesNoFile) {
  const TempDir dir;
  const auto vectors = ClusteredVectors(10, kColumns, base::Metric::kCosine, 1);
  const auto build = [&](base::MatrixView rows, std::size_t labels, GraphBuildOptions options) {
    return VectorSegment::Build(rows, Labels(labels), base::Metric::kCosine, options, dir.File("s"));
  };
  EXPECT_THAT(build(vectors.view(), 9, SmallOptions()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("labels: 9, expected 10")));
  EXPECT_THAT(build(base::MatrixView(vectors.row(0), 10, 0), 10, SmallOptions()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("dimension: 0")));
  GraphBuildOptions bad = SmallOptions();
  bad.degree_bound = 1;
  EXPECT_THAT(build(vectors.view(), 10, bad), StatusIs(absl::StatusCode::kInvalidArgument));
  const std::atomic<bool> cancelled = true;
  bad = SmallOptions();
  bad.cancelled = &cancelled;
  EXPECT_THAT(build(vectors.view(), 10, bad), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));

  ASSERT_OK(build(vectors.view(), 10, SmallOptions()));
  EXPECT_THAT(build(vectors.view(), 10, SmallOptions()), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(VectorSegment::Open(dir.File("absent"), true), StatusIs(absl::StatusCode::kNotFound));
}

// A small segment, with and without a calibrated beam, and what it answers.
class DamagedSegment : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    vectors_ = ClusteredVectors(60, kColumns, base::Metric::kCosine, 1);
    ASSERT_OK(VectorSegment::Build(vectors_.view(), Labels(60), base::Metric::kCosine, SmallOptions(),
                                   dir_.File("built")));
    ASSERT_OK_AND_ASSIGN(const auto built, VectorSegment::Open(dir_.File("built"), true));
    if (GetParam()) beam_ = {48, 0.95};
    ASSERT_OK(VectorSegment::Write(built->searchable(), built->profile(), built->labels(), dir_.File("good"),
                                   beam_));
    bytes_ = ReadWholeFile(dir_.File("good"));
    ASSERT_OK_AND_ASSIGN(const auto segment, VectorSegment::Open(dir_.File("good"), true));
    EXPECT_EQ(segment->beam(), beam_);
    answers_ = Answers(*segment);
  }

  std::vector<std::vector<base::Neighbor>> Answers(const VectorSegment& segment) const {
    std::vector<std::vector<base::Neighbor>> answers;
    std::vector<float> query(std::max(segment.dimension(), kColumns), 0.0f);
    for (std::size_t i = 0; i < vectors_.rows(); i += 7) {
      std::copy_n(vectors_.row(i), kColumns, query.begin());
      answers.push_back(Search(segment, query.data(), SearchMethod::kGraph));
      answers.push_back(Search(segment, query.data(), SearchMethod::kExact));
    }
    return answers;
  }

  // Damage must be seen when everything is verified, or change nothing; unverified it must not crash.
  void ExpectSafe(const std::string& damaged) {
    WriteWholeFile(dir_.File("bad"), damaged);
    const auto verified = VectorSegment::Open(dir_.File("bad"), true);
    if (verified.ok()) {
      EXPECT_EQ(Answers(**verified), answers_);
      EXPECT_EQ((*verified)->beam(), beam_);
    } else {
      EXPECT_THAT(verified, StatusIs(absl::StatusCode::kDataLoss, HasSubstr("bad")));
    }
    const auto trusted = VectorSegment::Open(dir_.File("bad"), false);
    if (trusted.ok()) Answers(**trusted);
  }

  const TempDir dir_;
  DefaultBeam beam_;
  base::AlignedMatrix vectors_;
  std::string bytes_;
  std::vector<std::vector<base::Neighbor>> answers_;
};

INSTANTIATE_TEST_SUITE_P(WithAndWithoutABeam, DamagedSegment, ::testing::Bool());

TEST_P(DamagedSegment, EveryTruncationIsDataLoss) {
  for (std::size_t length = 0; length < bytes_.size(); length += length < 256 ? 1 : 97) {
    WriteWholeFile(dir_.File("bad"), std::string_view(bytes_).substr(0, length));
    for (const bool verify : {false, true}) {
      ASSERT_THAT(VectorSegment::Open(dir_.File("bad"), verify), StatusIs(absl::StatusCode::kDataLoss))
          << length;
    }
  }
}

TEST_P(DamagedSegment, AFlippedBitIsSeenOrHarmless) {
  // Where the segment's own header lies: everything about it is tried, elsewhere samples.
  const std::size_t header = bytes_.find("TRIVVSEG");
  ASSERT_NE(header, std::string::npos);
  base::Random random(1);
  for (std::size_t offset = 0; offset < bytes_.size();
       offset += offset < 512 || (offset >= header && offset < header + 64) ? 1 : 41) {
    if (offset < header && offset + 41 > header) offset = header;
    std::string damaged = bytes_;
    damaged[offset] = static_cast<char>(damaged[offset] ^ (1 << random.Below(8)));
    SCOPED_TRACE(offset);
    ExpectSafe(damaged);
  }
}

TEST_P(DamagedSegment, HeaderFieldsOutOfRangeAreRefusedEvenUnverified) {
  const std::size_t header = bytes_.find("TRIVVSEG");
  ASSERT_NE(header, std::string::npos);
  const auto expect_refused = [&](std::size_t field, std::uint32_t value, const std::string& what) {
    std::string damaged = bytes_;
    std::memcpy(&damaged[header + field], &value, sizeof(value));
    WriteWholeFile(dir_.File("bad"), damaged);
    EXPECT_THAT(VectorSegment::Open(dir_.File("bad"), false),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr(what)));
  };
  expect_refused(0, 0, "not a vector segment");
  expect_refused(8, 0, "version 0");
  expect_refused(8, 3, "version 3");
  expect_refused(40, 4, "profile 4");
  expect_refused(44, 1, "row format 1");
  expect_refused(44, 3, "row format 3");
  expect_refused(12, 3, "metric 3");
  expect_refused(16, 61, "block rows");
  expect_refused(16, 0, "block rows");
  expect_refused(20, 0x80000000u, "rows");
  expect_refused(24, 0, "dimension 0");
  expect_refused(24, 17, "block rows");
  expect_refused(24, 0xFFFFFFFFu, "dimension");
  expect_refused(28, 0xFFFFFFFFu, "degree bound");
  expect_refused(28, 50, "block graph");
  expect_refused(32, 60, "entry vertex 60");
  expect_refused(52, 65537, "beam width 65537, expected at most 65536");
  if (GetParam()) {
    expect_refused(52, 0, "target recall 0.95, expected 0 without a beam width");
    expect_refused(60, 0x7FF80000u, "target recall nan");
    expect_refused(60, 0x40000000u, "target recall 2");
    expect_refused(60, 0xBFE00000u, "target recall -0");
  } else {
    expect_refused(52, 48, "target recall 0, expected more than 0, at most 1");
    expect_refused(60, 0x3FE00000u, "target recall 0.5, expected 0 without a beam width");
  }
}

TEST_P(DamagedSegment, WithoutABeamThereAreZerosInItsPlace) {
  const std::size_t header = bytes_.find("TRIVVSEG");
  ASSERT_NE(header, std::string::npos);
  const bool zeros = bytes_.substr(header + 52, 12) == std::string(12, '\0');
  EXPECT_EQ(zeros, !GetParam());
  EXPECT_EQ(bytes_ == ReadWholeFile(dir_.File("built")), !GetParam());
}

TEST_P(DamagedSegment, NeighboursOutOfRangeAreRefusedEvenUnverified) {
  ASSERT_OK_AND_ASSIGN(const auto segment, VectorSegment::Open(dir_.File("good"), true));
  const std::string record(reinterpret_cast<const char*>(segment->graph().words()), 64);
  const std::size_t graph = bytes_.find(record);
  ASSERT_NE(graph, std::string::npos);
  for (const std::size_t word : {0u, 1u}) {
    std::string damaged = bytes_;
    const std::uint32_t value = 60;
    std::memcpy(&damaged[graph + 4 * word], &value, sizeof(value));
    WriteWholeFile(dir_.File("bad"), damaged);
    EXPECT_THAT(VectorSegment::Open(dir_.File("bad"), false),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("vertex 0 has")));
  }
}

}  // namespace
}  // namespace trivium::index
