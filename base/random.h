// SPDX-License-Identifier: Apache-2.0
// A small seeded generator, the same on every machine (std:: distributions are not). Not thread-safe.
// Source: Steele, Lea, Flood 2014 (SplitMix64).
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace trivium::base {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t Next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }

  // Uniform in [0, bound); bound > 0.
  std::uint64_t Below(std::uint64_t bound) {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(Next()) * bound) >> 64);
  }

  // Uniform in [0, 1).
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

  // Standard normal (Box-Muller).
  double Normal() {
    const double u = 1.0 - Uniform();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * Uniform());
  }

  // Fisher-Yates over a random-access container.
  template <class Container>
  void Shuffle(Container& items) {
    using std::swap;
    for (std::uint64_t i = items.size(); i > 1; --i) swap(items[i - 1], items[Below(i)]);
  }

 private:
  std::uint64_t state_;
};

}  // namespace trivium::base
