// SPDX-License-Identifier: Apache-2.0
// The scorer of searches whose query is a row, as the builder's are, and a tracker that notices nothing.
#pragma once

#include <cstddef>
#include <cstdint>

#include "index/build_space.h"

namespace trivium::index {

struct VertexDistances {
  const BuildSpace& space;
  std::uint32_t from;

  void Score(const std::uint32_t* vertices, std::size_t count, float* out) {
    space.Distances(from, vertices, count, out);
  }
  __attribute__((always_inline)) void Prefetch(std::uint32_t vertex) { space.Prefetch(vertex); }
};

struct IgnoringTracker {
  void OnScored(const std::uint32_t*, const float*, std::size_t) {}
  void OnExpanded(std::uint32_t, float) {}
};

}  // namespace trivium::index
