// SPDX-License-Identifier: Apache-2.0
// The beam of a best-first search: the `width` nearest vertices seen so far, sorted nearest first, each
// marked once it has been expanded. A sorted array beats a pair of heaps at the widths that are used (16 to
// 1,024): most insertions fall near the end, and the next vertex to expand is a cursor. Not thread-safe.
//
// Ties are broken by the smaller vertex, so a search is a function of the graph and the query alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace trivium::index {

struct Candidate {
  float distance = 0;
  std::uint32_t vertex : 31 = 0;
  std::uint32_t expanded : 1 = 0;
};
static_assert(sizeof(Candidate) == 8);

// One bit of a candidate's vertex is the mark.
inline constexpr std::size_t kMaxVertexCount = (std::size_t{1} << 31) - 1;

class CandidatePool {
 public:
  void Reset(std::size_t width) {
    width_ = width;
    size_ = cursor_ = 0;
    if (items_.size() < width) items_.resize(width);
  }

  std::size_t size() const { return size_; }
  const Candidate& operator[](std::size_t i) const { return items_[i]; }

  // The largest distance that can still enter.
  float Bound() const {
    return size_ < width_ ? std::numeric_limits<float>::infinity() : items_[size_ - 1].distance;
  }

  // `vertex` must not be in the pool already and `distance` must not be NaN.
  void Insert(float distance, std::uint32_t vertex) {
    if (size_ == width_ && !Before(distance, vertex, items_[size_ - 1])) return;
    std::size_t low = 0;
    for (std::size_t high = size_; low < high;) {
      const std::size_t middle = (low + high) / 2;
      if (Before(distance, vertex, items_[middle])) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    const std::size_t kept = size_ < width_ ? size_ : width_ - 1;
    std::memmove(&items_[low + 1], &items_[low], (kept - low) * sizeof(Candidate));
    items_[low] = Candidate{distance, vertex, 0};
    size_ = kept + 1;
    if (low < cursor_) cursor_ = low;
  }

  // The nearest vertex not expanded yet, which counts as expanded from now on; null when there is none.
  const Candidate* PopNearest() {
    while (cursor_ < size_ && items_[cursor_].expanded) ++cursor_;
    if (cursor_ == size_) return nullptr;
    items_[cursor_].expanded = 1;
    return &items_[cursor_];
  }

  // The vertex that PopNearest would return now, without marking it; null when there is none.
  const Candidate* PeekNearest() {
    while (cursor_ < size_ && items_[cursor_].expanded) ++cursor_;
    return cursor_ == size_ ? nullptr : &items_[cursor_];
  }

 private:
  static bool Before(float distance, std::uint32_t vertex, const Candidate& other) {
    return distance != other.distance ? distance < other.distance : vertex < other.vertex;
  }

  std::vector<Candidate> items_;
  std::size_t width_ = 0;
  std::size_t size_ = 0;
  std::size_t cursor_ = 0;  // every item before it is expanded
};

}  // namespace trivium::index
