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

  // inner_product_i8_gather. What is taken off is summed once for all rows, and the totals of four rows are
  // added up side by side: 3.8 ns a row of 384 bytes in the second cache, 4.8 by the loop of
  // distance_kernel.h.
  static void Gather(const std::int8_t* query, const std::int8_t* rows, std::size_t stride,
                     const std::uint32_t* ids, std::size_t count, std::size_t dimension, std::int32_t* out) {
    const __m128i taken_off = QuerySums(query, dimension);
    for (std::size_t first = 0; first < count; first += kGathered) {
      const std::size_t size = count - first < kGathered ? count - first : kGathered;
      const std::int8_t* row[kGathered];
      for (std::size_t r = 0; r < kGathered; ++r) row[r] = rows + ids[first + (r < size ? r : 0)] * stride;
      __m512i sums[kGathered] = {};
      std::size_t i = 0;
      for (; i + kStep <= dimension; i += kStep) {
        const __m512i q = LoadQuery(query + i);
#pragma GCC unroll 4
        for (std::size_t r = 0; r < kGathered; ++r) sums[r] = AddShifted(sums[r], q, LoadRow(row[r] + i));
      }
      if (i < dimension) {
        const std::size_t rest = dimension - i;
        const __m512i q = LoadFirstQuery(query + i, rest);
#pragma GCC unroll 4
        for (std::size_t r = 0; r < kGathered; ++r) {
          sums[r] = AddShifted(sums[r], q, LoadFirstRow(row[r] + i, rest));
        }
      }
      const __m128i totals = _mm_sub_epi32(SumEach(sums[0], sums[1], sums[2], sums[3]), taken_off);
      _mm_mask_storeu_epi32(out + first, static_cast<__mmask8>((1u << size) - 1), totals);
    }
  }

 private:
  static constexpr std::size_t kGathered = 4;  // as many as hide the latency of the instruction

  static __m512i Shift() { return _mm512_set1_epi8(-128); }  // as unsigned bytes: 128

  static __m512i AddShifted(__m512i sum, __m512i query, __m512i row) {
    return _mm512_dpbusd_epi32(sum, _mm512_xor_si512(row, Shift()), query);
  }

  // 128 * sum(query), four times.
  static __m128i QuerySums(const std::int8_t* query, std::size_t dimension) {
    __m512i sum = _mm512_setzero_si512();
    std::size_t i = 0;
    for (; i + kStep <= dimension; i += kStep) sum = _mm512_dpbusd_epi32(sum, Shift(), LoadQuery(query + i));
    if (i < dimension) sum = _mm512_dpbusd_epi32(sum, Shift(), LoadFirstQuery(query + i, dimension - i));
    return SumEach(sum, sum, sum, sum);
  }

  // The total of each.
  static __m128i SumEach(__m512i a, __m512i b, __m512i c, __m512i d) {
    const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    const __m512i abcd = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    const __m256i halves = _mm256_add_epi32(_mm512_castsi512_si256(abcd), _mm512_extracti64x4_epi64(abcd, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
  }
};

}  // namespace
}  // namespace trivium::kernels
