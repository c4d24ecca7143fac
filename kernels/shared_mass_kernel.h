// SPDX-License-Identifier: Apache-2.0
// How much mass two distributions share: the sum over their places of the smaller of the two, which is one
// less their total variation distance. Of the *Lanes* type of an instruction set (distance_kernel.h) it needs
//   Min(a, b) and WhereLess(a, b, v), v where a < b and 0 elsewhere, of floats
//   Masses, LoadMasses(p), ZeroMasses(), AddSharedMasses(sum, a, b), SumMasses(sum) of kMasses unsigned bytes
//   MassTable, LoadMassTable(p), LookUpMasses(table, codes, first): masses that stand for 4-bit codes
#pragma once

#include <cstddef>
#include <cstdint>

namespace trivium::kernels {

// `count` floats. Four sums, so that additions need not wait for each other.
template <class Lanes>
float SharedMassF32(const float* a, const float* b, std::size_t count) {
  typename Lanes::Float sums[4] = {Lanes::ZeroFloats(), Lanes::ZeroFloats(), Lanes::ZeroFloats(),
                                   Lanes::ZeroFloats()};
  constexpr std::size_t kStep = 4 * Lanes::kFloats;
  std::size_t i = 0;
  for (; i + kStep <= count; i += kStep) {
    for (int j = 0; j < 4; ++j) {
      const std::size_t at = i + j * Lanes::kFloats;
      sums[j] = Lanes::Add(sums[j], Lanes::Min(Lanes::Load(a + at), Lanes::Load(b + at)));
    }
  }
  for (; i + Lanes::kFloats <= count; i += Lanes::kFloats) {
    sums[0] = Lanes::Add(sums[0], Lanes::Min(Lanes::Load(a + i), Lanes::Load(b + i)));
  }
  if (i < count) {
    sums[1] = Lanes::Add(sums[1],
                         Lanes::Min(Lanes::LoadFirst(a + i, count - i), Lanes::LoadFirst(b + i, count - i)));
  }
  return Lanes::Sum(Lanes::Add(Lanes::Add(sums[0], sums[1]), Lanes::Add(sums[2], sums[3])));
}

// Adds `scale` times the derivative of SharedMassF32 by a to `by_a`, and by b to `by_b`: 1 for the smaller of
// the two and 0 for the other; b's where they are equal.
template <class Lanes>
void AddSharedMassGradient(const float* a, const float* b, std::size_t count, float scale, float* by_a,
                           float* by_b) {
  const auto slope = Lanes::Broadcast(scale);
  std::size_t i = 0;
  for (; i + Lanes::kFloats <= count; i += Lanes::kFloats) {
    const auto left = Lanes::Load(a + i), right = Lanes::Load(b + i);
    const auto to_a = Lanes::WhereLess(left, right, slope);
    Lanes::Store(by_a + i, Lanes::Add(Lanes::Load(by_a + i), to_a));
    Lanes::Store(by_b + i, Lanes::Add(Lanes::Load(by_b + i), Lanes::Subtract(slope, to_a)));
  }
  for (; i < count; ++i) (a[i] < b[i] ? by_a[i] : by_b[i]) += scale;
}

// out[i] = shared mass of `query` and the row at rows + i * stride, i < count; `places` is a multiple of 64.
template <class Lanes>
void SharedMassRows(const std::uint8_t* query, const std::uint8_t* rows, std::size_t stride,
                    std::size_t count, std::size_t places, std::uint32_t* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* row = rows + i * stride;
    auto sum = Lanes::ZeroMasses();
    for (std::size_t j = 0; j < places; j += Lanes::kMasses) {
      sum = Lanes::AddSharedMasses(sum, Lanes::LoadMasses(query + j), Lanes::LoadMasses(row + j));
    }
    out[i] = Lanes::SumMasses(sum);
  }
}

// Likewise of rows that are 4-bit codes: places / 2 bytes, in blocks of 64 places, the first 32 of which are
// the low halves of 32 bytes and the others the high halves. Code c stands for table[c]; `table` has 16.
template <class Lanes>
void SharedMassCodeRows(const std::uint8_t* query, const std::uint8_t* table, const std::uint8_t* codes,
                        std::size_t stride, std::size_t count, std::size_t places, std::uint32_t* out) {
  const auto masses = Lanes::LoadMassTable(table);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* row = codes + i * stride;
    auto sum = Lanes::ZeroMasses();
    for (std::size_t block = 0; block < places; block += 64) {
      for (std::size_t first = 0; first < 64; first += Lanes::kMasses) {
        sum = Lanes::AddSharedMasses(sum, Lanes::LoadMasses(query + block + first),
                                     Lanes::LookUpMasses(masses, row + block / 2, first));
      }
    }
    out[i] = Lanes::SumMasses(sum);
  }
}

}  // namespace trivium::kernels
