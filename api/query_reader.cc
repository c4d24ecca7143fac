// SPDX-License-Identifier: Apache-2.0
#include "api/query_reader.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "base/aligned_matrix.h"
#include "base/status_macros.h"
#include "kernels/distance_table.h"

namespace trivium {
namespace {

constexpr float kSmallestShare = 0.01f;  // of an expert in a mixture

absl::Status Finish(const std::string& whose, std::size_t dimension, bool cosine,
                    std::vector<float>* reading) {
  const float norm =
      std::sqrt(kernels::ActiveDistances().inner_product_f32(reading->data(), reading->data(), dimension));
  if (!std::isfinite(norm) || (cosine && norm == 0)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "adapter of %s: makes a query of norm %f, expected a finite one that is not zero", whose, norm));
  }
  for (std::size_t i = 0; cosine && i < dimension; ++i) (*reading)[i] /= norm;
  return absl::OkStatus();
}

}  // namespace

absl::Status QueryReader::Read(std::uint32_t id, const std::vector<float>& adapter, std::uint32_t space,
                               const std::string& whose, const float* query,
                               std::vector<float>* reading) const {
  const SpaceRecord& record = *state_->schema.SpaceById(space);
  const std::size_t dimension = record.dimension;
  if (held_out_ != nullptr) {
    if (const std::vector<float>* known = held_out_->Find(id, dimension, query)) {
      *reading = *known;
      return absl::OkStatus();
    }
  }
  reading->assign(base::PaddedStride(dimension), 0.0f);
  kernels::ActiveDistances().inner_product_f32_rows(query, adapter.data(), dimension, dimension, dimension,
                                                    reading->data());
  return Finish(whose, dimension, record.metric == Metric::kCosine, reading);
}

absl::Status QueryReader::ReadAs(const ExpertView& expert, const float* query,
                                 std::vector<float>* reading) const {
  return Read(expert.id, *expert.adapter, expert.space, "expert '" + expert.name + "'", query, reading);
}

absl::Status QueryReader::ReadAsAll(std::uint32_t space, const float* query,
                                    std::vector<float>* reading) const {
  return Read(space, *state_->adapters.at(space), space,
              "space '" + state_->schema.SpaceById(space)->name + "'", query, reading);
}

bool QueryReader::CanMix(std::uint32_t space) const {
  return state_->schema.SpaceById(space)->metric == Metric::kCosine &&
         (state_->SpaceAdapterInUse(space, UseInMixture()) != nullptr ||
          std::any_of(state_->experts.begin(), state_->experts.end(), [&](const ExpertView& expert) {
            return expert.space == space && AdapterInUse(expert, UseInMixture()) != nullptr;
          }));
}

absl::Status QueryReader::Mix(std::uint32_t space, absl::Span<const routing::ExpertChoice> choices,
                              const routing::QueryMixture& mixture, const float* query,
                              std::vector<float>* reading) const {
  const SpaceRecord& record = *state_->schema.SpaceById(space);
  const std::size_t dimension = record.dimension;
  float total = 0, kept = 0;
  for (std::size_t e = 0; e < choices.size(); ++e) {
    if (state_->experts[e].space == space) total += choices[e].probability;
  }
  const auto counts = [&](std::size_t e) {
    return state_->experts[e].space == space && choices[e].probability > 0 &&
           choices[e].probability >= kSmallestShare * total;
  };
  for (std::size_t e = 0; e < choices.size(); ++e) kept += counts(e) ? choices[e].probability : 0;

  reading->assign(base::PaddedStride(dimension), 0.0f);
  const auto add = [&](float share, const float* part) {
    for (std::size_t i = 0; i < dimension; ++i) (*reading)[i] += share * part[i];
  };
  std::vector<float> part;
  float as_all = (1 - mixture.own) * (1 - mixture.plain);
  for (std::size_t e = 0; e < choices.size(); ++e) {
    if (!counts(e)) continue;
    const float share = mixture.own * choices[e].probability / kept;
    if (AdapterInUse(state_->experts[e], UseInMixture()) == nullptr) {
      as_all += share;
    } else if (share > 0) {
      TRIVIUM_RETURN_IF_ERROR(ReadAs(state_->experts[e], query, &part));
      add(share, part.data());
    }
  }
  if (state_->SpaceAdapterInUse(space, UseInMixture()) != nullptr) {
    TRIVIUM_RETURN_IF_ERROR(ReadAsAll(space, query, &part));
    add(as_all, part.data());
  } else {
    add(as_all, query);
  }
  add((1 - mixture.own) * mixture.plain, query);
  return Finish("space '" + record.name + "', mixed,", dimension, true, reading);
}

}  // namespace trivium
