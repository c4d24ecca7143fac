// SPDX-License-Identifier: Apache-2.0
// One bit a dimension of each row, in one array: what a compressed index walks its graph by. A record is a
// cache line at 384 dimensions, and the records of 160 thousand rows are small enough to stay in a large
// third cache.
//
//   record:  signs, padded dimension / 8 bytes | float offset | float scale | zeros up to the stride
//
// With P the rotation, c the mean of the rows, r = P(x - c) and s its signs, <P(q - c), r> is estimated by
// <P(q - c), s> |r|^2 / <r, s>, so
//   |q - x|^2  ~  |q - c|^2 + offset - scale <P(q - c), s>,   scale = 2 |r|^2 / <r, s>,  offset = |r|^2
//   -<q, x>    ~  -<q, c>            - scale <P q, s>,        scale =   |r|^2 / <r, s>,  offset = 0
//
// Source:  Gao and Long 2024 (RaBitQ), section 3.
// Differs: one centre for all rows; the query has 8 bits (kernels/sign_code_kernel.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/huge_bytes.h"
#include "base/metric.h"
#include "index/random_rotation.h"
#include "index/rows_view.h"

namespace trivium::index {

// Const methods are safe to call concurrently. Moves only.
class RowCodes {
 public:
  static constexpr std::uint64_t kRotationSeed = 0x7269766975;
  // Vertices of the sample that a search may start from.
  static constexpr std::size_t kEntryCount = 256;
  // Fewer dimensions: one bit of each says too little, and rows are short.
  static constexpr std::size_t kSmallestDimension = 64;

  RowCodes(std::size_t dimension, base::Metric metric);

  // Borrows `size` records and center_size() floats that `owner` keeps alive.
  RowCodes(std::size_t dimension, base::Metric metric, std::size_t size, const std::uint8_t* records,
           const float* center, std::shared_ptr<const void> owner);

  // Encodes rows [size(), rows.rows); all of them, around their mean, each time their number has doubled. The
  // result does not depend on the thread count. Throws std::bad_alloc; the codes are unusable then.
  // Cost: about 2 us a row at 384 dimensions.
  void Update(const RowsView& rows, int thread_count);

  std::size_t size() const { return size_; }
  bool inner_product() const { return inner_product_; }
  std::size_t padded_dimension() const { return rotation_.padded_dimension(); }
  std::size_t record_bytes() const { return record_bytes_; }
  const RandomRotation& rotation() const { return rotation_; }
  const std::uint8_t* records() const { return records_; }

  // The rotated mean, then the norm of the longest row.
  const float* center() const { return center_; }
  std::size_t center_size() const { return padded_dimension() + 1; }
  float largest_norm() const { return center_[padded_dimension()]; }

  // A sample of the vertices, and their records once more, side by side.
  const std::vector<std::uint32_t>& entries() const { return entries_; }
  const std::uint8_t* entry_records() const { return entry_records_.data(); }

  // Into the second cache. Inlined by force: GCC 12 drops calls of functions that only prefetch.
  __attribute__((always_inline)) void Prefetch(std::uint32_t vertex) const {
    const std::uint8_t* record = records_ + vertex * record_bytes_;
    for (std::size_t i = 0; i < record_bytes_; i += 64) __builtin_prefetch(record + i, 0, 2);
  }

  // The distance that belongs to a sum of signed values; see RowCodeQuery.
  float Estimate(const std::uint8_t* record, float center_distance, float signed_sum) const {
    float factors[2];
    __builtin_memcpy(factors, record + padded_dimension() / 8, sizeof(factors));
    return center_distance + (factors[0] - factors[1] * signed_sum);
  }

 private:
  void TakeCenter(const RowsView& rows);
  void Encode(const RowsView& rows, std::size_t first, int thread_count);
  void TakeEntries();

  RandomRotation rotation_;
  bool inner_product_;
  std::size_t record_bytes_;
  std::size_t size_ = 0;
  base::HugeBytes owned_records_;
  std::vector<float> owned_center_;
  std::shared_ptr<const void> owner_;  // of borrowed records
  const std::uint8_t* records_ = nullptr;
  const float* center_ = nullptr;
  std::vector<std::uint32_t> entries_;
  base::HugeBytes entry_records_;
};

}  // namespace trivium::index
