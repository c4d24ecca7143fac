// SPDX-License-Identifier: Apache-2.0
// AVX-512 as CodeLanes (see edge_code_kernel.h).
#pragma once

#include <immintrin.h>

#include "kernels/edge_code_kernel.h"

namespace trivium::kernels {
namespace {  // internal linkage: this header is compiled with the flags of its includer

struct Avx512CodeLanes {
  // Four groups a register. Four entries of at most 63 fit a byte; then bytes are widened into even and odd
  // sums.
  static void SumSigns(const std::uint8_t* codes, const std::uint8_t* table, std::size_t groups,
                       std::uint16_t* sums) {
    const __m512i low = _mm512_set1_epi8(15), even = _mm512_set1_epi16(255);
    __m512i first_even = _mm512_setzero_si512(), first_odd = first_even, second_even = first_even,
            second_odd = first_even;
    for (std::size_t g = 0; g < groups; g += 16) {
      __m512i first = _mm512_setzero_si512(), second = first;
#pragma GCC unroll 4
      for (std::size_t step = 0; step < 4; ++step) {
        const __m512i code = _mm512_loadu_si512(codes + 16 * (g + 4 * step));
        const __m512i entries = _mm512_loadu_si512(table + 16 * (g + 4 * step));
        first = _mm512_add_epi8(first, _mm512_shuffle_epi8(entries, _mm512_and_si512(code, low)));
        second = _mm512_add_epi8(
            second, _mm512_shuffle_epi8(entries, _mm512_and_si512(_mm512_srli_epi16(code, 4), low)));
      }
      first_even = _mm512_add_epi16(first_even, _mm512_and_si512(first, even));
      first_odd = _mm512_add_epi16(first_odd, _mm512_srli_epi16(first, 8));
      second_even = _mm512_add_epi16(second_even, _mm512_and_si512(second, even));
      second_odd = _mm512_add_epi16(second_odd, _mm512_srli_epi16(second, 8));
    }
    StoreSums(first_even, first_odd, sums);
    StoreSums(second_even, second_odd, sums + 16);
  }

  static std::int32_t NibbleProduct(const std::uint8_t* nibbles, const std::int8_t* values,
                                    std::size_t dimension) {
    const __m256i low = _mm256_set1_epi8(15);
    const __m512i ones = _mm512_set1_epi16(1);
    __m512i sum = _mm512_setzero_si512();
    for (std::size_t i = 0; i < dimension; i += 64) {
      const __m256i pair = _mm256_loadu_si256((const __m256i_u*)(nibbles + i / 2));
      const __m512i code = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_and_si256(pair, low)),
                                              _mm256_and_si256(_mm256_srli_epi16(pair, 4), low), 1);
      const __m512i words = _mm512_maddubs_epi16(code, _mm512_loadu_si512(values + i));
      sum = _mm512_add_epi32(sum, _mm512_madd_epi16(words, ones));
    }
    return _mm512_reduce_add_epi32(sum);
  }

  static void SelectedSums(const std::uint8_t* const* bits, const std::int8_t* values, std::size_t dimension,
                           std::int32_t* sums) {
    const __m512i ones = _mm512_set1_epi8(1), word_ones = _mm512_set1_epi16(1);
    __m512i total[4] = {};
    // A pair of bytes adds at most 254 to a word: 64 steps fit.
    constexpr std::size_t kMost = 64 * 64;
    for (std::size_t first = 0; first < dimension; first += kMost) {
      const std::size_t last = dimension - first < kMost ? dimension : first + kMost;
      __m512i words[4] = {};
      for (std::size_t i = first; i < last; i += 64) {
        const __m512i bytes = _mm512_loadu_si512(values + i);
#pragma GCC unroll 4
        for (int code = 0; code < 4; ++code) {
          __mmask64 mask;
          __builtin_memcpy(&mask, bits[code] + i / 8, sizeof(mask));
          words[code] =
              _mm512_add_epi16(words[code], _mm512_maddubs_epi16(ones, _mm512_maskz_mov_epi8(mask, bytes)));
        }
      }
#pragma GCC unroll 4
      for (int code = 0; code < 4; ++code) {
        total[code] = _mm512_add_epi32(total[code], _mm512_madd_epi16(words[code], word_ones));
      }
    }
    // Sums of all four in one go: lanes of two registers are added in pairs, twice.
    const __m512i low = _mm512_add_epi32(_mm512_unpacklo_epi32(total[0], total[1]),
                                         _mm512_unpackhi_epi32(total[0], total[1]));
    const __m512i high = _mm512_add_epi32(_mm512_unpacklo_epi32(total[2], total[3]),
                                          _mm512_unpackhi_epi32(total[2], total[3]));
    const __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(low, high), _mm512_unpackhi_epi64(low, high));
    const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    _mm_storeu_si128((__m128i_u*)sums,
                     _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1)));
  }

  static std::size_t SelectBelow(const std::uint16_t* sums, const std::uint8_t* offsets,
                                 const std::uint8_t* scales, const std::uint8_t* ids,
                                 const EdgeEstimate& estimate, float* distances, std::uint32_t* vertices) {
    std::size_t count = 0;
#pragma GCC unroll 2
    for (std::size_t i = 0; i < kEdgesAtOnce; i += 16) {
      const __m512 sum =
          _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i_u*)(sums + i))));
      const __m512 product =
          _mm512_fmadd_ps(sum, _mm512_set1_ps(estimate.table_scale), _mm512_set1_ps(estimate.table_offset));
      const __m512 distance =
          _mm512_add_ps(_mm512_set1_ps(estimate.center),
                        _mm512_fnmadd_ps(LoadBfloat(scales + 2 * i), product, LoadBfloat(offsets + 2 * i)));
      const __mmask16 below = _mm512_cmp_ps_mask(distance, _mm512_set1_ps(estimate.bound), _CMP_LT_OQ);
      // Compressed in a register: compressing into memory takes over 100 cycles on AMD's Zen 4.
      _mm512_storeu_ps(distances + count, _mm512_maskz_compress_ps(below, distance));
      _mm512_storeu_si512(vertices + count,
                          _mm512_maskz_compress_epi32(below, _mm512_loadu_si512(ids + 4 * i)));
      count += static_cast<std::size_t>(__builtin_popcount(below));
    }
    return count;
  }

  static __m512 LoadBfloat(const std::uint8_t* p) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i_u*)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
  }

 private:
  // Adds the four groups, and puts even and odd sums in order.
  static void StoreSums(__m512i even, __m512i odd, std::uint16_t* sums) {
    const __m128i e = AddQuarters(even), o = AddQuarters(odd);
    _mm_storeu_si128((__m128i_u*)sums, _mm_unpacklo_epi16(e, o));
    _mm_storeu_si128((__m128i_u*)(sums + 8), _mm_unpackhi_epi16(e, o));
  }
  static __m128i AddQuarters(__m512i v) {
    const __m256i half = _mm256_add_epi16(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
    return _mm_add_epi16(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  }
};

}  // namespace
}  // namespace trivium::kernels
