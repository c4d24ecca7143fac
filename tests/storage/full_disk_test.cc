// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/file_system.h"
#include "storage/key_value_store.h"
#include "storage/segment_file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium::storage {
namespace {

using ::testing::Optional;
using ::trivium::testing_support::TempDir;
using ::trivium::testing_support::WriteWholeFile;

std::string RandomBytes(std::size_t size) {
  static base::Random random(1);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random.Next());
  return bytes;
}

absl::Status Put(KeyValueStore& store, int i, std::size_t size) {
  WriteBatch batch;
  batch.Put(Table::kDocuments, absl::StrFormat("%06d", i), RandomBytes(size));
  return store.Write(std::move(batch), true);
}

int CountKeys(const KeyValueStore& store) {
  int count = 0;
  EXPECT_OK(store.ForEach(Table::kDocuments, "", [&](std::string_view key, std::string_view) {
    EXPECT_EQ(key, absl::StrFormat("%06d", count++));
    return true;
  }));
  return count;
}

// Writes until there is no room, checks that nothing is lost or half there, makes room, goes on writing.
void FillMakeRoomAndGoOn(const std::string& path, std::size_t value_bytes,
                         const std::function<void()>& make_room) {
  int written = 0;
  {
    ASSERT_OK_AND_ASSIGN(auto store, KeyValueStore::Open(path, {.create_if_missing = true}));
    absl::Status status;
    while (written < 20000 && (status = Put(*store, written, value_bytes)).ok()) ++written;
    ASSERT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
    EXPECT_GT(written, 0);
    for (int i = 0; i < 3; ++i) {
      EXPECT_THAT(Put(*store, written, value_bytes), StatusIs(absl::StatusCode::kResourceExhausted));
      EXPECT_EQ(CountKeys(*store), written) << "reads go on, and nothing was applied";
    }
    make_room();
    for (int i = 0; i < 5; ++i, ++written) ASSERT_OK(Put(*store, written, 1000));
    EXPECT_EQ(CountKeys(*store), written);
    EXPECT_OK(store->VerifyChecksums());
    EXPECT_OK(store->Close());
  }
  ASSERT_OK_AND_ASSIGN(auto store, KeyValueStore::Open(path, {}));
  EXPECT_EQ(CountKeys(*store), written);
}

// A file size limit stands in for a full disk where a small one cannot be mounted.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit lower = before_;
    lower.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &lower);
  }
  ~FileSizeLimit() { Lift(); }
  void Lift() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_;
};

TEST(FullDisk, AFileSizeLimitStopsWritesUntilItIsLifted) {
  TempDir dir(TempDir::kMemory);
  FileSizeLimit limit(400000);
  FillMakeRoomAndGoOn(dir.File("db"), 3000, [&] { limit.Lift(); });
}

TEST(FullDisk, ASegmentThatDoesNotFitLeavesNothing) {
  TempDir dir(TempDir::kMemory);
  {
    FileSizeLimit limit(100000);
    ASSERT_OK_AND_ASSIGN(auto writer, SegmentFileWriter::Create(dir.File("segment")));
    const std::string bytes(500000, 'x');
    EXPECT_THAT(writer->AddBlock("block", {reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()}),
                StatusIs(absl::StatusCode::kResourceExhausted));
    EXPECT_THAT(writer->Commit(), StatusIs(absl::StatusCode::kResourceExhausted));
  }
  EXPECT_THAT(ListDirectory(dir.path()), IsOkAndHolds(::testing::IsEmpty()));
}

TEST(FullDisk, AFullFileSystemStopsWritesUntilThereIsRoom) {
  TempDir dir;
  if (::mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "size=16m") != 0) {
    GTEST_SKIP() << "may not mount a small file system here";
  }
  WriteWholeFile(dir.File("ballast"), std::string(9000000, 'x'));
  FillMakeRoomAndGoOn(dir.File("db"), 30000, [&] { std::filesystem::remove(dir.File("ballast")); });
  EXPECT_EQ(::umount2(dir.path().c_str(), MNT_DETACH), 0);
}

TEST(Permissions, AReadOnlyStoreNeedsNoRightToWrite) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become somebody with fewer rights";
  TempDir dir(TempDir::kMemory);
  {
    ASSERT_OK_AND_ASSIGN(auto store, KeyValueStore::Open(dir.File("db"), {.create_if_missing = true}));
    ASSERT_OK(Put(*store, 0, 10));
  }
  ASSERT_EQ(::chmod(dir.path().c_str(), 0755), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setuid(65534) != 0) ::_exit(1);
    auto writer = KeyValueStore::Open(dir.File("db"), {});
    if (writer.status().code() != absl::StatusCode::kPermissionDenied) ::_exit(2);
    auto reader = KeyValueStore::Open(dir.File("db"), {.read_only = true});
    if (!reader.ok()) ::_exit(3);
    ::_exit(CountKeys(**reader) == 1 ? 0 : 4);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace trivium::storage
