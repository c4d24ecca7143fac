// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <limits>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "kernels/distance_table.h"
#include "tests/kernels/every_table.h"
#include "tests/support/slow_distances.h"

namespace trivium::kernels {
namespace {

using base::Random;
using testing_support::GuardedArray;
using testing_support::SlowDistance;
using testing_support::SlowFloatFromHalf;
using testing_support::SlowHalfFromFloat;
using testing_support::SlowInnerProduct;
using testing_support::SlowSquaredL2;

class Distances : public EveryTable {};
INSTANTIATE_TEST_SUITE_P(Kernels, Distances, ::testing::ValuesIn(RunnableTables()), TableName);

std::vector<std::size_t> OddDimensions() {
  std::vector<std::size_t> dimensions;
  for (std::size_t d = 0; d <= 70; ++d) dimensions.push_back(d);
  dimensions.insert(dimensions.end(),
                    {100, 127, 128, 129, 255, 256, 257, 383, 384, 385, 511, 768, 1001, 1536, 4099});
  return dimensions;
}

auto Reader(const GuardedArray<float>& array, std::size_t start = 0) {
  return [&array, start](std::size_t i) { return array.Get(start + i); };
}
auto Reader(const GuardedArray<Half>& array, std::size_t start = 0) {
  return [&array, start](std::size_t i) { return SlowFloatFromHalf(array.Get(start + i)); };
}
auto Reader(const GuardedArray<std::int8_t>& array, std::size_t start = 0) {
  return [&array, start](std::size_t i) { return double{static_cast<double>(array.Get(start + i))}; };
}

void FillNormal(GuardedArray<float>* array, Random* random) {
  for (std::size_t i = 0; i < array->size(); ++i) array->Set(i, static_cast<float>(random->Normal()));
}
void FillNormal(GuardedArray<Half>* array, Random* random) {
  for (std::size_t i = 0; i < array->size(); ++i) {
    array->Set(i, SlowHalfFromFloat(static_cast<float>(random->Normal())));
  }
}
void FillBytes(GuardedArray<std::int8_t>* array, Random* random) {
  for (std::size_t i = 0; i < array->size(); ++i) {
    array->Set(i, static_cast<std::int8_t>(static_cast<int>(random->Below(256)) - 128));
  }
}

// Each of the summands of an accumulator may be off by an epsilon of the sum so far.
void ExpectNear(float got, const SlowDistance& want, std::size_t dimension) {
  const double epsilon = std::numeric_limits<float>::epsilon();
  EXPECT_NEAR(got, want.value, want.magnitude * epsilon * (4 + static_cast<double>(dimension) / 16))
      << dimension;
}

TEST_P(Distances, AgreesWithDoubleArithmeticAtEveryDimensionAndMisalignment) {
  Random random(1);
  for (std::size_t d : OddDimensions()) {
    for (std::size_t slack : {0, 1, 2, 3, 4, 28, 60}) {  // the arrays start at odd addresses too
      GuardedArray<float> query(d, slack), row(d, slack / 2);
      GuardedArray<Half> half_row(d, slack);
      FillNormal(&query, &random);
      FillNormal(&row, &random);
      FillNormal(&half_row, &random);
      const auto q = Reader(query), x = Reader(row);
      const auto h = Reader(half_row);
      ExpectNear(table().inner_product_f32(query.data(), row.data(), d), SlowInnerProduct(q, x, d), d);
      ExpectNear(table().squared_l2_f32(query.data(), row.data(), d), SlowSquaredL2(q, x, d), d);
      ExpectNear(table().inner_product_f16(query.data(), half_row.data(), d), SlowInnerProduct(q, h, d), d);
      ExpectNear(table().squared_l2_f16(query.data(), half_row.data(), d), SlowSquaredL2(q, h, d), d);
    }
  }
}

TEST_P(Distances, BytesAreExactAtEveryDimensionAndMisalignment) {
  Random random(2);
  for (std::size_t d : OddDimensions()) {
    for (std::size_t slack : {0, 1, 3, 17, 63}) {
      GuardedArray<std::int8_t> a(d, slack), b(d, slack / 2);
      FillBytes(&a, &random);
      FillBytes(&b, &random);
      EXPECT_EQ(table().inner_product_i8(a.data(), b.data(), d),
                SlowInnerProduct(Reader(a), Reader(b), d).value);
      EXPECT_EQ(table().squared_l2_i8(a.data(), b.data(), d), SlowSquaredL2(Reader(a), Reader(b), d).value);
    }
  }
}

TEST_P(Distances, BytesAreExactAtTheExtremes) {
  for (std::size_t d : {1, 31, 64, 65, 33000}) {
    for (int a : {-128, 127, 0}) {
      for (int b : {-128, 127, -1}) {
        const std::vector<std::int8_t> x(d, static_cast<std::int8_t>(a)), y(d, static_cast<std::int8_t>(b));
        EXPECT_EQ(table().inner_product_i8(x.data(), y.data(), d), a * b * static_cast<int>(d));
        const std::uint32_t id = 0;
        std::int32_t gathered;
        table().inner_product_i8_gather(x.data(), y.data(), d, &id, 1, d, &gathered);
        EXPECT_EQ(gathered, a * b * static_cast<int>(d));
        EXPECT_EQ(table().squared_l2_i8(x.data(), y.data(), d), (a - b) * (a - b) * static_cast<int>(d));
      }
    }
  }
}

// Sums of small integers have no rounding, so every order of addition gives the same bits.
TEST_P(Distances, IntegerValuedVectorsGiveExactDistances) {
  Random random(3);
  const auto small = [&] { return static_cast<float>(static_cast<int>(random.Below(17)) - 8); };
  for (std::size_t d : OddDimensions()) {
    GuardedArray<float> query(d), row(d);
    GuardedArray<Half> half_row(d);
    for (std::size_t i = 0; i < d; ++i) {
      query.Set(i, small());
      row.Set(i, small());
      half_row.Set(i, SlowHalfFromFloat(row.Get(i)));
    }
    const double product = SlowInnerProduct(Reader(query), Reader(row), d).value;
    const double square = SlowSquaredL2(Reader(query), Reader(row), d).value;
    EXPECT_EQ(table().inner_product_f32(query.data(), row.data(), d), product);
    EXPECT_EQ(table().squared_l2_f32(query.data(), row.data(), d), square);
    EXPECT_EQ(table().inner_product_f16(query.data(), half_row.data(), d), product);
    EXPECT_EQ(table().squared_l2_f16(query.data(), half_row.data(), d), square);
  }
}

// The last row of the matrix ends where the mapped memory ends: its padding is never read.
TEST_P(Distances, RowsAndGatheredRowsHaveTheBitsOfSingleRows) {
  Random random(4);
  for (std::size_t d : {0, 1, 3, 7, 15, 16, 17, 31, 33, 63, 64, 65, 96, 100, 384, 391}) {
    for (std::size_t count : {0, 1, 2, 3, 4, 5, 7, 8, 13, 37}) {
      const std::size_t stride = d + 5;
      const std::size_t length = count == 0 ? 0 : (count - 1) * stride + d;
      GuardedArray<float> query(d), rows(length);
      GuardedArray<Half> half_rows(length);
      GuardedArray<std::int8_t> byte_query(d), byte_rows(length);
      FillNormal(&query, &random);
      FillNormal(&rows, &random);
      FillNormal(&half_rows, &random);
      FillBytes(&byte_query, &random);
      FillBytes(&byte_rows, &random);
      std::vector<std::uint32_t> ids(count);
      for (std::uint32_t& id : ids) id = static_cast<std::uint32_t>(random.Below(count));

      const float *q = query.data(), *x = rows.data();
      const Half* h = half_rows.data();
      const std::int8_t *bq = byte_query.data(), *bx = byte_rows.data();
      GuardedArray<float> out(count);
      GuardedArray<std::int32_t> ints(count);
      table().inner_product_f32_rows(q, x, stride, count, d, out.data());
      for (std::size_t i = 0; i < count; ++i) {
        EXPECT_EQ(out.Get(i), table().inner_product_f32(q, x + i * stride, d));
      }
      table().squared_l2_f32_rows(q, x, stride, count, d, out.data());
      for (std::size_t i = 0; i < count; ++i)
        EXPECT_EQ(out.Get(i), table().squared_l2_f32(q, x + i * stride, d));
      table().inner_product_f16_rows(q, h, stride, count, d, out.data());
      for (std::size_t i = 0; i < count; ++i) {
        EXPECT_EQ(out.Get(i), table().inner_product_f16(q, h + i * stride, d));
      }
      table().squared_l2_f16_rows(q, h, stride, count, d, out.data());
      for (std::size_t i = 0; i < count; ++i)
        EXPECT_EQ(out.Get(i), table().squared_l2_f16(q, h + i * stride, d));
      table().inner_product_i8_rows(bq, bx, stride, count, d, ints.data());
      for (std::size_t i = 0; i < count; ++i) {
        EXPECT_EQ(ints.Get(i), table().inner_product_i8(bq, bx + i * stride, d));
      }
      table().squared_l2_i8_rows(bq, bx, stride, count, d, ints.data());
      for (std::size_t i = 0; i < count; ++i)
        EXPECT_EQ(ints.Get(i), table().squared_l2_i8(bq, bx + i * stride, d));
      table().inner_product_f32_gather(q, x, stride, ids.data(), count, d, out.data());
      for (std::size_t i = 0; i < count; ++i) {
        EXPECT_EQ(out.Get(i), table().inner_product_f32(q, x + ids[i] * stride, d));
      }
      table().squared_l2_f32_gather(q, x, stride, ids.data(), count, d, out.data());
      for (std::size_t i = 0; i < count; ++i) {
        EXPECT_EQ(out.Get(i), table().squared_l2_f32(q, x + ids[i] * stride, d));
      }
      table().inner_product_i8_gather(bq, bx, stride, ids.data(), count, d, ints.data());
      for (std::size_t i = 0; i < count; ++i) {
        EXPECT_EQ(ints.Get(i), table().inner_product_i8(bq, bx + ids[i] * stride, d));
      }
    }
  }
}

}  // namespace
}  // namespace trivium::kernels
