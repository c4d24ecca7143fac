// SPDX-License-Identifier: Apache-2.0
// Kernels of compressed rows: sign codes, int16 queries with int8 rows, gathered binary16.
#include <cstdint>
#include <vector>

#include "base/random.h"
#include "tests/kernels/every_table.h"

namespace trivium::kernels {
namespace {

class CompressedRows : public EveryTable {};
INSTANTIATE_TEST_SUITE_P(Tables, CompressedRows, ::testing::ValuesIn(RunnableTables()), TableName);

TEST_P(CompressedRows, SumsOfSelectedValuesAreExactForEveryCountAndStride) {
  base::Random random(3);
  for (const std::size_t dimension : {64u, 128u, 384u, 448u, 4096u, 8256u}) {
    std::vector<std::int8_t> values(dimension);
    for (std::int8_t& value : values)
      value = static_cast<std::int8_t>(static_cast<int>(random.Below(256)) - 128);
    for (const std::size_t gap : {0u, 8u, 13u}) {
      const std::size_t stride = dimension / 8 + gap, codes_count = 9;
      std::vector<std::uint8_t> codes(stride * codes_count - gap);
      for (std::uint8_t& byte : codes) byte = static_cast<std::uint8_t>(random.Below(256));
      for (std::size_t count = 0; count <= 9; ++count) {
        std::vector<std::uint32_t> ids(count);
        for (std::uint32_t& id : ids) id = static_cast<std::uint32_t>(random.Below(codes_count));
        std::vector<std::int32_t> sums(count + 1, 77);
        table().sum_selected(values.data(), codes.data(), stride, ids.data(), count, dimension, sums.data());
        for (std::size_t i = 0; i < count; ++i) {
          std::int32_t expected = 0;
          for (std::size_t j = 0; j < dimension; ++j) {
            if ((codes[ids[i] * stride + j / 8] >> (j % 8) & 1) != 0) expected += values[j];
          }
          ASSERT_EQ(sums[i], expected) << dimension << " " << count << " " << i;
        }
        EXPECT_EQ(sums[count], 77);
      }
    }
  }
}

TEST_P(CompressedRows, SumsOfExtremeValuesDoNotOverflow) {
  for (const std::int8_t value : {std::int8_t{127}, std::int8_t{-128}}) {
    const std::size_t dimension = 65536;
    const std::vector<std::int8_t> values(dimension, value);
    const std::vector<std::uint8_t> codes(dimension / 8, 0xFF);
    const std::uint32_t id = 0;
    std::int32_t sum = 0;
    table().sum_selected(values.data(), codes.data(), 0, &id, 1, dimension, &sum);
    EXPECT_EQ(sum, value * 65536);
  }
}

TEST_P(CompressedRows, InnerProductsOfWordsAndBytesAreExact) {
  base::Random random(4);
  for (const std::size_t dimension : {1u, 7u, 31u, 64u, 100u, 384u, 1000u}) {
    std::vector<std::int16_t> query(dimension);
    const int most = dimension > 400 ? 16000 : 32767;
    for (std::int16_t& word : query) {
      word = static_cast<std::int16_t>(static_cast<int>(random.Below(2 * most + 1)) - most);
    }
    const std::size_t stride = dimension + 5, count = 7;
    std::vector<std::int8_t> rows(stride * count);
    for (std::int8_t& byte : rows) byte = static_cast<std::int8_t>(static_cast<int>(random.Below(255)) - 127);
    const std::vector<std::uint32_t> ids = {3, 0, 6, 6, 1, 2, 5};
    std::vector<std::int32_t> block(count), gathered(count);
    table().inner_product_i16_i8_rows(query.data(), rows.data(), stride, count, dimension, block.data());
    table().inner_product_i16_i8_gather(query.data(), rows.data(), stride, ids.data(), count, dimension,
                                        gathered.data());
    for (std::size_t i = 0; i < count; ++i) {
      std::int64_t expected = 0;
      for (std::size_t j = 0; j < dimension; ++j) expected += std::int64_t{query[j]} * rows[i * stride + j];
      EXPECT_EQ(block[i], expected);
      EXPECT_EQ(gathered[i], block[ids[i]]);
    }
  }
}

TEST_P(CompressedRows, GatheredHalvesHaveTheDistancesOfABlock) {
  base::Random random(5);
  const std::size_t dimension = 77, stride = 96, count = 6;
  std::vector<float> query(dimension), values(stride * count);
  for (float& value : query) value = static_cast<float>(random.Normal());
  for (float& value : values) value = static_cast<float>(random.Normal());
  std::vector<Half> rows(values.size());
  table().f16_from_f32(values.data(), values.size(), rows.data());
  const std::vector<std::uint32_t> ids = {5, 5, 0, 2, 4, 1};
  std::vector<float> block(count), gathered(count);
  table().inner_product_f16_rows(query.data(), rows.data(), stride, count, dimension, block.data());
  table().inner_product_f16_gather(query.data(), rows.data(), stride, ids.data(), count, dimension,
                                   gathered.data());
  for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(gathered[i], block[ids[i]]);
  table().squared_l2_f16_rows(query.data(), rows.data(), stride, count, dimension, block.data());
  table().squared_l2_f16_gather(query.data(), rows.data(), stride, ids.data(), count, dimension,
                                gathered.data());
  for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(gathered[i], block[ids[i]]);
}

}  // namespace
}  // namespace trivium::kernels
