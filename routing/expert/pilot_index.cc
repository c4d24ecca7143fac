// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/pilot_index.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "kernels/distance_table.h"
#include "storage/checksum.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kCodeAlignment = 64;
constexpr float kLargestCode = 127.0f;

// Writes codes of `values` and returns their scale. A component that is not finite (a file that was made up,
// not damaged) gets code 0.
float Quantize(const float* values, std::size_t count, std::int8_t* codes) {
  float largest = 0;
  for (std::size_t i = 0; i < count; ++i) largest = std::max(largest, std::abs(values[i]));
  const float inverse = kLargestCode / largest;
  for (std::size_t i = 0; i < count; ++i) {
    const float scaled = values[i] * inverse;
    const bool fits = std::abs(scaled) < kLargestCode + 0.4f;  // not where 0 / 0, infinite or NaN
    codes[i] = fits ? static_cast<std::int8_t>(scaled + std::copysign(0.5f, scaled)) : std::int8_t{0};
  }
  return std::isfinite(largest) ? largest / kLargestCode : 0.0f;
}

// The label of a pilot in its file: a checksum of its vector.
std::vector<std::uint64_t> RowLabels(base::MatrixView rows) {
  std::vector<std::uint64_t> labels(rows.rows);
  for (std::size_t i = 0; i < rows.rows; ++i) {
    labels[i] =
        storage::Checksum({reinterpret_cast<const std::byte*>(rows.row(i)), rows.columns * sizeof(float)});
  }
  return labels;
}

std::uint64_t Fingerprint(absl::Span<const std::uint64_t> labels) {
  return storage::Checksum(
      {reinterpret_cast<const std::byte*>(labels.data()), labels.size() * sizeof(std::uint64_t)});
}

}  // namespace

absl::Status PilotIndex::Build(base::MatrixView vectors, std::size_t graph_threshold) {
  PilotIndex fresh;
  if (vectors.rows >= graph_threshold) {
    index::GraphBuildOptions options;
    options.profile = index::Profile::kExact;  // utilities are weighted by distance: they want exact ones
    fresh.built_ = std::make_unique<index::GraphIndex>(vectors.columns, base::Metric::kCosine, options);
    TRIVIUM_RETURN_IF_ERROR(fresh.built_->Add(vectors, options.threads));
    TRIVIUM_RETURN_IF_ERROR(fresh.built_->Seal(options.threads));
    fresh.rows_ = fresh.built_->rows();
  } else {
    fresh.scanned_ = base::AlignedMatrix(vectors.rows, vectors.columns);
    for (std::size_t i = 0; i < vectors.rows; ++i) {
      std::memcpy(fresh.scanned_.row(i), vectors.row(i), vectors.columns * sizeof(float));
    }
    fresh.rows_ = fresh.scanned_.view();
    fresh.MakeCodes();
  }
  fresh.fingerprint_ = Fingerprint(RowLabels(fresh.rows_));
  *this = std::move(fresh);
  return absl::OkStatus();
}

void PilotIndex::MakeCodes() {
  code_stride_ = (rows_.columns + kCodeAlignment - 1) / kCodeAlignment * kCodeAlignment;
  codes_.assign(rows_.rows * code_stride_, 0);
  scales_.resize(rows_.rows);
  for (std::size_t i = 0; i < rows_.rows; ++i) {
    scales_[i] = Quantize(rows_.row(i), rows_.columns, &codes_[i * code_stride_]);
  }
}

void PilotIndex::Nearest(const float* query, std::size_t k, PilotSearchScratch* scratch,
                         std::vector<base::Neighbor>* found) const {
  k = std::min(k, size());
  if (k == 0) {
    found->clear();
  } else if (!scales_.empty()) {
    Scan(query, k, scratch, found);
  } else {
    index::SearchParameters parameters;
    parameters.k = k;
    parameters.method = index::SearchMethod::kGraph;
    if (built_ != nullptr) {
      built_->Search(query, parameters, &scratch->graph, found, nullptr);
    } else {
      opened_->Search(query, parameters, &scratch->graph, found, nullptr);
    }
  }
}

// Returns the scale of the query's codes.
float PilotIndex::DotCodes(const float* query, PilotSearchScratch* scratch) const {
  scratch->query_codes.resize(dimension());
  const float scale = Quantize(query, dimension(), scratch->query_codes.data());
  scratch->dots.resize(size());
  kernels::ActiveDistances().inner_product_i8_rows(scratch->query_codes.data(), codes_.data(), code_stride_,
                                                   size(), dimension(), scratch->dots.data());
  return scale;
}

void PilotIndex::Similarities(const float* query, PilotSearchScratch* scratch,
                              std::vector<float>* similarities) const {
  similarities->resize(size());
  if (scales_.empty()) {
    kernels::ActiveDistances().inner_product_f32_rows(query, rows_.data, rows_.stride, rows_.rows,
                                                      rows_.columns, similarities->data());
    return;
  }
  const float scale = DotCodes(query, scratch);
  for (std::size_t i = 0; i < size(); ++i) {
    (*similarities)[i] = scale * scales_[i] * static_cast<float>(scratch->dots[i]);
  }
}

void PilotIndex::Scan(const float* query, std::size_t k, PilotSearchScratch* scratch,
                      std::vector<base::Neighbor>* found) const {
  const kernels::DistanceTable& kernels = kernels::ActiveDistances();
  DotCodes(query, scratch);
  found->resize(size());
  for (std::uint32_t i = 0; i < size(); ++i) {
    (*found)[i] = {-scales_[i] * static_cast<float>(scratch->dots[i]), i};
  }
  // The codes err by about 0.002 in cosine: half of k again covers that in all but dense clusters.
  const std::size_t pool = std::min(size(), k + k / 2 + 16);
  std::nth_element(found->begin(), found->begin() + (pool - 1), found->end());
  found->resize(pool);
  scratch->rows.resize(pool);
  scratch->distances.resize(pool);
  for (std::size_t i = 0; i < pool; ++i) scratch->rows[i] = (*found)[i].row;
  kernels.inner_product_f32_gather(query, rows_.data, rows_.stride, scratch->rows.data(), pool, dimension(),
                                   scratch->distances.data());
  for (std::size_t i = 0; i < pool; ++i) {
    // std::min returns its first argument where the second is NaN, which could not be sorted.
    (*found)[i].distance = std::min(std::numeric_limits<float>::infinity(), -scratch->distances[i]);
  }
  std::partial_sort(found->begin(), found->begin() + k, found->end());
  found->resize(k);
}

absl::Status PilotIndex::Save(const std::string& path) const {
  const index::ProximityGraph* graph = nullptr;
  if (built_ != nullptr) graph = &built_->graph();
  if (opened_ != nullptr && opened_->graph().size() > 0) graph = &opened_->graph();
  return index::VectorSegment::Write({.rows = rows_, .metric = base::Metric::kCosine, .graph = graph},
                                     index::Profile::kExact, RowLabels(rows_), path);
}

absl::Status PilotIndex::Open(const std::string& path) {
  PilotIndex fresh;
  TRIVIUM_ASSIGN_OR_RETURN(fresh.opened_, index::VectorSegment::Open(path, /*verify=*/true));
  if (fresh.opened_->metric() != base::Metric::kCosine) {
    return absl::DataLossError(absl::StrFormat("pilot index: metric %d, expected cosine (%s)",
                                               static_cast<int>(fresh.opened_->metric()), path));
  }
  if (fresh.opened_->stored_rows().format != index::RowFormat::kFloat32) {
    return absl::DataLossError(absl::StrFormat("pilot index: row format %d, expected float32 (%s)",
                                               static_cast<int>(fresh.opened_->stored_rows().format), path));
  }
  fresh.rows_ = fresh.opened_->rows();
  fresh.fingerprint_ = Fingerprint(fresh.opened_->labels());
  if (fresh.opened_->graph().size() == 0) fresh.MakeCodes();
  *this = std::move(fresh);
  return absl::OkStatus();
}

absl::Status OpenMatchingIndex(const std::string& path, std::uint64_t fingerprint, std::size_t size,
                               std::size_t dimension, PilotIndex* index) {
  PilotIndex opened;
  TRIVIUM_RETURN_IF_ERROR(opened.Open(path));
  if (opened.size() != size || opened.dimension() != dimension) {
    return absl::DataLossError(absl::StrFormat("pilot index: %d x %d, expected %d x %d (%s)", opened.size(),
                                               opened.dimension(), size, dimension, path));
  }
  if (opened.fingerprint() != fingerprint) {
    return absl::DataLossError(absl::StrFormat("pilot index: fingerprint %016x, expected %016x (%s)",
                                               opened.fingerprint(), fingerprint, path));
  }
  *index = std::move(opened);
  return absl::OkStatus();
}

}  // namespace trivium::routing
