// SPDX-License-Identifier: Apache-2.0
// Kills a process that upserts, deletes, builds and compacts, again and again; after each kill the store must
// hold exactly what some prefix of the operations leaves, at least all that was acknowledged. The oracle is
// the model in this process.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "tests/api/store_operations.h"
#include "tests/support/kill_harness.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium {

inline void KillEngineAndCheck(int kills, std::uint64_t seed) {
  base::Random random(seed);
  testing_support::TempDir dir(testing_support::TempDir::kMemory);
  testing_support::StoreModel model;  // after operations [0, done)
  std::uint64_t done = 0;
  for (int kill = 0; kill < kills && !::testing::Test::HasFailure(); ++kill) {
    SCOPED_TRACE(::testing::Message() << "kill " << kill << " of seed " << seed);
    const testing_support::KillMoment moment = {.after_lines = random.Below(40),
                                                .delay = std::chrono::microseconds(random.Below(60000))};
    const auto run = testing_support::RunAndKill(
        {ENGINE_CRASH_WRITER, dir.File("kb"), std::to_string(seed), std::to_string(done)}, moment);
    ASSERT_TRUE(run.was_killed) << "exit code " << run.exit_code;
    for (std::size_t i = 0; i < run.lines.size(); ++i) {
      testing_support::Apply(testing_support::MakeOperation(seed, done++), &model);
    }
    auto store = Store::Open(dir.File("kb"), {.create_if_missing = run.lines.empty() && done == 0});
    ASSERT_OK(store);
    ASSERT_OK_AND_ASSIGN(const testing_support::StoreModel stored, testing_support::ReadBack(**store));
    if (!testing_support::SameDocuments(stored, model)) {  // one more operation may have become durable
      testing_support::Apply(testing_support::MakeOperation(seed, done++), &model);
      ASSERT_TRUE(testing_support::SameDocuments(stored, model))
          << "neither operation " << done - 2 << " nor " << done - 1 << " is the last one here";
    }
    EXPECT_OK((*store)->Verify());
    if (!model.empty()) {
      SearchOptions everything;
      everything.k = 1000;
      everything.index = IndexChoice::kExact;
      const std::vector<float> query(testing_support::kOperationDimension, 1.0f);
      Query asked;
      asked.vectors = {{"", {query.data(), 1, query.size()}}};
      ASSERT_OK_AND_ASSIGN(const SearchResult found, (*store)->Search(asked, everything));
      EXPECT_EQ(found.hits.size(), model.size())
          << "a document without its vector, or a vector without its document";
      ASSERT_OK_AND_ASSIGN(const auto by_words, testing_support::FindByWords(**store, "operation"));
      EXPECT_EQ(by_words.size(), model.size()) << "a text that is not found, or one that is gone";
    }
    EXPECT_OK((*store)->Close());
  }
}

}  // namespace trivium
