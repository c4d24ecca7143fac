// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/pooled_router.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "routing/expert/router_bytes.h"
#include "routing/expert/router_scratch.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"

namespace trivium::routing {
namespace {

constexpr float kSharpness = 8;             // of utilities, so that they differ as probabilities do
constexpr float kLeastProbability = 1e-9f;  // what logistic holds for impossible is not quite

// The same pilots, with utilities as shares of each one's best.
PilotSet RelativeToBest(const PilotSet& pilots) {
  PilotSet relative(pilots.dimension(), pilots.expert_count());
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    PilotView pilot = pilots.pilot(i);
    std::vector<float> shares(pilot.utilities.begin(), pilot.utilities.end());
    float best = 0;
    for (const float utility : shares) {
      if (utility > best) best = utility;  // false for NaN
    }
    for (float& share : shares) share /= best > 0 ? best : 1;
    pilot.utilities = shares;
    relative.Add(pilot).IgnoreError();  // it was a pilot before
  }
  return relative;
}

}  // namespace

absl::Status PooledRouter::Train(const PilotSet& pilots, const RouterOptions& options) {
  PooledRouter fresh;
  TRIVIUM_RETURN_IF_ERROR(fresh.logistic_.Train(pilots, options));
  TRIVIUM_RETURN_IF_ERROR(fresh.pilots_.Train(RelativeToBest(pilots), options));
  fresh.share_ = options.pilot_share;
  *this = std::move(fresh);
  return absl::OkStatus();
}

void PooledRouter::Predict(absl::Span<const float> query, RouterScratch* scratch, absl::Span<float> utility,
                           absl::Span<float> uncertainty) const {
  logistic_.Predict(query, scratch, utility, uncertainty);
  RouterScratch::Buffers& buffers = scratch->buffers();
  buffers.other_utility.resize(utility.size());
  buffers.other_uncertainty.resize(utility.size());
  pilots_.Predict(query, scratch, absl::MakeSpan(buffers.other_utility),
                  absl::MakeSpan(buffers.other_uncertainty));
  for (std::size_t e = 0; e < utility.size(); ++e) {  // NaN stays NaN
    if (std::isnan(utility[e]) || std::isnan(buffers.other_utility[e])) continue;
    utility[e] = std::exp((1 - share_) * std::log(std::max(utility[e], kLeastProbability)) +
                          share_ * kSharpness * (buffers.other_utility[e] - 1));
  }
}

void PooledRouter::AddExpert() {
  logistic_.AddExpert();
  pilots_.AddExpert();
}

void PooledRouter::RemoveExpert(std::size_t expert) {
  logistic_.RemoveExpert(expert);
  pilots_.RemoveExpert(expert);
}

// f32 share | u64 n | n bytes of logistic | the bytes of knn_utility, to the end
std::string PooledRouter::Save() const {
  const std::string logistic = logistic_.Save(), pilots = pilots_.Save();
  storage::ByteWriter writer;
  writer.Put(share_);
  writer.Put<std::uint64_t>(logistic.size());
  writer.PutArray(logistic.data(), logistic.size());
  writer.PutArray(pilots.data(), pilots.size());
  return SealRouterBytes(name(), writer.bytes());
}

absl::Status PooledRouter::Load(std::string_view bytes) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::string_view payload, OpenRouterBytes(name(), bytes));
  storage::ByteReader reader(payload);
  PooledRouter fresh;
  fresh.share_ = reader.Read<float>();
  const auto length = reader.Read<std::uint64_t>();
  const std::vector<char> logistic = reader.ReadArray<char>(length);
  if (!reader.ok()) return MalformedRouter(name());
  const std::vector<char> pilots = reader.ReadArray<char>(reader.remaining());
  if (!(fresh.share_ >= 0 && fresh.share_ <= 1) ||
      !fresh.logistic_.Load({logistic.data(), logistic.size()}).ok() ||
      !fresh.pilots_.Load({pilots.data(), pilots.size()}).ok() ||
      fresh.logistic_.dimension() != fresh.pilots_.dimension() ||
      fresh.logistic_.expert_count() != fresh.pilots_.expert_count()) {
    return MalformedRouter(name());
  }
  *this = std::move(fresh);
  return absl::OkStatus();
}

}  // namespace trivium::routing
