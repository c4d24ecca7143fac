// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/logistic_router.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "kernels/distance_table.h"
#include "routing/expert/class_targets.h"
#include "routing/expert/logistic_regression.h"
#include "routing/expert/router_bytes.h"
#include "routing/expert/router_matrix.h"
#include "routing/expert/router_scratch.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"

namespace trivium::routing {
namespace {

constexpr std::uint64_t kSeed = 1;  // of the order of pilots; what is learned hardly depends on it

}  // namespace

absl::Status LogisticRouter::Train(const PilotSet& pilots, const RouterOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(CheckTrainingInput(pilots, options));
  ClassTargets learned = ClassTargetsOf(pilots, options.class_balance);
  LogisticRouter fresh;
  fresh.class_of_ = std::move(learned.class_of);
  fresh.counts_ = std::move(learned.counts);
  // Pilots without a class say nothing here; with none at all every known expert is as likely.
  if (learned.any) {
    LogisticFit fit = FitLogistic(pilots.vectors(), learned.targets, learned.weights, learned.classes,
                                  options.ridge, kSeed);
    fresh.weights_ = std::move(fit.weights);
    fresh.bias_ = std::move(fit.bias);
  } else {
    fresh.weights_ = base::AlignedMatrix(learned.classes, pilots.dimension());
    fresh.bias_.assign(learned.classes, 0.0f);
  }
  *this = std::move(fresh);
  return absl::OkStatus();
}

void LogisticRouter::Predict(absl::Span<const float> query, RouterScratch* scratch, absl::Span<float> utility,
                             absl::Span<float> uncertainty) const {
  std::vector<float>& shares = scratch->buffers().similarities;
  const base::MatrixView rows = weights_.view();
  shares.resize(rows.rows);
  kernels::ActiveDistances().inner_product_f32_rows(query.data(), rows.data, rows.stride, rows.rows,
                                                    rows.columns, shares.data());
  for (std::size_t c = 0; c < shares.size(); ++c) shares[c] += bias_[c];
  if (!shares.empty()) Softmax(absl::MakeSpan(shares));
  GiveShares(class_of_, shares, counts_, utility, uncertainty);
}

void LogisticRouter::AddExpert() { class_of_.push_back(kNoClass); }

void LogisticRouter::RemoveExpert(std::size_t expert) { class_of_.erase(class_of_.begin() + expert); }

// u64 d | u64 E | u64 classes | f32[classes] bias | f32[classes] counts | u32[E] class | f32[classes x d]
std::string LogisticRouter::Save() const {
  storage::ByteWriter writer;
  writer.Put<std::uint64_t>(dimension());
  writer.Put<std::uint64_t>(class_of_.size());
  writer.Put<std::uint64_t>(bias_.size());
  writer.PutArray(bias_.data(), bias_.size());
  writer.PutArray(counts_.data(), counts_.size());
  writer.PutArray(class_of_.data(), class_of_.size());
  PutMatrix(weights_, &writer);
  return SealRouterBytes(name(), writer.bytes());
}

absl::Status LogisticRouter::Load(std::string_view bytes) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::string_view payload, OpenRouterBytes(name(), bytes));
  storage::ByteReader reader(payload);
  LogisticRouter fresh;
  const auto dimension = reader.Read<std::uint64_t>();
  const auto expert_count = reader.Read<std::uint64_t>();
  const auto classes = reader.Read<std::uint64_t>();
  fresh.bias_ = reader.ReadArray<float>(classes);
  fresh.counts_ = reader.ReadArray<float>(classes);
  fresh.class_of_ = reader.ReadArray<std::uint32_t>(expert_count);
  if (!ReadMatrix(classes, dimension, &reader, &fresh.weights_) || !reader.AtEnd()) {
    return MalformedRouter(name());
  }
  const auto is_class = [&](std::uint32_t c) { return c == kNoClass || c < classes; };
  if (!std::all_of(fresh.class_of_.begin(), fresh.class_of_.end(), is_class)) return MalformedRouter(name());
  *this = std::move(fresh);
  return absl::OkStatus();
}

}  // namespace trivium::routing
