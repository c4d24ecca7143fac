// SPDX-License-Identifier: Apache-2.0
// The first bytes of a NumPy file, versions 1.0, 2.0 and 3.0:
//
//   0   "\x93NUMPY"
//   6   major version u8, minor version u8
//   8   header length: u16 (1.0) or u32 (2.0, 3.0)
//   ..  a Python dictionary as text, e.g. {'descr': '<f4', 'fortran_order': False, 'shape': (3, 384), }
//
// Source: NumPy Enhancement Proposal 1.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace trivium::storage {

// Enough bytes of a file to hold the header of any matrix; NumPy itself reads no more than 10,000.
inline constexpr std::size_t kMaxNpyHeaderBytes = 1 << 16;

struct NpyHeader {
  std::uint64_t data_offset = 0;
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  bool is_half = false;  // '<f2' instead of '<f4'
};

// `start`: the file's first bytes, up to kMaxNpyHeaderBytes of them. kInvalidArgument without the path:
// anything but a two-dimensional little-endian float32 or float16 array in C order.
absl::StatusOr<NpyHeader> ParseNpyHeader(std::string_view start);

}  // namespace trivium::storage
