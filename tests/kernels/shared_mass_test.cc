// SPDX-License-Identifier: Apache-2.0
// What two distributions share, in floats with its gradient, and in 16-bit masses.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/random.h"
#include "tests/kernels/every_table.h"

namespace trivium::kernels {
namespace {

class SharedMass : public EveryTable {};
INSTANTIATE_TEST_SUITE_P(Tables, SharedMass, ::testing::ValuesIn(RunnableTables()), TableName);

std::vector<float> Floats(std::size_t count, base::Random* random) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random->Uniform());
  return values;
}

TEST_P(SharedMass, OfFloatsIsTheSumOfTheSmaller) {
  base::Random random(1);
  for (std::size_t count = 0; count <= 200; ++count) {
    const std::vector<float> a = Floats(count, &random), b = Floats(count, &random);
    double expected = 0;
    for (std::size_t i = 0; i < count; ++i) expected += std::min(a[i], b[i]);
    EXPECT_NEAR(table().shared_mass_f32(a.data(), b.data(), count), expected, 1e-4) << count;
  }
}

TEST_P(SharedMass, GradientGoesToTheSmallerAndIsAdded) {
  base::Random random(2);
  for (std::size_t count = 0; count <= 70; ++count) {
    std::vector<float> a = Floats(count, &random), b = Floats(count, &random);
    if (count > 3) a[3] = b[3];  // b's
    std::vector<float> by_a(count + 1, 1.0f), by_b(count + 1, 2.0f);
    table().add_shared_mass_gradient(a.data(), b.data(), count, -0.5f, by_a.data(), by_b.data());
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_EQ(by_a[i], a[i] < b[i] ? 0.5f : 1.0f) << count << " " << i;
      EXPECT_EQ(by_b[i], a[i] < b[i] ? 2.0f : 1.5f) << count << " " << i;
    }
    EXPECT_EQ(by_a[count], 1.0f);
    EXPECT_EQ(by_b[count], 2.0f);
  }
}

TEST_P(SharedMass, OfBytesIsExactForEveryStride) {
  base::Random random(3);
  for (const std::size_t places : {64u, 128u, 192u, 1024u, 4096u}) {
    for (const std::size_t gap : {0u, 1u, 64u}) {
      const std::size_t stride = places + gap, count = 5;
      std::vector<std::uint8_t> query(places), rows(stride * count);
      for (std::uint8_t& mass : query) mass = static_cast<std::uint8_t>(random.Below(256));
      for (std::uint8_t& mass : rows) mass = static_cast<std::uint8_t>(random.Below(256));
      std::vector<std::uint32_t> out(count + 1, 7);
      table().shared_mass_rows(query.data(), rows.data(), stride, count, places, out.data());
      for (std::size_t i = 0; i < count; ++i) {
        std::uint32_t expected = 0;
        for (std::size_t j = 0; j < places; ++j) expected += std::min(query[j], rows[i * stride + j]);
        EXPECT_EQ(out[i], expected) << places << " " << gap << " " << i;
      }
      EXPECT_EQ(out[count], 7u);
    }
  }
}

TEST_P(SharedMass, OfCodesIsThatOfTheMassesTheyStandFor) {
  base::Random random(4);
  std::vector<std::uint8_t> masses(16);
  for (std::uint8_t& mass : masses) mass = static_cast<std::uint8_t>(random.Below(256));
  for (const std::size_t places : {64u, 128u, 192u, 1024u}) {
    for (const std::size_t gap : {0u, 1u, 32u}) {
      const std::size_t stride = places / 2 + gap, count = 5;
      std::vector<std::uint8_t> query(places), codes(stride * count);
      for (std::uint8_t& mass : query) mass = static_cast<std::uint8_t>(random.Below(256));
      for (std::uint8_t& code : codes) code = static_cast<std::uint8_t>(random.Below(256));
      std::vector<std::uint32_t> out(count + 1, 7);
      table().shared_mass_code_rows(query.data(), masses.data(), codes.data(), stride, count, places,
                                    out.data());
      for (std::size_t i = 0; i < count; ++i) {
        std::uint32_t expected = 0;
        for (std::size_t j = 0; j < places; ++j) {
          const std::uint8_t byte = codes[i * stride + j / 64 * 32 + j % 32];
          expected += std::min(query[j], masses[j % 64 < 32 ? byte & 15 : byte >> 4]);
        }
        EXPECT_EQ(out[i], expected) << places << " " << gap << " " << i;
      }
      EXPECT_EQ(out[count], 7u);
    }
  }
}

TEST_P(SharedMass, OfTheLargestBytesDoesNotOverflow) {
  const std::vector<std::uint8_t> full(65536, 255);
  std::uint32_t shared = 0;
  table().shared_mass_rows(full.data(), full.data(), 0, 1, full.size(), &shared);
  EXPECT_EQ(shared, 65536u * 255);
}

}  // namespace
}  // namespace trivium::kernels
