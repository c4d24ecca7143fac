// SPDX-License-Identifier: Apache-2.0
// How the elements of queries and rows become lanes, for each pair of element types: the loading half of a
// Terms type (see distance_kernel.h).
#pragma once

#include "kernels/distance_functions.h"

namespace trivium::kernels {

template <class Lanes>
struct FloatSums {
  using Query = float;
  using Result = float;
  using Accumulator = typename Lanes::Float;
  static constexpr std::size_t kStep = Lanes::kFloats;
  static constexpr int kRowsAtOnce = Lanes::kRowsAtOnce;

  static Accumulator Zero() { return Lanes::ZeroFloats(); }
  static Accumulator Join(Accumulator a, Accumulator b) { return Lanes::Add(a, b); }
  static float Total(Accumulator sum) { return Lanes::Sum(sum); }
  static typename Lanes::Float LoadQuery(const float* p) { return Lanes::Load(p); }
  static typename Lanes::Float LoadFirstQuery(const float* p, std::size_t n) {
    return Lanes::LoadFirst(p, n);
  }
};

// float32 queries, float32 rows.
template <class Lanes>
struct F32Elements : FloatSums<Lanes> {
  using Row = float;
  static typename Lanes::Float LoadRow(const float* p) { return Lanes::Load(p); }
  static typename Lanes::Float LoadFirstRow(const float* p, std::size_t n) { return Lanes::LoadFirst(p, n); }
};

// float32 queries, binary16 rows.
template <class Lanes>
struct F16Elements : FloatSums<Lanes> {
  using Row = Half;
  static typename Lanes::Float LoadRow(const Half* p) { return Lanes::LoadHalves(p); }
  static typename Lanes::Float LoadFirstRow(const Half* p, std::size_t n) {
    return Lanes::LoadFirstHalves(p, n);
  }
};

// int16 queries and int8 rows, summed in int32.
template <class Lanes>
struct I16I8Elements {
  using Query = std::int16_t;
  using Row = std::int8_t;
  using Result = std::int32_t;
  using Accumulator = typename Lanes::Ints;
  using Words = typename Lanes::Words;
  static constexpr std::size_t kStep = Lanes::kWords;
  static constexpr int kRowsAtOnce = Lanes::kRowsAtOnce;

  static Accumulator Zero() { return Lanes::ZeroInts(); }
  static Accumulator Join(Accumulator a, Accumulator b) { return Lanes::AddInts(a, b); }
  static std::int32_t Total(Accumulator sum) { return Lanes::SumInts(sum); }
  static Words LoadQuery(const std::int16_t* p) {
    Words words;
    __builtin_memcpy(&words, p, sizeof(words));
    return words;
  }
  static Words LoadFirstQuery(const std::int16_t* p, std::size_t n) {
    std::int16_t buffer[kStep] = {};
    __builtin_memcpy(buffer, p, n * sizeof(std::int16_t));
    return LoadQuery(buffer);
  }
  static Words LoadRow(const std::int8_t* p) { return Lanes::LoadWords(p); }
  static Words LoadFirstRow(const std::int8_t* p, std::size_t n) { return Lanes::LoadFirstWords(p, n); }
};

// int8 queries and rows, widened to int16, summed in int32.
template <class Lanes>
struct I8Elements {
  using Query = std::int8_t;
  using Row = std::int8_t;
  using Result = std::int32_t;
  using Accumulator = typename Lanes::Ints;
  using Words = typename Lanes::Words;
  static constexpr std::size_t kStep = Lanes::kWords;
  static constexpr int kRowsAtOnce = Lanes::kRowsAtOnce;

  static Accumulator Zero() { return Lanes::ZeroInts(); }
  static Accumulator Join(Accumulator a, Accumulator b) { return Lanes::AddInts(a, b); }
  static std::int32_t Total(Accumulator sum) { return Lanes::SumInts(sum); }
  static Words LoadQuery(const std::int8_t* p) { return Lanes::LoadWords(p); }
  static Words LoadFirstQuery(const std::int8_t* p, std::size_t n) { return Lanes::LoadFirstWords(p, n); }
  static Words LoadRow(const std::int8_t* p) { return Lanes::LoadWords(p); }
  static Words LoadFirstRow(const std::int8_t* p, std::size_t n) { return Lanes::LoadFirstWords(p, n); }
};

}  // namespace trivium::kernels
