// SPDX-License-Identifier: Apache-2.0
// A dense set of row numbers, one bit each.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace trivium::base {

class Bitmap {
 public:
  Bitmap() = default;
  explicit Bitmap(std::size_t size, bool value = false) { Resize(size, value); }

  std::size_t size() const { return size_; }
  bool Test(std::size_t i) const { return words_[i >> 6] >> (i & 63) & 1; }
  void Set(std::size_t i) { words_[i >> 6] |= std::uint64_t{1} << (i & 63); }
  void Clear(std::size_t i) { words_[i >> 6] &= ~(std::uint64_t{1} << (i & 63)); }

  // New bits take `value`.
  void Resize(std::size_t size, bool value = false) {
    words_.resize((size + 63) / 64, 0);
    for (std::size_t i = size_; value && i < size; ++i) Set(i);
    size_ = size;
    if (size_ % 64 != 0) words_.back() &= (std::uint64_t{1} << (size_ % 64)) - 1;
  }

  std::size_t CountSet() const {
    std::size_t count = 0;
    for (std::uint64_t word : words_) count += std::popcount(word);
    return count;
  }

  // Calls `visit(i)` for every set bit in increasing order.
  template <class Visit>
  void ForEachSet(Visit visit) const {
    for (std::size_t w = 0; w < words_.size(); ++w) {
      for (std::uint64_t word = words_[w]; word != 0; word &= word - 1) {
        visit(w * 64 + std::countr_zero(word));
      }
    }
  }

  const std::uint64_t* words() const { return words_.data(); }

 private:
  std::vector<std::uint64_t> words_;
  std::size_t size_ = 0;
};

}  // namespace trivium::base
