// SPDX-License-Identifier: Apache-2.0
#include "index/row_codes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "base/random.h"
#include "base/thread_pool.h"
#include "kernels/distance_table.h"

namespace trivium::index {
namespace {

// A mean over some thousand rows is as good a centre as one over all.
constexpr std::size_t kCenterRows = 4096;
// One start for about 64 rows: below that, the walk is short from anywhere.
constexpr std::size_t kRowsAnEntry = 64;

// Records do not straddle more cache lines than they must.
std::size_t RecordBytes(std::size_t padded_dimension) {
  const std::size_t bytes = padded_dimension / 8 + 2 * sizeof(float);
  return bytes <= 64 ? std::bit_ceil(bytes) : (bytes + 63) / 64 * 64;
}

}  // namespace

RowCodes::RowCodes(std::size_t dimension, base::Metric metric)
    : rotation_(dimension, kRotationSeed),
      // Unit vectors: |q - x|^2 = 2 - 2 <q, x> gives the same order and a scale that stopping can use.
      inner_product_(metric == base::Metric::kInnerProduct),
      record_bytes_(RecordBytes(rotation_.padded_dimension())) {}

RowCodes::RowCodes(std::size_t dimension, base::Metric metric, std::size_t size, const std::uint8_t* records,
                   const float* center, std::shared_ptr<const void> owner)
    : RowCodes(dimension, metric) {
  size_ = size;
  records_ = records;
  center_ = center;
  owner_ = std::move(owner);
  TakeEntries();
}

void RowCodes::Update(const RowsView& rows, int thread_count) {
  const std::size_t kept = std::bit_width(size_) == std::bit_width(rows.rows) ? size_ : 0;
  if (owned_records_.data() == nullptr || owned_records_.size() < rows.rows * record_bytes_) {
    const std::size_t room = size_ == 0 ? rows.rows : std::max(rows.rows, size_ + size_ / 2);
    const bool borrowed = owned_records_.data() == nullptr;
    owned_records_.Grow(borrowed ? 0 : kept * record_bytes_, room * record_bytes_);
    if (borrowed && kept > 0) std::memcpy(owned_records_.data(), records_, kept * record_bytes_);
  }
  if (kept == 0) {
    TakeCenter(rows);
  } else if (center_ != owned_center_.data()) {
    owned_center_.assign(center_, center_ + center_size());
  }
  records_ = owned_records_.data();
  center_ = owned_center_.data();
  owner_.reset();
  Encode(rows, kept, thread_count);
  size_ = rows.rows;
  TakeEntries();
}

void RowCodes::TakeCenter(const RowsView& rows) {
  std::vector<double> sum(rows.columns, 0.0);
  std::vector<float> row(rows.columns);
  const std::size_t step = std::max<std::size_t>(1, rows.rows / kCenterRows);
  std::size_t count = 0;
  for (std::size_t i = 0; i < rows.rows; i += step, ++count) {
    rows.CopyRow(i, row.data());
    for (std::size_t j = 0; j < rows.columns; ++j) sum[j] += row[j];
  }
  for (std::size_t j = 0; j < rows.columns; ++j) {
    row[j] = count == 0 ? 0.0f : static_cast<float>(sum[j] / static_cast<double>(count));
  }
  owned_center_.assign(center_size(), 0.0f);
  rotation_.Apply(row.data(), owned_center_.data());
}

void RowCodes::Encode(const RowsView& rows, std::size_t first, int thread_count) {
  const kernels::DistanceTable& table = kernels::ActiveDistances();
  const std::size_t padded = padded_dimension();
  struct Buffers {
    std::vector<float> row, rotated;
    std::vector<std::uint8_t> nibbles;
    float largest_square = 0;
  };
  const int threads = base::ResolveThreadCount(thread_count);
  std::vector<Buffers> buffers(threads, {std::vector<float>(rows.columns), std::vector<float>(padded),
                                         std::vector<std::uint8_t>(padded / 4), 0.0f});
  base::ParallelFor(rows.rows - first, threads, 256, [&](std::size_t item, int thread) {
    Buffers& own = buffers[thread];
    std::uint8_t* record = owned_records_.data() + (first + item) * record_bytes_;
    rows.CopyRow(first + item, own.row.data());
    rotation_.Apply(own.row.data(), own.rotated.data());
    if (inner_product_) {
      own.largest_square = std::max(own.largest_square,
                                    table.inner_product_f32(own.rotated.data(), own.rotated.data(), padded));
    }
    float moments[3];
    table.encode_edge(owned_center_.data(), own.rotated.data(), padded, own.nibbles.data(), moments);
    for (std::size_t i = 0; i < padded / 8; ++i) {
      record[i] = static_cast<std::uint8_t>(own.nibbles[2 * i] | own.nibbles[2 * i + 1] << 4);
    }
    const float length = moments[1] > 0 ? moments[0] / moments[1] : 0.0f;  // |r|^2 / <r, s>
    float factors[2] = {inner_product_ ? 0.0f : moments[0], inner_product_ ? length : 2 * length};
    // Of values beyond float32 there is no estimate: such a row is as far as can be, and is found by a scan.
    if (!std::isfinite(factors[0]) || !std::isfinite(factors[1])) {
      factors[0] = std::numeric_limits<float>::max();
      factors[1] = 0;
    }
    std::memcpy(record + padded / 8, factors, sizeof(factors));
  });
  float& norm = owned_center_[padded];
  for (const Buffers& own : buffers) norm = std::max(norm, std::sqrt(own.largest_square));
}

void RowCodes::TakeEntries() {
  const std::size_t count = std::min(kEntryCount, size_ / kRowsAnEntry);
  entries_.resize(count);
  entry_records_ = base::HugeBytes(count * record_bytes_);
  base::Random random(kRotationSeed);
  for (std::size_t place = 0; place < count; ++place) {
    // One row out of each equal share, so that they are distinct.
    const std::size_t first = size_ * place / count, last = size_ * (place + 1) / count;
    entries_[place] = static_cast<std::uint32_t>(first + random.Below(last - first));
    std::memcpy(entry_records_.data() + place * record_bytes_, records_ + entries_[place] * record_bytes_,
                record_bytes_);
  }
}

}  // namespace trivium::index
