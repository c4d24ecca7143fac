// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/knn_utility_router.h"

#include <cmath>
#include <limits>
#include <utility>

#include "base/status_macros.h"
#include "routing/expert/expert_columns.h"
#include "routing/expert/router_bytes.h"
#include "routing/expert/router_scratch.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"

namespace trivium::routing {
namespace {

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();

}  // namespace

absl::Status KnnUtilityRouter::Train(const PilotSet& pilots, const RouterOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(CheckTrainingInput(pilots, options));
  TRIVIUM_RETURN_IF_ERROR(index_.Build(pilots.vectors(), options.graph_threshold));
  dimension_ = pilots.dimension();
  fingerprint_ = index_.fingerprint();
  neighbor_count_ = options.neighbor_count;
  temperature_ = options.temperature;
  shrinkage_ = options.shrinkage;
  weights_ = BalancedWeights(pilots, options.class_balance);
  prior_ = PriorOf(pilots, weights_);
  utilities_.clear();
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    utilities_.insert(utilities_.end(), pilots.utilities(i).begin(), pilots.utilities(i).end());
  }
  return absl::OkStatus();
}

float KnnUtilityRouter::WeightOf(const base::Neighbor& found, const base::Neighbor& nearest) const {
  const float gap = found.distance - nearest.distance;
  return std::exp(-gap / temperature_) * weights_[found.row];
}

void KnnUtilityRouter::Predict(absl::Span<const float> query, RouterScratch* scratch,
                               absl::Span<float> utility, absl::Span<float> uncertainty) const {
  RouterScratch::Buffers& buffers = scratch->buffers();
  const std::size_t experts = expert_count();
  index_.Nearest(query.data(), neighbor_count_, &buffers.search, &buffers.found);
  buffers.votes.assign(experts, UtilityVotes{});
  for (const base::Neighbor& neighbor : buffers.found) {
    const float weight = WeightOf(neighbor, buffers.found.front());
    const float* known = &utilities_[neighbor.row * experts];
    for (std::size_t e = 0; e < experts; ++e) buffers.votes[e].Add(weight, known[e]);
  }
  for (std::size_t e = 0; e < experts; ++e) {
    utility[e] = ShrunkMean(buffers.votes[e], prior_.mean[e], shrinkage_);
    uncertainty[e] = ErrorOfMean(buffers.votes[e], prior_.variance[e]);
  }
}

std::optional<PilotVotes> KnnUtilityRouter::ExplainVotes(absl::Span<const float> query, std::size_t expert,
                                                         RouterScratch* scratch) const {
  const float prior = prior_.mean[expert];
  if (std::isnan(prior)) return std::nullopt;
  RouterScratch::Buffers& buffers = scratch->buffers();
  index_.Nearest(query.data(), neighbor_count_, &buffers.search, &buffers.found);
  PilotVotes votes;
  float total = shrinkage_;
  for (const base::Neighbor& neighbor : buffers.found) {
    const float known = utilities_[neighbor.row * expert_count() + expert];
    PilotVote vote{.pilot = neighbor.row, .cosine = -neighbor.distance};
    if (!std::isnan(known)) {
      vote.share = WeightOf(neighbor, buffers.found.front());
      vote.contribution = vote.share * known;
      total += vote.share;
    }
    votes.pilots.push_back(vote);
  }
  for (PilotVote& vote : votes.pilots) {
    vote.share /= total > 0 ? total : 1;
    vote.contribution /= total > 0 ? total : 1;
  }
  votes.prior_contribution = total > 0 ? shrinkage_ * prior / total : prior;
  return votes;
}

void KnnUtilityRouter::AddExpert() {
  utilities_ = WithNewColumn(utilities_, weights_.size(), expert_count(), kUnknown);
  prior_.mean.push_back(kUnknown);
  prior_.variance.push_back(kUnknown);
  prior_.effective_count.push_back(0.0f);
}

void KnnUtilityRouter::RemoveExpert(std::size_t expert) {
  utilities_ = WithoutColumn(utilities_, weights_.size(), expert_count(), expert);
  prior_.mean.erase(prior_.mean.begin() + expert);
  prior_.variance.erase(prior_.variance.begin() + expert);
  prior_.effective_count.erase(prior_.effective_count.begin() + expert);
}

// u64 d | u64 E | u64 n | u64 fingerprint | u64 k | f32 temperature | f32 shrinkage
// | f32[E] prior mean, variance, effective count | f32[n] weights | f32[n x E] utilities
std::string KnnUtilityRouter::Save() const {
  storage::ByteWriter writer;
  writer.Put<std::uint64_t>(dimension_);
  writer.Put<std::uint64_t>(expert_count());
  writer.Put<std::uint64_t>(weights_.size());
  writer.Put(fingerprint_);
  writer.Put<std::uint64_t>(neighbor_count_);
  writer.Put(temperature_);
  writer.Put(shrinkage_);
  writer.PutArray(prior_.mean.data(), expert_count());
  writer.PutArray(prior_.variance.data(), expert_count());
  writer.PutArray(prior_.effective_count.data(), expert_count());
  writer.PutArray(weights_.data(), weights_.size());
  writer.PutArray(utilities_.data(), utilities_.size());
  return SealRouterBytes(name(), writer.bytes());
}

absl::Status KnnUtilityRouter::Load(std::string_view bytes) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::string_view payload, OpenRouterBytes(name(), bytes));
  storage::ByteReader reader(payload);
  KnnUtilityRouter fresh;
  fresh.dimension_ = reader.Read<std::uint64_t>();
  const auto expert_count = reader.Read<std::uint64_t>();
  const auto pilot_count = reader.Read<std::uint64_t>();
  fresh.fingerprint_ = reader.Read<std::uint64_t>();
  fresh.neighbor_count_ = reader.Read<std::uint64_t>();
  fresh.temperature_ = reader.Read<float>();
  fresh.shrinkage_ = reader.Read<float>();
  fresh.prior_.mean = reader.ReadArray<float>(expert_count);
  fresh.prior_.variance = reader.ReadArray<float>(expert_count);
  fresh.prior_.effective_count = reader.ReadArray<float>(expert_count);
  fresh.weights_ = reader.ReadArray<float>(pilot_count);
  if (!reader.ok() || (expert_count > 0 && pilot_count > reader.remaining() / sizeof(float) / expert_count)) {
    return MalformedRouter(name());
  }
  fresh.utilities_ = reader.ReadArray<float>(pilot_count * expert_count);
  if (!reader.AtEnd() || !(fresh.temperature_ > 0)) return MalformedRouter(name());
  *this = std::move(fresh);
  return absl::OkStatus();
}

absl::Status KnnUtilityRouter::OpenIndex(const std::string& path) {
  return OpenMatchingIndex(path, fingerprint_, weights_.size(), dimension_, &index_);
}

}  // namespace trivium::routing
