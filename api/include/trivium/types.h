// SPDX-License-Identifier: Apache-2.0
// Words that every public header shares.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "trivium/export.h"

namespace trivium {

// How two vectors of a space are compared. A *similarity* is the metric's own figure: the cosine, the inner
// product, the squared Euclidean distance. A *score* is larger for better: minus the distance for kSquaredL2.
enum class Metric : std::uint8_t { kCosine, kInnerProduct, kSquaredL2 };

// "cosine", "inner_product", "squared_l2".
TRIVIUM_EXPORT std::string_view MetricName(Metric metric);
TRIVIUM_EXPORT absl::StatusOr<Metric> ParseMetric(std::string_view name);

// What an index keeps of its vectors: speed against memory. In bytes a vector at 384 dimensions, with graph
// and codes, where float32 vectors with an HNSW graph (M = 16) take 1,680:
//
//   kSpeed     3,776  float32 vectors; the fastest searches
//   kBalanced    960  binary16 vectors: components to 11 bits, none beyond 65,504
//   kSmall       580  8-bit vectors with a scale each: components err by up to a 254th of the largest
//
// Searches, exact ones too, and reading a vector back see the vectors as they are kept.
enum class Profile : std::uint8_t { kSpeed, kBalanced, kSmall };

// "speed", "balanced", "small".
TRIVIUM_EXPORT std::string_view ProfileName(Profile profile);
TRIVIUM_EXPORT absl::StatusOr<Profile> ParseProfile(std::string_view name);

// A borrowed row-major matrix of float32, rows x columns, without gaps.
struct MatrixView {
  const float* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
};

// What long work says while it runs: `stage` ("encode", "write", "build", ...), items done and their total
// (0: not known). Called on the thread that called the engine; may be empty.
using ProgressCallback = std::function<void(std::string_view stage, std::uint64_t done, std::uint64_t total)>;

// Where the engine's own messages go, one line each; empty: dropped. May be called from any thread.
using LogCallback = std::function<void(std::string_view message)>;

// The engine's version, "MAJOR.MINOR.PATCH".
TRIVIUM_EXPORT std::string_view Version();

// The instruction set of the distance kernels in use: "avx512", "avx2" or "baseline". The environment
// variable TRIVIUM_KERNELS chooses another one that the machine supports, if set before first use.
TRIVIUM_EXPORT std::string_view KernelName();

}  // namespace trivium
