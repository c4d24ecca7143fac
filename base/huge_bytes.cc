// SPDX-License-Identifier: Apache-2.0
#include "base/huge_bytes.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

namespace trivium::base {
namespace {

constexpr std::size_t kSmallPage = 4096;
constexpr std::size_t kLine = 64;
constexpr std::size_t kPiece = 4 * HugeBytes::kHugePage;  // copied before it is given back

constexpr std::size_t RoundUp(std::size_t value, std::size_t step) {
  return (value + step - 1) / step * step;
}

std::uint8_t* Map(std::size_t size) {
  // Cut out of a larger mapping, so that huge pages fit.
  const std::size_t bytes = RoundUp(size, kSmallPage), reserved = bytes + HugeBytes::kHugePage;
  void* mapping = ::mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  auto* const begin = static_cast<std::uint8_t*>(mapping);
  const std::size_t head = RoundUp(reinterpret_cast<std::uintptr_t>(begin), HugeBytes::kHugePage) -
                           reinterpret_cast<std::uintptr_t>(begin);
  if (head > 0) ::munmap(begin, head);
  ::munmap(begin + head + bytes, reserved - head - bytes);
  if (size >= HugeBytes::kHugePage) ::madvise(begin + head, bytes, MADV_HUGEPAGE);  // a hint; refused is fine
  return begin + head;
}

}  // namespace

HugeBytes::HugeBytes(std::size_t size) : size_(size) {
  if (size > std::numeric_limits<std::size_t>::max() - 2 * kHugePage) throw std::bad_alloc();
  if (size >= kSmallestMapping) {
    bytes_ = Map(size);
    return;
  }
  const std::size_t bytes = RoundUp(std::max<std::size_t>(size, 1), kLine);
  bytes_ = static_cast<std::uint8_t*>(std::aligned_alloc(kLine, bytes));
  if (bytes_ == nullptr) throw std::bad_alloc();
  std::memset(bytes_, 0, bytes);
}

void HugeBytes::Grow(std::size_t used, std::size_t size) {
  HugeBytes grown(size);
  for (std::size_t done = 0; done < used; done += kPiece) {
    const std::size_t bytes = std::min(kPiece, used - done);
    std::memcpy(grown.bytes_ + done, bytes_ + done, bytes);
    if (size_ >= kSmallestMapping) ::madvise(bytes_ + done, bytes, MADV_DONTNEED);  // a hint
  }
  *this = std::move(grown);
}

void HugeBytes::Free() {
  if (size_ >= kSmallestMapping) {
    ::munmap(bytes_, RoundUp(size_, kSmallPage));
  } else {
    std::free(bytes_);
  }
}

}  // namespace trivium::base
