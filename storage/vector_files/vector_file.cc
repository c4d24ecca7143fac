// SPDX-License-Identifier: Apache-2.0
// The three formats differ in their headers only; after that each is a grid of rows at a fixed distance.
#include "storage/vector_files/vector_file.h"

#include <fcntl.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "storage/byte_reader.h"
#include "storage/file_system.h"
#include "storage/vector_files/npy_header.h"

namespace trivium::storage {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 20;
constexpr std::uint64_t kMaxColumns = 1 << 20;

struct Grid {
  std::uint64_t data_offset = 0;
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  std::uint64_t row_prefix_bytes = 0;  // .fvecs: each row repeats the dimension
  bool is_half = false;

  std::uint64_t row_bytes() const { return row_prefix_bytes + columns * (is_half ? 2 : 4); }
};

// IEEE 754 binary16 to binary32; exact.
float FloatFromHalf(std::uint16_t half) {
  const std::uint32_t sign = std::uint32_t{half & 0x8000u} << 16;
  const std::uint32_t magnitude = half & 0x7FFFu;
  if (magnitude >= 0x7C00u) return std::bit_cast<float>(sign | 0x7F800000u | (magnitude & 0x3FFu) << 13);
  // Shifted into place the exponent is 112 too small; a multiplication mends it, subnormals included.
  const float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(scaled));
}

class GridFile final : public VectorFile {
 public:
  GridFile(std::string path, FileDescriptor file, const Grid& grid)
      : path_(std::move(path)), file_(std::move(file)), grid_(grid) {}

  std::size_t rows() const override { return grid_.rows; }
  std::size_t columns() const override { return grid_.columns; }

  absl::Status Read(std::size_t first, std::size_t count, float* out) override {
    if (first > grid_.rows || count > grid_.rows - first) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "rows: %d from row %d, expected at most %d in all (%s)", count, first, grid_.rows, path_));
    }
    if (grid_.row_prefix_bytes == 0 && !grid_.is_half) {
      return ReadExactAt(file_, grid_.data_offset + first * grid_.row_bytes(),
                         {reinterpret_cast<std::byte*>(out), count * grid_.row_bytes()}, path_);
    }
    const std::size_t rows_at_once = std::max<std::size_t>(1, kBufferBytes / grid_.row_bytes());
    std::vector<std::byte> buffer(std::min(rows_at_once, count) * grid_.row_bytes());
    for (std::size_t done = 0; done < count;) {
      const std::size_t some = std::min(rows_at_once, count - done);
      const absl::Span<std::byte> bytes(buffer.data(), some * grid_.row_bytes());
      TRIVIUM_RETURN_IF_ERROR(
          ReadExactAt(file_, grid_.data_offset + (first + done) * grid_.row_bytes(), bytes, path_));
      TRIVIUM_RETURN_IF_ERROR(Convert(bytes, first + done, out + done * grid_.columns));
      done += some;
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Convert(absl::Span<const std::byte> bytes, std::size_t row, float* out) const {
    for (const std::byte* at = bytes.data(); at != bytes.data() + bytes.size();
         at += grid_.row_bytes(), ++row) {
      if (grid_.is_half) {
        std::uint16_t half;
        for (std::size_t i = 0; i < grid_.columns; ++i) {
          std::memcpy(&half, at + 2 * i, sizeof(half));
          out[i] = FloatFromHalf(half);
        }
      } else {
        std::int32_t dimension;
        std::memcpy(&dimension, at, sizeof(dimension));
        if (dimension != static_cast<std::int32_t>(grid_.columns)) {
          return absl::InvalidArgumentError(
              absl::StrFormat("dimension: %d, expected %d (%s:%d)", dimension, grid_.columns, path_, row));
        }
        std::memcpy(out, at + grid_.row_prefix_bytes, grid_.columns * sizeof(float));
      }
      out += grid_.columns;
    }
    return absl::OkStatus();
  }

  const std::string path_;
  const FileDescriptor file_;
  const Grid grid_;
};

absl::StatusOr<Grid> NpyGrid(std::string_view start) {
  TRIVIUM_ASSIGN_OR_RETURN(const NpyHeader header, ParseNpyHeader(start));
  return Grid{.data_offset = header.data_offset,
              .rows = header.rows,
              .columns = header.columns,
              .is_half = header.is_half};
}

absl::StatusOr<Grid> FvecsGrid(std::string_view start, std::uint64_t file_bytes) {
  ByteReader reader(start);
  const auto dimension = reader.Read<std::int32_t>();
  if (!reader.ok() || dimension <= 0) {
    return absl::InvalidArgumentError(absl::StrFormat("fvecs dimension: %d, expected at least 1", dimension));
  }
  Grid grid{.columns = static_cast<std::uint64_t>(dimension), .row_prefix_bytes = sizeof(dimension)};
  // Rounded up: a row cut short then fails the check of the file's length.
  grid.rows = (file_bytes + grid.row_bytes() - 1) / grid.row_bytes();
  return grid;
}

absl::StatusOr<Grid> FbinGrid(std::string_view start) {
  ByteReader reader(start);
  Grid grid;
  grid.rows = reader.Read<std::uint32_t>();
  grid.columns = reader.Read<std::uint32_t>();
  grid.data_offset = 2 * sizeof(std::uint32_t);
  if (!reader.ok()) return absl::InvalidArgumentError("fbin header: cut short, expected 8 bytes");
  return grid;
}

absl::Status CheckGrid(const Grid& grid, std::uint64_t file_bytes) {
  if (grid.columns == 0 || grid.columns > kMaxColumns) {
    return absl::InvalidArgumentError(
        absl::StrFormat("dimension: %d, expected 1 to %d", grid.columns, kMaxColumns));
  }
  std::uint64_t expected_bytes = 0;
  if (__builtin_mul_overflow(grid.rows, grid.row_bytes(), &expected_bytes) ||
      __builtin_add_overflow(expected_bytes, grid.data_offset, &expected_bytes)) {
    expected_bytes = std::numeric_limits<std::uint64_t>::max();
  }
  if (expected_bytes != file_bytes) {
    return absl::InvalidArgumentError(absl::StrFormat("file length: %d bytes, expected %d for %d x %d values",
                                                      file_bytes, expected_bytes, grid.rows, grid.columns));
  }
  return absl::OkStatus();
}

bool EndsWith(std::string_view text, std::string_view ending) {
  return text.size() >= ending.size() && text.substr(text.size() - ending.size()) == ending;
}

}  // namespace

absl::StatusOr<std::unique_ptr<VectorFile>> OpenVectorFile(const std::string& path) {
  TRIVIUM_ASSIGN_OR_RETURN(FileDescriptor file, OpenFile(path, O_RDONLY));
  TRIVIUM_ASSIGN_OR_RETURN(const std::uint64_t file_bytes, FileSize(file, path));
  std::string start(std::min<std::uint64_t>(file_bytes, kMaxNpyHeaderBytes), '\0');
  TRIVIUM_RETURN_IF_ERROR(
      ReadExactAt(file, 0, {reinterpret_cast<std::byte*>(start.data()), start.size()}, path));
  const auto read_grid = [&]() -> absl::StatusOr<Grid> {
    if (EndsWith(path, ".npy")) return NpyGrid(start);
    if (EndsWith(path, ".fvecs")) return FvecsGrid(start, file_bytes);
    if (EndsWith(path, ".fbin")) return FbinGrid(start);
    return absl::InvalidArgumentError("vector file: unknown extension, expected .npy, .fvecs or .fbin");
  };
  absl::StatusOr<Grid> grid = read_grid();
  absl::Status status = grid.ok() ? CheckGrid(*grid, file_bytes) : grid.status();
  if (!status.ok()) return absl::Status(status.code(), absl::StrFormat("%s (%s)", status.message(), path));
  return std::unique_ptr<VectorFile>(new GridFile(path, std::move(file), *grid));
}

}  // namespace trivium::storage
