// SPDX-License-Identifier: Apache-2.0
// Obvious references for kernels/: double arithmetic, one element at a time, and memory that faults when a
// kernel reads one byte beside it.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
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

inline double SlowFloatFromHalf(std::uint16_t half) {
  const double sign = half & 0x8000 ? -1.0 : 1.0;
  const int exponent = half >> 10 & 31;
  const int fraction = half & 0x3FF;
  if (exponent == 31) return fraction == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

// Rounds to nearest even. A NaN is made quiet and keeps the high bits of its payload.
inline std::uint16_t SlowHalfFromFloat(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  const std::uint16_t sign = bits >> 16 & 0x8000;
  if (std::isnan(value)) return sign | 0x7E00 | (bits >> 13 & 0x3FF);
  const double magnitude = std::abs(static_cast<double>(value));
  if (magnitude >= 65520) return sign | 0x7C00;
  if (magnitude == 0) return sign;
  const int exponent = std::max(std::ilogb(magnitude), -14);
  const int units = static_cast<int>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  return sign | (units < 1024 ? units : ((exponent + 15) << 10) + units - 1024);
}

struct SlowDistance {
  double value = 0;
  double magnitude = 0;  // sum of absolute terms: what rounding errors scale with
  void Add(double term) {
    value += term;
    magnitude += std::abs(term);
  }
};

template <class Query, class Row>
SlowDistance SlowInnerProduct(const Query& query, const Row& row, std::size_t dimension) {
  SlowDistance sum;
  for (std::size_t i = 0; i < dimension; ++i) sum.Add(double{query(i)} * double{row(i)});
  return sum;
}

template <class Query, class Row>
SlowDistance SlowSquaredL2(const Query& query, const Row& row, std::size_t dimension) {
  SlowDistance sum;
  for (std::size_t i = 0; i < dimension; ++i) {
    const double difference = double{query(i)} - double{row(i)};
    sum.Add(difference * difference);
  }
  return sum;
}

}  // namespace trivium::testing_support
