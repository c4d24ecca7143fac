// SPDX-License-Identifier: Apache-2.0
#include "storage/key_value_store.h"

#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/file_system.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Optional;
using ::testing::Pair;
using ::trivium::testing_support::TempDir;
using ::trivium::testing_support::WriteWholeFile;

class KeyValueStoreTest : public ::testing::Test {
 protected:
  std::string path() const { return dir_.File("db"); }

  absl::StatusOr<std::unique_ptr<KeyValueStore>> Open(bool read_only = false) {
    KeyValueStore::Options options;
    options.read_only = read_only;
    options.create_if_missing = !read_only;
    return KeyValueStore::Open(path(), options);
  }
  static absl::Status Put(KeyValueStore& store, std::string_view key, std::string_view value,
                          bool sync = false) {
    WriteBatch batch;
    batch.Put(Table::kDocuments, key, value);
    return store.Write(std::move(batch), sync);
  }
  static std::vector<std::string> Keys(const KeyValueStore& store, Table table, std::string_view prefix) {
    std::vector<std::string> keys;
    EXPECT_OK(store.ForEach(table, prefix, [&](std::string_view key, std::string_view) {
      keys.emplace_back(key);
      return true;
    }));
    return keys;
  }

  TempDir dir_{TempDir::kMemory};
};

TEST_F(KeyValueStoreTest, GivesBackWhatWasWrittenAfterReopening) {
  {
    ASSERT_OK_AND_ASSIGN(auto store, Open());
    WriteBatch batch;
    EXPECT_TRUE(batch.empty());
    batch.Put(Table::kDocuments, "key", "document");
    batch.Put(Table::kMetadata, "key", std::string("\0\xFF", 2));
    batch.Put(Table::kDocuments, "", "empty key");
    batch.Delete(Table::kDocuments, "never there");
    EXPECT_FALSE(batch.empty());
    EXPECT_GT(batch.bytes(), 10u);
    ASSERT_OK(store->Write(std::move(batch), true));
    EXPECT_THAT(store->Get(Table::kDocuments, "key"), IsOkAndHolds(Optional(std::string("document"))));
    ASSERT_OK(store->Close());
    EXPECT_OK(store->Close());
    EXPECT_THAT(store->Get(Table::kDocuments, "key"), StatusIs(absl::StatusCode::kFailedPrecondition));
    EXPECT_THAT(Put(*store, "k", "v"), StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("closed")));
  }
  for (bool read_only : {false, true, false}) {
    ASSERT_OK_AND_ASSIGN(auto store, Open(read_only));
    EXPECT_THAT(store->Get(Table::kDocuments, "key"), IsOkAndHolds(Optional(std::string("document"))));
    EXPECT_THAT(store->Get(Table::kMetadata, "key"), IsOkAndHolds(Optional(std::string("\0\xFF", 2))));
    EXPECT_THAT(store->Get(Table::kDocuments, ""), IsOkAndHolds(Optional(std::string("empty key"))));
    EXPECT_THAT(store->Get(Table::kIds, "key"), IsOkAndHolds(std::nullopt));
    EXPECT_THAT(
        store->MultiGet(Table::kDocuments, {"absent", "key", "", "key"}),
        IsOkAndHolds(ElementsAre(std::nullopt, Optional(std::string("document")),
                                 Optional(std::string("empty key")), Optional(std::string("document")))));
    EXPECT_THAT(store->MultiGet(Table::kDocuments, {}), IsOkAndHolds(IsEmpty()));
  }
}

TEST_F(KeyValueStoreTest, VisitsKeysOfAPrefixInByteOrder) {
  ASSERT_OK_AND_ASSIGN(auto store, Open());
  for (std::string key : {"b", "a/2", "a/10", "a", "a0", "a/", "a\xFF", "\xFF\xFF", "\xFF"}) {
    ASSERT_OK(Put(*store, key, "v"));
  }
  EXPECT_THAT(Keys(*store, Table::kDocuments, "a/"), ElementsAre("a/", "a/10", "a/2"));
  EXPECT_THAT(Keys(*store, Table::kDocuments, "a\xFF"), ElementsAre("a\xFF"));
  EXPECT_THAT(Keys(*store, Table::kDocuments, "\xFF"), ElementsAre("\xFF", "\xFF\xFF"));
  EXPECT_EQ(Keys(*store, Table::kDocuments, "").size(), 9u);
  EXPECT_THAT(Keys(*store, Table::kDocuments, "c"), IsEmpty());
  EXPECT_THAT(Keys(*store, Table::kIds, ""), IsEmpty());
  int visited = 0;
  EXPECT_OK(store->ForEach(Table::kDocuments, "a",
                           [&](std::string_view, std::string_view) { return ++visited < 2; }));
  EXPECT_EQ(visited, 2) << "stops when asked to";
}

TEST_F(KeyValueStoreTest, DeletesKeysOfAPrefixOnly) {
  ASSERT_OK_AND_ASSIGN(auto store, Open());
  const std::string longest(kMaxKeyBytes, '\xFF');
  for (std::string key :
       {std::string("a"), std::string("b"), std::string("b\xFF"), std::string("c"), longest}) {
    ASSERT_OK(Put(*store, key, "v"));
  }
  WriteBatch batch;
  batch.Put(Table::kDocuments, "b1", "put before");
  batch.DeletePrefix(Table::kDocuments, "b");
  batch.Put(Table::kDocuments, "b2", "put after");
  ASSERT_OK(store->Write(std::move(batch), false));
  EXPECT_THAT(Keys(*store, Table::kDocuments, ""), ElementsAre("a", "b2", "c", longest));
  WriteBatch high;
  high.DeletePrefix(Table::kDocuments, "\xFF");
  ASSERT_OK(store->Write(std::move(high), false));
  EXPECT_THAT(Keys(*store, Table::kDocuments, ""), ElementsAre("a", "b2", "c"));
  ASSERT_OK(Put(*store, longest, "v"));
  WriteBatch all;
  all.DeletePrefix(Table::kDocuments, "");
  ASSERT_OK(store->Write(std::move(all), false));
  EXPECT_THAT(Keys(*store, Table::kDocuments, ""), IsEmpty());
}

TEST_F(KeyValueStoreTest, AppliesNothingOfABatchItRefuses) {
  ASSERT_OK_AND_ASSIGN(auto store, Open());
  WriteBatch batch;
  batch.Put(Table::kDocuments, "good", "v");
  batch.Put(Table::kDocuments, std::string(kMaxKeyBytes + 1, 'x'), "v");
  EXPECT_THAT(store->Write(std::move(batch), true),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("65536 bytes, expected at most 65535")));
  EXPECT_THAT(store->Get(Table::kDocuments, "good"), IsOkAndHolds(std::nullopt));
  EXPECT_OK(Put(*store, "good", "v", true)) << "the store goes on working";
}

TEST_F(KeyValueStoreTest, IsAbsentUntilCreated) {
  KeyValueStore::Options options;
  EXPECT_THAT(KeyValueStore::Open(path(), options), StatusIs(absl::StatusCode::kNotFound, HasSubstr(path())));
  EXPECT_THAT(Open(true), StatusIs(absl::StatusCode::kNotFound, HasSubstr(path())));
  EXPECT_FALSE(PathExists(path()));
  ASSERT_OK(CreateDirectory(path()));
  EXPECT_THAT(KeyValueStore::Open(path(), options), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_OK(Open());
}

TEST_F(KeyValueStoreTest, ReadOnlyChangesNothing) {
  {
    ASSERT_OK_AND_ASSIGN(auto store, Open());
    ASSERT_OK(Put(*store, "key", "value", true));
  }
  ASSERT_OK_AND_ASSIGN(const auto before, ListDirectory(path()));
  {
    ASSERT_OK_AND_ASSIGN(auto store, Open(true));
    EXPECT_THAT(Put(*store, "key", "other"),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("read-only")));
    EXPECT_THAT(store->Compact(), StatusIs(absl::StatusCode::kFailedPrecondition));
    EXPECT_THAT(store->Checkpoint(dir_.File("copy")), StatusIs(absl::StatusCode::kFailedPrecondition));
    EXPECT_OK(store->VerifyChecksums());
    EXPECT_OK(store->Close());
  }
  EXPECT_THAT(ListDirectory(path()), IsOkAndHolds(before));
}

TEST_F(KeyValueStoreTest, WritesNoTextLogOfRocksDb) {
  std::vector<std::string> messages;
  KeyValueStore::Options options;
  options.create_if_missing = true;
  options.log = [&](std::string_view message) { messages.emplace_back(message); };
  ASSERT_OK(KeyValueStore::Open(path(), options));
  ASSERT_OK_AND_ASSIGN(const auto names, ListDirectory(path()));
  for (const std::string& name : names) {
    EXPECT_NE(name, "LOG");
    EXPECT_THAT(name, Not(HasSubstr("LOG.old")));
  }
}

TEST_F(KeyValueStoreTest, ReadsBesideALiveWriter) {
  ASSERT_OK_AND_ASSIGN(auto writer, Open());
  const std::string value(2000, 'v');
  for (int round = 0; round < 3; ++round) {
    const auto nothing_yet =
        round == 0 ? std::nullopt : std::optional<std::string>(std::to_string(round - 1));
    for (int i = 0; i < 200; ++i) {
      ASSERT_OK(Put(*writer, std::to_string(round) + "/" + std::to_string(i), value, i == 199));
    }
    if (round == 1) {
      ASSERT_OK(writer->Compact());
    }
    ASSERT_OK_AND_ASSIGN(auto reader, Open(true));
    EXPECT_EQ(Keys(*reader, Table::kDocuments, "").size(), 200u * (round + 1));
    WriteBatch later;
    later.Put(Table::kIds, "later", std::to_string(round));
    ASSERT_OK(writer->Write(std::move(later), true));
    EXPECT_THAT(reader->Get(Table::kIds, "later"), IsOkAndHolds(nothing_yet))
        << "sees what was when it opened";
    EXPECT_OK(reader->VerifyChecksums());
  }
}

TEST_F(KeyValueStoreTest, AReaderOpensWhileAWriterFlushesAndCompacts) {
  ASSERT_OK_AND_ASSIGN(auto writer, Open());
  ASSERT_OK(Put(*writer, "first", "1", true));
  std::atomic<bool> stop{false};
  std::thread writing([&] {
    base::Random random(1);
    for (int i = 0; !stop; ++i) {
      EXPECT_OK(Put(*writer, std::to_string(random.Below(5000)), std::string(3000, 'v'), i % 50 == 0));
      if (i % 200 == 0) {
        EXPECT_OK(writer->Compact());
        // A writer that never stops deleting files would starve a slow reader, which then says kUnavailable.
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    }
  });
  for (int i = 0; i < 15; ++i) {
    const auto reader = Open(true);
    EXPECT_OK(reader);
    if (reader.ok()) {
      EXPECT_THAT((*reader)->Get(Table::kDocuments, "first"), IsOkAndHolds(Optional(std::string("1"))));
    }
  }
  stop = true;
  writing.join();
}

TEST_F(KeyValueStoreTest, WritersReadersAndCompactionsWorkAtTheSameTime) {
  constexpr int kThreads = 3;
  constexpr int kWrites = 150;
  {
    ASSERT_OK_AND_ASSIGN(auto store, Open());
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        for (int i = 0; i < kWrites; ++i) {
          const std::string key = std::to_string(thread) + "/" + std::to_string(i);
          EXPECT_OK(Put(*store, key, std::string(20000, 'v'), i % 10 == 0));
          EXPECT_THAT(store->Get(Table::kDocuments, key), IsOkAndHolds(Optional(std::string(20000, 'v'))));
        }
      });
    }
    for (int i = 0; i < 10; ++i) {
      EXPECT_OK(store->Compact());
      EXPECT_OK(store->VerifyChecksums());
    }
    for (std::thread& thread : threads) thread.join();
  }
  ASSERT_OK_AND_ASSIGN(auto store, Open());
  EXPECT_EQ(Keys(*store, Table::kDocuments, "").size(), std::size_t{kThreads * kWrites});
}

TEST_F(KeyValueStoreTest, DeletesFilesThatCompactionReplaced) {
  ASSERT_OK_AND_ASSIGN(auto store, Open());
  base::Random random(7);
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 100; ++i) {
      std::string value(1000, '\0');
      for (char& c : value) c = static_cast<char>(random.Next());
      ASSERT_OK(Put(*store, std::to_string(i), value));
    }
    ASSERT_OK(store->Compact());
  }
  int tables = 0;
  int logs = 0;
  ASSERT_OK_AND_ASSIGN(const auto names, ListDirectory(path()));
  for (const std::string& name : names) {
    tables += name.find(".sst") != std::string::npos;
    logs += name.find(".log") != std::string::npos;
  }
  EXPECT_LE(tables, 1);
  EXPECT_LE(logs, 1);
}

TEST_F(KeyValueStoreTest, ACheckpointIsAStoreOfItsOwn) {
  ASSERT_OK_AND_ASSIGN(auto store, Open());
  ASSERT_OK(Put(*store, "before", "1"));
  ASSERT_OK(store->Checkpoint(dir_.File("copy")));
  ASSERT_OK(Put(*store, "after", "2"));
  EXPECT_THAT(store->Checkpoint(dir_.File("copy")), StatusIs(absl::StatusCode::kAlreadyExists));
  KeyValueStore::Options options;
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK_AND_ASSIGN(auto copy, KeyValueStore::Open(dir_.File("copy"), options));
    EXPECT_THAT(Keys(*copy, Table::kDocuments, ""), ElementsAre("before"));
    EXPECT_OK(copy->VerifyChecksums());
    ASSERT_OK(Put(*copy, "before", "changed", true));
  }
  EXPECT_THAT(store->Get(Table::kDocuments, "before"), IsOkAndHolds(Optional(std::string("1"))));
  EXPECT_THAT(Keys(*store, Table::kDocuments, ""), ElementsAre("after", "before"));
}

TEST_F(KeyValueStoreTest, ACopyOfAClosedStoreOpens) {
  {
    ASSERT_OK_AND_ASSIGN(auto store, Open());
    ASSERT_OK(Put(*store, "key", "value"));
    ASSERT_OK(store->Close());
  }
  ASSERT_OK(CopyTree(path(), dir_.File("copy")));
  ASSERT_OK_AND_ASSIGN(auto copy, KeyValueStore::Open(dir_.File("copy"), {}));
  EXPECT_THAT(copy->Get(Table::kDocuments, "key"), IsOkAndHolds(Optional(std::string("value"))));
}

// Against a map, over many sizes, with reopening in between.
TEST_F(KeyValueStoreTest, BehavesLikeAMap) {
  base::Random random(42);
  std::map<std::string, std::string> expected;
  for (int session = 0; session < 5; ++session) {
    ASSERT_OK_AND_ASSIGN(auto store, Open());
    for (int i = 0; i < 60; ++i) {
      WriteBatch batch;
      for (std::uint64_t operation = random.Below(20); operation > 0; --operation) {
        const std::string key = std::to_string(random.Below(500));
        switch (random.Below(8)) {
          case 0:
            batch.Delete(Table::kDocuments, key);
            expected.erase(key);
            break;
          case 1: {
            if (key.size() < 3) break;
            batch.DeletePrefix(Table::kDocuments, key);
            expected.erase(key);
            break;
          }
          default: {
            const std::string value(random.Below(30000), static_cast<char>(random.Next()));
            batch.Put(Table::kDocuments, key, value);
            expected[key] = value;
          }
        }
      }
      ASSERT_OK(store->Write(std::move(batch), random.Below(5) == 0));
    }
    if (session % 2 == 0) {
      ASSERT_OK(store->Compact());
    }
    std::map<std::string, std::string> found;
    ASSERT_OK(store->ForEach(Table::kDocuments, "", [&](std::string_view key, std::string_view value) {
      found.emplace(key, value);
      return true;
    }));
    ASSERT_TRUE(found == expected) << "session " << session;
  }
}

}  // namespace
}  // namespace trivium::storage
