// SPDX-License-Identifier: Apache-2.0
// Which vertices a search has seen. Starting a new search costs O(1): marks carry the search's number, and
// the array is cleared only when that number wraps round. One set a thread; not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace trivium::base {

class VisitedSet {
 public:
  void Reset(std::size_t size) {
    if (marks_.size() < size) marks_.resize(size, 0);
    if (++current_ == 0) {
      std::fill(marks_.begin(), marks_.end(), 0);
      current_ = 1;
    }
  }

  // True the first time `vertex` is seen since Reset.
  bool Insert(std::uint32_t vertex) {
    if (marks_[vertex] == current_) return false;
    marks_[vertex] = current_;
    return true;
  }

 private:
  std::vector<std::uint16_t> marks_;
  std::uint16_t current_ = 0;
};

}  // namespace trivium::base
