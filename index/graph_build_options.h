// SPDX-License-Identifier: Apache-2.0
// How a proximity graph is built.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "index/profile.h"

namespace trivium::index {

struct GraphBuildOptions {
  // Out-neighbours a vertex keeps. More: better recall at the same beam, more memory (4 bytes each), slower
  // build. 4 to 256.
  std::size_t degree_bound = 32;

  // Candidates kept by the search that finds a new vertex's neighbours. More: better graph, slower build in
  // proportion. 8 to 4,096.
  std::size_t beam_width = 200;

  // An edge is dropped where a kept neighbour is nearer to its target by this factor. Larger keeps more of
  // the edges to near vertices, until lists fill up with them and lose their variety: 1.2, usual for images,
  // costs sentence embeddings a sixth of their recall. 1 to 2.
  float alpha = 1.03f;

  // What is kept of the rows, and how searches walk the graph: see profile.h.
  Profile profile = Profile::kSpeed;

  int threads = 0;         // 0: all processors this process may use; the graph does not depend on it
  std::uint64_t seed = 0;  // of the insertion order

  // Called now and then on the thread that builds, with vertices done and their total. May be empty.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
  const std::atomic<bool>* cancelled = nullptr;  // checked between batches: kCancelled. May be null

  // kInvalidArgument names the first field out of range.
  absl::Status Validate() const;
};

}  // namespace trivium::index
