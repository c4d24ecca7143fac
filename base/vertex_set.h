// SPDX-License-Identifier: Apache-2.0
// A small set of vertices that stays in the first cache, whatever the size of the graph: open addressing over
// a power of two of places, 4 bytes each. Not thread-safe.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace trivium::base {

class VertexSet {
 public:
  // No vertex has this number.
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  // O(places). A set that was used for much less than it has room for, since it was cleared before, gives
  // the room back: one wide search costs the narrow ones that follow neither time nor memory.
  void Clear() {
    if (places_.size() > kSmallest && count_ * 16 < places_.size()) {
      places_ = std::vector<std::uint32_t>(std::max(kSmallest, std::bit_ceil(4 * count_)), kNone);
    } else if (places_.empty()) {
      places_.assign(kSmallest, kNone);
    } else if (count_ > 0) {
      std::fill(places_.begin(), places_.end(), kNone);
    }
    count_ = 0;
  }

  std::size_t place_count() const { return places_.size(); }

  bool Contains(std::uint32_t vertex) const { return places_[Find(vertex)] == vertex; }

  // True where `vertex` was not in the set.
  bool Insert(std::uint32_t vertex) {
    const std::size_t place = Find(vertex);
    if (places_[place] == vertex) return false;
    places_[place] = vertex;
    if (++count_ * 2 > places_.size()) Grow();
    return true;
  }

 private:
  static constexpr std::size_t kSmallest = 1024;

  // Where `vertex` is or would be. At most half of the places are in use.
  std::size_t Find(std::uint32_t vertex) const {
    const std::size_t mask = places_.size() - 1;
    std::size_t place = (vertex * 2654435769u >> 12) & mask;
    while (places_[place] != kNone && places_[place] != vertex) place = (place + 1) & mask;
    return place;
  }

  void Grow() {
    std::vector<std::uint32_t> old(places_.size() * 2, kNone);
    old.swap(places_);
    for (const std::uint32_t vertex : old) {
      if (vertex != kNone) places_[Find(vertex)] = vertex;
    }
  }

  std::vector<std::uint32_t> places_;
  std::size_t count_ = 0;
};

}  // namespace trivium::base
