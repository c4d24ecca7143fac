// SPDX-License-Identifier: Apache-2.0
// Segments of compressed profiles: what is read back, how large they are, and what damage does.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "index/search_scratch.h"
#include "index/vector_segment.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium::index {
namespace {

using ::testing::HasSubstr;
using testing_support::ClusteredVectors;
using testing_support::ReadWholeFile;
using testing_support::TempDir;
using testing_support::WriteWholeFile;

using Answers = std::vector<std::vector<base::Neighbor>>;

std::vector<std::uint64_t> Labels(std::size_t count) {
  std::vector<std::uint64_t> labels(count);
  for (std::size_t i = 0; i < count; ++i) labels[i] = 3 * i;
  return labels;
}

GraphBuildOptions Options(Profile profile) {
  GraphBuildOptions options;
  options.beam_width = 40;
  options.threads = 2;
  options.profile = profile;
  return options;
}

Answers Ask(const VectorSegment& segment, base::MatrixView queries, SearchMethod method) {
  SearchScratch scratch;
  Answers answers(queries.rows);
  segment.SearchMany(queries, {.method = method}, &scratch, answers.data(), nullptr);
  for (const auto& found : answers) {
    EXPECT_EQ(found.size(), 10u);
    for (const base::Neighbor& neighbor : found) {
      EXPECT_LT(neighbor.row, segment.size());
      EXPECT_FALSE(std::isnan(neighbor.distance));
    }
  }
  return answers;
}

class SegmentOfProfile : public ::testing::TestWithParam<std::tuple<Profile, base::Metric>> {
 protected:
  static constexpr std::size_t kRows = 300, kColumns = 70;

  Profile profile() const { return std::get<0>(GetParam()); }
  base::Metric metric() const { return std::get<1>(GetParam()); }

  void SetUp() override {
    vectors_ = ClusteredVectors(kRows, kColumns, metric(), 1);
    ASSERT_OK(VectorSegment::Build(vectors_.view(), Labels(kRows), metric(), Options(profile()),
                                   dir_.File("good")));
    ASSERT_OK_AND_ASSIGN(good_, VectorSegment::Open(dir_.File("good"), true));
    bytes_ = ReadWholeFile(dir_.File("good"));
  }

  absl::StatusOr<std::shared_ptr<const VectorSegment>> OpenDamaged(const std::string& bytes, bool verify) {
    WriteWholeFile(dir_.File("bad"), bytes);
    return VectorSegment::Open(dir_.File("bad"), verify);
  }

  TempDir dir_;
  base::AlignedMatrix vectors_;
  std::shared_ptr<const VectorSegment> good_;
  std::string bytes_;
};

INSTANTIATE_TEST_SUITE_P(All, SegmentOfProfile,
                         ::testing::Combine(::testing::Values(Profile::kBalanced, Profile::kSmall),
                                            ::testing::Values(base::Metric::kCosine,
                                                              base::Metric::kInnerProduct,
                                                              base::Metric::kSquaredL2)));

TEST_P(SegmentOfProfile, ReopensWithItsProfileRowsAndAnswers) {
  EXPECT_EQ(good_->profile(), profile());
  EXPECT_EQ(good_->stored_rows().format, FormatOf(profile()));
  EXPECT_EQ(good_->graph().degree_bound(), 31u);
  ASSERT_NE(good_->row_codes(), nullptr);
  EXPECT_EQ(good_->codes(), nullptr);
  std::vector<float> row(kColumns);
  for (std::size_t i = 0; i < kRows; ++i) {
    good_->CopyRow(i, row.data());
    float largest = 0;
    for (std::size_t j = 0; j < kColumns; ++j) largest = std::max(largest, std::abs(vectors_.row(i)[j]));
    for (std::size_t j = 0; j < kColumns; ++j) ASSERT_NEAR(row[j], vectors_.row(i)[j], largest / 250);
  }
  // What is written from an opened segment is the same file.
  ASSERT_OK(VectorSegment::Write(good_->searchable(), profile(), good_->labels(), dir_.File("again")));
  EXPECT_EQ(ReadWholeFile(dir_.File("again")), bytes_);
}

TEST_P(SegmentOfProfile, ATruncationAnywhereIsDataLoss) {
  for (std::size_t length = 0; length < bytes_.size(); length += 1997) {
    for (const bool verify : {false, true}) {
      ASSERT_THAT(OpenDamaged(bytes_.substr(0, length), verify), StatusIs(absl::StatusCode::kDataLoss))
          << length;
    }
  }
}

TEST_P(SegmentOfProfile, AFlippedBitIsSeenWhenVerifiedAndHarmlessWhenNot) {
  base::Random random(1);
  for (int repeat = 0; repeat < 400; ++repeat) {
    const std::size_t offset = random.Below(bytes_.size());
    std::string damaged = bytes_;
    damaged[offset] = static_cast<char>(damaged[offset] ^ (1 << random.Below(8)));
    const auto verified = OpenDamaged(damaged, true);
    if (verified.ok()) {  // between blocks
      EXPECT_EQ(Ask(**verified, vectors_.view().First(3), SearchMethod::kExact),
                Ask(*good_, vectors_.view().First(3), SearchMethod::kExact));
    } else {
      ASSERT_THAT(verified, StatusIs(absl::StatusCode::kDataLoss));
    }
    const auto trusted = OpenDamaged(damaged, false);
    if (!trusted.ok()) continue;
    if ((*trusted)->size() != kRows || (*trusted)->dimension() != kColumns) continue;
    Ask(**trusted, vectors_.view().First(3), SearchMethod::kGraph);
    Ask(**trusted, vectors_.view().First(3), SearchMethod::kExact);
  }
}

TEST_P(SegmentOfProfile, FactorsThatAreNaNNeverReachASearch) {
  const auto place = [&](const void* block, std::size_t size) {
    return bytes_.find(std::string(static_cast<const char*>(block), size));
  };
  const float bad = std::numeric_limits<float>::quiet_NaN();
  const RowCodes& codes = *good_->row_codes();
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < kRows; ++i) {
    places.push_back(place(codes.records(), 64) + i * codes.record_bytes() + codes.padded_dimension() / 8);
  }
  for (std::size_t i = 0; i < codes.center_size(); ++i) places.push_back(place(codes.center(), 64) + 4 * i);
  if (profile() == Profile::kSmall) {
    for (std::size_t i = 0; i < kRows; i += 3) {
      places.push_back(place(good_->stored_rows().scales, 64) + 4 * i);
    }
  }
  std::string damaged = bytes_;
  for (const std::size_t at : places) std::memcpy(&damaged[at], &bad, sizeof(bad));
  ASSERT_OK_AND_ASSIGN(const auto segment, OpenDamaged(damaged, false));
  Ask(*segment, vectors_.view().First(13), SearchMethod::kGraph);
  Ask(*segment, vectors_.view().First(13), SearchMethod::kExact);
}

TEST_P(SegmentOfProfile, AProfileThatIsNotThatOfTheRowsIsDataLoss) {
  // The header is the first block; its checksum is not looked at without `verify`.
  constexpr std::size_t kProfileOffset = 40, kFormatOffset = 44, kCodesOffset = 48;
  const std::size_t header = bytes_.find("TRIVVSEG");
  for (const std::size_t offset : {kProfileOffset, kFormatOffset, kCodesOffset}) {
    for (const char value : {1, 2, 4, 9}) {
      std::string damaged = bytes_;
      if (damaged[header + offset] == value) continue;
      if (offset == kCodesOffset && value == 1) continue;
      damaged[header + offset] = value;
      if (offset == kProfileOffset && value == 3) continue;
      EXPECT_THAT(OpenDamaged(damaged, false), StatusIs(absl::StatusCode::kDataLoss))
          << offset << " " << int(value);
    }
  }
}

// The memory limits of the profiles, at 384 dimensions: shares of float32 vectors with hnswlib's graph (M =
// 16).
TEST(SegmentSizes, ARowTakesAtMostItsShareOfVectorsWithAnHnswGraph) {
  constexpr double kPeerBytes = 384 * 4 + 144;
  const TempDir dir;
  const std::size_t rows = 2000;
  for (const base::Metric metric : {base::Metric::kCosine, base::Metric::kSquaredL2}) {
    const auto vectors = ClusteredVectors(rows, 384, metric, 1);
    for (const auto& [profile, share] :
         {std::pair{Profile::kBalanced, 0.6}, std::pair{Profile::kSmall, 0.35}}) {
      const std::string path = dir.File(std::to_string(int(profile)) + std::to_string(int(metric)));
      ASSERT_OK(VectorSegment::Build(vectors.view(), Labels(rows), metric, Options(profile), path));
      ASSERT_OK_AND_ASSIGN(const auto segment, VectorSegment::Open(path, true));
      const std::size_t bytes = segment->stored_rows().bytes() +
                                rows * segment->graph().stride() * sizeof(std::uint32_t) +
                                rows * segment->row_codes()->record_bytes();
      EXPECT_LE(bytes / double(rows), share * kPeerBytes);
      // The whole file: labels, and less than 100 KB that do not grow with the rows.
      EXPECT_LE(std::filesystem::file_size(path), bytes + rows * 8 + 100'000);
    }
  }
}

}  // namespace
}  // namespace trivium::index
