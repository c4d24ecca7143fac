// SPDX-License-Identifier: Apache-2.0
// The world of taught_world.h that several tests share: made once, only read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "index/proximity_graph.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"
#include "tests/support/straddling_queries.h"
#include "tests/support/taught_world.h"

namespace trivium::testing_support {

struct StraddledGraph : TaughtWorld {
  static constexpr std::size_t kRows = 4000, kDimension = 64, kDegree = 24;

  StraddledGraph() : TaughtWorld(kRows, kDimension, kDegree, 1200) {}
  static const StraddledGraph& Get() {
    static const StraddledGraph* const made = new StraddledGraph;
    return *made;
  }
};

inline std::vector<std::uint32_t> Words(const index::ProximityGraph& graph) { return GraphWords(graph); }

}  // namespace trivium::testing_support
