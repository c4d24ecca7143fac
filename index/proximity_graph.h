// SPDX-License-Identifier: Apache-2.0
// A directed graph over rows with at most `degree_bound` out-neighbours a vertex, in one block of fixed-size
// records, either owned or mapped from a file.
//
//   record of vertex v, at words + v * stride, 64-byte aligned:
//
//     word 0      1 ... degree_bound           ... stride - 1
//     +-------+----------------------------+----------------+
//     | count | neighbours, `count` in use | zero           |
//     +-------+----------------------------+----------------+
//
//   stride = 1 + degree_bound rounded up to 16 words, so that a vertex touches as few cache lines as can be.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

#include "base/huge_bytes.h"

namespace trivium::index {

class ProximityGraph {
 public:
  // Words from one record to the next.
  static constexpr std::size_t Stride(std::size_t degree_bound) { return (1 + degree_bound + 15) / 16 * 16; }

  ProximityGraph() = default;
  explicit ProximityGraph(std::size_t degree_bound)
      : degree_bound_(degree_bound), stride_(Stride(degree_bound)) {}

  // Borrows `words` (size * Stride(degree_bound) of them, 64-byte aligned, checked by the caller), which
  // `owner` keeps alive where it is not null.
  ProximityGraph(const std::uint32_t* words, std::size_t size, std::size_t degree_bound, std::uint32_t entry,
                 std::shared_ptr<const void> owner = nullptr)
      : owner_(std::move(owner)),
        words_(words),
        size_(size),
        degree_bound_(degree_bound),
        stride_(Stride(degree_bound)),
        entry_(entry) {}

  ProximityGraph(ProximityGraph&& other) noexcept { *this = std::move(other); }
  ProximityGraph& operator=(ProximityGraph&& other) noexcept {
    block_ = std::move(other.block_);
    owned_ = std::exchange(other.owned_, nullptr);
    owner_ = std::move(other.owner_);
    words_ = std::exchange(other.words_, nullptr);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    degree_bound_ = other.degree_bound_;
    stride_ = other.stride_;
    entry_ = other.entry_;
    return *this;
  }

  std::size_t size() const { return size_; }
  std::size_t degree_bound() const { return degree_bound_; }
  std::size_t stride() const { return stride_; }
  std::size_t record_bytes() const { return stride_ * sizeof(std::uint32_t); }
  std::uint32_t entry() const { return entry_; }  // where a search starts; every vertex is reachable from it
  void set_entry(std::uint32_t vertex) { entry_ = vertex; }
  const std::uint32_t* words() const { return words_; }  // size() * stride()

  std::span<const std::uint32_t> Neighbors(std::uint32_t vertex) const {
    const std::uint32_t* record = words_ + vertex * stride_;
    return {record + 1, record[0]};
  }

  // Brings the start of a record into the cache: the first two lines hold 31 neighbours. Inlined by force:
  // GCC 12 drops calls of functions that only prefetch.
  __attribute__((always_inline)) void Prefetch(std::uint32_t vertex) const {
    const std::uint32_t* record = words_ + vertex * stride_;
    __builtin_prefetch(record);
    __builtin_prefetch(record + 16);
  }

  // Replaces the neighbours; at most degree_bound() of them. Safe for distinct vertices at the same time,
  // once Resize has made the graph its own.
  void SetNeighbors(std::uint32_t vertex, std::span<const std::uint32_t> neighbors) {
    assert(owned_ != nullptr && neighbors.size() <= degree_bound_);
    std::uint32_t* record = owned_ + vertex * stride_;
    record[0] = static_cast<std::uint32_t>(neighbors.size());
    std::copy(neighbors.begin(), neighbors.end(), record + 1);
    std::memset(record + 1 + neighbors.size(), 0, (stride_ - 1 - neighbors.size()) * sizeof(std::uint32_t));
  }

  // Copies a mapped graph into memory of its own first. New vertices have no neighbours. O(size).
  void Resize(std::size_t size) {
    if (owned_ == nullptr || size > capacity_) {
      const std::size_t capacity = owned_ == nullptr ? size : std::max(size, capacity_ + capacity_ / 2);
      const std::size_t kept = std::min(size, size_) * stride_ * sizeof(std::uint32_t);
      block_.Grow(owned_ == nullptr ? 0 : kept, capacity * stride_ * sizeof(std::uint32_t));
      if (owned_ == nullptr && kept > 0) std::memcpy(block_.data(), words_, kept);
      owned_ = reinterpret_cast<std::uint32_t*>(block_.data());
      words_ = owned_;
      owner_.reset();
      capacity_ = capacity;
    }
    if (size > size_) {
      std::memset(owned_ + size_ * stride_, 0, (size - size_) * stride_ * sizeof(std::uint32_t));
    }
    size_ = size;
  }

 private:
  base::HugeBytes block_;
  std::uint32_t* owned_ = nullptr;     // into block_; null where the words are borrowed
  std::shared_ptr<const void> owner_;  // of borrowed words
  const std::uint32_t* words_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;  // records in owned_
  std::size_t degree_bound_ = 0;
  std::size_t stride_ = 0;
  std::uint32_t entry_ = 0;
};

}  // namespace trivium::index
