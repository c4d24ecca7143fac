// SPDX-License-Identifier: Apache-2.0
// A zeroed block of memory for random access: 64-byte aligned, and from 2 MiB on asked for in huge pages, so
// that reading a random record costs no walk through page tables. Moves only.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <utility>

namespace trivium::base {

class HugeBytes {
 public:
  HugeBytes() = default;

  // Throws std::bad_alloc.
  explicit HugeBytes(std::size_t size) : size_(size) {
    constexpr std::size_t kHugePage = std::size_t{2} << 20;
    if (size > std::numeric_limits<std::size_t>::max() - kHugePage) throw std::bad_alloc();
    const std::size_t alignment = size >= kHugePage ? kHugePage : 64;
    const std::size_t bytes = (std::max<std::size_t>(size, 1) + alignment - 1) / alignment * alignment;
    void* memory = std::aligned_alloc(alignment, bytes);
    if (memory == nullptr) throw std::bad_alloc();
    if (alignment == kHugePage) madvise(memory, bytes, MADV_HUGEPAGE);  // a hint; refused is fine
    std::memset(memory, 0, bytes);
    bytes_.reset(static_cast<std::uint8_t*>(memory));
  }

  HugeBytes(HugeBytes&& other) noexcept
      : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}
  HugeBytes& operator=(HugeBytes&& other) noexcept {
    bytes_ = std::move(other.bytes_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  std::uint8_t* data() { return bytes_.get(); }
  const std::uint8_t* data() const { return bytes_.get(); }
  std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::uint8_t* p) const { std::free(p); }
  };
  std::unique_ptr<std::uint8_t, Free> bytes_;
  std::size_t size_ = 0;
};

}  // namespace trivium::base
