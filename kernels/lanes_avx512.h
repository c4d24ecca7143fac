// SPDX-License-Identifier: Apache-2.0
// AVX-512 F, BW, DQ, VL as Lanes (see distance_kernel.h). Tails are masked loads: they touch no byte outside.
#pragma once

#include <immintrin.h>

#include "kernels/distance_functions.h"

namespace trivium::kernels {
namespace {  // internal linkage: this header is compiled with the flags of its includer

struct Avx512Lanes {
  using Float = __m512;
  using Words = __m512i;
  using Ints = __m512i;
  static constexpr std::size_t kFloats = 16;
  static constexpr std::size_t kWords = 32;
  static constexpr int kRowsAtOnce = 4;  // 16 accumulators and 4 pieces of the query in 32 registers

  static __mmask16 FirstFloats(std::size_t n) { return static_cast<__mmask16>((1u << n) - 1); }
  static __mmask32 FirstWords(std::size_t n) { return (1u << n) - 1; }

  static Float Load(const float* p) { return _mm512_loadu_ps(p); }
  static Float LoadFirst(const float* p, std::size_t n) { return _mm512_maskz_loadu_ps(FirstFloats(n), p); }
  static Float LoadHalves(const Half* p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i_u*)p)); }
  static Float LoadFirstHalves(const Half* p, std::size_t n) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(FirstFloats(n), p));
  }
  static void Store(float* p, Float v) { _mm512_storeu_ps(p, v); }
  static void StoreFirst(float* p, Float v, std::size_t n) { _mm512_mask_storeu_ps(p, FirstFloats(n), v); }
  static __m256i ToHalves(Float v) {
    return _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static void StoreHalves(Half* p, Float v) { _mm256_storeu_si256((__m256i_u*)p, ToHalves(v)); }
  static void StoreFirstHalves(Half* p, Float v, std::size_t n) {
    _mm256_mask_storeu_epi16(p, FirstFloats(n), ToHalves(v));
  }

  static Float Broadcast(float v) { return _mm512_set1_ps(v); }
  static Float Multiply(Float a, Float b) { return _mm512_mul_ps(a, b); }
  // One step of a Hadamard transform over lanes i and i + kHalf.
  template <int kHalf>
  static Float Butterfly(Float v) {
    __m512 swapped;
    if constexpr (kHalf == 1) swapped = _mm512_permute_ps(v, 0xB1);
    if constexpr (kHalf == 2) swapped = _mm512_permute_ps(v, 0x4E);
    if constexpr (kHalf == 4) swapped = _mm512_shuffle_f32x4(v, v, 0xB1);
    if constexpr (kHalf == 8) swapped = _mm512_shuffle_f32x4(v, v, 0x4E);
    constexpr __mmask16 kSecond = kHalf == 1 ? 0xAAAA : kHalf == 2 ? 0xCCCC : kHalf == 4 ? 0xF0F0 : 0xFF00;
    return _mm512_mask_sub_ps(_mm512_add_ps(v, swapped), kSecond, swapped, v);
  }
  // Bit i is set where lane i has no sign bit; v with the sign of lanes whose bit is not set flipped.
  static unsigned NotNegative(Float v) {
    return static_cast<std::uint16_t>(~_mm512_movepi32_mask(_mm512_castps_si512(v)));
  }
  static Float WithSigns(Float v, unsigned set) {
    const __mmask16 flipped = static_cast<__mmask16>(~set);
    return _mm512_mask_xor_ps(v, flipped, v, _mm512_set1_ps(-0.0f));
  }
  // Rounded to nearest even, as int8.
  static void StoreBytes(std::uint8_t* p, Float v) {
    _mm_storeu_si128((__m128i_u*)p, _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v)));
  }

  static Float ZeroFloats() { return _mm512_setzero_ps(); }
  static Float Add(Float a, Float b) { return _mm512_add_ps(a, b); }
  static Float Subtract(Float a, Float b) { return _mm512_sub_ps(a, b); }
  static Float MultiplyAdd(Float a, Float b, Float sum) { return _mm512_fmadd_ps(a, b, sum); }
  static Float Min(Float a, Float b) { return _mm512_min_ps(a, b); }
  static Float WhereLess(Float a, Float b, Float v) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), v);
  }
  static float Sum(Float v) { return _mm512_reduce_add_ps(v); }

  // Unsigned bytes, and sums of them in 64-bit integers.
  using Masses = __m512i;
  static constexpr std::size_t kMasses = 64;
  static Masses LoadMasses(const std::uint8_t* p) { return _mm512_loadu_si512(p); }
  static Masses ZeroMasses() { return _mm512_setzero_si512(); }
  // 16 of them, and those that the codes of 64 places in 32 bytes stand for.
  using MassTable = __m512i;
  static MassTable LoadMassTable(const std::uint8_t* p) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i_u*)p));
  }
  static Masses LookUpMasses(MassTable table, const std::uint8_t* codes, std::size_t /*first*/) {
    const __m256i bytes = _mm256_loadu_si256((const __m256i_u*)codes);
    const __m512i halves = _mm512_inserti64x4(_mm512_castsi256_si512(bytes), _mm256_srli_epi16(bytes, 4), 1);
    return _mm512_shuffle_epi8(table, _mm512_and_si512(halves, _mm512_set1_epi8(15)));
  }
  static Masses AddSharedMasses(Masses sum, Masses a, Masses b) {
    return _mm512_add_epi64(sum, _mm512_sad_epu8(_mm512_min_epu8(a, b), _mm512_setzero_si512()));
  }
  static std::uint32_t SumMasses(Masses v) { return static_cast<std::uint32_t>(_mm512_reduce_add_epi64(v)); }

  static Words LoadWords(const std::int8_t* p) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i_u*)p));
  }
  static Words LoadFirstWords(const std::int8_t* p, std::size_t n) {
    return _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(FirstWords(n), p));
  }
  static Ints ZeroInts() { return _mm512_setzero_si512(); }
  static Ints AddInts(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
  static Words SubtractWords(Words a, Words b) { return _mm512_sub_epi16(a, b); }
  static Ints AddWordProducts(Ints sum, Words a, Words b) {
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
  }
  static std::int32_t SumInts(Ints v) { return _mm512_reduce_add_epi32(v); }
};

}  // namespace
}  // namespace trivium::kernels
