// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/static_best_router.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/status_macros.h"
#include "routing/expert/pilot_weights.h"
#include "routing/expert/router_bytes.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"

namespace trivium::routing {

absl::Status StaticBestRouter::Train(const PilotSet& pilots, const RouterOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(CheckTrainingInput(pilots, options));
  UtilityPrior prior = PriorOf(pilots, BalancedWeights(pilots, options.class_balance));
  dimension_ = pilots.dimension();
  mean_ = std::move(prior.mean);
  error_.resize(mean_.size());
  for (std::size_t e = 0; e < mean_.size(); ++e) {
    error_[e] = std::sqrt(prior.variance[e] / prior.effective_count[e]);
  }
  return absl::OkStatus();
}

void StaticBestRouter::Predict(absl::Span<const float> query, RouterScratch* scratch,
                               absl::Span<float> utility, absl::Span<float> uncertainty) const {
  std::copy(mean_.begin(), mean_.end(), utility.begin());
  std::copy(error_.begin(), error_.end(), uncertainty.begin());
}

void StaticBestRouter::AddExpert() {
  mean_.push_back(std::numeric_limits<float>::quiet_NaN());
  error_.push_back(std::numeric_limits<float>::quiet_NaN());
}

void StaticBestRouter::RemoveExpert(std::size_t expert) {
  mean_.erase(mean_.begin() + expert);
  error_.erase(error_.begin() + expert);
}

// u64 d | u64 E | f32[E] mean | f32[E] error
std::string StaticBestRouter::Save() const {
  storage::ByteWriter writer;
  writer.Put<std::uint64_t>(dimension_);
  writer.Put<std::uint64_t>(mean_.size());
  writer.PutArray(mean_.data(), mean_.size());
  writer.PutArray(error_.data(), error_.size());
  return SealRouterBytes(name(), writer.bytes());
}

absl::Status StaticBestRouter::Load(std::string_view bytes) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::string_view payload, OpenRouterBytes(name(), bytes));
  storage::ByteReader reader(payload);
  const auto dimension = reader.Read<std::uint64_t>();
  const auto expert_count = reader.Read<std::uint64_t>();
  std::vector<float> mean = reader.ReadArray<float>(expert_count);
  std::vector<float> error = reader.ReadArray<float>(expert_count);
  if (!reader.AtEnd()) return MalformedRouter(name());
  dimension_ = dimension;
  mean_ = std::move(mean);
  error_ = std::move(error);
  return absl::OkStatus();
}

}  // namespace trivium::routing
