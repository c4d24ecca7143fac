// SPDX-License-Identifier: Apache-2.0
// Damages each file of a database at many places. Either opening or verifying says kDataLoss and names a
// file, or everything acknowledged is still there: nothing is ever missing silently.
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/file_system.h"
#include "storage/key_value_store.h"
#include "storage/watermark.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium::storage {
namespace {

using ::testing::HasSubstr;
using ::trivium::testing_support::ReadWholeFile;
using ::trivium::testing_support::TempDir;
using ::trivium::testing_support::WriteWholeFile;

using Contents = std::map<std::string, std::string>;

absl::StatusOr<Contents> ReadAll(const KeyValueStore& store) {
  Contents contents;
  for (const auto& [table, name] :
       {std::pair{Table::kDocuments, "documents/"}, {Table::kVectors, "vectors/"}}) {
    const absl::Status status =
        store.ForEach(table, "", [&, name = name](std::string_view key, std::string_view value) {
          contents.emplace(name + std::string(key), value);
          return true;
        });
    if (!status.ok()) return status;
  }
  return contents;
}

// What a whole look at the database finds.
absl::StatusOr<Contents> Inspect(const std::string& path, bool read_only) {
  auto store = KeyValueStore::Open(path, {.read_only = read_only});
  if (!store.ok()) return store.status();
  if (const absl::Status status = (*store)->VerifyChecksums(); !status.ok()) return status;
  return ReadAll(**store);
}

enum class Ending { kCrashed, kCrashedAfterFlush, kClosed };

// A database with tables, logs that hold more than the tables, and deleted keys.
class DatabaseDamageTest : public ::testing::TestWithParam<Ending> {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(auto store, KeyValueStore::Open(dir_.File("live"), {.create_if_missing = true}));
    base::Random random(3);
    const auto write = [&](int first, int end) {
      for (int i = first; i < end; ++i) {
        std::string value(random.Below(400), '\0');
        for (char& c : value) c = static_cast<char>(random.Next());
        WriteBatch batch;
        batch.Put(i % 3 == 0 ? Table::kVectors : Table::kDocuments, absl::StrFormat("%04d", i), value);
        batch.Delete(Table::kDocuments, absl::StrFormat("%04d", i - 10));
        ASSERT_OK(store->Write(std::move(batch), i % 5 == 4));
      }
    };
    write(0, 60);
    ASSERT_OK(store->Compact());
    write(60, 90);
    if (GetParam() == Ending::kClosed) {
      expected_ = *ReadAll(*store);
      ASSERT_OK(store->Close());
    } else if (GetParam() == Ending::kCrashedAfterFlush) {
      // Flushed by the checkpoint: the manifest has grown past the watermark, the logs are not needed any
      // more.
      ASSERT_OK(store->Checkpoint(dir_.File("checkpoint")));
      expected_ = *ReadAll(*store);
    } else {
      expected_ = *ReadAll(*store);
    }
    // The files of a live database at a quiet moment are what a crash leaves.
    std::filesystem::copy(dir_.File("live"), dir_.File("good"), std::filesystem::copy_options::recursive);
    ASSERT_THAT(Inspect(CopyOfGood(), true), IsOkAndHolds(expected_));
    ASSERT_THAT(Inspect(CopyOfGood(), false), IsOkAndHolds(expected_));
  }

  std::vector<std::string> Files() const {
    const auto files = ListDirectory(dir_.File("good"));
    EXPECT_OK(files);
    return *files;
  }

  std::string CopyOfGood() const {
    std::filesystem::remove_all(dir_.File("copy"));
    std::filesystem::copy(dir_.File("good"), dir_.File("copy"), std::filesystem::copy_options::recursive);
    return dir_.File("copy");
  }

  // Whether the damage was found; fails the test where it is found badly or has done silent harm.
  bool IsFound(const std::string& file, const std::string& what, bool read_only,
               const std::function<void(const std::string&)>& damage) {
    const std::string path = CopyOfGood();
    damage(path + "/" + file);
    const auto found = Inspect(path, read_only);
    if (found.ok()) {
      EXPECT_TRUE(*found == expected_)
          << file << " " << what << ": " << expected_.size() << " entries became " << found->size();
      return false;
    }
    EXPECT_THAT(found, StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path))) << file << " " << what;
    // What RocksDB finds in files that no watermark claims yet, it reports under the manifest's name.
    if (GetParam() != Ending::kCrashedAfterFlush) {
      EXPECT_THAT(std::string(found.status().message()), HasSubstr(file)) << what;
    }
    return true;
  }

  bool MustBeFound(const std::string& file) const {
    if (file.find(".log") != std::string::npos) return GetParam() == Ending::kCrashed;
    return file.find(".sst") != std::string::npos || file.find("MANIFEST") == 0 || file == "CURRENT";
  }

  TempDir dir_{TempDir::kMemory};
  Contents expected_;
};

TEST_P(DatabaseDamageTest, AMissingFileIsNoticed) {
  for (const std::string& file : Files()) {
    for (bool read_only : {true, false}) {
      const bool found =
          IsFound(file, "removed", read_only, [](const std::string& path) { std::filesystem::remove(path); });
      if (MustBeFound(file) || file == kWatermarkName) {
        EXPECT_TRUE(found) << file;
      }
    }
  }
}

TEST_P(DatabaseDamageTest, ATruncatedFileIsNoticed) {
  for (const std::string& file : Files()) {
    const auto size = std::filesystem::file_size(dir_.File("good") + "/" + file);
    if (size == 0) continue;
    std::set<std::uintmax_t> lengths = {0, size / 4, size / 2, size - 1};
    for (std::uintmax_t length : lengths) {
      const bool found =
          IsFound(file, absl::StrFormat("cut to %d of %d", length, size), length % 2 == 0,
                  [&](const std::string& path) { std::filesystem::resize_file(path, length); });
      if (MustBeFound(file) && GetParam() != Ending::kCrashedAfterFlush) {
        EXPECT_TRUE(found) << file << " cut to " << length << " of " << size;
      }
    }
  }
}

TEST_P(DatabaseDamageTest, AFlippedBitIsNoticed) {
  base::Random random(11);
  for (const std::string& file : Files()) {
    const std::string good = ReadWholeFile(dir_.File("good") + "/" + file);
    if (good.empty() || file.rfind("OPTIONS", 0) == 0) continue;  // RocksDB writes it but never reads it here
    std::set<std::size_t> offsets = {0, good.size() - 1};
    for (int i = 0; i < 10; ++i) offsets.insert(random.Below(good.size()));
    for (std::size_t i = 1; i < 8 && i < good.size(); i += 2) offsets.insert(good.size() - i);
    for (std::size_t offset : offsets) {
      const auto bit = random.Below(8);
      (void)IsFound(file, absl::StrFormat("bit %d of byte %d of %d", bit, offset, good.size()),
                    random.Below(3) == 0, [&](const std::string& path) {
                      std::string flipped = good;
                      flipped[offset] = static_cast<char>(flipped[offset] ^ (1 << bit));
                      WriteWholeFile(path, flipped);
                    });
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Endings, DatabaseDamageTest,
                         ::testing::Values(Ending::kCrashed, Ending::kCrashedAfterFlush, Ending::kClosed),
                         [](const auto& info) {
                           switch (info.param) {
                             case Ending::kCrashed:
                               return "Crashed";
                             case Ending::kCrashedAfterFlush:
                               return "CrashedAfterFlush";
                             case Ending::kClosed:
                               return "Closed";
                           }
                           return "";
                         });

}  // namespace
}  // namespace trivium::storage
