// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/logistic_router.h"

#include <algorithm>
#include <cmath>
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

constexpr std::uint64_t kSeed = 1;             // of the order of pilots; what is learned hardly depends on it
constexpr float kDocumentTemperature = 0.03f;  // of cosines, measured on 17 collections
constexpr float kLeastProbability = 1e-9f;     // in a pool, where one says that it cannot be

}  // namespace

absl::Status LogisticRouter::Train(const PilotSet& pilots, const RouterOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(CheckTrainingInput(pilots, options));
  ClassTargets learned = ClassTargetsOf(pilots, options.class_balance, options.owner_power);
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

void LogisticRouter::AddFacts(const ExpertFacts& facts, const RouterOptions& options) {
  if (options.document_share == 0 || facts.experts.size() != class_of_.size()) return;
  for (std::size_t e = 0; e < class_of_.size(); ++e) {
    if (class_of_[e] != kNoClass && facts.experts[e].cells.empty()) return;
  }
  auto documents = std::make_unique<TreeRouter>();
  if (!documents->TrainOnGroups(facts, kDocumentTemperature).ok()) return;
  document_share_ = options.document_share;
  documents_ = std::move(documents);
}

// Of the experts that are known, and of what is left for others that were taken away.
void LogisticRouter::Pool(absl::Span<const float> query, RouterScratch* scratch,
                          absl::Span<float> utility) const {
  RouterScratch::Buffers& buffers = scratch->buffers();
  buffers.other_utility.resize(utility.size());
  buffers.other_uncertainty.resize(utility.size());
  documents_->Predict(query, scratch, absl::MakeSpan(buffers.other_utility),
                      absl::MakeSpan(buffers.other_uncertainty));
  const auto pooled = [&](float by_pilots, float by_documents) {
    return std::exp((1 - document_share_) * std::log(std::max(by_pilots, kLeastProbability)) +
                    document_share_ * std::log(std::max(by_documents, kLeastProbability)));
  };
  float pilots_left = 1, documents_left = 1, total = 0;
  for (std::size_t e = 0; e < utility.size(); ++e) {
    if (class_of_[e] == kNoClass) continue;
    pilots_left -= utility[e];
    documents_left -= buffers.other_utility[e];
    utility[e] = pooled(utility[e], buffers.other_utility[e]);
    total += utility[e];
  }
  total += pooled(pilots_left, documents_left);
  for (float& one : utility) one /= total;  // NaN stays NaN
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
  if (documents_ != nullptr) Pool(query, scratch, utility);
}

void LogisticRouter::AddExpert() {
  class_of_.push_back(kNoClass);
  if (documents_ != nullptr) documents_->AddExpert();
}

void LogisticRouter::RemoveExpert(std::size_t expert) {
  class_of_.erase(class_of_.begin() + expert);
  if (documents_ != nullptr) documents_->RemoveExpert(expert);
}

// u64 d | u64 E | u64 classes | f32[classes] bias | f32[classes] counts | u32[E] class | f32[classes x d]
// With documents also f32 share | the bytes of a tree router, to the end.
std::string LogisticRouter::Save() const {
  storage::ByteWriter writer;
  writer.Put<std::uint64_t>(dimension());
  writer.Put<std::uint64_t>(class_of_.size());
  writer.Put<std::uint64_t>(bias_.size());
  writer.PutArray(bias_.data(), bias_.size());
  writer.PutArray(counts_.data(), counts_.size());
  writer.PutArray(class_of_.data(), class_of_.size());
  PutMatrix(weights_, &writer);
  if (documents_ != nullptr) {
    const std::string documents = documents_->Save();
    writer.Put(document_share_);
    writer.PutArray(documents.data(), documents.size());
  }
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
  if (!ReadMatrix(classes, dimension, &reader, &fresh.weights_)) return MalformedRouter(name());
  if (!reader.AtEnd()) {
    fresh.document_share_ = reader.Read<float>();
    const std::vector<char> documents = reader.ReadArray<char>(reader.remaining());
    fresh.documents_ = std::make_unique<TreeRouter>();
    if (!(fresh.document_share_ > 0 && fresh.document_share_ <= 1) ||
        !fresh.documents_->Load({documents.data(), documents.size()}).ok() ||
        fresh.documents_->dimension() != dimension || fresh.documents_->expert_count() != expert_count) {
      return MalformedRouter(name());
    }
  }
  const auto is_class = [&](std::uint32_t c) { return c == kNoClass || c < classes; };
  if (!std::all_of(fresh.class_of_.begin(), fresh.class_of_.end(), is_class)) return MalformedRouter(name());
  *this = std::move(fresh);
  return absl::OkStatus();
}

}  // namespace trivium::routing
