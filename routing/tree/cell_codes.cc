// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_codes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "base/thread_pool.h"
#include "index/bfloat.h"
#include "kernels/sign_pack_kernel.h"

namespace trivium::routing {
namespace {

static_assert(CellCodes::kPackRows == kernels::kEdgesAtOnce);

// 1 - 2 / pi: the share of a squared length that the signs of a vector tell nothing of.
constexpr float kUntold = 0.36338f;

// The mean of the centroids; zeros for inner products, whose queries are read as they are.
std::vector<float> OriginOf(const CellModel& model) {
  std::vector<float> origin(model.dimension(), 0.0f);
  if (model.metric() == base::Metric::kInnerProduct) return origin;
  for (std::size_t i = 0; i < origin.size(); ++i) {
    double sum = 0;
    for (std::size_t cell = 0; cell < model.cell_count(); ++cell) sum += model.centroids().row(cell)[i];
    origin[i] = static_cast<float>(sum / static_cast<double>(model.cell_count()));
  }
  return origin;
}

// What a row's signs are multiplied by and added to. `moments`: of EncodeEdge. `surplus`: taken off.
std::pair<float, float> Factors(const float* moments, bool inner_product, float surplus) {
  const float length = moments[1] > 0 ? moments[0] / moments[1] : 0.0f;  // |r|^2 / <r, s>
  const float scale = inner_product ? length : 2 * length;
  const float offset = inner_product ? 0.0f : moments[0] + scale * moments[2] - surplus;
  if (std::isfinite(scale) && std::isfinite(offset)) return {offset, scale};
  // Of values beyond float32 there is no estimate: such a row is always compared.
  return {-std::numeric_limits<float>::max(), 0.0f};
}

}  // namespace

std::size_t CellCodes::PackBytes(std::size_t dimension) {
  return kernels::kPackHeader + kPackRows / 8 * ((dimension + 63) / 64 * 64);
}

std::size_t CellCodes::Bytes(std::size_t dimension, std::size_t rows) {
  return (rows + kPackRows - 1) / kPackRows * PackBytes(dimension);
}

CellCodes::CellCodes(const CellModel& model, const index::RowsView& rows,
                     absl::Span<const std::uint32_t> offsets, absl::Span<const std::uint32_t> rows_in_cells,
                     int thread_count)
    : rotation_(model.dimension(), kRotationSeed),
      metric_(model.metric()),
      rows_(rows.rows),
      owned_packs_(bytes()),
      owned_origin_(OriginOf(model)),
      packs_(owned_packs_.data()),
      origin_(owned_origin_.data()) {
  base::AlignedMatrix centers(model.cell_count(), rotation_.padded_dimension());
  const int threads = base::ResolveThreadCount(thread_count);
  base::ParallelFor(model.cell_count(), threads, 64, [&](std::size_t cell, int) {
    rotation_.Apply(model.centroids().row(cell), origin_, centers.row(cell));
  });
  std::vector<Buffers> buffers(threads,
                               {std::vector<float>(rows.columns), std::vector<float>(centers.columns()),
                                std::vector<std::uint8_t>(centers.columns() / 4)});
  base::ParallelFor(bytes() / pack_bytes(), threads, 8, [&](std::size_t pack, int thread) {
    EncodePack(pack, centers, rows, offsets, rows_in_cells, &buffers[thread],
               owned_packs_.data() + pack * pack_bytes());
  });
}

CellCodes::CellCodes(std::size_t dimension, base::Metric metric, std::size_t rows, const std::uint8_t* packs,
                     const float* origin, std::shared_ptr<const void> owner)
    : rotation_(dimension, kRotationSeed),
      metric_(metric),
      rows_(rows),
      owner_(std::move(owner)),
      packs_(packs),
      origin_(origin) {}

void CellCodes::EncodePack(std::size_t pack, const base::AlignedMatrix& centers, const index::RowsView& rows,
                           absl::Span<const std::uint32_t> offsets,
                           absl::Span<const std::uint32_t> rows_in_cells, Buffers* buffers,
                           std::uint8_t* out) const {
  const kernels::DistanceTable& table = kernels::ActiveDistances();
  auto& [row, rotated, signs] = *buffers;
  const std::size_t first = pack * kPackRows, last = std::min(rows_, first + kPackRows);
  std::size_t cell = std::upper_bound(offsets.begin(), offsets.end(), first) - offsets.begin() - 1;
  for (std::size_t at = first; at < last; ++at) {
    while (offsets[cell + 1] <= at) ++cell;
    rows.CopyRow(rows_in_cells[at], row.data());
    rotation_.Apply(row.data(), origin_, rotated.data());
    float moments[3];
    table.encode_edge(centers.row(cell), rotated.data(), rotated.size(), signs.data(), moments);
    double surplus = 0;
    if (metric_ == base::Metric::kCosine) {
      for (const float value : row) surplus += static_cast<double>(value) * value;
      surplus -= 1;
    }
    const auto [offset, scale] = Factors(moments, inner_product(), static_cast<float>(surplus));
    const std::size_t lane = at - first;
    const std::uint16_t factors[2] = {index::ToBfloatBelow(offset), index::ToBfloat(scale)};
    std::memcpy(out + 2 * lane, &factors[0], 2);
    std::memcpy(out + 2 * (kPackRows + lane), &factors[1], 2);
    for (std::size_t g = 0; g < signs.size(); ++g) {
      out[kernels::kPackHeader + 16 * g + lane % 16] |=
          static_cast<std::uint8_t>(signs[g] << (lane < 16 ? 0 : 4));
    }
  }
}

void CellCodes::Prepare(const float* query, index::EdgeQuery* prepared) const {
  prepared->Prepare(rotation_, inner_product() ? nullptr : origin_, query);
}

void CellCodes::CenterDistances(const CellModel& model, absl::Span<const std::uint32_t> cells,
                                const float* query, float* out) const {
  const kernels::DistanceTable& table = kernels::ActiveDistances();
  const auto gather = inner_product() ? table.inner_product_f32_gather : table.squared_l2_f32_gather;
  gather(query, model.centroids().data, model.centroids().stride, cells.data(), cells.size(), dimension(),
         out);
  for (std::size_t i = 0; inner_product() && i < cells.size(); ++i) out[i] = -out[i];
}

kernels::EdgeEstimate CellCodes::Around(float center, const index::EdgeQuery& prepared) const {
  const kernels::EdgeQuery& view = prepared.view();
  const float step = view.table_scale;
  const float variance = kUntold * (inner_product() ? view.squared_norm : center) +
                         step * step * static_cast<float>(rotation_.padded_dimension()) / 48;
  kernels::EdgeEstimate estimate;
  estimate.center = center;
  estimate.table_scale = view.table_scale;
  estimate.table_offset = view.table_offset + kDeviations * std::sqrt(variance);
  return estimate;
}

}  // namespace trivium::routing
