// SPDX-License-Identifier: Apache-2.0
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/checksum.h"
#include "storage/file_system.h"
#include "storage/key_value_store.h"
#include "storage/store_identity.h"
#include "storage/store_lock.h"
#include "storage/watermark.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium::storage {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::trivium::testing_support::ReadWholeFile;
using ::trivium::testing_support::TempDir;
using ::trivium::testing_support::WriteWholeFile;

TEST(StoreLock, LetsOneHolderIn) {
  TempDir dir;
  {
    ASSERT_OK_AND_ASSIGN(const StoreLock lock, StoreLock::Acquire(dir.path()));
    EXPECT_THAT(StoreLock::Acquire(dir.path()),
                StatusIs(absl::StatusCode::kUnavailable,
                         "store: in use by another process, expected one writer (" + dir.path() + ")"));
  }
  EXPECT_OK(StoreLock::Acquire(dir.path()));
}

TEST(StoreLock, IsKeptOverAForkAndItsEnd) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(StoreLock lock, StoreLock::Acquire(dir.path()));
  const pid_t child = ::fork();
  if (child == 0) {
    { const StoreLock copy = std::move(lock); }  // must not release the parent's
    ::_exit(StoreLock::Acquire(dir.path()).status().code() == absl::StatusCode::kUnavailable ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_THAT(StoreLock::Acquire(dir.path()), StatusIs(absl::StatusCode::kUnavailable));
}

TEST(StoreLock, IsReleasedByADyingProcess) {
  TempDir dir;
  const pid_t child = ::fork();
  if (child == 0) {
    const auto lock = StoreLock::Acquire(dir.path());
    ::_exit(lock.ok() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_OK(StoreLock::Acquire(dir.path()));
}

TEST(StoreLock, NamesAnAbsentDirectory) {
  EXPECT_THAT(StoreLock::Acquire("no/such/store"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no/such/store")));
}

class StoreIdentityTest : public ::testing::Test {
 protected:
  StoreIdentity MakeStore() {
    auto identity = BeginStore(dir_.path());
    EXPECT_OK(identity);
    EXPECT_OK(KeyValueStore::Open(dir_.File("db"), {.create_if_missing = true}));
    EXPECT_OK(CreateDirectory(dir_.File("segments")));
    EXPECT_OK(FinishStore(dir_.path(), *identity));
    return *identity;
  }

  TempDir dir_{TempDir::kMemory};
};

TEST_F(StoreIdentityTest, IsReadBack) {
  const StoreIdentity made = MakeStore();
  ASSERT_OK_AND_ASSIGN(const StoreIdentity found, ReadStoreIdentity(dir_.path()));
  EXPECT_EQ(found.uuid, made.uuid);
  EXPECT_EQ(found.format_version, kStoreFormatVersion);
  EXPECT_THAT(found.uuid,
              MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  EXPECT_THAT(BeginStore(dir_.path()), StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST_F(StoreIdentityTest, AbsentEmptyAndForeignDirectoriesHoldNoStore) {
  EXPECT_THAT(ReadStoreIdentity(dir_.File("absent")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("absent")));
  EXPECT_THAT(ReadStoreIdentity(dir_.path()), StatusIs(absl::StatusCode::kNotFound));
  WriteWholeFile(dir_.File("LOCK"), "");
  EXPECT_THAT(ReadStoreIdentity(dir_.path()), StatusIs(absl::StatusCode::kNotFound));
  WriteWholeFile(dir_.File("notes.txt"), "mine");
  EXPECT_THAT(ReadStoreIdentity(dir_.path()), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(BeginStore(dir_.path()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'notes.txt'")));
  EXPECT_THAT(ReadStoreIdentity(dir_.File("notes.txt")), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(StoreIdentityTest, AnUnfinishedStoreIsMadeAnew) {
  ASSERT_OK_AND_ASSIGN(const StoreIdentity first, BeginStore(dir_.path()));
  ASSERT_OK(CreateDirectory(dir_.File("db")));
  WriteWholeFile(dir_.File("db/half"), "written");
  EXPECT_THAT(ReadStoreIdentity(dir_.path()), StatusIs(absl::StatusCode::kNotFound));
  const StoreIdentity second = MakeStore();
  EXPECT_NE(first.uuid, second.uuid);
  EXPECT_OK(ReadStoreIdentity(dir_.path()));
  EXPECT_FALSE(PathExists(dir_.File("db/half")));
}

TEST_F(StoreIdentityTest, AMissingPartIsDataLoss) {
  MakeStore();
  for (std::string part : {"TRIVIUM", "db/WATERMARK", "db"}) {
    std::filesystem::rename(dir_.File(part), dir_.File("aside"));
    EXPECT_THAT(ReadStoreIdentity(dir_.path()),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr(dir_.File(part))));
    std::filesystem::rename(dir_.File("aside"), dir_.File(part));
    EXPECT_OK(ReadStoreIdentity(dir_.path()));
  }
}

TEST_F(StoreIdentityTest, EveryTruncationAndFlippedBitIsDataLoss) {
  MakeStore();
  const std::string path = dir_.File("TRIVIUM");
  const std::string good = ReadWholeFile(path);
  const auto is_damaged = StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path));
  for (std::size_t size = 0; size < good.size(); ++size) {
    WriteWholeFile(path, good.substr(0, size));
    EXPECT_THAT(ReadStoreIdentity(dir_.path()), is_damaged) << size;
  }
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string flipped = good;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    WriteWholeFile(path, flipped);
    EXPECT_THAT(ReadStoreIdentity(dir_.path()), is_damaged) << bit;
    EXPECT_THAT(BeginStore(dir_.path()), is_damaged) << "and is never overwritten";
  }
  WriteWholeFile(path, good + std::string(100000, 'x'));
  EXPECT_THAT(ReadStoreIdentity(dir_.path()), is_damaged);
}

TEST_F(StoreIdentityTest, NamesANewerFormatVersion) {
  MakeStore();
  std::string bytes = ReadWholeFile(dir_.File("TRIVIUM"));
  bytes[8] = 7;
  const std::uint64_t sum = Checksum(std::string_view(bytes).substr(0, bytes.size() - 8));
  std::memcpy(bytes.data() + bytes.size() - 8, &sum, sizeof(sum));
  WriteWholeFile(dir_.File("TRIVIUM"), bytes);
  EXPECT_THAT(ReadStoreIdentity(dir_.path()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "format version: 7, expected at most 1 (" + dir_.File("TRIVIUM") + ")"));
}

}  // namespace
}  // namespace trivium::storage
