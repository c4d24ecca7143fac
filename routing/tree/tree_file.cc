// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/tree_file.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "storage/segment_file.h"

namespace trivium::routing {
namespace {

constexpr std::uint64_t kVersion = 2, kFirstVersion = 1;
constexpr std::uint64_t kWithSplits = 0, kGiven = 1;
constexpr std::uint64_t kMostFloats = 65536;  // of a vector, or features of an MLP split

struct Header {
  std::uint64_t version, dimension, depth, hidden;
  double mass_unit;
  std::uint64_t kind;
};
constexpr std::size_t kFirstHeaderBytes = offsetof(Header, kind);

absl::Span<const std::byte> Bytes(const float* values, std::size_t count) {
  return absl::MakeConstSpan(reinterpret_cast<const std::byte*>(values), count * sizeof(float));
}

absl::Status AddRows(storage::SegmentFileWriter* writer, std::string_view name,
                     const base::AlignedMatrix& rows) {
  TRIVIUM_RETURN_IF_ERROR(writer->BeginBlock(name));
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    TRIVIUM_RETURN_IF_ERROR(writer->Append(Bytes(rows.row(i), rows.columns())));
  }
  return absl::OkStatus();
}

// `count` finite floats, copied row by row to `out(row)`.
template <class RowOf>
absl::Status ReadRows(const storage::SegmentFile& file, std::string_view name, std::size_t rows,
                      std::size_t columns, RowOf out) {
  TRIVIUM_ASSIGN_OR_RETURN(const absl::Span<const std::byte> block, file.Block(name));
  if (block.size() != rows * columns * sizeof(float)) {
    return absl::DataLossError(absl::StrFormat("tree: block '%s' of %d bytes, expected %d (%s)", name,
                                               block.size(), rows * columns * sizeof(float), file.path()));
  }
  for (std::size_t i = 0; i < rows; ++i) {
    float* row = out(i);
    std::memcpy(row, block.data() + i * columns * sizeof(float), columns * sizeof(float));
    if (std::all_of(row, row + columns, [](float x) { return std::isfinite(x); })) continue;
    return absl::DataLossError(absl::StrFormat(
        "tree: block '%s', row %d is not finite, expected numbers (%s)", name, i, file.path()));
  }
  return absl::OkStatus();
}

absl::StatusOr<Header> ReadHeader(const storage::SegmentFile& file) {
  TRIVIUM_ASSIGN_OR_RETURN(const absl::Span<const std::byte> bytes, file.Block("tree_header"));
  Header header{};
  if (bytes.size() != sizeof(header) && bytes.size() != kFirstHeaderBytes) {
    return absl::DataLossError(absl::StrFormat("tree: header of %d bytes, expected %d (%s)", bytes.size(),
                                               sizeof(header), file.path()));
  }
  std::memcpy(&header, bytes.data(), bytes.size());
  const std::uint64_t version = bytes.size() == kFirstHeaderBytes ? kFirstVersion : kVersion;
  if (header.version != version || header.dimension < 1 || header.dimension > kMostFloats ||
      header.depth < 1 || header.depth > kDeepestSplitTree || header.hidden > kMostFloats) {
    return absl::DataLossError(absl::StrFormat(
        "tree: version %d, dimension %d, depth %d, %d features, expected version %d, dimension 1 to %d, "
        "depth 1 to %d, features up to %d (%s)",
        header.version, header.dimension, header.depth, header.hidden, version, kMostFloats,
        kDeepestSplitTree, kMostFloats, file.path()));
  }
  const bool whole =
      header.kind == kGiven && header.hidden == 0 && header.dimension == std::uint64_t{1} << header.depth;
  if (header.kind != kWithSplits && !whole) {
    return absl::DataLossError(absl::StrFormat(
        "tree: kind %d of dimension %d, expected %d, or %d of dimension %d without features (%s)",
        header.kind, header.dimension, kWithSplits, kGiven, std::uint64_t{1} << header.depth, file.path()));
  }
  if (!(header.mass_unit > 0) || header.mass_unit > 1) {
    return absl::DataLossError(absl::StrFormat(
        "tree: unit of masses %g, expected more than 0, at most 1 (%s)", header.mass_unit, file.path()));
  }
  return header;
}

}  // namespace

absl::Status WriteTree(const SplitTree& tree, const std::string& path) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::unique_ptr<storage::SegmentFileWriter> writer,
                           storage::SegmentFileWriter::Create(path));
  const Header header{kVersion,          tree.dimension, tree.depth,
                      tree.layer.rows(), tree.mass_unit, tree.given() ? kGiven : kWithSplits};
  TRIVIUM_RETURN_IF_ERROR(writer->AddBlock(
      "tree_header", absl::MakeConstSpan(reinterpret_cast<const std::byte*>(&header), sizeof(header))));
  if (tree.given()) return writer->Commit();
  TRIVIUM_RETURN_IF_ERROR(AddRows(writer.get(), "splits", tree.splits));
  TRIVIUM_RETURN_IF_ERROR(writer->AddBlock("biases", Bytes(tree.biases.data(), tree.biases.size())));
  if (tree.layer.rows() > 0) {
    TRIVIUM_RETURN_IF_ERROR(AddRows(writer.get(), "layer", tree.layer));
    TRIVIUM_RETURN_IF_ERROR(
        writer->AddBlock("layer_biases", Bytes(tree.layer_biases.data(), tree.layer_biases.size())));
  }
  return writer->Commit();
}

absl::StatusOr<SplitTree> OpenTree(const std::string& path) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::shared_ptr<const storage::SegmentFile> file,
                           storage::SegmentFile::Open(path, /*verify_blocks=*/true));
  TRIVIUM_ASSIGN_OR_RETURN(const Header header, ReadHeader(*file));
  if (header.kind == kGiven) {
    SplitTree tree = SplitTree::Given(header.depth);
    tree.mass_unit = static_cast<float>(header.mass_unit);
    return tree;
  }
  // Before anything of that size is allocated.
  const std::uint64_t inner = (std::uint64_t{1} << header.depth) - 1;
  const std::uint64_t features = header.hidden > 0 ? header.hidden : header.dimension;
  const std::uint64_t floats = inner * (features + 1) + header.hidden * (header.dimension + 1);
  if (floats * sizeof(float) > file->size_bytes()) {
    return absl::DataLossError(absl::StrFormat("tree: %d bytes, expected at least %d (%s)",
                                               file->size_bytes(), floats * sizeof(float), path));
  }
  SplitTree tree(header.dimension, header.depth, header.hidden);
  tree.mass_unit = static_cast<float>(header.mass_unit);
  TRIVIUM_RETURN_IF_ERROR(
      ReadRows(*file, "splits", inner, features, [&](std::size_t i) { return tree.splits.row(i); }));
  TRIVIUM_RETURN_IF_ERROR(
      ReadRows(*file, "biases", 1, inner, [&](std::size_t) { return tree.biases.data(); }));
  if (header.hidden > 0) {
    TRIVIUM_RETURN_IF_ERROR(ReadRows(*file, "layer", header.hidden, header.dimension,
                                     [&](std::size_t i) { return tree.layer.row(i); }));
    TRIVIUM_RETURN_IF_ERROR(ReadRows(*file, "layer_biases", 1, header.hidden,
                                     [&](std::size_t) { return tree.layer_biases.data(); }));
  }
  return tree;
}

}  // namespace trivium::routing
