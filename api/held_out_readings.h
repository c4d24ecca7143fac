// SPDX-License-Identifier: Apache-2.0
// How the queries that an adapter learned from are read by one that did not learn from them: what an adapter
// is worth for its own training queries can only be measured by these.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/store_state.h"

namespace trivium {

// Not thread-safe while it changes.
class HeldOutReadings {
 public:
  // `query`, `reading`: unit vectors of `dimension` floats. The first reading of a query stays.
  void Add(std::uint32_t adapter, std::size_t dimension, const float* query, const float* reading);

  // The reading of exactly this query, padded as a row of a base::AlignedMatrix; null where the adapter did
  // not learn from it.
  const std::vector<float>* Find(std::uint32_t adapter, std::size_t dimension, const float* query) const;

  // Those of one adapter as checksummed bytes. Queries are known by their hashes only.
  std::string Save(std::uint32_t adapter, std::size_t dimension) const;
  // Adds what Save wrote. kDataLoss: damaged, or of another dimension.
  absl::Status Load(std::uint32_t adapter, std::size_t dimension, std::string_view bytes);

 private:
  using Readings = std::unordered_map<std::uint64_t, std::vector<float>>;
  std::map<std::uint32_t, Readings> readings_;
};

// Whether a training query, a unit vector, stands for future queries whose relevant documents nobody asked
// for before, and is to be read by adapters that did not learn from those; else for queries that share some
// with earlier ones. Half of the queries do, by their hashes, so that all adapters agree.
bool StandsForNewQueries(const float* query, std::size_t dimension);

// Of all adapters that the store has learned; those of earlier versions have none. kDataLoss.
absl::StatusOr<HeldOutReadings> LoadHeldOut(const StoreState& state);

}  // namespace trivium
