// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/cluster_table_router.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/status_macros.h"
#include "kernels/distance_table.h"
#include "routing/expert/expert_columns.h"
#include "routing/expert/pilot_weights.h"
#include "routing/expert/router_bytes.h"
#include "routing/expert/router_matrix.h"
#include "routing/expert/router_scratch.h"
#include "routing/expert/spherical_clusters.h"
#include "routing/expert/utility_votes.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"

namespace trivium::routing {
namespace {

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
constexpr std::size_t kClustersRead = 8;
constexpr std::uint64_t kSeed = 1;  // of the clusters; what is learned depends on it little

}  // namespace

absl::Status ClusterTableRouter::Train(const PilotSet& pilots, const RouterOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(CheckTrainingInput(pilots, options));
  const std::vector<float> weights = BalancedWeights(pilots, options.class_balance);
  const UtilityPrior prior = PriorOf(pilots, weights);
  SphericalClusters clusters = ClusterDirections(pilots.vectors(), weights, options.cluster_count, kSeed);
  expert_count_ = pilots.expert_count();
  temperature_ = options.temperature;
  centroids_ = std::move(clusters.centroids);
  std::vector<UtilityVotes> votes(centroids_.rows() * expert_count_);
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    UtilityVotes* row = &votes[clusters.cluster_of[i] * expert_count_];
    for (std::size_t e = 0; e < expert_count_; ++e) row[e].Add(weights[i], pilots.utilities(i)[e]);
  }
  utilities_.resize(votes.size());
  errors_.resize(votes.size());
  for (std::size_t v = 0; v < votes.size(); ++v) {
    const std::size_t e = v % expert_count_;
    utilities_[v] = ShrunkMean(votes[v], prior.mean[e], options.shrinkage);
    errors_[v] = ErrorOfMean(votes[v], prior.variance[e]);
  }
  return absl::OkStatus();
}

void ClusterTableRouter::Predict(absl::Span<const float> query, RouterScratch* scratch,
                                 absl::Span<float> utility, absl::Span<float> uncertainty) const {
  RouterScratch::Buffers& buffers = scratch->buffers();
  const base::MatrixView rows = centroids_.view();
  buffers.similarities.resize(rows.rows);
  kernels::ActiveDistances().inner_product_f32_rows(query.data(), rows.data, rows.stride, rows.rows,
                                                    rows.columns, buffers.similarities.data());
  buffers.found.resize(rows.rows);
  for (std::uint32_t c = 0; c < rows.rows; ++c) buffers.found[c] = {-buffers.similarities[c], c};
  const std::size_t count = std::min(kClustersRead, rows.rows);
  std::partial_sort(buffers.found.begin(), buffers.found.begin() + count, buffers.found.end());

  std::fill(utility.begin(), utility.end(), 0.0f);
  std::fill(uncertainty.begin(), uncertainty.end(), 0.0f);
  float total = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const base::Neighbor& cluster = buffers.found[i];
    const float weight = std::exp((buffers.found[0].distance - cluster.distance) / temperature_);
    total += weight;
    const float* utilities = &utilities_[cluster.row * expert_count_];
    const float* errors = &errors_[cluster.row * expert_count_];
    for (std::size_t e = 0; e < expert_count_; ++e) {
      utility[e] += weight * utilities[e];
      uncertainty[e] += weight * errors[e];
    }
  }
  for (std::size_t e = 0; e < expert_count_; ++e) {
    utility[e] /= total;
    uncertainty[e] /= total;
  }
}

void ClusterTableRouter::AddExpert() {
  utilities_ = WithNewColumn(utilities_, centroids_.rows(), expert_count_, kUnknown);
  errors_ = WithNewColumn(errors_, centroids_.rows(), expert_count_++, kUnknown);
}

void ClusterTableRouter::RemoveExpert(std::size_t expert) {
  utilities_ = WithoutColumn(utilities_, centroids_.rows(), expert_count_, expert);
  errors_ = WithoutColumn(errors_, centroids_.rows(), expert_count_--, expert);
}

// u64 d | u64 E | u64 C | f32 temperature | f32[C x E] utilities | f32[C x E] errors | f32[C x d] centroids
std::string ClusterTableRouter::Save() const {
  storage::ByteWriter writer;
  writer.Put<std::uint64_t>(dimension());
  writer.Put<std::uint64_t>(expert_count_);
  writer.Put<std::uint64_t>(centroids_.rows());
  writer.Put(temperature_);
  writer.PutArray(utilities_.data(), utilities_.size());
  writer.PutArray(errors_.data(), errors_.size());
  PutMatrix(centroids_, &writer);
  return SealRouterBytes(name(), writer.bytes());
}

absl::Status ClusterTableRouter::Load(std::string_view bytes) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::string_view payload, OpenRouterBytes(name(), bytes));
  storage::ByteReader reader(payload);
  ClusterTableRouter fresh;
  const auto dimension = reader.Read<std::uint64_t>();
  fresh.expert_count_ = reader.Read<std::uint64_t>();
  const auto cluster_count = reader.Read<std::uint64_t>();
  fresh.temperature_ = reader.Read<float>();
  if (cluster_count == 0 || fresh.expert_count_ > reader.remaining() / sizeof(float) / cluster_count) {
    return MalformedRouter(name());
  }
  fresh.utilities_ = reader.ReadArray<float>(cluster_count * fresh.expert_count_);
  fresh.errors_ = reader.ReadArray<float>(cluster_count * fresh.expert_count_);
  if (!ReadMatrix(cluster_count, dimension, &reader, &fresh.centroids_) || !reader.AtEnd() ||
      !(fresh.temperature_ > 0)) {
    return MalformedRouter(name());
  }
  *this = std::move(fresh);
  return absl::OkStatus();
}

}  // namespace trivium::routing
