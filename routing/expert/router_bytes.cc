// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/router_bytes.h"

#include <cstdint>

#include "absl/strings/str_format.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"
#include "storage/checksum.h"

namespace trivium::routing {
namespace {

constexpr std::uint32_t kMagic = 0x54525654;  // "TVRT"
constexpr std::uint32_t kVersion = 1;

}  // namespace

std::string SealRouterBytes(std::string_view name, std::string_view payload) {
  storage::ByteWriter writer;
  writer.Put(kMagic);
  writer.Put(kVersion);
  writer.PutString(name);
  writer.PutBytes(payload);
  writer.Put(storage::Checksum(writer.bytes()));
  return writer.Take();
}

absl::StatusOr<std::string_view> OpenRouterBytes(std::string_view name, std::string_view bytes) {
  constexpr std::size_t kChecksumBytes = sizeof(std::uint64_t);
  if (bytes.size() < kChecksumBytes) {
    return absl::DataLossError(
        absl::StrFormat("router %s: %d bytes, expected at least %d", name, bytes.size(), kChecksumBytes));
  }
  const std::string_view body = bytes.substr(0, bytes.size() - kChecksumBytes);
  storage::ByteReader footer(bytes.substr(body.size()));
  const auto expected = footer.Read<std::uint64_t>();
  if (storage::Checksum(body) != expected) {
    return absl::DataLossError(absl::StrFormat("router %s: checksum %016x, expected %016x", name,
                                               storage::Checksum(body), expected));
  }
  storage::ByteReader reader(body);
  const auto magic = reader.Read<std::uint32_t>();
  const auto version = reader.Read<std::uint32_t>();
  const std::string_view stored_name = reader.ReadString();
  if (!reader.ok() || magic != kMagic) return MalformedRouter(name);
  if (version != kVersion) {
    return absl::DataLossError(
        absl::StrFormat("router %s: format version %d, expected %d", name, version, kVersion));
  }
  if (stored_name != name) {
    return absl::DataLossError(absl::StrFormat("router: %s, expected %s", stored_name, name));
  }
  return reader.ReadBytes(reader.remaining());
}

absl::Status MalformedRouter(std::string_view name) {
  return absl::DataLossError(absl::StrFormat("router %s: malformed bytes, expected what Save wrote", name));
}

}  // namespace trivium::routing
