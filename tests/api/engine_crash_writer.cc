// SPDX-License-Identifier: Apache-2.0
// engine_crash_writer STORE SEED FIRST: applies operations FIRST, FIRST + 1, ... of stream SEED,
// acknowledging each on standard output once the engine says it is durable, until it is killed.
#include <cstdlib>
#include <iostream>
#include <string>

#include "tests/api/store_operations.h"
#include "tests/support/kill_harness.h"

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const auto fail = [](const absl::Status& status) {
    std::cerr << "engine_crash_writer: " << status << "\n";
    return 1;
  };
  auto store = trivium::Store::Open(argv[1]);
  if (!store.ok()) return fail(store.status());
  if (absl::Status status = trivium::testing_support::PrepareStore(store->get()); !status.ok())
    return fail(status);
  const std::uint64_t seed = std::strtoull(argv[2], nullptr, 10);
  for (std::uint64_t number = std::strtoull(argv[3], nullptr, 10);; ++number) {
    const absl::Status status =
        trivium::testing_support::Apply(trivium::testing_support::MakeOperation(seed, number), store->get());
    if (!status.ok()) return fail(status);
    trivium::testing_support::Acknowledge(std::to_string(number));
  }
}
