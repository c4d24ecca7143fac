// SPDX-License-Identifier: Apache-2.0
// Edge codes in a segment: what is read back, and what damage does.
#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "index/search_scratch.h"
#include "index/vector_segment.h"
#include "storage/segment_file.h"
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

constexpr std::size_t kRows = 200, kColumns = 64, kHeaderCodes = 36;
using Answers = std::vector<std::vector<base::Neighbor>>;

class SegmentWithCodes : public ::testing::Test {
 protected:
  void SetUp() override {
    vectors_ = ClusteredVectors(kRows, kColumns, base::Metric::kSquaredL2, 1);
    for (std::uint64_t i = 0; i < kRows; ++i) labels_.push_back(10 * i);
    options_.degree_bound = 16;
    options_.beam_width = 40;
    options_.threads = 2;
    Build("good");
    ASSERT_OK_AND_ASSIGN(good_, VectorSegment::Open(dir_.File("good"), true));
    bytes_ = ReadWholeFile(dir_.File("good"));
  }

  void Build(const std::string& name) {
    ASSERT_OK(
        VectorSegment::Build(vectors_.view(), labels_, base::Metric::kSquaredL2, options_, dir_.File(name)));
  }

  Answers Ask(const VectorSegment& segment, SearchMethod method) const {
    SearchScratch scratch;
    const base::MatrixView queries = vectors_.view().First(13);
    SearchParameters parameters;
    parameters.method = method;
    Answers many(queries.rows);
    segment.SearchMany(queries, parameters, &scratch, many.data(), nullptr);
    for (const auto& found : many) {
      EXPECT_EQ(found.size(), 10u);
      for (const base::Neighbor& neighbor : found) EXPECT_LT(neighbor.row, kRows);
    }
    return many;
  }

  // Where the bytes at `first` are in the file.
  std::size_t Place(const std::uint8_t* first, std::size_t count) const {
    const std::size_t place = bytes_.find(std::string(reinterpret_cast<const char*>(first), count));
    EXPECT_NE(place, std::string::npos);
    return place;
  }
  std::size_t EdgesPlace() const { return Place(good_->codes()->blocks(), 2048); }
  std::size_t EntriesPlace() const { return Place(good_->codes()->entry_block(), 1024); }

  // Opens damaged bytes as they are.
  absl::StatusOr<std::shared_ptr<const VectorSegment>> OpenDamaged(const std::string& bytes, bool verify) {
    WriteWholeFile(dir_.File("bad"), bytes);
    return VectorSegment::Open(dir_.File("bad"), verify);
  }

  const TempDir dir_{TempDir::kMemory};
  base::AlignedMatrix vectors_;
  std::vector<std::uint64_t> labels_;
  GraphBuildOptions options_;
  std::shared_ptr<const VectorSegment> good_;
  std::string bytes_;
};

TEST_F(SegmentWithCodes, ReopensWithTheCodesThatAreMadeFromScratch) {
  ASSERT_NE(good_->codes(), nullptr);
  EdgeCodes scratch(kColumns, base::Metric::kSquaredL2, 16);
  scratch.Update(vectors_.view(), good_->graph(), 1);
  const EdgeCodes& codes = *good_->codes();
  ASSERT_EQ(codes.size(), kRows);
  EXPECT_EQ(std::memcmp(codes.blocks(), scratch.blocks(), kRows * codes.shape().bytes), 0);
  EXPECT_EQ(std::memcmp(codes.entry_block(), scratch.entry_block(), codes.entry_shape().bytes), 0);

  SearchScratch buffers;
  SearchCounters counters;
  SearchParameters parameters;
  parameters.method = SearchMethod::kGraph;
  const Answers many = Ask(*good_, SearchMethod::kGraph);
  std::size_t hits = 0;
  for (std::size_t i = 0; i < many.size(); ++i) {
    std::vector<base::Neighbor> found;
    good_->Search(vectors_.row(i), parameters, &buffers, &found, &counters);
    EXPECT_EQ(found, many[i]);
    hits += testing_support::CountFound(
        found, testing_support::SlowSearch(vectors_.view(), good_->metric(), vectors_.row(i), 10));
  }
  EXPECT_GE(hits, 0.95 * 10 * many.size());
  EXPECT_GT(counters.code_distances, 0u);
  EXPECT_EQ(counters.scan_distances, 0u);
}

TEST_F(SegmentWithCodes, KeepsTheSpreadThatCodesWereLearnedFrom) {
  EXPECT_EQ(good_->codes()->spread(), nullptr);
  auto spread = std::make_shared<QuerySpread>(QuerySpread{kColumns, 0.5f, {}});
  for (std::size_t i = 0; i < kColumns * kColumns; ++i) {
    spread->covariance.push_back(1.0f / static_cast<float>(1 + i % (kColumns + 1)));
  }
  EdgeCodes codes(kColumns, base::Metric::kSquaredL2, 16);
  codes.SetSpread(spread);
  codes.Update(vectors_.view(), good_->graph(), 1);
  SearchableRows contents = good_->searchable();
  contents.edge_codes = &codes;
  ASSERT_OK(VectorSegment::Write(contents, Profile::kSpeed, labels_, dir_.File("taught")));
  ASSERT_OK_AND_ASSIGN(const auto taught, VectorSegment::Open(dir_.File("taught"), true));
  ASSERT_NE(taught->codes()->spread(), nullptr);
  EXPECT_EQ(taught->codes()->spread()->dimension, kColumns);
  EXPECT_EQ(taught->codes()->spread()->pull, 0.5f);
  EXPECT_EQ(taught->codes()->spread()->covariance, spread->covariance);
  EXPECT_EQ(std::memcmp(taught->codes()->blocks(), codes.blocks(), kRows * codes.shape().bytes), 0);
  Ask(*taught, SearchMethod::kGraph);
}

TEST_F(SegmentWithCodes, HasNoneWhereNoneWereAskedFor) {
  options_.profile = Profile::kExact;
  Build("plain");
  ASSERT_OK_AND_ASSIGN(const auto plain, VectorSegment::Open(dir_.File("plain"), true));
  EXPECT_EQ(plain->codes(), nullptr);
  EXPECT_LT(plain->size_bytes() + kRows * 512, good_->size_bytes());
  Ask(*plain, SearchMethod::kGraph);
  std::string damaged = ReadWholeFile(dir_.File("plain"));
  damaged[damaged.find("TRIVVSEG") + kHeaderCodes] = 1;
  EXPECT_THAT(OpenDamaged(damaged, false), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("edges")));
}

TEST_F(SegmentWithCodes, OfAnUnknownVersionAreRefusedAndOfNoneIgnored) {
  const std::size_t field = bytes_.find("TRIVVSEG") + kHeaderCodes;
  ASSERT_EQ(bytes_[field], 1);
  std::string damaged = bytes_;
  damaged[field] = 2;
  EXPECT_THAT(OpenDamaged(damaged, false), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("edge codes 2")));
  damaged[field] = 0;
  ASSERT_OK_AND_ASSIGN(const auto segment, OpenDamaged(damaged, false));
  EXPECT_EQ(segment->codes(), nullptr);
  EXPECT_EQ(Ask(*segment, SearchMethod::kExact), Ask(*good_, SearchMethod::kExact));
}

TEST_F(SegmentWithCodes, BlocksOfAnotherSizeAreRefused) {
  ASSERT_OK_AND_ASSIGN(const auto file, storage::SegmentFile::Open(dir_.File("good"), true));
  for (const std::string wrong : {"edges", "entries"}) {
    for (const int change : {-64, -1, 1, 64, 0}) {  // 0: the block is absent
      const std::string path = dir_.File(wrong + std::to_string(change));
      ASSERT_OK_AND_ASSIGN(const auto writer, storage::SegmentFileWriter::Create(path));
      for (const std::string name : {"header", "rows", "labels", "graph", "edges", "entries"}) {
        ASSERT_OK_AND_ASSIGN(const auto block, file->Block(name));
        std::vector<std::byte> bytes(block.begin(), block.end());
        if (name == wrong) {
          if (change == 0) continue;
          bytes.insert(bytes.end(), 64, std::byte{0});
          bytes.resize(block.size() + change);
        }
        ASSERT_OK(writer->AddBlock(name, bytes));
      }
      ASSERT_OK(writer->Commit());
      EXPECT_THAT(VectorSegment::Open(path, true), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(wrong)))
          << change;
    }
  }
}

TEST_F(SegmentWithCodes, ATruncationAnywhereInThemIsDataLoss) {
  for (std::size_t length = EdgesPlace(); length < bytes_.size(); length += 1997) {
    for (const bool verify : {false, true}) {
      ASSERT_THAT(OpenDamaged(bytes_.substr(0, length), verify), StatusIs(absl::StatusCode::kDataLoss))
          << length;
    }
  }
  for (const std::size_t missing : {1u, 8u, 64u}) {
    EXPECT_FALSE(OpenDamaged(bytes_.substr(0, bytes_.size() - missing), false).ok());
  }
}

TEST_F(SegmentWithCodes, AFlippedBitIsSeenWhenVerifiedAndHarmlessWhenNot) {
  base::Random random(1);
  const std::size_t edges = EdgesPlace(), entries = EntriesPlace();
  const std::size_t edge_bytes = kRows * good_->codes()->shape().bytes;
  const std::size_t entry_bytes = good_->codes()->entry_shape().bytes;
  const Answers exact = Ask(*good_, SearchMethod::kExact);
  for (int repeat = 0; repeat < 200; ++repeat) {
    const std::size_t offset =
        repeat % 2 == 0 ? edges + random.Below(edge_bytes) : entries + random.Below(entry_bytes);
    std::string damaged = bytes_;
    damaged[offset] = static_cast<char>(damaged[offset] ^ (1 << random.Below(8)));
    ASSERT_THAT(OpenDamaged(damaged, true), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("bad")))
        << offset;
    ASSERT_OK_AND_ASSIGN(const auto trusted, OpenDamaged(damaged, false));
    Ask(*trusted, SearchMethod::kGraph);
    EXPECT_EQ(Ask(*trusted, SearchMethod::kExact), exact);
  }
}

// Replaces one value of every edge (or of every block) and asks. A walk that cannot get on ends in a scan.
TEST_F(SegmentWithCodes, IdsOutOfRangeAndFactorsThatAreNaNNeverReachARow) {
  const kernels::EdgeBlockShape& shape = good_->codes()->shape();
  const std::size_t edges = EdgesPlace(), entries = EntriesPlace();
  const Answers exact = Ask(*good_, SearchMethod::kExact);
  const auto expect_exact = [&](std::size_t part, std::size_t count, auto value) {
    std::string damaged = bytes_;
    for (std::size_t v = 0; v < kRows; ++v) {
      for (std::size_t i = 0; i < count; ++i) {
        std::memcpy(&damaged[edges + v * shape.bytes + part + i * sizeof(value)], &value, sizeof(value));
      }
    }
    for (const bool entries_too : {false, true}) {
      const kernels::EdgeBlockShape& entry = good_->codes()->entry_shape();
      for (std::size_t i = 0; entries_too && i < 256; ++i) {
        const auto vertex = static_cast<std::uint32_t>(kRows + i);
        std::memcpy(&damaged[entries + entry.vertices + 4 * i], &vertex, 4);
      }
      ASSERT_OK_AND_ASSIGN(const auto segment, OpenDamaged(damaged, false));
      EXPECT_EQ(Ask(*segment, SearchMethod::kGraph), exact);
    }
  };
  for (const std::uint32_t vertex : {std::uint32_t{kRows}, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFEu}) {
    SCOPED_TRACE(vertex);
    expect_exact(shape.vertices, shape.edge_count, vertex);
  }
  for (const std::uint16_t factor : {0x7FC0, 0xFFFF, 0x7F80}) {
    SCOPED_TRACE(factor);
    expect_exact(shape.offsets, shape.edge_count, factor);
  }
  expect_exact(shape.scales, shape.edge_count, std::uint16_t{0x7FC0});
  expect_exact(shape.header, 1, std::numeric_limits<float>::quiet_NaN());
  expect_exact(shape.header + 4, 1, std::numeric_limits<float>::quiet_NaN());
}

TEST_F(SegmentWithCodes, KeepsWhatTaughtTheGraphAndItsEntries) {
  EXPECT_TRUE(good_->training().empty());
  EXPECT_TRUE(good_->codes()->given_entries().empty());
  EdgeCodes codes(kColumns, base::Metric::kSquaredL2, 16);
  codes.Update(vectors_.view(), good_->graph(), 1);
  codes.SetEntries(vectors_.view(), {5, 150});
  SearchableRows contents = good_->searchable();
  contents.edge_codes = &codes;
  KeptTraining training{.record = "{\"queries\":7}"};
  base::AlignedMatrix queries(3, kColumns);
  for (std::size_t j = 0; j < kColumns; ++j) queries.row(1)[j] = static_cast<float>(j) + 0.25f;
  training.SetQueries(std::move(queries));
  training.held_out = 2;
  training.SetEdges({{0, 5, kNoVertex}, {7, 3, 2}});
  ASSERT_OK(VectorSegment::Write(contents, Profile::kSpeed, labels_, dir_.File("taught"), {}, training));
  ASSERT_OK_AND_ASSIGN(const auto taught, VectorSegment::Open(dir_.File("taught"), true));
  EXPECT_EQ(taught->training().record, "{\"queries\":7}");
  EXPECT_EQ(taught->training().held_out, 2u);
  ASSERT_EQ(taught->training().queries.rows, 3u);
  EXPECT_EQ(taught->training().queries.columns, kColumns);
  EXPECT_EQ(taught->training().queries.row(1)[4], 4.25f);
  EXPECT_EQ(taught->training().queries.row(2)[4], 0.0f);
  EXPECT_THAT(taught->training().edges,
              ::testing::ElementsAre(LearnedEdge{0, 5, kNoVertex}, LearnedEdge{7, 3, 2}));
  EXPECT_EQ(taught->codes()->given_entries(), (std::vector<std::uint32_t>{5, 150}));
  EXPECT_EQ(Ask(*taught, SearchMethod::kExact), Ask(*good_, SearchMethod::kExact));

  const std::string bytes = ReadWholeFile(dir_.File("taught"));
  for (std::size_t length = 0; length < bytes.size(); length += 997) {
    ASSERT_FALSE(OpenDamaged(bytes.substr(0, length), false).ok()) << length;
  }
  const std::size_t record = bytes.find("{\"queries\":7}");
  std::string flipped = bytes;
  flipped[record + 3] ^= 1;
  EXPECT_THAT(OpenDamaged(flipped, true), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("training")));
  EXPECT_OK(OpenDamaged(flipped, false));  // it is only shown
  // Counts and vertices are checked whether or not checksums are.
  const auto after = [&](const std::string& pattern) { return bytes.find(pattern, record); };
  const auto number = [](std::uint64_t value, std::size_t size) {
    return std::string(reinterpret_cast<const char*>(&value), size);
  };
  const std::size_t counts = after(number(3, 8) + number(2, 8)),
                    edges = after(number(5, 4) + number(kNoVertex, 4));
  ASSERT_NE(counts, std::string::npos);
  ASSERT_NE(edges, std::string::npos);
  flipped = bytes;
  flipped[counts] = 4;
  EXPECT_THAT(OpenDamaged(flipped, false),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("training queries")));
  flipped = bytes;
  flipped[counts + 8] = 4;
  EXPECT_THAT(OpenDamaged(flipped, false), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("held out 4")));
  flipped = bytes;
  flipped[edges + 3] = 1;
  EXPECT_THAT(OpenDamaged(flipped, false), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("learned edge")));

  const auto refuses = [&](const KeptTraining& wrong, const std::string& message) {
    EXPECT_THAT(VectorSegment::Write(contents, Profile::kSpeed, labels_, dir_.File("wrong"), {}, wrong),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  };
  refuses({.record = std::string((64 << 10) + 1, 'x')}, "bytes of training: 65537");
  KeptTraining narrow{.record = "{}"};
  narrow.SetQueries(base::AlignedMatrix(2, kColumns - 1));
  refuses(narrow, "training queries");
}

TEST_F(SegmentWithCodes, ATrainingOfBeforeQueriesWereKeptIsRead) {
  ASSERT_OK(VectorSegment::Write(good_->searchable(), Profile::kSpeed, labels_, dir_.File("taught"), {},
                                 {.record = "{}"}));
  ASSERT_OK_AND_ASSIGN(const auto taught, VectorSegment::Open(dir_.File("taught"), true));
  EXPECT_EQ(taught->training().record, "{}");
  EXPECT_EQ(taught->training().queries.rows, 0u);
  EXPECT_TRUE(taught->training().edges.empty());
}

}  // namespace
}  // namespace trivium::index
