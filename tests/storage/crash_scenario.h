// SPDX-License-Identifier: Apache-2.0
// Kills a writing process again and again and checks after each time that nothing acknowledged is lost and
// that what is there is a prefix of what was written.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.h"
#include "gtest/gtest.h"
#include "storage/key_value_store.h"
#include "tests/storage/crash_value.h"
#include "tests/support/kill_harness.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium::storage {

// Every key from 0 to the returned count - 1 is there with its value, in both tables, and no other.
inline std::uint64_t CountedPrefix(const KeyValueStore& store) {
  std::uint64_t count = 0;
  EXPECT_OK(store.ForEach(Table::kDocuments, "", [&](std::string_view key, std::string_view value) {
    EXPECT_EQ(key, CrashKey(count));
    EXPECT_TRUE(value == CrashValue(count)) << "value of " << key;
    ++count;
    return true;
  }));
  std::uint64_t ids = 0;
  EXPECT_OK(store.ForEach(Table::kIds, "", [&](std::string_view key, std::string_view) {
    EXPECT_EQ(key, CrashKey(ids++));
    return true;
  }));
  EXPECT_EQ(ids, count) << "a batch was torn";
  const auto last = store.Get(Table::kManifest, "last");
  EXPECT_OK(last);
  if (last.ok()) {
    EXPECT_EQ(*last, count == 0 ? std::nullopt : std::optional<std::string>(CrashKey(count - 1)));
  }
  return count;
}

inline void KillAndCheck(int kills, std::uint64_t seed) {
  base::Random random(seed);
  testing_support::TempDir dir(testing_support::TempDir::kMemory);
  std::uint64_t acknowledged = 0;  // writes [0, acknowledged) are durable
  bool exists = false;             // whether a run got as far as to report an open store
  for (int kill = 0; kill < kills && !::testing::Test::HasFailure(); ++kill) {
    SCOPED_TRACE(::testing::Message() << "kill " << kill << " of seed " << seed);
    if (kill % 25 == 24) {  // begin anew, so that creation is hit more than once
      std::filesystem::remove_all(dir.File("db"));
      acknowledged = 0;
      exists = false;
    }
    const testing_support::KillMoment moment = {.after_lines = random.Below(60),
                                                .delay = std::chrono::microseconds(random.Below(50000))};
    const auto run =
        testing_support::RunAndKill({CRASH_WRITER, dir.File("db"), std::to_string(random.Next())}, moment);
    ASSERT_TRUE(run.was_killed) << "exit code " << run.exit_code;
    for (const std::string& line : run.lines) {
      exists = true;
      if (line != "open") acknowledged = std::stoull(line) + 1;
    }
    for (bool read_only : {true, false}) {
      const auto store = KeyValueStore::Open(dir.File("db"), {.read_only = read_only});
      if (!exists && absl::IsNotFound(store.status())) continue;
      ASSERT_OK(store);
      EXPECT_GE(CountedPrefix(**store), acknowledged);
      EXPECT_OK((*store)->VerifyChecksums());
      if (!read_only && random.Below(2) == 0) {
        EXPECT_OK((*store)->Close());
      }
    }
  }
}

}  // namespace trivium::storage
