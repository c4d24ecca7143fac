// SPDX-License-Identifier: Apache-2.0
// AVX-512 with VNNI, whose instructions multiply bytes or words and add to int32 in one step.
#pragma once

#include "kernels/lanes_avx512.h"

namespace trivium::kernels {
namespace {  // internal linkage: this header is compiled with the flags of its includer

struct Avx512VnniLanes : Avx512Lanes {
  static Ints AddWordProducts(Ints sum, Words a, Words b) { return _mm512_dpwssd_epi32(sum, a, b); }
};

// The terms of an int8 inner product (see distance_kernel.h), 64 bytes a step. The instruction multiplies
// unsigned by signed bytes, so rows are shifted by 128 and 128 * sum(query) is taken off again: q * x = q *
// (x + 128) - 128 * q. Lanes may wrap on the way; the total is exact modulo 2^32.
struct VnniInnerProductI8 {
  using Query = std::int8_t;
  using Row = std::int8_t;
  using Result = std::int32_t;
  struct Accumulator {
    __m512i shifted_products;
    __m512i query_sums;  // times 128; equal for all rows of a block, so the compiler keeps one
  };
  static constexpr std::size_t kStep = 64;
  static constexpr int kRowsAtOnce = 2;  // 8 + 4 accumulators; those of 4 rows would spill

  static Accumulator Zero() { return {_mm512_setzero_si512(), _mm512_setzero_si512()}; }
  static __m512i LoadQuery(const std::int8_t* p) { return _mm512_loadu_si512(p); }
  static __m512i LoadFirstQuery(const std::int8_t* p, std::size_t n) {
    return _mm512_maskz_loadu_epi8((std::uint64_t{1} << n) - 1, p);
  }
  static __m512i LoadRow(const std::int8_t* p) { return LoadQuery(p); }
  static __m512i LoadFirstRow(const std::int8_t* p, std::size_t n) { return LoadFirstQuery(p, n); }

  static Accumulator Accumulate(Accumulator sum, __m512i query, __m512i row) {
    const __m512i shift = _mm512_set1_epi8(-128);  // as unsigned bytes: 128
    return {_mm512_dpbusd_epi32(sum.shifted_products, _mm512_xor_si512(row, shift), query),
            _mm512_dpbusd_epi32(sum.query_sums, shift, query)};
  }
  static Accumulator Join(Accumulator a, Accumulator b) {
    return {_mm512_add_epi32(a.shifted_products, b.shifted_products),
            _mm512_add_epi32(a.query_sums, b.query_sums)};
  }
  static std::int32_t Total(Accumulator sum) {
    return _mm512_reduce_add_epi32(_mm512_sub_epi32(sum.shifted_products, sum.query_sums));
  }
};

}  // namespace
}  // namespace trivium::kernels
