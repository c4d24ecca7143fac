// SPDX-License-Identifier: Apache-2.0
// The beam of a best-first search: the `width` nearest vertices seen so far, sorted nearest first, each
// marked once it has been expanded. A sorted array beats a pair of heaps at the widths that are used (16 to
// 1,024): most insertions fall near the end, and the next vertex to expand is a cursor. Not thread-safe.
//
// Ties are broken by the smaller vertex, so a search is a function of the graph and the query alone. A vertex
// may be in the pool more than once, at different distances.
//
// An item is one integer whose order is that of (distance, vertex), so that the place of a new one is found
// without a branch: a binary search that branches mispredicts half of its steps, and that was a fifth of the
// time of a search by edge codes.
//
//   bits 63 ... 32   distance, mapped so that integers order like floats
//   bits 31 ... 1    vertex
//   bit  0           expanded
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <vector>

namespace trivium::index {

struct Candidate {
  float distance = 0;
  std::uint32_t vertex = 0;
};

// One bit of a candidate's vertex is the mark.
inline constexpr std::size_t kMaxVertexCount = (std::size_t{1} << 31) - 1;

class CandidatePool {
 public:
  void Reset(std::size_t width) {
    width_ = width;
    size_ = cursor_ = 0;
    if (items_.size() < width + 1) items_.resize(width + 1);  // one to spare: a shift may write behind
    UpdateBound();
  }

  // Makes room for more candidates. Allocates where there never were so many.
  void Widen(std::size_t width) {
    width_ = width;
    if (items_.size() < width + 1) items_.resize(width + 1);
    UpdateBound();
  }

  std::size_t size() const { return size_; }
  Candidate operator[](std::size_t i) const { return {Distance(items_[i]), Vertex(items_[i])}; }

  // The largest distance that can still enter.
  float Bound() const { return bound_; }

  // `distance` must not be NaN.
  void Insert(float distance, std::uint32_t vertex) {
    const std::uint64_t item = static_cast<std::uint64_t>(OrderedBits(distance)) << 32 | vertex << 1;
    if (size_ == width_ && item >= items_[size_ - 1]) return;
    std::size_t place = 0;
    for (std::size_t count = size_; count > 0;) {
      const std::size_t half = (count + 1) / 2;
      place += items_[place + half - 1] < item ? half : 0;  // a conditional move
      count -= half;
    }
    std::memmove(&items_[place + 1], &items_[place], (size_ - place) * sizeof(std::uint64_t));
    items_[place] = item;
    if (size_ < width_) ++size_;
    if (place < cursor_) cursor_ = place;
    UpdateBound();
  }

  // Forgets the candidates farther than `limit`.
  void DropBeyond(float limit) {
    while (size_ > 0 && Distance(items_[size_ - 1]) > limit) --size_;
    if (cursor_ > size_) cursor_ = size_;
    UpdateBound();
  }

  // The nearest vertex not expanded yet, which counts as expanded from now on; none when there is none.
  std::optional<Candidate> PopNearest() {
    const std::optional<Candidate> nearest = PeekNearest();
    if (nearest) items_[cursor_] |= 1;
    return nearest;
  }

  // The vertex that PopNearest would return now, without marking it.
  std::optional<Candidate> PeekNearest() {
    while (cursor_ < size_ && (items_[cursor_] & 1) != 0) ++cursor_;
    if (cursor_ == size_) return std::nullopt;
    return (*this)[cursor_];
  }

 private:
  static std::uint32_t OrderedBits(float distance) {
    const auto bits = std::bit_cast<std::uint32_t>(distance + 0.0f);  // of two zeros one
    return bits ^ ((bits >> 31) != 0 ? 0xFFFFFFFFu : 0x80000000u);
  }
  static float Distance(std::uint64_t item) {
    const auto bits = static_cast<std::uint32_t>(item >> 32);
    return std::bit_cast<float>(bits ^ ((bits >> 31) != 0 ? 0x80000000u : 0xFFFFFFFFu));
  }
  static std::uint32_t Vertex(std::uint64_t item) { return static_cast<std::uint32_t>(item) >> 1; }

  void UpdateBound() {
    bound_ = size_ < width_ ? std::numeric_limits<float>::infinity()
             : size_ == 0   ? -std::numeric_limits<float>::infinity()
                            : Distance(items_[size_ - 1]);
  }

  std::size_t width_ = 0;
  std::size_t size_ = 0;
  std::size_t cursor_ = 0;  // every item before it is expanded
  float bound_ = 0;
  std::vector<std::uint64_t> items_;
};

}  // namespace trivium::index
