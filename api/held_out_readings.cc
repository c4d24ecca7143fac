// SPDX-License-Identifier: Apache-2.0
#include "api/held_out_readings.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_format.h"
#include "api/keys.h"
#include "base/aligned_matrix.h"
#include "base/status_macros.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"
#include "storage/checksum.h"

namespace trivium {
namespace {

std::uint64_t HashOf(const float* query, std::size_t dimension) {
  return storage::Checksum({reinterpret_cast<const char*>(query), dimension * sizeof(float)});
}

absl::Status Malformed(std::string_view bytes) {
  return absl::DataLossError(absl::StrFormat(
      "held-out readings: malformed %d bytes, expected what training wrote (db)", bytes.size()));
}

}  // namespace

bool StandsForNewQueries(const float* query, std::size_t dimension) {
  return HashOf(query, dimension) % 2 == 0;
}

void HeldOutReadings::Add(std::uint32_t adapter, std::size_t dimension, const float* query,
                          const float* reading) {
  std::vector<float> padded(base::PaddedStride(dimension), 0.0f);
  std::copy_n(reading, dimension, padded.begin());
  readings_[adapter].try_emplace(HashOf(query, dimension), std::move(padded));
}

const std::vector<float>* HeldOutReadings::Find(std::uint32_t adapter, std::size_t dimension,
                                                const float* query) const {
  const auto readings = readings_.find(adapter);
  if (readings == readings_.end()) return nullptr;
  const auto found = readings->second.find(HashOf(query, dimension));
  return found == readings->second.end() ? nullptr : &found->second;
}

// u64 d | u64 n | (u64 hash, f32[d] reading)[n] | u64 checksum of all before
std::string HeldOutReadings::Save(std::uint32_t adapter, std::size_t dimension) const {
  storage::ByteWriter writer;
  writer.Put<std::uint64_t>(dimension);
  const auto found = readings_.find(adapter);
  writer.Put<std::uint64_t>(found == readings_.end() ? 0 : found->second.size());
  if (found != readings_.end()) {
    const std::map<std::uint64_t, std::vector<float>> sorted(found->second.begin(), found->second.end());
    for (const auto& [hash, reading] : sorted) {
      writer.Put(hash);
      writer.PutArray(reading.data(), dimension);
    }
  }
  writer.Put(storage::Checksum(writer.bytes()));
  return writer.Take();
}

absl::Status HeldOutReadings::Load(std::uint32_t adapter, std::size_t dimension, std::string_view bytes) {
  if (bytes.size() < sizeof(std::uint64_t)) return Malformed(bytes);
  const std::string_view body = bytes.substr(0, bytes.size() - sizeof(std::uint64_t));
  storage::ByteReader footer(bytes.substr(body.size()));
  if (footer.Read<std::uint64_t>() != storage::Checksum(body)) return Malformed(bytes);
  storage::ByteReader reader(body);
  if (reader.Read<std::uint64_t>() != dimension) return Malformed(bytes);
  const auto count = reader.Read<std::uint64_t>();
  Readings fresh;
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    const auto hash = reader.Read<std::uint64_t>();
    std::vector<float> reading = reader.ReadArray<float>(dimension);
    reading.resize(base::PaddedStride(dimension), 0.0f);
    fresh.emplace(hash, std::move(reading));
  }
  if (!reader.AtEnd()) return Malformed(bytes);
  readings_[adapter] = std::move(fresh);
  return absl::OkStatus();
}

absl::StatusOr<HeldOutReadings> LoadHeldOut(const StoreState& state) {
  HeldOutReadings readings;
  const auto load = [&](std::uint32_t id, std::uint32_t space) -> absl::Status {
    TRIVIUM_ASSIGN_OR_RETURN(const std::optional<std::string> bytes,
                             state.db->Get(storage::Table::kManifest, HeldOutKey(id)));
    return bytes ? readings.Load(id, state.schema.SpaceById(space)->dimension, *bytes) : absl::OkStatus();
  };
  for (const ExpertRecord& expert : state.schema.experts) {
    if (expert.adapter) TRIVIUM_RETURN_IF_ERROR(load(expert.id, expert.space));
  }
  for (const SpaceRecord& space : state.schema.spaces) {
    if (space.adapter) TRIVIUM_RETURN_IF_ERROR(load(space.id, space.id));
  }
  return readings;
}

}  // namespace trivium
