// SPDX-License-Identifier: Apache-2.0
// Which vertices a search has seen, in one bit each: an eighth of a byte a vertex instead of VisitedSet's
// two, so that the sets of several searches that take turns stay in the second cache. Starting anew costs
// O(vertices seen before). Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace trivium::base {

class VisitedBits {
 public:
  void Reset(std::size_t size) {
    for (const std::uint32_t word : touched_) words_[word] = 0;
    touched_.clear();
    if (words_.size() < size / 64 + 1) words_.resize(size / 64 + 1, 0);
  }

  // Writes those of `vertices` that were not seen since Reset, each once and in their order, and returns how
  // many there are. `fresh` has room for all of them.
  std::size_t InsertNew(const std::uint32_t* vertices, std::size_t count, std::uint32_t* fresh) {
    const std::size_t touched = touched_.size();
    touched_.resize(touched + count);
    std::size_t fresh_count = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t vertex = vertices[i];
      std::uint64_t& word = words_[vertex / 64];
      const std::uint64_t bit = std::uint64_t{1} << (vertex % 64);
      // Without a branch, which would be mispredicted for half of the vertices.
      fresh[fresh_count] = vertex;
      touched_[touched + fresh_count] = vertex / 64;
      fresh_count += (word & bit) == 0 ? 1 : 0;
      word |= bit;
    }
    touched_.resize(touched + fresh_count);
    return fresh_count;
  }

 private:
  std::vector<std::uint64_t> words_;
  std::vector<std::uint32_t> touched_;
};

}  // namespace trivium::base
