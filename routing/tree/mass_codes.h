// SPDX-License-Identifier: Apache-2.0
// Masses in four bits: which of 16 upper bounds, chosen for a table's masses, each one lies below. What a
// query shares with the bounds is never less than what it shares with the masses, and takes half the bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace trivium::routing {

// Increasing, or equal; the last is 255. Code c: a mass of at most bounds[c], and above bounds[c - 1].
using MassBounds = std::array<std::uint8_t, 16>;

// Of a sample: 0, then bounds between which lie equally many of the masses above 0. O(n).
MassBounds ChooseMassBounds(absl::Span<const std::uint8_t> sample);

bool AreMassBounds(const MassBounds& bounds);

// The codes of masses under some bounds.
class MassEncoder {
 public:
  explicit MassEncoder(const MassBounds& bounds);

  // `places` masses, a multiple of 64, as places / 2 bytes: of each 64 places the first 32 are the low halves
  // of 32 bytes, the others the high halves (kernels/shared_mass_kernel.h).
  void Encode(const std::uint8_t* masses, std::size_t places, std::uint8_t* codes) const;

 private:
  std::array<std::uint8_t, 256> code_of_;
};

}  // namespace trivium::routing
