// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/max_pilot_router.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/status_macros.h"
#include "routing/expert/pilot_weights.h"
#include "routing/expert/router_bytes.h"
#include "routing/expert/router_scratch.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"

namespace trivium::routing {
namespace {

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();

}  // namespace

absl::Status MaxPilotRouter::Train(const PilotSet& pilots, const RouterOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(CheckTrainingInput(pilots, options));
  TRIVIUM_RETURN_IF_ERROR(index_.Build(pilots.vectors(), std::numeric_limits<std::size_t>::max()));
  dimension_ = pilots.dimension();
  fingerprint_ = index_.fingerprint();
  known_.assign(pilots.expert_count(), 0);
  best_begin_.assign(1, 0);
  best_.clear();
  std::vector<unsigned char> best;
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    MarkBestExperts(pilots.utilities(i), &best);
    for (std::uint32_t e = 0; e < best.size(); ++e) {
      known_[e] |= !std::isnan(pilots.utilities(i)[e]);
      if (best[e]) best_.push_back(e);
    }
    best_begin_.push_back(static_cast<std::uint32_t>(best_.size()));
  }
  return absl::OkStatus();
}

void MaxPilotRouter::Predict(absl::Span<const float> query, RouterScratch* scratch, absl::Span<float> utility,
                             absl::Span<float> uncertainty) const {
  std::vector<float>& similarities = scratch->buffers().similarities;
  index_.Similarities(query.data(), &scratch->buffers().search, &similarities);
  for (std::size_t e = 0; e < known_.size(); ++e) {
    utility[e] = known_[e] ? 0.0f : kUnknown;
    uncertainty[e] = known_[e] ? 0.0f : kUnknown;
  }
  for (std::size_t i = 0; i < similarities.size(); ++i) {
    for (std::uint32_t b = best_begin_[i]; b < best_begin_[i + 1]; ++b) {
      utility[best_[b]] = std::max(utility[best_[b]], similarities[i]);
    }
  }
}

void MaxPilotRouter::AddExpert() { known_.push_back(0); }

void MaxPilotRouter::RemoveExpert(std::size_t expert) {
  known_.erase(known_.begin() + expert);
  std::vector<std::uint32_t> begin(1, 0);
  std::vector<std::uint32_t> kept;
  for (std::size_t i = 0; i + 1 < best_begin_.size(); ++i) {
    for (std::uint32_t b = best_begin_[i]; b < best_begin_[i + 1]; ++b) {
      if (best_[b] != expert) kept.push_back(best_[b] - (best_[b] > expert));
    }
    begin.push_back(static_cast<std::uint32_t>(kept.size()));
  }
  best_begin_ = std::move(begin);
  best_ = std::move(kept);
}

// u64 d | u64 E | u64 n | u64 m | u64 fingerprint | u8[E] known | u32[n + 1] best_begin | u32[m] best
std::string MaxPilotRouter::Save() const {
  storage::ByteWriter writer;
  writer.Put<std::uint64_t>(dimension_);
  writer.Put<std::uint64_t>(known_.size());
  writer.Put<std::uint64_t>(best_begin_.size() - 1);
  writer.Put<std::uint64_t>(best_.size());
  writer.Put(fingerprint_);
  writer.PutArray(known_.data(), known_.size());
  writer.PutArray(best_begin_.data(), best_begin_.size());
  writer.PutArray(best_.data(), best_.size());
  return SealRouterBytes(name(), writer.bytes());
}

absl::Status MaxPilotRouter::Load(std::string_view bytes) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::string_view payload, OpenRouterBytes(name(), bytes));
  storage::ByteReader reader(payload);
  const auto dimension = reader.Read<std::uint64_t>();
  const auto expert_count = reader.Read<std::uint64_t>();
  const auto pilot_count = reader.Read<std::uint64_t>();
  const auto best_count = reader.Read<std::uint64_t>();
  const auto fingerprint = reader.Read<std::uint64_t>();
  std::vector<unsigned char> known = reader.ReadArray<unsigned char>(expert_count);
  std::vector<std::uint32_t> begin = reader.ReadArray<std::uint32_t>(pilot_count + 1);
  std::vector<std::uint32_t> best = reader.ReadArray<std::uint32_t>(best_count);
  const bool fits = reader.AtEnd() && !begin.empty() && begin.front() == 0 && begin.back() == best.size() &&
                    std::is_sorted(begin.begin(), begin.end()) &&
                    std::all_of(best.begin(), best.end(), [&](std::uint32_t e) { return e < expert_count; });
  if (!fits) return MalformedRouter(name());
  dimension_ = dimension;
  fingerprint_ = fingerprint;
  known_ = std::move(known);
  best_begin_ = std::move(begin);
  best_ = std::move(best);
  index_ = PilotIndex();
  return absl::OkStatus();
}

absl::Status MaxPilotRouter::OpenIndex(const std::string& path) {
  return OpenMatchingIndex(path, fingerprint_, best_begin_.size() - 1, dimension_, &index_);
}

}  // namespace trivium::routing
