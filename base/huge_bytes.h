// SPDX-License-Identifier: Apache-2.0
// A zeroed block of memory for random access: 64-byte aligned, and from 2 MiB on in huge pages where they are
// to be had, so that reading a random record costs no walk through page tables.
//
// From 1 MiB on it is a mapping of its own: pages become resident as they are touched, so room for later
// growth costs nothing, and freeing gives them back at once. malloc does neither for long: once it has freed
// a block of up to 32 MiB it serves the next ones of that size from its heap, which keeps their holes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace trivium::base {

// Moves only.
class HugeBytes {
 public:
  static constexpr std::size_t kSmallestMapping = std::size_t{1} << 20;
  static constexpr std::size_t kHugePage = std::size_t{2} << 20;

  HugeBytes() = default;
  // Throws std::bad_alloc.
  explicit HugeBytes(std::size_t size);
  ~HugeBytes() { Free(); }

  HugeBytes(HugeBytes&& other) noexcept
      : bytes_(std::exchange(other.bytes_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  HugeBytes& operator=(HugeBytes&& other) noexcept {
    if (this == &other) return *this;
    Free();
    bytes_ = std::exchange(other.bytes_, nullptr);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  // Makes it `size` bytes, of which the first `used` are kept; the others are zero. What is copied is given
  // back piece by piece: of a large block little is held twice. Throws std::bad_alloc, and nothing has
  // changed.
  void Grow(std::size_t used, std::size_t size);

  std::uint8_t* data() { return bytes_; }
  const std::uint8_t* data() const { return bytes_; }
  std::size_t size() const { return size_; }

 private:
  void Free();

  std::uint8_t* bytes_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace trivium::base
