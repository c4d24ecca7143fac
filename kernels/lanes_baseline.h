// SPDX-License-Identifier: Apache-2.0
// SSE2, which every x86-64 processor has, as Lanes (see distance_kernel.h). There are no masks, no fused
// multiply-add and no binary16: tails go through a buffer, conversions through integer arithmetic.
#pragma once

#include <emmintrin.h>

#include "kernels/distance_functions.h"

namespace trivium::kernels {
namespace {  // internal linkage: this header is compiled with the flags of its includer

struct BaselineLanes {
  using Float = __m128;
  using Words = __m128i;
  using Ints = __m128i;
  static constexpr std::size_t kFloats = 4;
  static constexpr std::size_t kWords = 8;
  static constexpr int kRowsAtOnce = 2;  // 8 accumulators and 4 pieces of the query in 16 registers

  static Float Load(const float* p) { return _mm_loadu_ps(p); }
  static Float LoadFirst(const float* p, std::size_t n) {
    float buffer[kFloats] = {};
    __builtin_memcpy(buffer, p, n * sizeof(float));
    return Load(buffer);
  }
  static Float LoadHalves(const Half* p) { return FromHalves(_mm_loadl_epi64((const __m128i_u*)p)); }
  static Float LoadFirstHalves(const Half* p, std::size_t n) {
    Half buffer[kFloats] = {};
    __builtin_memcpy(buffer, p, n * sizeof(Half));
    return LoadHalves(buffer);
  }
  static void Store(float* p, Float v) { _mm_storeu_ps(p, v); }
  static void StoreFirst(float* p, Float v, std::size_t n) {
    float buffer[kFloats];
    Store(buffer, v);
    __builtin_memcpy(p, buffer, n * sizeof(float));
  }
  static void StoreHalves(Half* p, Float v) { _mm_storel_epi64((__m128i_u*)p, ToHalves(v)); }
  static void StoreFirstHalves(Half* p, Float v, std::size_t n) {
    Half buffer[kFloats];
    StoreHalves(buffer, v);
    __builtin_memcpy(p, buffer, n * sizeof(Half));
  }

  static Float Broadcast(float v) { return _mm_set1_ps(v); }
  static Float Multiply(Float a, Float b) { return _mm_mul_ps(a, b); }
  // One step of a Hadamard transform over lanes i and i + kHalf.
  template <int kHalf>
  static Float Butterfly(Float v) {
    constexpr int kSwap = kHalf == 1 ? 0xB1 : 0x4E;
    const __m128 swapped = _mm_shuffle_ps(v, v, kSwap);
    const __m128i second = kHalf == 1 ? _mm_setr_epi32(0, -1, 0, -1) : _mm_setr_epi32(0, 0, -1, -1);
    return _mm_castsi128_ps(
        Choose(second, _mm_castps_si128(_mm_sub_ps(swapped, v)), _mm_castps_si128(_mm_add_ps(v, swapped))));
  }
  // Bit i is set where lane i has no sign bit; v with the sign of lanes whose bit is not set flipped.
  static unsigned NotNegative(Float v) { return static_cast<unsigned>(~_mm_movemask_ps(v)) & 15u; }
  static Float WithSigns(Float v, unsigned set) {
    const __m128i bits = _mm_setr_epi32(1, 2, 4, 8);
    const __m128i kept = _mm_cmpeq_epi32(_mm_and_si128(_mm_set1_epi32(static_cast<int>(set)), bits), bits);
    return _mm_xor_ps(v, _mm_andnot_ps(_mm_castsi128_ps(kept), _mm_set1_ps(-0.0f)));
  }
  // Rounded to nearest even, as int8.
  static void StoreBytes(std::uint8_t* p, Float v) {
    const __m128i wide = _mm_cvtps_epi32(v);
    const __m128i words = _mm_packs_epi32(wide, wide);
    const std::int32_t bytes = _mm_cvtsi128_si32(_mm_packs_epi16(words, words));
    __builtin_memcpy(p, &bytes, sizeof(bytes));
  }

  static Float ZeroFloats() { return _mm_setzero_ps(); }
  static Float Add(Float a, Float b) { return _mm_add_ps(a, b); }
  static Float Subtract(Float a, Float b) { return _mm_sub_ps(a, b); }
  static Float MultiplyAdd(Float a, Float b, Float sum) { return _mm_add_ps(sum, _mm_mul_ps(a, b)); }
  static Float Min(Float a, Float b) { return _mm_min_ps(a, b); }
  static Float WhereLess(Float a, Float b, Float v) { return _mm_and_ps(_mm_cmplt_ps(a, b), v); }
  static float Sum(Float v) {
    const __m128 pairs = _mm_add_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_add_ss(pairs, _mm_shuffle_ps(pairs, pairs, 1)));
  }

  // Unsigned bytes, and sums of them in 64-bit integers.
  using Masses = __m128i;
  static constexpr std::size_t kMasses = 16;
  static Masses LoadMasses(const std::uint8_t* p) { return _mm_loadu_si128((const __m128i_u*)p); }
  static Masses ZeroMasses() { return _mm_setzero_si128(); }
  // 16 of them, and those that the codes of places [first, first + kMasses) of 64 in 32 bytes stand for.
  using MassTable = const std::uint8_t*;
  static MassTable LoadMassTable(const std::uint8_t* p) { return p; }
  static Masses LookUpMasses(MassTable table, const std::uint8_t* codes, std::size_t first) {
    std::uint8_t masses[kMasses];
    const std::uint8_t* halves = codes + first % 32;
    const int shift = first < 32 ? 0 : 4;
    for (std::size_t i = 0; i < kMasses; ++i) masses[i] = table[(halves[i] >> shift) & 15];
    return LoadMasses(masses);
  }
  static Masses AddSharedMasses(Masses sum, Masses a, Masses b) {
    return _mm_add_epi64(sum, _mm_sad_epu8(_mm_min_epu8(a, b), _mm_setzero_si128()));
  }
  static std::uint32_t SumMasses(Masses v) {
    return static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_add_epi64(v, _mm_unpackhi_epi64(v, v))));
  }

  static Words LoadWords(const std::int8_t* p) {
    const __m128i bytes = _mm_loadl_epi64((const __m128i_u*)p);
    return _mm_srai_epi16(_mm_unpacklo_epi8(bytes, bytes), 8);
  }
  static Words LoadFirstWords(const std::int8_t* p, std::size_t n) {
    std::int8_t buffer[kWords] = {};
    __builtin_memcpy(buffer, p, n);
    return LoadWords(buffer);
  }
  static Ints ZeroInts() { return _mm_setzero_si128(); }
  static Ints AddInts(Ints a, Ints b) { return _mm_add_epi32(a, b); }
  static Words SubtractWords(Words a, Words b) { return _mm_sub_epi16(a, b); }
  static Ints AddWordProducts(Ints sum, Words a, Words b) { return _mm_add_epi32(sum, _mm_madd_epi16(a, b)); }
  static std::int32_t SumInts(Ints v) {
    const __m128i pairs = _mm_add_epi32(v, _mm_unpackhi_epi64(v, v));
    return _mm_cvtsi128_si32(_mm_add_epi32(pairs, _mm_shuffle_epi32(pairs, 1)));
  }

 private:
  static __m128i Choose(__m128i mask, __m128i yes, __m128i no) {
    return _mm_or_si128(_mm_and_si128(mask, yes), _mm_andnot_si128(mask, no));
  }

  // Four binary16 in the low half of `halves`. The exponent is moved from bias 15 to bias 127 by integer
  // arithmetic; a subnormal gets a leading one that a float subtraction then takes off again. That works
  // where the process flushes subnormal floats to zero as well, unlike a multiplication by a power of two.
  static __m128 FromHalves(__m128i halves) {
    const __m128i bits = _mm_unpacklo_epi16(halves, _mm_setzero_si128());
    const __m128i magnitude = _mm_slli_epi32(_mm_and_si128(bits, _mm_set1_epi32(0x7FFF)), 13);
    const __m128i sign = _mm_slli_epi32(_mm_and_si128(bits, _mm_set1_epi32(0x8000)), 16);

    const __m128i normal = _mm_add_epi32(magnitude, _mm_set1_epi32((127 - 15) << 23));
    const __m128 leading_one = _mm_castsi128_ps(_mm_set1_epi32((127 - 14) << 23));
    const __m128i subnormal = _mm_castps_si128(_mm_sub_ps(
        _mm_castsi128_ps(_mm_add_epi32(magnitude, _mm_set1_epi32((127 - 14) << 23))), leading_one));
    const __m128i is_subnormal = _mm_cmplt_epi32(magnitude, _mm_set1_epi32(1 << 23));

    const __m128i infinity = _mm_set1_epi32(0x7C00 << 13);
    const __m128i is_nan = _mm_cmpgt_epi32(magnitude, infinity);
    const __m128i is_special = _mm_or_si128(is_nan, _mm_cmpeq_epi32(magnitude, infinity));
    const __m128i special = _mm_or_si128(_mm_or_si128(magnitude, _mm_set1_epi32(255 << 23)),
                                         _mm_and_si128(is_nan, _mm_set1_epi32(1 << 22)));

    const __m128i value = Choose(is_special, special, Choose(is_subnormal, subnormal, normal));
    return _mm_castsi128_ps(_mm_or_si128(value, sign));
  }

  // Four binary16 in the low half of the result, rounded to nearest even.
  static __m128i ToHalves(__m128 v) {
    const __m128i bits = _mm_castps_si128(v);
    const __m128i magnitude = _mm_and_si128(bits, _mm_set1_epi32(0x7FFFFFFF));
    const __m128i sign =
        _mm_and_si128(_mm_srai_epi32(bits, 16), _mm_set1_epi32(static_cast<int>(0xFFFF8000u)));

    // Normal: add half of the last kept place, less one where that place is even, then drop 13 bits. A carry
    // may run into the exponent, up to infinity, as it should.
    const __m128i odd = _mm_and_si128(_mm_srli_epi32(magnitude, 13), _mm_set1_epi32(1));
    const __m128i rebias = _mm_set1_epi32(static_cast<int>((15u - 127u) << 23) + 0xFFF);
    const __m128i normal = _mm_srli_epi32(_mm_add_epi32(_mm_add_epi32(magnitude, rebias), odd), 13);
    // Subnormal: adding 2^-1 makes the float addition itself round at the last place of a binary16 subnormal.
    const __m128i half_bits = _mm_set1_epi32((127 - 1) << 23);
    const __m128i subnormal = _mm_sub_epi32(
        _mm_castps_si128(_mm_add_ps(_mm_castsi128_ps(magnitude), _mm_castsi128_ps(half_bits))), half_bits);
    const __m128i is_subnormal = _mm_cmplt_epi32(magnitude, _mm_set1_epi32((127 - 14) << 23));

    const __m128i is_special = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(((127 + 16) << 23) - 1));
    const __m128i is_nan = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(255 << 23));
    const __m128i payload = _mm_or_si128(_mm_set1_epi32(0x200),
                                         _mm_and_si128(_mm_srli_epi32(magnitude, 13), _mm_set1_epi32(0x3FF)));
    const __m128i special = _mm_or_si128(_mm_set1_epi32(0x7C00), _mm_and_si128(is_nan, payload));

    const __m128i value = Choose(is_special, special, Choose(is_subnormal, subnormal, normal));
    // The sign is spread over the upper half so that the signed saturation of the pack changes nothing.
    const __m128i words = _mm_or_si128(value, sign);
    return _mm_packs_epi32(words, words);
  }
};

}  // namespace
}  // namespace trivium::kernels
