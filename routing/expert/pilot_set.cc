// SPDX-License-Identifier: Apache-2.0
// An encoded pilot, little-endian:
//
//   u8 version | u8 source | u16 0 | f32 weight | i64 time | u32 d | u32 m | f32[d] vector | (u32 id, f32
//   utility)[m] | u32 o | (u32 id, f32 share)[o]
//
// m counts the known utilities only, o the owners only. Version 1 ends before o. Damage to the row is the
// table's business (its blocks are checksummed); here malformed bytes must only never be believed.
#include "routing/expert/pilot_set.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "routing/expert/expert_columns.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"

namespace trivium::routing {
namespace {

constexpr std::uint8_t kVersion = 2;
constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
constexpr double kNormTolerance = 1e-3;

absl::Status CheckPilot(const PilotView& pilot, std::size_t dimension, std::size_t expert_count) {
  if (pilot.vector.size() != dimension) {
    return absl::InvalidArgumentError(
        absl::StrFormat("pilot dimension: %d, expected %d", pilot.vector.size(), dimension));
  }
  if (pilot.utilities.size() != expert_count) {
    return absl::InvalidArgumentError(
        absl::StrFormat("pilot utilities: %d, expected %d", pilot.utilities.size(), expert_count));
  }
  double squared_norm = 0;
  for (float x : pilot.vector) squared_norm += static_cast<double>(x) * x;
  if (!(std::abs(std::sqrt(squared_norm) - 1) <= kNormTolerance)) {  // also when NaN
    return absl::InvalidArgumentError(
        absl::StrFormat("pilot norm: %g, expected a unit vector", std::sqrt(squared_norm)));
  }
  for (float u : pilot.utilities) {
    if (std::isinf(u))
      return absl::InvalidArgumentError("pilot utility: infinite, expected a finite value or NaN");
  }
  if (!pilot.owners.empty() && pilot.owners.size() != expert_count) {
    return absl::InvalidArgumentError(
        absl::StrFormat("pilot owners: %d, expected %d or none", pilot.owners.size(), expert_count));
  }
  for (float share : pilot.owners) {
    if (!(share >= 0) || std::isinf(share))
      return absl::InvalidArgumentError(absl::StrFormat("pilot owner: %g, expected >= 0", share));
  }
  if (!(pilot.weight >= 0) || std::isinf(pilot.weight)) {
    return absl::InvalidArgumentError(absl::StrFormat("pilot weight: %g, expected >= 0", pilot.weight));
  }
  return absl::OkStatus();
}

}  // namespace

PilotView PilotSet::pilot(std::size_t i) const {
  return {.vector = absl::MakeConstSpan(vectors_.row(i), dimension()),
          .utilities = utilities(i),
          .owners = owners(i),
          .weight = weights_[i],
          .time = times_[i],
          .source = sources_[i]};
}

absl::Span<const float> PilotSet::utilities(std::size_t i) const {
  return absl::MakeConstSpan(utilities_.data() + i * expert_count_, expert_count_);
}

absl::Span<const float> PilotSet::owners(std::size_t i) const {
  return absl::MakeConstSpan(owners_.data() + i * expert_count_, expert_count_);
}

absl::Status PilotSet::Add(const PilotView& pilot) {
  TRIVIUM_RETURN_IF_ERROR(CheckPilot(pilot, dimension(), expert_count_));
  vectors_.Append(pilot.vector.data());
  utilities_.insert(utilities_.end(), pilot.utilities.begin(), pilot.utilities.end());
  owners_.insert(owners_.end(), pilot.owners.begin(), pilot.owners.end());
  owners_.resize(utilities_.size(), 0.0f);
  weights_.push_back(pilot.weight);
  times_.push_back(pilot.time);
  sources_.push_back(pilot.source);
  return absl::OkStatus();
}

PilotSet PilotSet::Subset(absl::Span<const std::uint32_t> rows) const {
  PilotSet subset(dimension(), expert_count_);
  subset.vectors_.Reserve(rows.size());
  for (std::uint32_t row : rows) {
    subset.vectors_.Append(vectors_.row(row));
    const absl::Span<const float> known = utilities(row);
    subset.utilities_.insert(subset.utilities_.end(), known.begin(), known.end());
    const absl::Span<const float> shares = owners(row);
    subset.owners_.insert(subset.owners_.end(), shares.begin(), shares.end());
    subset.weights_.push_back(weights_[row]);
    subset.times_.push_back(times_[row]);
    subset.sources_.push_back(sources_[row]);
  }
  return subset;
}

void PilotSet::ForgetExpertsWithoutEvidence() {
  for (std::size_t e = 0; e < expert_count_; ++e) {
    bool evidence = false;
    for (std::size_t at = e; at < utilities_.size() && !evidence; at += expert_count_) {
      evidence = utilities_[at] > 0 || owners_[at] > 0;
    }
    for (std::size_t at = e; at < utilities_.size() && !evidence; at += expert_count_) {
      utilities_[at] = std::numeric_limits<float>::quiet_NaN();
    }
  }
}

void PilotSet::AddExpert() {
  utilities_ = WithNewColumn(utilities_, size(), expert_count_, kUnknown);
  owners_ = WithNewColumn(owners_, size(), expert_count_++, 0.0f);
}

void PilotSet::RemoveExpert(std::size_t expert) {
  utilities_ = WithoutColumn(utilities_, size(), expert_count_, expert);
  owners_ = WithoutColumn(owners_, size(), expert_count_--, expert);
}

std::string PilotSet::EncodePilot(std::size_t i, absl::Span<const std::uint32_t> expert_ids) const {
  std::uint32_t known_count = 0;
  for (float u : utilities(i)) known_count += !std::isnan(u);
  storage::ByteWriter writer;
  writer.Put(kVersion);
  writer.Put(sources_[i]);
  writer.Put(std::uint16_t{0});
  writer.Put(weights_[i]);
  writer.Put(times_[i]);
  writer.Put(static_cast<std::uint32_t>(dimension()));
  writer.Put(known_count);
  writer.PutArray(vectors_.row(i), dimension());
  for (std::size_t e = 0; e < expert_count_; ++e) {
    if (std::isnan(utilities(i)[e])) continue;
    writer.Put(expert_ids[e]);
    writer.Put(utilities(i)[e]);
  }
  const absl::Span<const float> shares = owners(i);
  writer.Put(
      static_cast<std::uint32_t>(std::count_if(shares.begin(), shares.end(), [](float s) { return s > 0; })));
  for (std::size_t e = 0; e < expert_count_; ++e) {
    if (!(shares[e] > 0)) continue;
    writer.Put(expert_ids[e]);
    writer.Put(shares[e]);
  }
  return writer.Take();
}

absl::Status PilotSet::AddEncoded(std::string_view bytes, absl::Span<const std::uint32_t> expert_ids) {
  storage::ByteReader reader(bytes);
  const auto version = reader.Read<std::uint8_t>();
  const auto source = reader.Read<std::uint8_t>();
  const auto padding = reader.Read<std::uint16_t>();
  PilotView pilot;
  pilot.weight = reader.Read<float>();
  pilot.time = reader.Read<std::int64_t>();
  const auto stored_dimension = reader.Read<std::uint32_t>();
  const auto known_count = reader.Read<std::uint32_t>();
  if (!reader.ok() || version == 0 || version > kVersion || padding != 0 ||
      source > static_cast<std::uint8_t>(PilotSource::kBackground)) {
    return absl::DataLossError(
        absl::StrFormat("pilot: malformed row of %d bytes, expected version %d", bytes.size(), kVersion));
  }
  if (stored_dimension != dimension()) {
    return absl::DataLossError(
        absl::StrFormat("pilot dimension: %d, expected %d", stored_dimension, dimension()));
  }
  const std::vector<float> vector = reader.ReadArray<float>(stored_dimension);
  std::vector<float> known(expert_count_, kUnknown), shares(expert_count_, 0.0f);
  const auto read_columns = [&](std::uint32_t count, std::vector<float>* values) {
    for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
      const auto id = reader.Read<std::uint32_t>();
      const auto value = reader.Read<float>();
      for (std::size_t e = 0; e < expert_count_; ++e) {
        if (expert_ids[e] == id) (*values)[e] = value;
      }
    }
  };
  read_columns(known_count, &known);
  if (version > 1) read_columns(reader.Read<std::uint32_t>(), &shares);
  if (!reader.AtEnd()) {
    return absl::DataLossError(
        absl::StrFormat("pilot: row of %d bytes, expected %d utilities in it", bytes.size(), known_count));
  }
  pilot.vector = vector;
  pilot.utilities = known;
  pilot.owners = shares;
  pilot.source = static_cast<PilotSource>(source);
  if (absl::Status added = Add(pilot); !added.ok()) return absl::DataLossError(added.message());
  return absl::OkStatus();
}

}  // namespace trivium::routing
