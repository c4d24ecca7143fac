// SPDX-License-Identifier: Apache-2.0
// AVX2 as CodeLanes (see edge_code_kernel.h).
#pragma once

#include <immintrin.h>

#include "kernels/edge_code_kernel.h"

namespace trivium::kernels {
namespace {  // internal linkage: this header is compiled with the flags of its includer

struct Avx2CodeLanes {
  // As with AVX-512, two groups a register.
  static void SumSigns(const std::uint8_t* codes, const std::uint8_t* table, std::size_t groups,
                       std::uint16_t* sums) {
    const __m256i low = _mm256_set1_epi8(15), even = _mm256_set1_epi16(255);
    __m256i first_even = _mm256_setzero_si256(), first_odd = first_even, second_even = first_even,
            second_odd = first_even;
    for (std::size_t g = 0; g < groups; g += 8) {
      __m256i first = _mm256_setzero_si256(), second = first;
#pragma GCC unroll 4
      for (std::size_t step = 0; step < 4; ++step) {
        const __m256i code = _mm256_loadu_si256((const __m256i_u*)(codes + 16 * (g + 2 * step)));
        const __m256i entries = _mm256_loadu_si256((const __m256i_u*)(table + 16 * (g + 2 * step)));
        first = _mm256_add_epi8(first, _mm256_shuffle_epi8(entries, _mm256_and_si256(code, low)));
        second = _mm256_add_epi8(
            second, _mm256_shuffle_epi8(entries, _mm256_and_si256(_mm256_srli_epi16(code, 4), low)));
      }
      first_even = _mm256_add_epi16(first_even, _mm256_and_si256(first, even));
      first_odd = _mm256_add_epi16(first_odd, _mm256_srli_epi16(first, 8));
      second_even = _mm256_add_epi16(second_even, _mm256_and_si256(second, even));
      second_odd = _mm256_add_epi16(second_odd, _mm256_srli_epi16(second, 8));
    }
    StoreSums(first_even, first_odd, sums);
    StoreSums(second_even, second_odd, sums + 16);
  }

  static std::int32_t NibbleProduct(const std::uint8_t* nibbles, const std::int8_t* values,
                                    std::size_t dimension) {
    const __m256i low = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
    __m256i sum = _mm256_setzero_si256();
    for (std::size_t i = 0; i < dimension; i += 64) {
      const __m256i pair = _mm256_loadu_si256((const __m256i_u*)(nibbles + i / 2));
      const __m256i front = _mm256_maddubs_epi16(_mm256_and_si256(pair, low),
                                                 _mm256_loadu_si256((const __m256i_u*)(values + i)));
      const __m256i back = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(pair, 4), low),
                                                _mm256_loadu_si256((const __m256i_u*)(values + i + 32)));
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(front, ones));
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(back, ones));
    }
    const __m128i quarters = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    const __m128i pairs = _mm_add_epi32(quarters, _mm_unpackhi_epi64(quarters, quarters));
    return _mm_cvtsi128_si32(_mm_add_epi32(pairs, _mm_shuffle_epi32(pairs, 1)));
  }

  // Each byte of a mask takes the bit of its dimension: bytes of the code are spread, their bits compared.
  static std::int32_t SelectedSum(const std::uint8_t* bits, const std::int8_t* values,
                                  std::size_t dimension) {
    const __m256i spread = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2,
                                            2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
    const __m256i places = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
    const __m256i ones = _mm256_set1_epi8(1), word_ones = _mm256_set1_epi16(1);
    __m256i sum = _mm256_setzero_si256();
    for (std::size_t i = 0; i < dimension; i += 64) {
      __m256i words = _mm256_setzero_si256();
#pragma GCC unroll 2
      for (std::size_t j = i; j < i + 64; j += 32) {
        int code;
        __builtin_memcpy(&code, bits + j / 8, sizeof(code));
        const __m256i own = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(code), spread), places);
        const __m256i chosen = _mm256_and_si256(_mm256_cmpeq_epi8(own, places),
                                                _mm256_loadu_si256((const __m256i_u*)(values + j)));
        words = _mm256_add_epi16(words, _mm256_maddubs_epi16(ones, chosen));
      }
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(words, word_ones));
    }
    const __m128i quarters = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    const __m128i pairs = _mm_add_epi32(quarters, _mm_unpackhi_epi64(quarters, quarters));
    return _mm_cvtsi128_si32(_mm_add_epi32(pairs, _mm_shuffle_epi32(pairs, 1)));
  }

  static void SelectedSums(const std::uint8_t* const* bits, const std::int8_t* values, std::size_t dimension,
                           std::int32_t* sums) {
    for (int code = 0; code < 4; ++code) sums[code] = SelectedSum(bits[code], values, dimension);
  }

  static std::size_t SelectBelow(const std::uint16_t* sums, const std::uint8_t* offsets,
                                 const std::uint8_t* scales, const std::uint8_t* ids,
                                 const EdgeEstimate& estimate, float* distances, std::uint32_t* vertices) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < kEdgesAtOnce; i += 8) {
      const __m256 sum =
          _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i_u*)(sums + i))));
      const __m256 product =
          _mm256_fmadd_ps(sum, _mm256_set1_ps(estimate.table_scale), _mm256_set1_ps(estimate.table_offset));
      const __m256 distance =
          _mm256_add_ps(_mm256_set1_ps(estimate.center),
                        _mm256_fnmadd_ps(LoadBfloat(scales + 2 * i), product, LoadBfloat(offsets + 2 * i)));
      alignas(32) float values[8];
      _mm256_store_ps(values, distance);
      int below = _mm256_movemask_ps(_mm256_cmp_ps(distance, _mm256_set1_ps(estimate.bound), _CMP_LT_OQ));
      for (; below != 0; below &= below - 1) {
        const int j = __builtin_ctz(static_cast<unsigned>(below));
        distances[count] = values[j];
        __builtin_memcpy(vertices + count, ids + 4 * (i + static_cast<std::size_t>(j)), 4);
        ++count;
      }
    }
    return count;
  }

 private:
  static __m256 LoadBfloat(const std::uint8_t* p) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i_u*)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
  }
  static void StoreSums(__m256i even, __m256i odd, std::uint16_t* sums) {
    const __m128i e = AddHalves(even), o = AddHalves(odd);
    _mm_storeu_si128((__m128i_u*)sums, _mm_unpacklo_epi16(e, o));
    _mm_storeu_si128((__m128i_u*)(sums + 8), _mm_unpackhi_epi16(e, o));
  }
  static __m128i AddHalves(__m256i v) {
    return _mm_add_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  }
};

}  // namespace
}  // namespace trivium::kernels
