// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/mean_pilot_router.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/status_macros.h"
#include "kernels/distance_table.h"
#include "routing/expert/pilot_weights.h"
#include "routing/expert/router_bytes.h"
#include "routing/expert/router_matrix.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"

namespace trivium::routing {
namespace {

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();

// The mean direction of the pilots that `expert` is best for into `centroid` (d floats, zero on entry);
// returns the spread.
float MeanDirection(const PilotSet& pilots, std::size_t expert, float* centroid) {
  std::vector<double> sum(pilots.dimension(), 0.0);
  std::vector<unsigned char> best;
  double weight = 0;
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    MarkBestExperts(pilots.utilities(i), &best);
    if (!best[expert]) continue;
    weight += pilots.weight(i);
    for (std::size_t c = 0; c < sum.size(); ++c) {
      sum[c] += static_cast<double>(pilots.weight(i)) * pilots.vectors().row(i)[c];
    }
  }
  double squared_length = 0;
  for (double x : sum) squared_length += x * x;
  if (!(squared_length > 0)) return 1.0f;
  const double length = std::sqrt(squared_length);
  for (std::size_t c = 0; c < sum.size(); ++c) centroid[c] = static_cast<float>(sum[c] / length);
  return static_cast<float>(1.0 - length / weight);
}

}  // namespace

absl::Status MeanPilotRouter::Train(const PilotSet& pilots, const RouterOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(CheckTrainingInput(pilots, options));
  centroids_ = base::AlignedMatrix(pilots.expert_count(), pilots.dimension());
  spread_.assign(pilots.expert_count(), kUnknown);
  for (std::size_t e = 0; e < spread_.size(); ++e) {
    bool known = false;
    for (std::size_t i = 0; i < pilots.size() && !known; ++i) known = !std::isnan(pilots.utilities(i)[e]);
    if (known) spread_[e] = MeanDirection(pilots, e, centroids_.row(e));
  }
  return absl::OkStatus();
}

void MeanPilotRouter::Predict(absl::Span<const float> query, RouterScratch* scratch,
                              absl::Span<float> utility, absl::Span<float> uncertainty) const {
  const base::MatrixView rows = centroids_.view();
  kernels::ActiveDistances().inner_product_f32_rows(query.data(), rows.data, rows.stride, rows.rows,
                                                    rows.columns, utility.data());
  for (std::size_t e = 0; e < spread_.size(); ++e) {
    if (std::isnan(spread_[e])) utility[e] = kUnknown;
    uncertainty[e] = spread_[e];
  }
}

void MeanPilotRouter::AddExpert() {
  centroids_.Resize(centroids_.rows() + 1);
  spread_.push_back(kUnknown);
}

void MeanPilotRouter::RemoveExpert(std::size_t expert) {
  RemoveRow(expert, &centroids_);
  spread_.erase(spread_.begin() + expert);
}

// u64 d | u64 E | f32[E] spread | f32[E x d] centroids
std::string MeanPilotRouter::Save() const {
  storage::ByteWriter writer;
  writer.Put<std::uint64_t>(dimension());
  writer.Put<std::uint64_t>(spread_.size());
  writer.PutArray(spread_.data(), spread_.size());
  PutMatrix(centroids_, &writer);
  return SealRouterBytes(name(), writer.bytes());
}

absl::Status MeanPilotRouter::Load(std::string_view bytes) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::string_view payload, OpenRouterBytes(name(), bytes));
  storage::ByteReader reader(payload);
  const auto dimension = reader.Read<std::uint64_t>();
  const auto expert_count = reader.Read<std::uint64_t>();
  std::vector<float> spread = reader.ReadArray<float>(expert_count);
  base::AlignedMatrix matrix;
  if (!ReadMatrix(expert_count, dimension, &reader, &matrix) || !reader.AtEnd())
    return MalformedRouter(name());
  centroids_ = std::move(matrix);
  spread_ = std::move(spread);
  return absl::OkStatus();
}

}  // namespace trivium::routing
