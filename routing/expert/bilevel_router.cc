// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/bilevel_router.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <utility>

#include "base/status_macros.h"
#include "kernels/distance_table.h"
#include "routing/expert/class_targets.h"
#include "routing/expert/expert_regions.h"
#include "routing/expert/logistic_regression.h"
#include "routing/expert/router_bytes.h"
#include "routing/expert/router_matrix.h"
#include "routing/expert/router_scratch.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"

namespace trivium::routing {
namespace {

constexpr std::uint64_t kSeed = 1;  // of regions and the order of pilots
constexpr std::size_t kFewestToDivide = 16;
constexpr std::size_t kCrowding = 4;  // a region's experts, in those of an average one
constexpr std::size_t kRegionsRead = 4;
constexpr float kEnough = 0.98f;  // probability of the regions read

// Of each class, from the pilots that are its own.
base::AlignedMatrix MeanDirections(const PilotSet& pilots, const ClassTargets& learned) {
  const std::size_t dimension = pilots.dimension();
  base::AlignedMatrix directions(learned.classes, dimension);
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    for (std::size_t c = 0; c < learned.classes; ++c) {
      const float weight = learned.weights[i] * learned.targets[i * learned.classes + c];
      if (!(weight > 0)) continue;
      for (std::size_t j = 0; j < dimension; ++j) directions.row(c)[j] += weight * pilots.vectors().row(i)[j];
    }
  }
  for (std::size_t c = 0; c < learned.classes; ++c) {
    float* row = directions.row(c);
    const float norm = std::sqrt(kernels::ActiveDistances().inner_product_f32(row, row, dimension));
    for (std::size_t j = 0; norm > 0 && j < dimension; ++j) row[j] /= norm;
  }
  return directions;
}

std::vector<std::uint32_t> RegionsOf(const PilotSet& pilots, const ClassTargets& learned) {
  if (learned.classes < kFewestToDivide) return std::vector<std::uint32_t>(learned.classes, 0);
  const auto regions = static_cast<std::size_t>(std::lround(std::sqrt(learned.classes)));
  const base::AlignedMatrix directions = MeanDirections(pilots, learned);
  return GroupIntoRegions(directions.view(), regions, kCrowding * learned.classes / regions, kSeed);
}

LogisticFit Fit(const PilotSet& pilots, const ClassTargets& learned, const std::vector<float>& targets,
                std::size_t classes, double ridge) {
  if (learned.any && classes > 1) {
    return FitLogistic(pilots.vectors(), targets, learned.weights, classes, ridge, kSeed);
  }
  // Without pilots every class is as likely.
  return {base::AlignedMatrix(classes, pilots.dimension()), std::vector<float>(classes, 0.0f)};
}

// Scores of the classes from `first` to `last`.
void ScoreSome(absl::Span<const float> query, base::MatrixView weights, const std::vector<float>& bias,
               std::size_t first, std::size_t last, float* scores) {
  kernels::ActiveDistances().inner_product_f32_rows(query.data(), weights.row(first), weights.stride,
                                                    last - first, weights.columns, scores);
  for (std::size_t c = first; c < last; ++c) scores[c - first] += bias[c];
}

}  // namespace

absl::Status BilevelRouter::Train(const PilotSet& pilots, const RouterOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(CheckTrainingInput(pilots, options));
  const ClassTargets learned = ClassTargetsOf(pilots, options.class_balance, options.owner_power);
  const std::vector<std::uint32_t> region_of = RegionsOf(pilots, learned);
  const std::size_t regions =
      region_of.empty() ? 0 : *std::max_element(region_of.begin(), region_of.end()) + std::size_t{1};
  // Classes region by region.
  std::vector<std::uint32_t> order(learned.classes), place_of(learned.classes);
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return region_of[a] < region_of[b]; });
  std::vector<float> of_region(pilots.size() * regions, 0.0f);
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    for (std::size_t c = 0; c < learned.classes; ++c) {
      of_region[i * regions + region_of[c]] += learned.targets[i * learned.classes + c];
    }
  }
  BilevelRouter fresh;
  LogisticFit fit = Fit(pilots, learned, of_region, regions, options.ridge);
  fresh.region_weights_ = std::move(fit.weights);
  fresh.region_bias_ = std::move(fit.bias);
  fit = Fit(pilots, learned, learned.targets, learned.classes, options.ridge);
  fresh.class_weights_ = base::AlignedMatrix(pilots.dimension());
  fresh.class_weights_.Reserve(learned.classes);
  fresh.first_.assign(regions + 1, 0);
  for (std::size_t place = 0; place < order.size(); ++place) {
    const std::uint32_t c = order[place];
    place_of[c] = static_cast<std::uint32_t>(place);
    fresh.class_weights_.Append(fit.weights.row(c));
    fresh.class_bias_.push_back(fit.bias[c]);
    fresh.counts_.push_back(learned.counts[c]);
    fresh.first_[region_of[c] + 1] = static_cast<std::uint32_t>(place + 1);
  }
  for (const std::uint32_t c : learned.class_of) {
    fresh.class_of_.push_back(c == kNoClass ? kNoClass : place_of[c]);
  }
  fresh.ShareByPilots();
  *this = std::move(fresh);
  return absl::OkStatus();
}

void BilevelRouter::ShareByPilots() {
  by_pilots_ = counts_;
  for (std::size_t region = 0; region < region_bias_.size(); ++region) {
    const auto begin = by_pilots_.begin() + first_[region], end = by_pilots_.begin() + first_[region + 1];
    const float sum = std::accumulate(begin, end, 0.0f);
    std::for_each(begin, end, [&](float& share) {
      share = sum > 0 ? share / sum : 1.0f / static_cast<float>(end - begin);
    });
  }
}

void BilevelRouter::Predict(absl::Span<const float> query, RouterScratch* scratch, absl::Span<float> utility,
                            absl::Span<float> uncertainty) const {
  const std::size_t regions = region_bias_.size(), classes = class_bias_.size();
  RouterScratch::Buffers& buffers = scratch->buffers();
  std::vector<base::Neighbor>& order = buffers.found;
  std::vector<float>& shares = buffers.similarities;  // of the classes, region by region
  std::vector<float>& of_region = buffers.spreads;
  shares.resize(classes);
  of_region.resize(regions);
  order.resize(regions);
  if (regions > 0) {
    ScoreSome(query, region_weights_.view(), region_bias_, 0, regions, of_region.data());
    Softmax(absl::MakeSpan(of_region));
  }
  for (std::uint32_t region = 0; region < regions; ++region) order[region] = {-of_region[region], region};
  std::partial_sort(order.begin(), order.begin() + std::min(kRegionsRead, regions), order.end());
  // The regions read share their probability as the scores of their experts say.
  std::size_t read = 0;
  float covered = 0, highest = -std::numeric_limits<float>::infinity(), sum = 0;
  for (; read < std::min(kRegionsRead, regions) && covered < kEnough; ++read) {
    const std::size_t first = first_[order[read].row], last = first_[order[read].row + 1];
    ScoreSome(query, class_weights_.view(), class_bias_, first, last, &shares[first]);
    highest = std::max(highest, *std::max_element(&shares[first], &shares[last]));
    covered -= order[read].distance;
  }
  for (std::size_t i = 0; i < read; ++i) {
    for (std::size_t c = first_[order[i].row]; c < first_[order[i].row + 1]; ++c) {
      sum += shares[c] = std::exp(shares[c] - highest);
    }
  }
  for (std::size_t i = 0; i < regions; ++i) {
    const std::size_t first = first_[order[i].row], last = first_[order[i].row + 1];
    for (std::size_t c = first; c < last; ++c) {
      shares[c] = i < read ? covered * (shares[c] / sum) : -order[i].distance * by_pilots_[c];
    }
  }
  GiveShares(class_of_, shares, counts_, utility, uncertainty);
}

void BilevelRouter::AddExpert() { class_of_.push_back(kNoClass); }

void BilevelRouter::RemoveExpert(std::size_t expert) { class_of_.erase(class_of_.begin() + expert); }

// u64 d | u64 E | u64 classes | u64 regions | u32[regions + 1] first class | f32[regions] their bias |
// f32[classes] bias | f32[classes] counts | u32[E] class | f32[regions x d] | f32[classes x d]
std::string BilevelRouter::Save() const {
  storage::ByteWriter writer;
  writer.Put<std::uint64_t>(dimension());
  writer.Put<std::uint64_t>(class_of_.size());
  writer.Put<std::uint64_t>(class_bias_.size());
  writer.Put<std::uint64_t>(region_bias_.size());
  writer.PutArray(first_.data(), first_.size());
  writer.PutArray(region_bias_.data(), region_bias_.size());
  writer.PutArray(class_bias_.data(), class_bias_.size());
  writer.PutArray(counts_.data(), counts_.size());
  writer.PutArray(class_of_.data(), class_of_.size());
  PutMatrix(region_weights_, &writer);
  PutMatrix(class_weights_, &writer);
  return SealRouterBytes(name(), writer.bytes());
}

// Whether regions are not empty and hold all classes, each of one expert at most.
bool BilevelRouter::IsSound() const {
  const std::size_t classes = class_bias_.size();
  if (first_.front() != 0 || first_.back() != classes) return false;
  if (std::adjacent_find(first_.begin(), first_.end(), std::greater_equal<>()) != first_.end()) return false;
  if (!std::all_of(counts_.begin(), counts_.end(), [](float n) { return n >= 0 && std::isfinite(n); })) {
    return false;
  }
  std::vector<bool> taken(classes, false);
  for (const std::uint32_t own : class_of_) {
    if (own == kNoClass) continue;
    if (own >= classes || taken[own]) return false;
    taken[own] = true;
  }
  return true;
}

absl::Status BilevelRouter::Load(std::string_view bytes) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::string_view payload, OpenRouterBytes(name(), bytes));
  storage::ByteReader reader(payload);
  BilevelRouter fresh;
  const auto dimension = reader.Read<std::uint64_t>();
  const auto expert_count = reader.Read<std::uint64_t>();
  const auto classes = reader.Read<std::uint64_t>();
  const auto regions = reader.Read<std::uint64_t>();
  if (classes >= kNoClass || regions > classes) return MalformedRouter(name());
  fresh.first_ = reader.ReadArray<std::uint32_t>(regions + 1);
  fresh.region_bias_ = reader.ReadArray<float>(regions);
  fresh.class_bias_ = reader.ReadArray<float>(classes);
  fresh.counts_ = reader.ReadArray<float>(classes);
  fresh.class_of_ = reader.ReadArray<std::uint32_t>(expert_count);
  if (!ReadMatrix(regions, dimension, &reader, &fresh.region_weights_) ||
      !ReadMatrix(classes, dimension, &reader, &fresh.class_weights_) || !reader.AtEnd() ||
      !fresh.IsSound()) {
    return MalformedRouter(name());
  }
  fresh.ShareByPilots();
  *this = std::move(fresh);
  return absl::OkStatus();
}

}  // namespace trivium::routing
