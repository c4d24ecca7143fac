// SPDX-License-Identifier: Apache-2.0
#include "index/rotated_rows.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/random_vectors.h"

namespace trivium::index {
namespace {

TEST(RotatedRows, RestoreTheWantedRowsToAboutElevenBitsWhateverTheirUnit) {
  for (const float unit : {1e-30f, 1.0f, 1e30f}) {
    auto rows = testing_support::ClusteredVectors(300, 100, base::Metric::kSquaredL2, 1);
    for (std::size_t i = 0; i < 300; ++i) {
      for (std::size_t j = 0; j < 100; ++j) rows.row(i)[j] *= unit;
    }
    const std::vector<float> mean(rows.row(7), rows.row(7) + 100);
    const RandomRotation rotation(100, 3);
    base::Bitmap wanted(300);
    for (const std::size_t row : {0u, 7u, 8u, 63u, 64u, 150u, 299u}) wanted.Set(row);
    for (const int threads : {1, 3}) {
      const RotatedRows rotated(rotation, rows.view(), mean.data(), wanted, threads);
      std::vector<float> expected(rotation.padded_dimension()), got(expected.size());
      wanted.ForEachSet([&](std::size_t row) {
        rotation.Apply(rows.row(row), mean.data(), expected.data());
        float largest = 0;
        for (const float value : expected) largest = std::max(largest, std::abs(value));
        rotated.Restore(row, got.data());
        for (std::size_t j = 0; j < got.size(); ++j) {
          ASSERT_NEAR(got[j], expected[j], largest / 2048) << row << " " << j;
        }
      });
    }
  }
}

}  // namespace
}  // namespace trivium::index
