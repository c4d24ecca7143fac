// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/mass_codes.h"

#include <algorithm>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kPlaces = 192;

std::vector<std::uint8_t> RandomMasses(std::size_t count, std::size_t below, double zeros) {
  base::Random random(5);
  std::vector<std::uint8_t> masses(count);
  for (std::uint8_t& mass : masses) {
    mass = random.Uniform() < zeros ? 0 : static_cast<std::uint8_t>(random.Below(below));
  }
  return masses;
}

std::uint8_t CodeAt(const std::vector<std::uint8_t>& codes, std::size_t place) {
  const std::uint8_t byte = codes[place / 64 * 32 + place % 32];
  return place % 64 < 32 ? byte & 15 : byte >> 4;
}

TEST(MassCodesTest, ABoundIsTheSmallestThatIsNotBelowTheMass) {
  for (const double zeros : {0.0, 0.5, 0.99}) {
    const std::vector<std::uint8_t> masses = RandomMasses(kPlaces, 256, zeros);
    const MassBounds bounds = ChooseMassBounds(absl::MakeConstSpan(masses).first(100));
    ASSERT_TRUE(AreMassBounds(bounds));
    std::vector<std::uint8_t> codes(kPlaces / 2);
    MassEncoder(bounds).Encode(masses.data(), kPlaces, codes.data());
    for (std::size_t i = 0; i < kPlaces; ++i) {
      const std::uint8_t code = CodeAt(codes, i);
      EXPECT_LE(masses[i], bounds[code]) << i;
      if (code > 0) {
        EXPECT_GT(masses[i], bounds[code - 1]) << i;
      }
    }
  }
}

TEST(MassCodesTest, BoundsDivideWhatIsAboveZeroEvenly) {
  const std::vector<std::uint8_t> masses = RandomMasses(60'000, 151, 0.8);
  const MassBounds bounds = ChooseMassBounds(masses);
  EXPECT_EQ(bounds[0], 0);
  for (std::size_t c = 1; c + 1 < bounds.size(); ++c) EXPECT_NEAR(bounds[c], 10 * c, 2) << c;
}

TEST(MassCodesTest, BoundsOfOneMassOfNoneAndOfNothing) {
  for (const std::vector<std::uint8_t>& sample :
       {std::vector<std::uint8_t>(50, 7), std::vector<std::uint8_t>(50, 0), std::vector<std::uint8_t>()}) {
    const MassBounds bounds = ChooseMassBounds(sample);
    EXPECT_TRUE(AreMassBounds(bounds));
    EXPECT_EQ(bounds[0], 0);
    EXPECT_EQ(bounds[1], sample.empty() || sample[0] == 0 ? 0 : 7);
  }
}

TEST(MassCodesTest, BoundsThatDoNotIncreaseTo255AreNone) {
  MassBounds bounds{};
  EXPECT_FALSE(AreMassBounds(bounds));
  bounds.back() = 255;
  EXPECT_TRUE(AreMassBounds(bounds));
  bounds[3] = 1;
  EXPECT_FALSE(AreMassBounds(bounds));
}

}  // namespace
}  // namespace trivium::routing
