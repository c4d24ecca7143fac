// SPDX-License-Identifier: Apache-2.0
#include "api/query_vectors.h"

#include <algorithm>
#include <chrono>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "api/vector_rules.h"
#include "base/status_macros.h"
#include "storage/utf8.h"

namespace trivium {

TextEncoder* EncoderSet::Find(const std::string& name) const {
  const auto found = encoders_.find(name);
  return found == encoders_.end() ? nullptr : found->second.get();
}

absl::Status CheckFingerprint(const SpaceRecord& space, const TextEncoder& encoder) {
  const std::string fingerprint = encoder.fingerprint();
  if (!storage::IsValidUtf8(fingerprint)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("encoder '%s' fingerprint: invalid UTF-8, expected UTF-8", space.encoder));
  }
  if (fingerprint.empty() || space.encoder_fingerprint.empty() || fingerprint == space.encoder_fingerprint) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrFormat("encoder '%s': fingerprint %s, expected %s, which wrote the vectors of space '%s'",
                      space.encoder, fingerprint, space.encoder_fingerprint, space.name));
}

absl::StatusOr<base::AlignedMatrix> EncoderSet::Encode(const SpaceRecord& space,
                                                       absl::Span<const std::string> texts, TextKind kind) {
  if (space.encoder.empty()) {
    return absl::FailedPreconditionError(
        absl::StrFormat("space '%s': names no encoder, expected vectors instead of texts", space.name));
  }
  TextEncoder* encoder = Find(space.encoder);
  if (encoder == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrFormat("encoder '%s': not given to this process, expected for the texts of space '%s'",
                        space.encoder, space.name));
  }
  TRIVIUM_RETURN_IF_ERROR(CheckFingerprint(space, *encoder));
  std::vector<float> values;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (encoder->dimension() != space.dimension) {
      return absl::InvalidArgumentError(
          absl::StrFormat("encoder '%s' dimension: %d, expected %d of space '%s'", space.encoder,
                          encoder->dimension(), space.dimension, space.name));
    }
    values.resize(texts.size() * space.dimension);
    TRIVIUM_RETURN_IF_ERROR(encoder->Encode(texts, kind, values.data()));
  }
  absl::StatusOr<base::AlignedMatrix> rows =
      PrepareVectors(space, {values.data(), texts.size(), space.dimension});
  if (rows.ok()) return rows;
  return absl::Status(rows.status().code(),
                      absl::StrFormat("encoder '%s': %s", space.encoder, rows.status().message()));
}

absl::Status CheckDistribution(const SpaceRecord& space, const float* vector, std::string_view what) {
  if (!space.tree || !space.tree->info.given) return absl::OkStatus();
  const float* const end = vector + space.dimension;
  const float* const below = std::find_if(vector, end, [](float component) { return component < 0; });
  if (below == end) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "%s, component %d: %g, expected 0 or more, the share of a leaf (the tree of space '%s' is given)", what,
      below - vector, *below, space.name));
}

absl::StatusOr<base::AlignedMatrix> PrepareVectors(const SpaceRecord& space, const MatrixView& vectors) {
  if (vectors.columns != space.dimension) {
    return absl::InvalidArgumentError(absl::StrFormat("vector dimension: %d, expected %d of space '%s'",
                                                      vectors.columns, space.dimension, space.name));
  }
  base::AlignedMatrix rows(vectors.rows, vectors.columns);
  const std::string what = "vector of space '" + space.name + "'";
  const bool distributions = space.tree && space.tree->info.given;
  for (std::size_t i = 0; i < vectors.rows; ++i) {
    const float* row = vectors.data + i * vectors.columns;
    TRIVIUM_ASSIGN_OR_RETURN(const float scale, RowScale(row, vectors.columns, space.metric, what, i));
    if (distributions) {
      TRIVIUM_RETURN_IF_ERROR(CheckDistribution(space, row, absl::StrFormat("%s, row %d", what, i)));
    }
    for (std::size_t j = 0; j < vectors.columns; ++j) rows.row(i)[j] = row[j] * scale;
  }
  return rows;
}

absl::StatusOr<const SpaceRecord*> ResolveSpace(const Schema& schema, const std::string& name) {
  if (!name.empty()) {
    const SpaceRecord* space = schema.FindSpace(name);
    if (space == nullptr) {
      return absl::NotFoundError(
          absl::StrFormat("space: '%s', expected one of the store's", name.substr(0, 80)));
    }
    return space;
  }
  if (schema.spaces.size() == 1) return &schema.spaces.front();
  return absl::InvalidArgumentError(absl::StrFormat(
      "space: not named, expected a name because the store has %d spaces", schema.spaces.size()));
}

absl::Status CheckQueryText(std::string_view text) {
  return storage::IsValidUtf8(text) ? absl::OkStatus()
                                    : absl::InvalidArgumentError("query text: invalid UTF-8, expected UTF-8");
}

const base::AlignedMatrix* PreparedQueries::Find(std::uint32_t space) const {
  for (const Entry& entry : entries) {
    if (entry.space == space) return &entry.rows;
  }
  return nullptr;
}

absl::StatusOr<PreparedQueries> PrepareQueries(const StoreState& state, EncoderSet* encoders,
                                               std::size_t count, const std::vector<SpaceVectors>& vectors,
                                               absl::Span<const std::string> texts,
                                               absl::Span<const std::uint32_t> spaces) {
  PreparedQueries prepared;
  for (const std::string& text : texts) TRIVIUM_RETURN_IF_ERROR(CheckQueryText(text));
  for (const SpaceVectors& given : vectors) {
    TRIVIUM_ASSIGN_OR_RETURN(const SpaceRecord* space, ResolveSpace(state.schema, given.space));
    if (given.vectors.rows != count) {
      return absl::InvalidArgumentError(absl::StrFormat("query vectors of space '%s': %d rows, expected %d",
                                                        space->name, given.vectors.rows, count));
    }
    TRIVIUM_ASSIGN_OR_RETURN(base::AlignedMatrix rows, PrepareVectors(*space, given.vectors));
    prepared.entries.push_back({space->id, false, std::move(rows)});
  }
  for (std::uint32_t id : spaces) {
    const SpaceRecord* space = state.schema.SpaceById(id);
    if (texts.empty() || prepared.Find(id) != nullptr || encoders->Find(space->encoder) == nullptr) continue;
    TRIVIUM_ASSIGN_OR_RETURN(base::AlignedMatrix rows, encoders->Encode(*space, texts, TextKind::kQuery));
    prepared.entries.push_back({id, true, std::move(rows)});
  }
  return prepared;
}

bool QueryVectors::CanEncode(std::uint32_t space) const {
  if (text_->empty()) return false;
  const SpaceRecord* record = state_->schema.SpaceById(space);
  return record != nullptr && encoders_->Find(record->encoder) != nullptr;
}

absl::StatusOr<const float*> QueryVectors::Get(std::uint32_t space) {
  if (const auto found = rows_.find(space); found != rows_.end()) return found->second;
  const SpaceRecord* record = state_->schema.SpaceById(space);
  if (text_->empty()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("query: no vector of space '%s' and no text, expected one of them", record->name));
  }
  const auto start = std::chrono::steady_clock::now();
  TRIVIUM_ASSIGN_OR_RETURN(base::AlignedMatrix encoded,
                           encoders_->Encode(*record, absl::MakeConstSpan(text_, 1), TextKind::kQuery));
  encode_us_ += std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
  ++encoder_calls_;
  owned_.push_back(std::move(encoded));
  return rows_[space] = owned_.back().row(0);
}

}  // namespace trivium
