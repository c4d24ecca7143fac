// SPDX-License-Identifier: Apache-2.0
// The one checksum of every format here: XXH3, 64 bits, seed 0. It finds damage; it does not resist forgery.
#pragma once

#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string_view>

#include "absl/types/span.h"

namespace trivium::storage {

inline std::uint64_t Checksum(absl::Span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}
inline std::uint64_t Checksum(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

// The same sum over bytes that arrive in pieces. Not thread-safe.
class ChecksumStream {
 public:
  ChecksumStream() : state_(XXH3_createState()) {
    if (state_ == nullptr) throw std::bad_alloc();
    Reset();
  }
  void Reset() { XXH3_64bits_reset(state_.get()); }
  void Update(absl::Span<const std::byte> bytes) {
    XXH3_64bits_update(state_.get(), bytes.data(), bytes.size());
  }
  std::uint64_t Digest() const { return XXH3_64bits_digest(state_.get()); }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
};

}  // namespace trivium::storage
