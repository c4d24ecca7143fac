// SPDX-License-Identifier: Apache-2.0
// AVX2, FMA and F16C as Lanes (see distance_kernel.h). Masks exist for 32-bit elements only: tails of
// narrower ones go through a buffer.
#pragma once

#include <immintrin.h>

#include "kernels/distance_functions.h"

namespace trivium::kernels {
namespace {  // internal linkage: this header is compiled with the flags of its includer

struct Avx2Lanes {
  using Float = __m256;
  using Words = __m256i;
  using Ints = __m256i;
  static constexpr std::size_t kFloats = 8;
  static constexpr std::size_t kWords = 16;
  static constexpr int kRowsAtOnce = 2;  // 8 accumulators and 4 pieces of the query in 16 registers

  static __m256i FirstFloats(std::size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }

  static Float Load(const float* p) { return _mm256_loadu_ps(p); }
  static Float LoadFirst(const float* p, std::size_t n) { return _mm256_maskload_ps(p, FirstFloats(n)); }
  static Float LoadHalves(const Half* p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i_u*)p)); }
  static Float LoadFirstHalves(const Half* p, std::size_t n) {
    Half buffer[kFloats] = {};
    __builtin_memcpy(buffer, p, n * sizeof(Half));
    return LoadHalves(buffer);
  }
  static void Store(float* p, Float v) { _mm256_storeu_ps(p, v); }
  static void StoreFirst(float* p, Float v, std::size_t n) { _mm256_maskstore_ps(p, FirstFloats(n), v); }
  static void StoreHalves(Half* p, Float v) {
    _mm_storeu_si128((__m128i_u*)p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static void StoreFirstHalves(Half* p, Float v, std::size_t n) {
    Half buffer[kFloats];
    StoreHalves(buffer, v);
    __builtin_memcpy(p, buffer, n * sizeof(Half));
  }

  static Float Broadcast(float v) { return _mm256_set1_ps(v); }
  static Float Multiply(Float a, Float b) { return _mm256_mul_ps(a, b); }
  // One step of a Hadamard transform over lanes i and i + kHalf.
  template <int kHalf>
  static Float Butterfly(Float v) {
    __m256 swapped;
    if constexpr (kHalf == 1) swapped = _mm256_permute_ps(v, 0xB1);
    if constexpr (kHalf == 2) swapped = _mm256_permute_ps(v, 0x4E);
    if constexpr (kHalf == 4) swapped = _mm256_permute2f128_ps(v, v, 1);
    constexpr int kSecond = kHalf == 1 ? 0xAA : kHalf == 2 ? 0xCC : 0xF0;
    return _mm256_blend_ps(_mm256_add_ps(v, swapped), _mm256_sub_ps(swapped, v), kSecond);
  }
  // Bit i is set where lane i has no sign bit; v with the sign of lanes whose bit is not set flipped.
  static unsigned NotNegative(Float v) { return static_cast<unsigned>(~_mm256_movemask_ps(v)) & 255u; }
  static Float WithSigns(Float v, unsigned set) {
    const __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i kept =
        _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(static_cast<int>(set)), bits), bits);
    return _mm256_xor_ps(v, _mm256_andnot_ps(_mm256_castsi256_ps(kept), _mm256_set1_ps(-0.0f)));
  }
  // Rounded to nearest even, as int8.
  static void StoreBytes(std::uint8_t* p, Float v) {
    const __m256i wide = _mm256_cvtps_epi32(v);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    _mm_storel_epi64((__m128i_u*)p, _mm_packs_epi16(words, words));
  }

  static Float ZeroFloats() { return _mm256_setzero_ps(); }
  static Float Add(Float a, Float b) { return _mm256_add_ps(a, b); }
  static Float Subtract(Float a, Float b) { return _mm256_sub_ps(a, b); }
  static Float MultiplyAdd(Float a, Float b, Float sum) { return _mm256_fmadd_ps(a, b, sum); }
  static Float Min(Float a, Float b) { return _mm256_min_ps(a, b); }
  static Float WhereLess(Float a, Float b, Float v) {
    return _mm256_and_ps(_mm256_cmp_ps(a, b, _CMP_LT_OQ), v);
  }
  static float Sum(Float v) {
    const __m128 quarters = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 pairs = _mm_add_ps(quarters, _mm_movehl_ps(quarters, quarters));
    return _mm_cvtss_f32(_mm_add_ss(pairs, _mm_movehdup_ps(pairs)));
  }

  // Unsigned bytes, and sums of them in 64-bit integers.
  using Masses = __m256i;
  static constexpr std::size_t kMasses = 32;
  static Masses LoadMasses(const std::uint8_t* p) { return _mm256_loadu_si256((const __m256i_u*)p); }
  static Masses ZeroMasses() { return _mm256_setzero_si256(); }
  // 16 of them, and those that the codes of places [first, first + kMasses) of 64 in 32 bytes stand for.
  using MassTable = __m256i;
  static MassTable LoadMassTable(const std::uint8_t* p) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i_u*)p));
  }
  static Masses LookUpMasses(MassTable table, const std::uint8_t* codes, std::size_t first) {
    const __m256i bytes = _mm256_loadu_si256((const __m256i_u*)codes);
    const __m256i halves = first == 0 ? bytes : _mm256_srli_epi16(bytes, 4);
    return _mm256_shuffle_epi8(table, _mm256_and_si256(halves, _mm256_set1_epi8(15)));
  }
  static Masses AddSharedMasses(Masses sum, Masses a, Masses b) {
    return _mm256_add_epi64(sum, _mm256_sad_epu8(_mm256_min_epu8(a, b), _mm256_setzero_si256()));
  }
  static std::uint32_t SumMasses(Masses v) {
    const __m128i pairs = _mm_add_epi64(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    return static_cast<std::uint32_t>(
        _mm_cvtsi128_si32(_mm_add_epi64(pairs, _mm_unpackhi_epi64(pairs, pairs))));
  }

  static Words LoadWords(const std::int8_t* p) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i_u*)p));
  }
  static Words LoadFirstWords(const std::int8_t* p, std::size_t n) {
    std::int8_t buffer[kWords] = {};
    __builtin_memcpy(buffer, p, n);
    return LoadWords(buffer);
  }
  static Ints ZeroInts() { return _mm256_setzero_si256(); }
  static Ints AddInts(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
  static Words SubtractWords(Words a, Words b) { return _mm256_sub_epi16(a, b); }
  static Ints AddWordProducts(Ints sum, Words a, Words b) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
  }
  static std::int32_t SumInts(Ints v) {
    const __m128i quarters = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    const __m128i pairs = _mm_add_epi32(quarters, _mm_unpackhi_epi64(quarters, quarters));
    return _mm_cvtsi128_si32(_mm_add_epi32(pairs, _mm_shuffle_epi32(pairs, 1)));
  }
};

}  // namespace
}  // namespace trivium::kernels
