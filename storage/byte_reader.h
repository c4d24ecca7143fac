// SPDX-License-Identifier: Apache-2.0
// Reads little-endian values from untrusted bytes without ever leaving them.
//
// The first read that does not fit makes the reader fail for good: it and all later reads give zeros and
// empty views, and ok() is false. A parser may therefore read a whole record and ask once, as long as it
// asks before it allocates by, or indexes with, what it read.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <vector>

#include "absl/types/span.h"

namespace trivium::storage {

class ByteReader {
 public:
  static_assert(std::endian::native == std::endian::little);

  // `bytes` must outlive the reader and the views it hands out.
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}
  explicit ByteReader(absl::Span<const std::byte> bytes)
      : rest_(reinterpret_cast<const char*>(bytes.data()), bytes.size()) {}

  template <class T>
  T Read() {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    T value{};
    const std::string_view bytes = ReadBytes(sizeof(T));
    if (bytes.size() == sizeof(T)) std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }

  std::string_view ReadBytes(std::uint64_t size) {
    if (!ok_ || size > rest_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }

  // What ByteWriter::PutString wrote.
  std::string_view ReadString() { return ReadBytes(Read<std::uint32_t>()); }

  // Allocates only after the bytes are known to be there.
  template <class T>
  std::vector<T> ReadArray(std::uint64_t count) {
    static_assert(std::is_arithmetic_v<T>);
    if (!ok_ || count > rest_.size() / sizeof(T)) {
      ok_ = false;
      return {};
    }
    std::vector<T> values(count);
    const std::string_view bytes = ReadBytes(count * sizeof(T));
    if (count > 0) std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }

  bool ok() const { return ok_; }
  bool AtEnd() const { return ok_ && rest_.empty(); }
  std::size_t remaining() const { return rest_.size(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace trivium::storage
