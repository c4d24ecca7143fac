// SPDX-License-Identifier: Apache-2.0
// Keeps the k smallest of a stream of neighbours. O(log k) a kept item, O(1) a rejected one; the buffer is
// reused between queries. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

#include "base/neighbor.h"

namespace trivium::base {

class TopK {
 public:
  void Reset(std::size_t k) {
    k_ = k;
    heap_.clear();
    heap_.reserve(k);
  }

  // The largest distance that can still enter.
  float Bound() const {
    return heap_.size() < k_ ? std::numeric_limits<float>::infinity() : heap_.front().distance;
  }

  void Push(Neighbor item) {
    if (heap_.size() < k_) {
      heap_.push_back(item);
      std::push_heap(heap_.begin(), heap_.end());
    } else if (k_ > 0 && item < heap_.front()) {
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.back() = item;
      std::push_heap(heap_.begin(), heap_.end());
    }
  }

  std::size_t size() const { return heap_.size(); }

  // Writes the kept items nearest first and empties the collector.
  void DrainSorted(std::vector<Neighbor>* out) {
    std::sort(heap_.begin(), heap_.end());
    out->assign(heap_.begin(), heap_.end());
    heap_.clear();
  }

 private:
  std::size_t k_ = 0;
  std::vector<Neighbor> heap_;  // max-heap
};

}  // namespace trivium::base
