// SPDX-License-Identifier: Apache-2.0
// Reads a UTF-8 text file line by line, a buffer at a time; gzip is told by its first two bytes and unpacked
// on the way. Tolerates a byte order mark, CRLF line ends and a last line without one; skips blank lines.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace trivium::storage {

// Longer lines are refused: a small packed file must not be able to fill the memory.
inline constexpr std::size_t kMaxLineBytes = std::size_t{64} << 20;

class LineReader {
 public:
  static absl::StatusOr<std::unique_ptr<LineReader>> Open(const std::string& path);
  ~LineReader();

  // False at the end. `line` comes without its line end and is valid until the next call. kInvalidArgument
  // (names the line): invalid UTF-8, a line that is too long, a damaged or truncated gzip stream.
  absl::StatusOr<bool> Next(std::string_view* line);

  // kInvalidArgument `<what> (<file>:<line>)` for the line last read.
  absl::Status Error(std::string_view what) const;

 private:
  LineReader();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace trivium::storage
