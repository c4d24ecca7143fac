// SPDX-License-Identifier: Apache-2.0
// Appends little-endian values to a string; ByteReader reads them back.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace trivium::storage {

static_assert(std::endian::native == std::endian::little, "files are little-endian and written as in memory");

class ByteWriter {
 public:
  template <class T>
  void Put(T value) {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }

  // As they are; the reader must know how many.
  void PutBytes(std::string_view bytes) { bytes_.append(bytes); }

  // With their length before them as a u32.
  void PutString(std::string_view bytes) {
    Put(static_cast<std::uint32_t>(bytes.size()));
    PutBytes(bytes);
  }

  template <class T>
  void PutArray(const T* values, std::size_t count) {
    static_assert(std::is_arithmetic_v<T>);
    bytes_.append(reinterpret_cast<const char*>(values), count * sizeof(T));
  }

  const std::string& bytes() const { return bytes_; }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

}  // namespace trivium::storage
