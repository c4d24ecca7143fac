// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/description_router.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "base/status_macros.h"
#include "kernels/distance_table.h"
#include "routing/expert/logistic_regression.h"
#include "routing/expert/router_bytes.h"
#include "routing/expert/router_matrix.h"
#include "routing/expert/router_scratch.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"

namespace trivium::routing {

absl::Status DescriptionRouter::TrainLabelFree(const ExpertFacts& facts, const RouterOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.Validate());
  DescriptionRouter fresh;
  fresh.temperature_ = options.temperature;
  fresh.texts_ = base::AlignedMatrix(facts.dimension);
  fresh.first_text_.assign(1, 0);
  for (const ExpertFacts::Expert& expert : facts.experts) {
    const base::AlignedMatrix& description = expert.description;
    if (description.rows() == 0) {
      fresh.voice_of_.push_back(kSilent);
      continue;
    }
    fresh.voice_of_.push_back(static_cast<std::uint32_t>(fresh.first_text_.size() - 1));
    for (std::size_t i = 0; i < description.rows(); ++i) fresh.texts_.Append(description.row(i));
    fresh.first_text_.push_back(static_cast<std::uint32_t>(fresh.texts_.rows()));
  }
  if (fresh.texts_.rows() == 0) {
    return absl::InvalidArgumentError(
        "router description: no expert has an encoded description, expected at least one");
  }
  *this = std::move(fresh);
  return absl::OkStatus();
}

void DescriptionRouter::Predict(absl::Span<const float> query, RouterScratch* scratch,
                                absl::Span<float> utility, absl::Span<float> uncertainty) const {
  std::vector<float>& cosines = scratch->buffers().similarities;
  std::vector<float>& shares = scratch->buffers().spreads;
  const base::MatrixView rows = texts_.view();
  cosines.resize(rows.rows);
  kernels::ActiveDistances().inner_product_f32_rows(query.data(), rows.data, rows.stride, rows.rows,
                                                    rows.columns, cosines.data());
  shares.resize(first_text_.size() - 1);
  for (std::size_t v = 0; v < shares.size(); ++v) {
    shares[v] = *std::max_element(cosines.begin() + first_text_[v], cosines.begin() + first_text_[v + 1]) /
                temperature_;
  }
  Softmax(absl::MakeSpan(shares));
  for (std::size_t e = 0; e < voice_of_.size(); ++e) {
    const float share =
        voice_of_[e] == kSilent ? std::numeric_limits<float>::quiet_NaN() : shares[voice_of_[e]];
    utility[e] = share;
    uncertainty[e] = std::sqrt(share * (1 - share));
  }
}

void DescriptionRouter::AddExpert() { voice_of_.push_back(kSilent); }

void DescriptionRouter::RemoveExpert(std::size_t expert) { voice_of_.erase(voice_of_.begin() + expert); }

// u64 d | u64 E | u64 voices | u64 texts | f32 temperature | u32[voices + 1] first text | u32[E] voice
// | f32[texts x d]
std::string DescriptionRouter::Save() const {
  storage::ByteWriter writer;
  writer.Put<std::uint64_t>(dimension());
  writer.Put<std::uint64_t>(voice_of_.size());
  writer.Put<std::uint64_t>(first_text_.size() - 1);
  writer.Put<std::uint64_t>(texts_.rows());
  writer.Put(temperature_);
  writer.PutArray(first_text_.data(), first_text_.size());
  writer.PutArray(voice_of_.data(), voice_of_.size());
  PutMatrix(texts_, &writer);
  return SealRouterBytes(name(), writer.bytes());
}

absl::Status DescriptionRouter::Load(std::string_view bytes) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::string_view payload, OpenRouterBytes(name(), bytes));
  storage::ByteReader reader(payload);
  DescriptionRouter fresh;
  const auto dimension = reader.Read<std::uint64_t>();
  const auto expert_count = reader.Read<std::uint64_t>();
  const auto voices = reader.Read<std::uint64_t>();
  const auto text_count = reader.Read<std::uint64_t>();
  fresh.temperature_ = reader.Read<float>();
  if (voices == 0 || voices > reader.remaining() / sizeof(std::uint32_t)) return MalformedRouter(name());
  fresh.first_text_ = reader.ReadArray<std::uint32_t>(voices + 1);
  fresh.voice_of_ = reader.ReadArray<std::uint32_t>(expert_count);
  if (!ReadMatrix(text_count, dimension, &reader, &fresh.texts_) || !reader.AtEnd() ||
      !(fresh.temperature_ > 0)) {
    return MalformedRouter(name());
  }
  // Every voice has at least one text, and the texts are all of somebody.
  const std::vector<std::uint32_t>& first = fresh.first_text_;
  const bool rises = std::adjacent_find(first.begin(), first.end(), std::greater_equal<>()) == first.end();
  const auto is_voice = [&](std::uint32_t v) { return v == kSilent || v < voices; };
  if (!rises || first.front() != 0 || first.back() != text_count ||
      !std::all_of(fresh.voice_of_.begin(), fresh.voice_of_.end(), is_voice)) {
    return MalformedRouter(name());
  }
  *this = std::move(fresh);
  return absl::OkStatus();
}

}  // namespace trivium::routing
