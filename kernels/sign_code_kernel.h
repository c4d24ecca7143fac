// SPDX-License-Identifier: Apache-2.0
// The kernel of sign codes: one bit a dimension, bit i of byte j for dimension 8 j + i. Of the *CodeLanes*
// type of an instruction set (code_lanes_*.h) it needs
//   SelectedSums(bits, values, dimension, sums) of 4 codes, exact sums of the int8 values whose bit is set
#pragma once

#include <cstddef>
#include <cstdint>

namespace trivium::kernels {

// out[i] = sum of the values whose bit is set in the code at codes + ids[i] * stride, i < count. With s the
// signs, +1 for a set bit and -1 for others, <values, s> is twice that less the sum of all values.
//
// Differs from the usual popcounts over bit planes of the query (Gao and Long 2024, RaBitQ, section 3.3.2): a
// mask of 64 bits selects bytes in one instruction of AVX-512, so the query may have 8 bits instead of 4 at
// the same price.
template <class CodeLanes>
void SumSelected(const std::int8_t* values, const std::uint8_t* codes, std::size_t stride,
                 const std::uint32_t* ids, std::size_t count, std::size_t dimension, std::int32_t* out) {
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const std::uint8_t* bits[4] = {codes + ids[i] * stride, codes + ids[i + 1] * stride,
                                   codes + ids[i + 2] * stride, codes + ids[i + 3] * stride};
    CodeLanes::SelectedSums(bits, values, dimension, out + i);
  }
  if (i == count) return;
  const std::uint8_t* bits[4];
  for (std::size_t j = 0; j < 4; ++j) bits[j] = codes + ids[i + j < count ? i + j : i] * stride;
  std::int32_t sums[4];
  CodeLanes::SelectedSums(bits, values, dimension, sums);
  for (std::size_t j = 0; i + j < count; ++j) out[i + j] = sums[j];
}

}  // namespace trivium::kernels
