// SPDX-License-Identifier: Apache-2.0
#include "index/edge_walk.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace trivium::index {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The slack of a beam: chosen so that a width gives about the recall of a search that it alone bounds, on
// MiniLM vectors with k = 10. Estimates over fewer dimensions are less exact and need more.
float Slack(const EdgeWalkOptions& options, std::size_t rank, std::size_t dimension) {
  const double width = static_cast<double>(options.beam_width);
  const double noise = std::max(1.0, std::sqrt(384.0 / static_cast<double>(dimension)));
  return static_cast<float>(width / (90 * std::sqrt(10.0 * static_cast<double>(rank))) * noise);
}

// Places of the pool for each of the beam: estimates come more than once.
constexpr std::size_t kPoolFactor = 3;
// Starting points.
constexpr std::size_t kStarts = 2;
// Fewer results say too little about how far the k-th is.
constexpr std::size_t kSmallestRank = 10;
// Until there are that many results nothing but its width bounds the pool, so it begins narrow.
constexpr std::size_t kSmallestStartWidth = 24;

}  // namespace

void EdgeWalk::Begin(const EdgeCodes& codes, const EdgeWalkOptions& options, const float* query) {
  codes_ = &codes;
  allowed_ = options.allowed;
  expanded_order_ = options.expanded;
  score_ = kernels::ActiveDistances().score_edges;
  const std::size_t room = std::max(codes.shape().edge_count, EdgeCodes::kEntryCount) + 16;
  if (distances_.size() < room) {
    distances_.resize(room);
    vertices_.resize(room);
  }
  query_.Prepare(codes, query);
  rank_ = std::max(options.k, kSmallestRank);
  slack_ = Slack(options, rank_, codes.shape().dimension);
  zero_ = 0;
  if (codes.inner_product()) {
    const auto inner_product = kernels::ActiveDistances().inner_product_f32;
    zero_ = codes.largest_norm() * std::sqrt(query_.view().squared_norm) -
            inner_product(query, codes.mean(), codes.rotation().dimension());
  }
  pool_width_ = options.beam_width * kPoolFactor;
  pool_.Reset(std::min(pool_width_, std::max(options.beam_width, kSmallestStartWidth)));
  results_.Reset(rank_ + std::max<std::size_t>(6, options.beam_width / 8));
  expanded_.Clear();
  hops_ = 0;
  FindEntries();
  if (pool_.size() == 0) pool_.Insert(0, options.entry);
}

void EdgeWalk::FindEntries() {
  float center;
  const std::size_t count = score_(codes_->entry_shape(), query_.view(), codes_->entry_block(), kInfinity,
                                   &center, distances_.data(), vertices_.data());
  for (std::size_t start = 0; start < std::min(kStarts, count); ++start) {
    const auto nearest = std::min_element(distances_.begin(), distances_.begin() + count);
    const std::uint32_t vertex = vertices_[nearest - distances_.begin()];
    if (vertex < codes_->size()) pool_.Insert(*nearest, vertex);
    *nearest = kInfinity;
  }
}

float EdgeWalk::Limit() const {
  if (results_.size() < rank_) return kInfinity;
  const float distance = results_[rank_ - 1].distance;
  return distance + slack_ * std::max(distance + zero_, 0.0f);
}

Visit EdgeWalk::OnNearest(std::uint32_t vertex, float distance) {
  if (distance > Limit()) return Visit::kStop;
  return expanded_.Insert(vertex) ? Visit::kExpand : Visit::kSkip;
}

void EdgeWalk::Expand(std::uint32_t vertex, CandidatePool* pool) {
  ++hops_;
  if (expanded_order_ != nullptr) expanded_order_->push_back(vertex);
  const float limit = Limit();
  pool->DropBeyond(limit);
  const float bound = std::min(pool->Bound(), limit);
  float center;
  const std::size_t count = score_(codes_->shape(), query_.view(), codes_->block(vertex), bound, &center,
                                   distances_.data(), vertices_.data());
  if (!(center < kInfinity)) center = std::numeric_limits<float>::max();  // NaN, of a damaged file
  if (center < results_.Bound() && (allowed_ == nullptr || allowed_->Test(vertex))) {
    results_.Insert(center, vertex);
    if (results_.size() == rank_) pool->Widen(pool_width_);
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (distances_[i] >= pool->Bound()) continue;
    // Also keeps ids of a damaged file out.
    if (vertices_[i] >= codes_->size() || expanded_.Contains(vertices_[i])) continue;
    pool->Insert(distances_[i], vertices_[i]);
  }
}

void EdgeWalk::PrefetchNext() {
  while (const std::optional<Candidate> next = pool_.PeekNearest()) {
    if (!expanded_.Contains(next->vertex)) return codes_->Prefetch(next->vertex);
    pool_.PopNearest();
  }
}

}  // namespace trivium::index
