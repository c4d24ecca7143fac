// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/adapter_bytes.h"

#include <cstdint>
#include <cstring>

#include "base/status_macros.h"
#include "routing/expert/router_bytes.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"

namespace trivium::routing {
namespace {

constexpr std::string_view kName = "adapter";

}  // namespace

// The envelope of routers around: u64 d | f32[d x d]
std::string SaveAdapter(absl::Span<const float> matrix, std::size_t dimension) {
  storage::ByteWriter writer;
  writer.Put<std::uint64_t>(dimension);
  writer.PutArray(matrix.data(), matrix.size());
  return SealRouterBytes(kName, writer.bytes());
}

absl::StatusOr<std::vector<float>> LoadAdapter(std::string_view bytes, std::size_t dimension) {
  const std::size_t value_count = dimension * dimension;
  std::vector<float> matrix;
  if (bytes.size() == value_count * sizeof(float)) {
    matrix.resize(value_count);
    std::memcpy(matrix.data(), bytes.data(), bytes.size());
    return matrix;
  }
  TRIVIUM_ASSIGN_OR_RETURN(const std::string_view payload, OpenRouterBytes(kName, bytes));
  storage::ByteReader reader(payload);
  if (reader.Read<std::uint64_t>() != dimension) return MalformedRouter(kName);
  matrix = reader.ReadArray<float>(value_count);
  if (!reader.AtEnd()) return MalformedRouter(kName);
  return matrix;
}

}  // namespace trivium::routing
