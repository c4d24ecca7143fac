// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/moments_router.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <utility>

#include "base/status_macros.h"
#include "kernels/distance_table.h"
#include "routing/expert/router_bytes.h"
#include "routing/expert/router_matrix.h"
#include "routing/expert/router_scratch.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"

namespace trivium::routing {
namespace {

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
constexpr double kFarthest = 8;        // deviations beyond which nothing is expected, nor missing
constexpr double kNegligible = 0.001;  // of `depth`: what all sets that are left out may hold together
constexpr float kLeastSpread = 1e-5f;  // of scores: of a set of one vector, which has no variance
constexpr int kSteps = 30;
constexpr double kCloseEnough = 1e-3;  // relative, in vectors above the threshold

// The share of a normal distribution more than z deviations above its mean.
double UpperTail(double z) { return 0.5 * std::erfc(z / std::numbers::sqrt2); }

// z with UpperTail(z) = share, within kFarthest.
double InverseUpperTail(double share) {
  double low = -kFarthest, high = kFarthest;
  for (int i = 0; i < 60; ++i) {
    const double middle = 0.5 * (low + high);
    (UpperTail(middle) > share ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

}  // namespace

absl::Status MomentsRouter::TrainLabelFree(const ExpertFacts& facts, const RouterOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.Validate());
  MomentsRouter fresh;
  fresh.means_ = base::AlignedMatrix(facts.sets.size(), facts.dimension);
  fresh.variances_ = base::AlignedMatrix(facts.sets.size(), facts.dimension);
  for (std::size_t s = 0; s < facts.sets.size(); ++s) {
    const VectorMoments& moments = facts.sets[s];
    std::copy(moments.mean.begin(), moments.mean.end(), fresh.means_.row(s));
    std::copy(moments.variance.begin(), moments.variance.end(), fresh.variances_.row(s));
    fresh.counts_.push_back(static_cast<float>(moments.count));
  }
  bool any = false;
  for (const ExpertFacts::Expert& expert : facts.experts) {
    fresh.sets_of_.push_back(expert.sets);
    any = any || !expert.sets.empty();
  }
  if (!any) {
    return absl::InvalidArgumentError(
        "router moments: no expert's vectors are known, expected those of at least one");
  }
  const double total = std::accumulate(fresh.counts_.begin(), fresh.counts_.end(), 0.0);
  fresh.depth_ = static_cast<float>(std::min<double>(options.depth, total / 2));
  fresh.FindBounds();
  *this = std::move(fresh);
  return absl::OkStatus();
}

void MomentsRouter::FindBounds() {
  low_.clear();
  high_.clear();
  for (float count : counts_) {
    low_.push_back(static_cast<float>(InverseUpperTail(depth_ / count)));
    high_.push_back(static_cast<float>(
        InverseUpperTail(kNegligible * depth_ / (count * static_cast<double>(counts_.size())))));
  }
}

// Newton's method on the logarithm of the expected number, kept within bounds.
double MomentsRouter::Threshold(RouterScratch* scratch) const {
  const std::vector<float>& scores = scratch->buffers().similarities;
  const std::vector<float>& spreads = scratch->buffers().spreads;
  std::vector<std::uint32_t>& active = scratch->buffers().active;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (std::size_t s = 0; s < counts_.size(); ++s) {  // below this nothing is missing
    low = std::min(low, scores[s] - kFarthest * spreads[s]);
  }
  for (std::size_t s = 0; s < counts_.size(); ++s) {
    if (counts_[s] > depth_) low = std::max(low, scores[s] + double{low_[s]} * spreads[s]);
    high = std::max(high, scores[s] + double{high_[s]} * spreads[s]);
  }
  active.clear();
  active.reserve(counts_.size());
  for (std::uint32_t s = 0; s < counts_.size(); ++s) {
    if (scores[s] + double{high_[s]} * spreads[s] >= low) active.push_back(s);
  }
  double threshold = low;
  for (int step = 0; step < kSteps; ++step) {
    double expected = 0, density = 0;
    for (const std::uint32_t s : active) {
      const double z = (threshold - scores[s]) / spreads[s];
      expected += counts_[s] * UpperTail(z);
      density += counts_[s] * std::exp(-0.5 * z * z) / spreads[s];
    }
    density *= std::numbers::inv_sqrtpi / std::numbers::sqrt2;
    const double excess = std::log(expected / depth_);
    if (std::abs(excess) < kCloseEnough) break;
    (excess > 0 ? low : high) = threshold;
    threshold += excess * expected / density;
    if (!(threshold > low && threshold < high)) threshold = 0.5 * (low + high);
  }
  return threshold;
}

void MomentsRouter::Predict(absl::Span<const float> query, RouterScratch* scratch, absl::Span<float> utility,
                            absl::Span<float> uncertainty) const {
  std::vector<float>& shares = scratch->buffers().similarities;
  std::vector<float>& spreads = scratch->buffers().spreads;
  std::vector<float>& squares = scratch->buffers().squares;
  squares.resize(query.size());
  for (std::size_t c = 0; c < query.size(); ++c) squares[c] = query[c] * query[c];
  const base::MatrixView means = means_.view(), variances = variances_.view();
  shares.resize(means.rows);
  spreads.resize(means.rows);
  const kernels::DistanceTable& table = kernels::ActiveDistances();
  table.inner_product_f32_rows(query.data(), means.data, means.stride, means.rows, means.columns,
                               shares.data());
  table.inner_product_f32_rows(squares.data(), variances.data, variances.stride, variances.rows,
                               variances.columns, spreads.data());
  for (float& spread : spreads) spread = std::max(std::sqrt(std::max(spread, 0.0f)), kLeastSpread);

  const double threshold = Threshold(scratch);
  double sum = 0;
  for (std::size_t s = 0; s < shares.size(); ++s) {
    shares[s] = static_cast<float>(counts_[s] * UpperTail((threshold - shares[s]) / spreads[s]));
    sum += shares[s];
  }
  for (std::size_t e = 0; e < sets_of_.size(); ++e) {
    double share = sets_of_[e].empty() ? kUnknown : 0.0;
    for (const std::uint32_t s : sets_of_[e]) share += shares[s] / sum;
    utility[e] = static_cast<float>(share);
    uncertainty[e] = static_cast<float>(std::sqrt(share * std::max(0.0, 1 - share) / depth_));
  }
}

void MomentsRouter::AddExpert() { sets_of_.emplace_back(); }

void MomentsRouter::RemoveExpert(std::size_t expert) { sets_of_.erase(sets_of_.begin() + expert); }

// u64 d | u64 E | u64 S | f32 depth | f32[S] counts | (u64 m, u32[m] sets)[E] | f32[S x d] means, variances
std::string MomentsRouter::Save() const {
  storage::ByteWriter writer;
  writer.Put<std::uint64_t>(dimension());
  writer.Put<std::uint64_t>(sets_of_.size());
  writer.Put<std::uint64_t>(counts_.size());
  writer.Put(depth_);
  writer.PutArray(counts_.data(), counts_.size());
  for (const std::vector<std::uint32_t>& sets : sets_of_) {
    writer.Put<std::uint64_t>(sets.size());
    writer.PutArray(sets.data(), sets.size());
  }
  PutMatrix(means_, &writer);
  PutMatrix(variances_, &writer);
  return SealRouterBytes(name(), writer.bytes());
}

absl::Status MomentsRouter::Load(std::string_view bytes) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::string_view payload, OpenRouterBytes(name(), bytes));
  storage::ByteReader reader(payload);
  MomentsRouter fresh;
  const auto dimension = reader.Read<std::uint64_t>();
  const auto expert_count = reader.Read<std::uint64_t>();
  const auto set_count = reader.Read<std::uint64_t>();
  fresh.depth_ = reader.Read<float>();
  fresh.counts_ = reader.ReadArray<float>(set_count);
  const auto is_set = [&](std::uint32_t s) { return s < set_count; };
  for (std::uint64_t e = 0; e < expert_count && reader.ok(); ++e) {
    const auto count = reader.Read<std::uint64_t>();
    fresh.sets_of_.push_back(reader.ReadArray<std::uint32_t>(count));
    const std::vector<std::uint32_t>& sets = fresh.sets_of_.back();
    if (!std::all_of(sets.begin(), sets.end(), is_set)) return MalformedRouter(name());
  }
  const auto is_count = [](float count) { return count > 0 && std::isfinite(count); };
  if (!reader.ok() || !(fresh.depth_ > 0) || fresh.counts_.empty() ||
      !std::all_of(fresh.counts_.begin(), fresh.counts_.end(), is_count) ||
      !ReadMatrix(set_count, dimension, &reader, &fresh.means_) ||
      !ReadMatrix(set_count, dimension, &reader, &fresh.variances_) || !reader.AtEnd()) {
    return MalformedRouter(name());
  }
  fresh.FindBounds();
  *this = std::move(fresh);
  return absl::OkStatus();
}

}  // namespace trivium::routing
