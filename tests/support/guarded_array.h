// SPDX-License-Identifier: Apache-2.0
// Memory that faults when one byte behind it is read or written.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

#include "gtest/gtest.h"

namespace trivium::testing_support {

// `count` elements whose last byte is `slack` bytes before an unmapped page, and so at any alignment wanted.
template <class T>
class GuardedArray {
 public:
  explicit GuardedArray(std::size_t count, std::size_t slack = 0) : count_(count) {
    const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t usable = (count * sizeof(T) + slack + page - 1) / page * page;
    mapped_bytes_ = usable + page;
    void* mapped = ::mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) ADD_FAILURE() << "mmap of " << mapped_bytes_ << " bytes failed";
    base_ = static_cast<char*>(mapped);
    EXPECT_EQ(::mprotect(base_ + usable, page, PROT_NONE), 0);
    start_ = base_ + usable - slack - count * sizeof(T);
  }
  ~GuardedArray() { ::munmap(base_, mapped_bytes_); }
  GuardedArray(const GuardedArray&) = delete;
  GuardedArray& operator=(const GuardedArray&) = delete;

  std::size_t size() const { return count_; }
  T* data() { return reinterpret_cast<T*>(start_); }
  const T* data() const { return reinterpret_cast<const T*>(start_); }
  // Through memcpy: the start may be at an odd address.
  T Get(std::size_t i) const {
    T value;
    std::memcpy(&value, start_ + i * sizeof(T), sizeof(T));
    return value;
  }
  void Set(std::size_t i, T value) { std::memcpy(start_ + i * sizeof(T), &value, sizeof(T)); }

 private:
  std::size_t count_;
  std::size_t mapped_bytes_;
  char* base_;
  char* start_;
};

}  // namespace trivium::testing_support
