// SPDX-License-Identifier: Apache-2.0
// Plain loops as CodeLanes (see edge_code_kernel.h): SSE2 has no instruction that looks up bytes.
#pragma once

#include "kernels/edge_code_kernel.h"

namespace trivium::kernels {
namespace {  // internal linkage: this header is compiled with the flags of its includer

struct BaselineCodeLanes {
  static void SumSigns(const std::uint8_t* codes, const std::uint8_t* table, std::size_t groups,
                       std::uint16_t* sums) {
    for (std::size_t j = 0; j < kEdgesAtOnce; ++j) sums[j] = 0;
    for (std::size_t g = 0; g < groups; ++g) {
      const std::uint8_t* entries = table + 16 * g;
      for (std::size_t j = 0; j < 16; ++j) {
        const std::uint8_t code = codes[16 * g + j];
        sums[j] = static_cast<std::uint16_t>(sums[j] + entries[code & 15]);
        sums[j + 16] = static_cast<std::uint16_t>(sums[j + 16] + entries[code >> 4]);
      }
    }
  }

  static std::int32_t NibbleProduct(const std::uint8_t* nibbles, const std::int8_t* values,
                                    std::size_t dimension) {
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < dimension; i += 64) {
      for (std::size_t j = 0; j < 32; ++j) {
        const std::uint8_t pair = nibbles[i / 2 + j];
        sum += (pair & 15) * values[i + j] + (pair >> 4) * values[i + 32 + j];
      }
    }
    return sum;
  }

  static std::int32_t SelectedSum(const std::uint8_t* bits, const std::int8_t* values,
                                  std::size_t dimension) {
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < dimension; i += 8) {
      const int code = bits[i / 8];
      for (int j = 0; j < 8; ++j) sum += -(code >> j & 1) & values[i + j];
    }
    return sum;
  }

  static void SelectedSums(const std::uint8_t* const* bits, const std::int8_t* values, std::size_t dimension,
                           std::int32_t* sums) {
    for (int code = 0; code < 4; ++code) sums[code] = SelectedSum(bits[code], values, dimension);
  }

  static std::size_t SelectBelow(const std::uint16_t* sums, const std::uint8_t* offsets,
                                 const std::uint8_t* scales, const std::uint8_t* ids,
                                 const EdgeEstimate& estimate, float* distances, std::uint32_t* vertices) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < kEdgesAtOnce; ++i) {
      const float product = static_cast<float>(sums[i]) * estimate.table_scale + estimate.table_offset;
      const float distance =
          estimate.center + (LoadBfloat(offsets + 2 * i) - LoadBfloat(scales + 2 * i) * product);
      if (!(distance < estimate.bound)) continue;
      distances[count] = distance;
      __builtin_memcpy(vertices + count, ids + 4 * i, 4);
      ++count;
    }
    return count;
  }

 private:
  static float LoadBfloat(const std::uint8_t* p) {
    std::uint16_t half;
    __builtin_memcpy(&half, p, sizeof(half));
    const std::uint32_t bits = static_cast<std::uint32_t>(half) << 16;
    float value;
    __builtin_memcpy(&value, &bits, sizeof(value));
    return value;
  }
};

}  // namespace
}  // namespace trivium::kernels
