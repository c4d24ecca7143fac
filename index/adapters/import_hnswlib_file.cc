// SPDX-License-Identifier: Apache-2.0
// A file of hnswlib, little-endian:
//
//   header    u64 0, capacity, elements, element_bytes, label_offset, vector_offset
//             i32 top layer, u32 entry, u64 maxM, maxM0, M, f64 level scale, u64 ef_construction
//   elements  u32 links (the third byte is 1 where the element is deleted), maxM0 x u32, vector, u64 label
//   for each  u32 bytes of its links on the upper layers, a multiple of 4 + 4 maxM, then those links
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "index/adapters/import_index_file.h"
#include "index/adapters/import_parsing.h"
#include "storage/byte_reader.h"

namespace trivium::index {
namespace {

using storage::ByteReader;

// Twice the largest M that hnswlib admits.
constexpr std::uint64_t kMaxHnswDegree = 20000;

absl::StatusOr<ImportedVectors> ParseHnswlib(std::string_view bytes, std::size_t dimension,
                                             base::Metric metric) {
  if (dimension == 0) return absl::InvalidArgumentError("dimension: 0, expected at least 1");
  ByteReader reader(bytes);
  const auto first_offset = reader.Read<std::uint64_t>();
  reader.Read<std::uint64_t>();  // capacity
  const auto element_count = reader.Read<std::uint64_t>();
  const auto element_bytes = reader.Read<std::uint64_t>();
  const auto label_offset = reader.Read<std::uint64_t>();
  const auto vector_offset = reader.Read<std::uint64_t>();
  reader.ReadBytes(sizeof(std::int32_t) + sizeof(std::uint32_t));  // top layer, entry
  const auto upper_degree = reader.Read<std::uint64_t>();
  const auto lowest_degree = reader.Read<std::uint64_t>();
  reader.ReadBytes(sizeof(std::uint64_t) + sizeof(double) +
                   sizeof(std::uint64_t));  // M, level scale, ef_construction
  if (!reader.ok()) return Truncated("hnswlib header");
  if (first_offset != 0) return Damaged("hnswlib first offset", first_offset, "0");
  if (upper_degree > kMaxHnswDegree) {
    return Damaged("hnswlib maxM", upper_degree, absl::StrCat("at most ", kMaxHnswDegree));
  }
  if (lowest_degree > kMaxHnswDegree || vector_offset != 4 + 4 * lowest_degree) {
    return Damaged("hnswlib vector offset", vector_offset,
                   absl::StrCat("4 + 4 x maxM0, maxM0 = ", lowest_degree));
  }
  if (label_offset < vector_offset || element_bytes < label_offset || element_bytes - label_offset != 8) {
    return Damaged("hnswlib label offset", label_offset, absl::StrCat("8 less than ", element_bytes));
  }
  const std::uint64_t vector_bytes = label_offset - vector_offset;
  if (vector_bytes % sizeof(float) != 0 || vector_bytes / sizeof(float) != dimension) {
    return absl::InvalidArgumentError(absl::StrCat("hnswlib vector length: ", vector_bytes,
                                                   " bytes, expected ", dimension, " float32 components"));
  }
  if (element_count > reader.remaining() / element_bytes) {
    return Damaged("hnswlib elements", element_count,
                   absl::StrCat("at most ", reader.remaining() / element_bytes));
  }

  ImportedVectors vectors{base::AlignedMatrix(dimension), {}, metric};
  for (std::uint64_t i = 0; i < element_count; ++i) {
    const std::string_view element = reader.ReadBytes(element_bytes);
    if ((element[2] & 1) != 0) continue;  // deleted
    ByteReader label(element.substr(label_offset));
    TRIVIUM_RETURN_IF_ERROR(
        AppendRow(element.substr(vector_offset, vector_bytes), label.Read<std::uint64_t>(), &vectors));
  }
  for (std::uint64_t i = 0; i < element_count; ++i) {
    const auto links_bytes = reader.Read<std::uint32_t>();
    if (links_bytes % (4 + 4 * upper_degree) != 0) {
      return Damaged("hnswlib links", links_bytes, absl::StrCat("a multiple of ", 4 + 4 * upper_degree));
    }
    reader.ReadBytes(links_bytes);
  }
  if (!reader.ok()) return Truncated("hnswlib links");
  if (!reader.AtEnd()) return Damaged("bytes after the hnswlib index", reader.remaining(), "0");
  return vectors;
}

}  // namespace

absl::StatusOr<ImportedVectors> ReadHnswlibFile(const std::string& path, std::size_t dimension,
                                                base::Metric metric) {
  return ReadIndexFile(path, [&](std::string_view bytes) { return ParseHnswlib(bytes, dimension, metric); });
}

}  // namespace trivium::index
