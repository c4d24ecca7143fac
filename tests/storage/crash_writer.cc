// SPDX-License-Identifier: Apache-2.0
// crash_writer DIRECTORY SEED: goes on writing where the last run ended, acknowledging each durable write on
// standard output, until it is killed. Writes without sync lie between and are not acknowledged.
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>

#include "base/random.h"
#include "storage/key_value_store.h"
#include "tests/storage/crash_value.h"
#include "tests/support/kill_harness.h"

namespace {

using trivium::storage::KeyValueStore;
using trivium::storage::Table;

int Fail(const absl::Status& status) {
  std::cerr << "crash_writer: " << status << "\n";
  return 1;
}

int Run(const std::string& directory, std::uint64_t seed) {
  trivium::base::Random random(seed);
  auto store = KeyValueStore::Open(directory, {.create_if_missing = true});
  if (!store.ok()) return Fail(store.status());
  trivium::testing_support::Acknowledge("open");
  std::uint64_t next = 0;
  auto last = (*store)->Get(Table::kManifest, "last");
  if (!last.ok()) return Fail(last.status());
  if (last->has_value()) next = std::strtoull((*last)->c_str(), nullptr, 10) + 1;
  for (;; ++next) {
    trivium::storage::WriteBatch batch;
    const std::string key = trivium::storage::CrashKey(next);
    batch.Put(Table::kDocuments, key, trivium::storage::CrashValue(next));
    batch.Put(Table::kIds, key, "");
    batch.Put(Table::kManifest, "last", key);
    const bool sync = random.Below(3) != 0;
    if (const absl::Status status = (*store)->Write(std::move(batch), sync); !status.ok())
      return Fail(status);
    if (sync) trivium::testing_support::Acknowledge(key);
    if (random.Below(60) == 0) {
      if (const absl::Status status = (*store)->Compact(); !status.ok()) return Fail(status);
    }
    if (random.Below(150) == 0) {  // closing and opening again are moments to die at, too
      if (const absl::Status status = (*store)->Close(); !status.ok()) return Fail(status);
      store = KeyValueStore::Open(directory, {});
      if (!store.ok()) return Fail(store.status());
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  return Run(argv[1], std::strtoull(argv[2], nullptr, 10));
}
