// SPDX-License-Identifier: Apache-2.0
#include "index/row_walk.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace trivium::index {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The slack of a beam: chosen so that a width gives about the recall that it gives by edge codes, whose
// estimates err half as much; that is what the constant share is for. Fitted to MiniLM vectors with k = 10.
// Estimates over fewer dimensions are less exact and need more.
float Slack(const RowWalkOptions& options, std::size_t rank, std::size_t dimension) {
  const double width = static_cast<double>(options.beam_width);
  const double noise = std::max(1.0, std::sqrt(384.0 / static_cast<double>(dimension)));
  return static_cast<float>((0.05 + width / (64 * std::sqrt(10.0 * static_cast<double>(rank)))) * noise);
}

// Places of the pool: what the slack lets in, with room to spare.
std::size_t PoolWidth(std::size_t beam_width) { return 64 + 3 * beam_width; }
// Starting points.
constexpr std::size_t kStarts = 2;
// Fewer results say too little about how far the k-th is.
constexpr std::size_t kSmallestRank = 10;
// Until there are that many results nothing but its width bounds the pool, so it begins narrow.
constexpr std::size_t kSmallestStartWidth = 24;

}  // namespace

void RowWalk::Begin(const ProximityGraph& graph, const RowCodes& codes, const RowDistances& distances,
                    const RowWalkOptions& options, const float* query) {
  graph_ = &graph;
  codes_ = &codes;
  distances_of_rows_ = &distances;
  allowed_ = options.allowed;
  expanded_order_ = options.expanded;
  unit_ = options.metric == base::Metric::kCosine;
  const std::size_t room = std::max(graph.degree_bound(), RowCodes::kEntryCount);
  if (fresh_.size() < room) {
    fresh_.resize(room);
    distances_.resize(room);
  }
  query_ = words_.Prepare(distances.rows().format, query, distances.rows().columns);
  code_query_.Prepare(codes, query);
  k_ = options.k;
  rank_ = std::max(options.k, kSmallestRank);
  slack_ = Slack(options, rank_, codes.padded_dimension());
  zero_ = codes.inner_product() ? codes.largest_norm() * std::sqrt(code_query_.squared_norm()) : 0.0f;
  pool_width_ = PoolWidth(options.beam_width);
  pool_.Reset(std::min(pool_width_, std::max(options.beam_width, kSmallestStartWidth)));
  results_.Reset(rank_);
  seen_.Reset(graph.size());
  hops_ = code_distances_ = 0;
  fresh_count_ = 0;
  scoring_ = true;
  FindEntries();
}

void RowWalk::FindEntries() {
  const std::vector<std::uint32_t>& entries = codes_->entries();
  const std::size_t count = entries.size();
  for (std::size_t i = 0; i < count; ++i) fresh_[i] = static_cast<std::uint32_t>(i);
  code_query_.Estimate(*codes_, codes_->entry_records(), fresh_.data(), count, distances_.data());
  code_distances_ += count;
  for (std::size_t start = 0; start < std::min(kStarts, count); ++start) {
    const auto nearest = std::min_element(distances_.begin(), distances_.begin() + count);
    std::uint32_t vertex = entries[nearest - distances_.begin()], unused;
    pool_.Insert(*nearest, vertex);
    seen_.InsertNew(&vertex, 1, &unused);
    *nearest = kInfinity;
  }
  if (count > 0) return;
  std::uint32_t entry = graph_->entry(), unused;
  pool_.Insert(0, entry);
  seen_.InsertNew(&entry, 1, &unused);
}

bool RowWalk::Step() {
  if (!scoring_) {
    scoring_ = true;
    return BeamStep(*this, &pool_);
  }
  scoring_ = false;
  ScoreFresh();
  if (const std::optional<Candidate> next = pool_.PeekNearest()) {
    graph_->Prefetch(next->vertex);
    distances_of_rows_->PrefetchWhole(next->vertex);
  }
  return true;
}

void RowWalk::ScoreFresh() {
  code_query_.Estimate(*codes_, codes_->records(), fresh_.data(), fresh_count_, distances_.data());
  code_distances_ += fresh_count_;
  const float limit = Limit();
  pool_.DropBeyond(limit);
  for (std::size_t i = 0; i < fresh_count_; ++i) {
    if (distances_[i] < std::min(pool_.Bound(), limit)) pool_.Insert(distances_[i], fresh_[i]);
  }
}

float RowWalk::Limit() const {
  if (results_.size() < rank_) return kInfinity;
  // For unit vectors in the terms of the codes: |q - x|^2 = 2 - 2 <q, x>.
  const float farthest = results_[rank_ - 1].distance;
  const float distance = unit_ ? 2 + 2 * farthest : farthest;
  return distance + slack_ * std::max(distance + zero_, 0.0f);
}

Visit RowWalk::OnNearest(std::uint32_t vertex, float distance) {
  return distance > Limit() ? Visit::kStop : Visit::kExpand;
}

void RowWalk::Expand(std::uint32_t vertex, CandidatePool* pool) {
  ++hops_;
  if (expanded_order_ != nullptr) expanded_order_->push_back(vertex);
  const std::span<const std::uint32_t> neighbors = graph_->Neighbors(vertex);
  fresh_count_ = seen_.InsertNew(neighbors.data(), neighbors.size(), fresh_.data());
  for (std::size_t i = 0; i < fresh_count_; ++i) codes_->Prefetch(fresh_[i]);
  float distance;
  distances_of_rows_->Gather(query_, &vertex, 1, &distance);
  distance = std::min(distance, std::numeric_limits<float>::max());
  if (distance < results_.Bound() && (allowed_ == nullptr || allowed_->Test(vertex))) {
    results_.Insert(distance, vertex);
    if (results_.size() == rank_) pool->Widen(pool_width_);
  }
}

}  // namespace trivium::index
