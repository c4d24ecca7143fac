// SPDX-License-Identifier: Apache-2.0
// The functions of one instruction set. Included by the files compiled for wider instruction sets too, so
// nothing but <cstddef>, <cstdint> and headers of plain structs may be included here (see distance_kernel.h
// on why).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/edge_code_functions.h"

namespace trivium::kernels {

// IEEE 754 binary16, as stored in .npy '<f2' files.
using Half = std::uint16_t;

// Within one table the forms agree to the last bit: a row has the same distance alone, among rows, or
// gathered. Between tables f32 and f16 results differ by rounding only; int8 results and conversions are
// equal.
struct DistanceTable {
  const char* name;  // "avx512", "avx2" or "baseline"

  // One to one. The int8 forms are exact; squared_l2_i8 fits its result for dimension <= 33,000.
  float (*inner_product_f32)(const float* a, const float* b, std::size_t dimension);
  float (*squared_l2_f32)(const float* a, const float* b, std::size_t dimension);
  float (*inner_product_f16)(const float* query, const Half* row, std::size_t dimension);
  float (*squared_l2_f16)(const float* query, const Half* row, std::size_t dimension);
  std::int32_t (*inner_product_i8)(const std::int8_t* a, const std::int8_t* b, std::size_t dimension);
  std::int32_t (*squared_l2_i8)(const std::int8_t* a, const std::int8_t* b, std::size_t dimension);

  // One to many: out[i] = f(query, rows + i * stride), i < count; stride in elements.
  void (*inner_product_f32_rows)(const float* query, const float* rows, std::size_t stride, std::size_t count,
                                 std::size_t dimension, float* out);
  void (*squared_l2_f32_rows)(const float* query, const float* rows, std::size_t stride, std::size_t count,
                              std::size_t dimension, float* out);
  void (*inner_product_f16_rows)(const float* query, const Half* rows, std::size_t stride, std::size_t count,
                                 std::size_t dimension, float* out);
  void (*squared_l2_f16_rows)(const float* query, const Half* rows, std::size_t stride, std::size_t count,
                              std::size_t dimension, float* out);
  void (*inner_product_i8_rows)(const std::int8_t* query, const std::int8_t* rows, std::size_t stride,
                                std::size_t count, std::size_t dimension, std::int32_t* out);
  void (*squared_l2_i8_rows)(const std::int8_t* query, const std::int8_t* rows, std::size_t stride,
                             std::size_t count, std::size_t dimension, std::int32_t* out);

  // One to chosen rows: out[i] = f(query, rows + ids[i] * stride), i < count. The f32 forms prefetch rows
  // ahead; the int8 form leaves that to the caller, whose rows are often in a cache already.
  void (*inner_product_f32_gather)(const float* query, const float* rows, std::size_t stride,
                                   const std::uint32_t* ids, std::size_t count, std::size_t dimension,
                                   float* out);
  void (*squared_l2_f32_gather)(const float* query, const float* rows, std::size_t stride,
                                const std::uint32_t* ids, std::size_t count, std::size_t dimension,
                                float* out);
  void (*inner_product_i8_gather)(const std::int8_t* query, const std::int8_t* rows, std::size_t stride,
                                  const std::uint32_t* ids, std::size_t count, std::size_t dimension,
                                  std::int32_t* out);
  void (*inner_product_f16_gather)(const float* query, const Half* rows, std::size_t stride,
                                   const std::uint32_t* ids, std::size_t count, std::size_t dimension,
                                   float* out);
  void (*squared_l2_f16_gather)(const float* query, const Half* rows, std::size_t stride,
                                const std::uint32_t* ids, std::size_t count, std::size_t dimension,
                                float* out);

  // int16 queries, int8 rows. Exact where the absolute values of the query sum to less than 2^31 / 128.
  void (*inner_product_i16_i8_rows)(const std::int16_t* query, const std::int8_t* rows, std::size_t stride,
                                    std::size_t count, std::size_t dimension, std::int32_t* out);
  void (*inner_product_i16_i8_gather)(const std::int16_t* query, const std::int8_t* rows, std::size_t stride,
                                      const std::uint32_t* ids, std::size_t count, std::size_t dimension,
                                      std::int32_t* out);

  // Sign codes; see sign_code_kernel.h. `dimension` is a multiple of 64.
  void (*sum_selected)(const std::int8_t* values, const std::uint8_t* codes, std::size_t stride,
                       const std::uint32_t* ids, std::size_t count, std::size_t dimension, std::int32_t* out);

  // Packs of rows; see sign_pack_kernel.h. `dimension` is a multiple of 64.
  std::size_t (*score_packs)(const std::uint8_t* packs, std::size_t count, std::size_t dimension,
                             const std::uint8_t* table, const EdgeEstimate& estimate, float* distances,
                             std::uint32_t* places);

  // Edge codes; see edge_code_kernel.h. `dimension` is a multiple of 64.
  std::size_t (*score_edges)(const EdgeBlockShape& shape, const EdgeQuery& query, const std::uint8_t* block,
                             float bound, float* center, float* distances, std::uint32_t* vertices);
  void (*encode_edge)(const float* from, const float* to, std::size_t dimension, std::uint8_t* signs,
                      float* moments);
  void (*fill_sign_table)(const float* query, std::size_t dimension, float largest, float inverse_scale,
                          std::uint8_t* table);
  void (*round_to_bytes)(const float* values, std::size_t count, float factor, std::int8_t* out);
  void (*rotate)(const float* multipliers, std::size_t dimension, float* values);  // see rotation_kernel.h

  // Distributions; see shared_mass_kernel.h.
  float (*shared_mass_f32)(const float* a, const float* b, std::size_t count);
  void (*add_shared_mass_gradient)(const float* a, const float* b, std::size_t count, float scale,
                                   float* by_a, float* by_b);
  void (*shared_mass_rows)(const std::uint8_t* query, const std::uint8_t* rows, std::size_t stride,
                           std::size_t count, std::size_t places, std::uint32_t* out);
  void (*shared_mass_code_rows)(const std::uint8_t* query, const std::uint8_t* table,
                                const std::uint8_t* codes, std::size_t stride, std::size_t count,
                                std::size_t places, std::uint32_t* out);

  // Conversions of `count` elements. NaNs stay NaNs: made quiet, high payload bits kept.
  void (*f16_from_f32)(const float* in, std::size_t count, Half* out);  // round to nearest even
  void (*f32_from_f16)(const Half* in, std::size_t count, float* out);
};

}  // namespace trivium::kernels
