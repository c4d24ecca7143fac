// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/query_guard.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "routing/expert/router_bytes.h"
#include "routing/expert/router_scratch.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"

namespace trivium::routing {
namespace {

constexpr std::string_view kName = "guard";
constexpr std::size_t kNeighborCount = 5;

// Cosines to the nearest pilot, and to the kNeighborCount nearest on average.
std::pair<float, float> NearestAndMean(const PilotIndex& index, const float* query, RouterScratch* scratch) {
  RouterScratch::Buffers& buffers = scratch->buffers();
  index.Nearest(query, kNeighborCount, &buffers.search, &buffers.found);
  float sum = 0;
  for (const base::Neighbor& neighbor : buffers.found) sum -= neighbor.distance;
  return {-buffers.found.front().distance, sum / static_cast<float>(buffers.found.size())};
}

}  // namespace

absl::Status QueryGuard::Build(base::MatrixView pilots, base::MatrixView background,
                               std::size_t graph_threshold) {
  if (pilots.rows == 0 || background.rows == 0 || pilots.columns != background.columns) {
    return absl::InvalidArgumentError(
        absl::StrFormat("guard: %d pilots of %d floats and %d background pilots of %d, expected some of each "
                        "in one dimension",
                        pilots.rows, pilots.columns, background.rows, background.columns));
  }
  QueryGuard fresh;
  for (auto [side, rows] : {std::pair(&fresh.pilots_, pilots), std::pair(&fresh.background_, background)}) {
    TRIVIUM_RETURN_IF_ERROR(side->index.Build(rows, graph_threshold));
    side->count = rows.rows;
    side->fingerprint = side->index.fingerprint();
  }
  fresh.dimension_ = pilots.columns;
  *this = std::move(fresh);
  return absl::OkStatus();
}

double QueryGuard::LogOdds(const Weights& weights, const GuardFeatures& features) {
  double log_odds = weights.back();
  for (std::size_t f = 0; f < features.size(); ++f) log_odds += weights[f] * features[f];
  return log_odds;
}

double QueryGuard::Probability(double log_odds) { return 1 / (1 + std::exp(-log_odds)); }

void QueryGuard::SetModel(const Weights& weights, double threshold) {
  weights_ = weights;
  threshold_ = threshold;
}

GuardFeatures QueryGuard::Measure(absl::Span<const float> query, RouterScratch* scratch) const {
  const auto [nearest, mean] = NearestAndMean(pilots_.index, query.data(), scratch);
  const auto [nearest_background, mean_background] = NearestAndMean(background_.index, query.data(), scratch);
  return {nearest, mean, nearest_background, mean_background};
}

double QueryGuard::Score(absl::Span<const float> query, RouterScratch* scratch) const {
  return Probability(LogOdds(weights_, Measure(query, scratch)));
}

// u64 d | u64 n, fingerprint of pilots | the same of background pilots | f64 threshold | f64[F + 1] weights
std::string QueryGuard::Save() const {
  storage::ByteWriter writer;
  writer.Put<std::uint64_t>(dimension());
  for (const Side* side : {&pilots_, &background_}) {
    writer.Put(side->count);
    writer.Put(side->fingerprint);
  }
  writer.Put(threshold_);
  writer.PutArray(weights_.data(), weights_.size());
  return SealRouterBytes(kName, writer.bytes());
}

absl::Status QueryGuard::Load(std::string_view bytes) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::string_view payload, OpenRouterBytes(kName, bytes));
  storage::ByteReader reader(payload);
  QueryGuard fresh;
  fresh.dimension_ = reader.Read<std::uint64_t>();
  for (Side* side : {&fresh.pilots_, &fresh.background_}) {
    side->count = reader.Read<std::uint64_t>();
    side->fingerprint = reader.Read<std::uint64_t>();
  }
  fresh.threshold_ = reader.Read<double>();
  for (double& weight : fresh.weights_) weight = reader.Read<double>();
  if (!reader.AtEnd() || fresh.dimension_ == 0 || std::isnan(fresh.threshold_)) return MalformedRouter(kName);
  *this = std::move(fresh);
  return absl::OkStatus();
}

absl::Status QueryGuard::SaveIndexes(const std::string& pilots_path,
                                     const std::string& background_path) const {
  TRIVIUM_RETURN_IF_ERROR(pilots_.index.Save(pilots_path));
  return background_.index.Save(background_path);
}

absl::Status QueryGuard::OpenIndexes(const std::string& pilots_path, const std::string& background_path) {
  for (auto [side, path] : {std::pair(&pilots_, pilots_path), std::pair(&background_, background_path)}) {
    TRIVIUM_RETURN_IF_ERROR(
        OpenMatchingIndex(path, side->fingerprint, side->count, dimension(), &side->index));
    if (side->index.size() == 0) return MalformedRouter(kName);
  }
  return absl::OkStatus();
}

}  // namespace trivium::routing
