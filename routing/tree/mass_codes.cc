// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/mass_codes.h"

#include <algorithm>

namespace trivium::routing {
namespace {

constexpr std::size_t kBlock = 64;  // places
constexpr std::uint8_t kLargestMass = 255;

}  // namespace

MassBounds ChooseMassBounds(absl::Span<const std::uint8_t> sample) {
  std::array<std::size_t, 256> counts{};
  for (const std::uint8_t mass : sample) ++counts[mass];
  const std::size_t above_zero = sample.size() - counts[0];
  MassBounds bounds{};
  std::size_t below = 0, mass = 0;
  for (std::size_t c = 1; c < bounds.size(); ++c) {
    while (mass < kLargestMass && below * (bounds.size() - 1) < above_zero * c) below += counts[++mass];
    bounds[c] = static_cast<std::uint8_t>(mass);
  }
  bounds.back() = kLargestMass;
  return bounds;
}

bool AreMassBounds(const MassBounds& bounds) {
  return std::is_sorted(bounds.begin(), bounds.end()) && bounds.back() == kLargestMass;
}

MassEncoder::MassEncoder(const MassBounds& bounds) {
  for (std::size_t mass = 0; mass < code_of_.size(); ++mass) {
    code_of_[mass] = static_cast<std::uint8_t>(
        std::lower_bound(bounds.begin(), bounds.end(), static_cast<std::uint8_t>(mass)) - bounds.begin());
  }
}

void MassEncoder::Encode(const std::uint8_t* masses, std::size_t places, std::uint8_t* codes) const {
  for (std::size_t first = 0; first < places; first += kBlock) {
    for (std::size_t j = 0; j < kBlock / 2; ++j) {
      const std::uint8_t low = code_of_[masses[first + j]];
      const std::uint8_t high = code_of_[masses[first + kBlock / 2 + j]];
      codes[first / 2 + j] = static_cast<std::uint8_t>(low | (high << 4));
    }
  }
}

}  // namespace trivium::routing
