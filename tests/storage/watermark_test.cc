// SPDX-License-Identifier: Apache-2.0
#include "storage/watermark.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/log_tracker.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium::storage {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::trivium::testing_support::ReadWholeFile;
using ::trivium::testing_support::TempDir;
using ::trivium::testing_support::WriteWholeFile;

class WatermarkTest : public ::testing::Test {
 protected:
  // A directory whose files bear the claims out.
  void SetUp() override {
    WriteWholeFile(dir_.File("CURRENT"), "MANIFEST-000007\n");
    WriteWholeFile(dir_.File("MANIFEST-000007"), "edits of the manifest");
    WriteWholeFile(dir_.File("000003.sst"), "table three");
    WriteWholeFile(dir_.File("000009.log"), "log nine");
    mark_.state = WatermarkState::kRunning;
    mark_.sequence = 5;
    mark_.manifest = *ClaimManifest(dir_.path(), "MANIFEST-000007", 5);
    mark_.tables = {{"000003.sst", 11}};
    LogTracker logs;
    logs.Reset(dir_.path());
    ASSERT_OK(logs.Follow({9}));
    ASSERT_OK(logs.Extend());
    mark_.logs = logs.Claims();
    file_.Reset(dir_.path(), 41);
  }

  std::string path() const { return dir_.File(kWatermarkName); }

  TempDir dir_{TempDir::kMemory};
  Watermark mark_;
  WatermarkFile file_;
};

auto IsDamaged(const std::string& name) { return StatusIs(absl::StatusCode::kDataLoss, HasSubstr(name)); }

TEST_F(WatermarkTest, IsReadBack) {
  EXPECT_THAT(ReadWatermark(dir_.path()), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(file_.Advance(6, {}), StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK(file_.Replace(mark_));
  ASSERT_OK_AND_ASSIGN(const Watermark found, ReadWatermark(dir_.path()));
  EXPECT_EQ(found.state, WatermarkState::kRunning);
  EXPECT_EQ(found.generation, 42u);
  EXPECT_EQ(found.sequence, 5u);
  EXPECT_EQ(found.manifest.name, "MANIFEST-000007");
  EXPECT_EQ(found.manifest.bytes, 5u);
  ASSERT_THAT(found.tables, SizeIs(1));
  EXPECT_EQ(found.tables[0].name, "000003.sst");
  ASSERT_THAT(found.logs, SizeIs(1));
  EXPECT_EQ(found.logs[0].bytes, 8u);
  EXPECT_OK(CheckClaims(dir_.path(), found));
}

TEST_F(WatermarkTest, TheLastStepIsInForce) {
  ASSERT_OK(file_.Replace(mark_));
  for (std::uint64_t sequence = 6; sequence < 11; ++sequence) {
    ASSERT_OK(file_.Advance(sequence, mark_.logs));
    ASSERT_OK_AND_ASSIGN(const Watermark found, ReadWatermark(dir_.path()));
    EXPECT_EQ(found.sequence, sequence);
  }
  ASSERT_OK(file_.Replace(mark_));
  EXPECT_EQ(ReadWatermark(dir_.path())->sequence, 5u) << "steps of the file before do not count";
}

TEST_F(WatermarkTest, ATornStepLeavesTheOneBefore) {
  ASSERT_OK(file_.Replace(mark_));
  ASSERT_OK(file_.Advance(6, mark_.logs));
  const std::string before = ReadWholeFile(path());
  ASSERT_OK(file_.Advance(7, mark_.logs));
  const std::string after = ReadWholeFile(path());
  for (std::size_t torn = 0; torn < after.size(); torn += 13) {
    WriteWholeFile(path(), after.substr(0, torn) + before.substr(torn));
    ASSERT_OK_AND_ASSIGN(const Watermark found, ReadWatermark(dir_.path()));
    EXPECT_TRUE(found.sequence == 6 || found.sequence == 7) << torn;
  }
}

TEST_F(WatermarkTest, EveryTruncationIsNoticed) {
  ASSERT_OK(file_.Replace(mark_));
  const std::string good = ReadWholeFile(path());
  for (std::size_t size = 0; size < good.size(); size += size < 8000 ? 97 : 1) {
    WriteWholeFile(path(), good.substr(0, size));
    EXPECT_THAT(ReadWatermark(dir_.path()), IsDamaged(path())) << size;
  }
}

TEST_F(WatermarkTest, AFlippedBitIsNoticedOrHarmless) {
  ASSERT_OK(file_.Replace(mark_));
  ASSERT_OK(file_.Advance(6, mark_.logs));
  const std::string good = ReadWholeFile(path());
  for (std::size_t offset = 0; offset < good.size();
       offset += (offset % 4096 < 80 || offset > 8190) ? 1 : 61) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = good;
      flipped[offset] = static_cast<char>(flipped[offset] ^ (1 << bit));
      WriteWholeFile(path(), flipped);
      const auto found = ReadWatermark(dir_.path());
      if (offset >= 8192) {
        ASSERT_THAT(found, IsDamaged(path())) << offset;
      } else {
        ASSERT_OK(found);
        ASSERT_EQ(found->sequence, offset < 4096 ? 6u : 5u) << "the other slot holds";
      }
    }
  }
  std::string both = good;
  both[0] = static_cast<char>(both[0] ^ 1);
  both[4096] = static_cast<char>(both[4096] ^ 1);
  WriteWholeFile(path(), both);
  EXPECT_THAT(ReadWatermark(dir_.path()), IsDamaged(path()));
}

TEST_F(WatermarkTest, ABrokenClaimNamesItsFile) {
  ASSERT_OK(CheckClaims(dir_.path(), mark_));
  for (std::string name : {"CURRENT", "MANIFEST-000007", "000003.sst", "000009.log"}) {
    const std::string good = ReadWholeFile(dir_.File(name));
    WriteWholeFile(dir_.File(name), good.substr(0, 4));
    EXPECT_THAT(CheckClaims(dir_.path(), mark_), IsDamaged(dir_.File(name))) << "too short";
    ASSERT_OK(RemoveFile(dir_.File(name)));
    EXPECT_THAT(CheckClaims(dir_.path(), mark_), IsDamaged(dir_.File(name))) << "missing";
    WriteWholeFile(dir_.File(name), good);
  }
  for (std::string name : {"MANIFEST-000007", "000009.log"}) {
    std::string flipped = ReadWholeFile(dir_.File(name));
    const std::string good = flipped;
    flipped[3] = 'X';
    WriteWholeFile(dir_.File(name), flipped);
    EXPECT_THAT(CheckClaims(dir_.path(), mark_), IsDamaged(dir_.File(name))) << "changed";
    WriteWholeFile(dir_.File(name), good + "more than was claimed");
    EXPECT_OK(CheckClaims(dir_.path(), mark_));
  }
}

TEST_F(WatermarkTest, CurrentMayMoveForwardWhileADatabaseRuns) {
  WriteWholeFile(dir_.File("MANIFEST-000008"), "newer");
  WriteWholeFile(dir_.File("MANIFEST-000006"), "older");
  WriteWholeFile(dir_.File("CURRENT"), "MANIFEST-000008\n");
  EXPECT_OK(CheckClaims(dir_.path(), mark_));
  mark_.state = WatermarkState::kClosed;
  EXPECT_THAT(CheckClaims(dir_.path(), mark_), IsDamaged("CURRENT"));
  mark_.state = WatermarkState::kRunning;
  WriteWholeFile(dir_.File("CURRENT"), "MANIFEST-000006\n");
  EXPECT_THAT(CheckClaims(dir_.path(), mark_), IsDamaged("CURRENT"));
  for (std::string text :
       {"", "\n", "MANIFEST-\n", "MANIFEST-00000x\n", "../MANIFEST-000007\n", "MANIFEST-000007"}) {
    WriteWholeFile(dir_.File("CURRENT"), text);
    EXPECT_THAT(CheckClaims(dir_.path(), mark_), IsDamaged("CURRENT")) << text;
  }
}

TEST_F(WatermarkTest, ClaimsOfAnOpeningEndWithTheNewManifest) {
  mark_.state = WatermarkState::kOpening;
  ASSERT_OK(RemoveFile(dir_.File("000009.log")));
  EXPECT_THAT(CheckClaims(dir_.path(), mark_), IsDamaged("000009.log"));
  WriteWholeFile(dir_.File("MANIFEST-000008"), "written by the opening");
  WriteWholeFile(dir_.File("CURRENT"), "MANIFEST-000008\n");
  EXPECT_OK(CheckClaims(dir_.path(), mark_));
}

TEST(LogTracker, ReadsEachByteOnce) {
  TempDir dir(TempDir::kMemory);
  LogTracker logs;
  logs.Reset(dir.path());
  EXPECT_THAT(logs.Follow({3}), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(logs.newest(), 0u);
  std::string text;
  WriteWholeFile(dir.File("000003.log"), text);
  ASSERT_OK(logs.Follow({3}));
  for (std::size_t size : {5, 0, 300000, 1}) {
    text += std::string(size, 'x');
    WriteWholeFile(dir.File("000003.log"), text);
    ASSERT_OK(logs.Extend());
    ASSERT_THAT(logs.Claims(), SizeIs(1));
    EXPECT_EQ(logs.Claims()[0].bytes, text.size());
    EXPECT_EQ(logs.Claims()[0].checksum, Checksum(text));
  }
  WriteWholeFile(dir.File("000012.log"), "next");
  ASSERT_OK(logs.Follow({12, 3}));
  ASSERT_OK(logs.Extend());
  EXPECT_EQ(logs.newest(), 12u);
  EXPECT_EQ(logs.Claims()[0].checksum, Checksum(text));
  ASSERT_OK(logs.Follow({12}));
  ASSERT_THAT(logs.Claims(), SizeIs(1));
  EXPECT_EQ(logs.Claims()[0].checksum, Checksum("next"));
}

}  // namespace
}  // namespace trivium::storage
