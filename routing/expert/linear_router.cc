// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/linear_router.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/status_macros.h"
#include "kernels/distance_table.h"
#include "routing/expert/pilot_weights.h"
#include "routing/expert/ridge_regression.h"
#include "routing/expert/router_bytes.h"
#include "routing/expert/router_matrix.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"

namespace trivium::routing {
namespace {

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();

// Pilots of positive weight that know `expert`.
std::vector<std::uint32_t> KnownPilots(const PilotSet& pilots, const std::vector<float>& weights,
                                       std::size_t expert) {
  std::vector<std::uint32_t> known;
  for (std::uint32_t i = 0; i < pilots.size(); ++i) {
    if (weights[i] > 0 && !std::isnan(pilots.utilities(i)[expert])) known.push_back(i);
  }
  return known;
}

}  // namespace

absl::Status LinearRouter::Train(const PilotSet& pilots, const RouterOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(CheckTrainingInput(pilots, options));
  const std::vector<float> weights = BalancedWeights(pilots, options.class_balance);
  const std::size_t expert_count = pilots.expert_count();
  const std::size_t dimension = pilots.dimension();
  std::vector<std::vector<std::uint32_t>> known(expert_count);
  for (std::size_t e = 0; e < expert_count; ++e) known[e] = KnownPilots(pilots, weights, e);

  LinearRouter fresh;
  fresh.weights_ = base::AlignedMatrix(expert_count, dimension);
  fresh.bias_.assign(expert_count, kUnknown);
  fresh.residual_.assign(expert_count, kUnknown);
  std::vector<bool> done(expert_count, false);
  for (std::size_t first = 0; first < expert_count; ++first) {
    if (done[first] || known[first].empty()) continue;
    std::vector<std::size_t> alike;  // experts known for the same pilots
    for (std::size_t e = first; e < expert_count; ++e) {
      if (!done[e] && known[e] == known[first]) alike.push_back(e);
    }
    std::vector<float> targets;
    std::vector<float> chosen_weights;
    for (std::uint32_t i : known[first]) chosen_weights.push_back(weights[i]);
    for (std::size_t e : alike) {
      for (std::uint32_t i : known[first]) targets.push_back(pilots.utilities(i)[e]);
    }
    TRIVIUM_ASSIGN_OR_RETURN(
        const RidgeFit fit, FitRidge(pilots.vectors(), known[first], chosen_weights, targets, options.ridge));
    for (std::size_t t = 0; t < alike.size(); ++t) {
      const double* coefficients = &fit.coefficients[t * (dimension + 1)];
      std::copy_n(coefficients, dimension, fresh.weights_.row(alike[t]));
      fresh.bias_[alike[t]] = static_cast<float>(coefficients[dimension]);
      fresh.residual_[alike[t]] = static_cast<float>(fit.residuals[t]);
      done[alike[t]] = true;
    }
  }
  *this = std::move(fresh);
  return absl::OkStatus();
}

void LinearRouter::Predict(absl::Span<const float> query, RouterScratch* scratch, absl::Span<float> utility,
                           absl::Span<float> uncertainty) const {
  const base::MatrixView rows = weights_.view();
  kernels::ActiveDistances().inner_product_f32_rows(query.data(), rows.data, rows.stride, rows.rows,
                                                    rows.columns, utility.data());
  for (std::size_t e = 0; e < bias_.size(); ++e) {
    utility[e] += bias_[e];
    uncertainty[e] = residual_[e];
  }
}

void LinearRouter::AddExpert() {
  weights_.Resize(weights_.rows() + 1);
  bias_.push_back(kUnknown);
  residual_.push_back(kUnknown);
}

void LinearRouter::RemoveExpert(std::size_t expert) {
  RemoveRow(expert, &weights_);
  bias_.erase(bias_.begin() + expert);
  residual_.erase(residual_.begin() + expert);
}

// u64 d | u64 E | f32[E] bias | f32[E] residual | f32[E x d] weights
std::string LinearRouter::Save() const {
  storage::ByteWriter writer;
  writer.Put<std::uint64_t>(dimension());
  writer.Put<std::uint64_t>(bias_.size());
  writer.PutArray(bias_.data(), bias_.size());
  writer.PutArray(residual_.data(), residual_.size());
  PutMatrix(weights_, &writer);
  return SealRouterBytes(name(), writer.bytes());
}

absl::Status LinearRouter::Load(std::string_view bytes) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::string_view payload, OpenRouterBytes(name(), bytes));
  storage::ByteReader reader(payload);
  const auto dimension = reader.Read<std::uint64_t>();
  const auto expert_count = reader.Read<std::uint64_t>();
  std::vector<float> bias = reader.ReadArray<float>(expert_count);
  std::vector<float> residual = reader.ReadArray<float>(expert_count);
  base::AlignedMatrix matrix;
  if (!ReadMatrix(expert_count, dimension, &reader, &matrix) || !reader.AtEnd())
    return MalformedRouter(name());
  weights_ = std::move(matrix);
  bias_ = std::move(bias);
  residual_ = std::move(residual);
  return absl::OkStatus();
}

}  // namespace trivium::routing
