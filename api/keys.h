// SPDX-License-Identifier: Apache-2.0
// Keys of the store's tables. Numbers are big-endian, so byte order is number order.
//
//   kManifest    "schema"                              JSON, see schema.h
//                "next_document"                       u64, the next document number
//                "adapter/" expert or space id (u32)   a matrix, see routing/expert/adapter_bytes.h
//                "held_out/" expert or space id (u32)  what its adapter was judged by: held_out_readings.h
//                "router/" name                        bytes of a router, of "guard" or of "memory"
//   kIds         partition (u32) id                    document number (u64)
//   kDocuments   document number (u64)                 partition (u32), id length (u32), id, text
//   kMetadata    document number                       JSON object; absent where there is none
//   kVectors     space (u32) partition (u32) number    float32 values of a vector not yet in a segment
//   kPilots      sequence (u64)                        a remembered query that was trained on
//                "feedback/" sequence (u64)            one of a user's reaction, see feedback_log.cc
//   kEncodings   encoder key (u64) kind (u8) unit (u8) text hash (16 bytes)   float32 values
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trivium {

inline constexpr std::string_view kSchemaKey = "schema";
inline constexpr std::string_view kNextDocumentKey = "next_document";

inline void AppendU32(std::string* out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out->push_back(static_cast<char>(value >> shift));
}
inline void AppendU64(std::string* out, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out->push_back(static_cast<char>(value >> shift));
}
inline std::uint64_t ReadBigEndian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (unsigned char byte : bytes) value = value << 8 | byte;
  return value;
}

inline std::string U64Key(std::uint64_t value) {
  std::string key;
  AppendU64(&key, value);
  return key;
}
inline std::string IdKey(std::uint32_t partition, std::string_view id) {
  std::string key;
  AppendU32(&key, partition);
  key.append(id);
  return key;
}
inline std::string VectorPrefix(std::uint32_t space, std::uint32_t partition) {
  std::string key;
  AppendU32(&key, space);
  AppendU32(&key, partition);
  return key;
}
inline std::string VectorKey(std::uint32_t space, std::uint32_t partition, std::uint64_t document) {
  std::string key = VectorPrefix(space, partition);
  AppendU64(&key, document);
  return key;
}
inline std::string AdapterKey(std::uint32_t id) {
  std::string key = "adapter/";
  AppendU32(&key, id);
  return key;
}
inline std::string HeldOutKey(std::uint32_t id) {
  std::string key = "held_out/";
  AppendU32(&key, id);
  return key;
}
inline constexpr std::string_view kFeedbackPrefix = "feedback/";
inline std::string FeedbackKey(std::uint64_t sequence) {
  std::string key(kFeedbackPrefix);
  AppendU64(&key, sequence);
  return key;
}
// Of every pilot that was trained on: sequence numbers are small.
inline constexpr std::string_view kTrainedPilotPrefix("\0", 1);
inline std::string RouterKey(std::string_view name) { return "router/" + std::string(name); }

// The value under kDocuments.
struct DocumentRecord {
  std::uint32_t partition = 0;
  std::string_view id;
  std::string_view text;
};
inline std::string EncodeDocument(const DocumentRecord& record) {
  std::string out;
  out.reserve(8 + record.id.size() + record.text.size());
  AppendU32(&out, record.partition);
  AppendU32(&out, static_cast<std::uint32_t>(record.id.size()));
  out.append(record.id).append(record.text);
  return out;
}
// None where the bytes are malformed. The views point into `bytes`.
inline std::optional<DocumentRecord> DecodeDocument(std::string_view bytes) {
  if (bytes.size() < 8) return std::nullopt;
  const std::uint64_t id_bytes = ReadBigEndian(bytes.substr(4, 4));
  if (id_bytes > bytes.size() - 8) return std::nullopt;
  return DocumentRecord{static_cast<std::uint32_t>(ReadBigEndian(bytes.substr(0, 4))),
                        bytes.substr(8, id_bytes), bytes.substr(8 + id_bytes)};
}

}  // namespace trivium
