// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_codes.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "index/vector_rows.h"
#include "tests/support/cell_world.h"
#include "tests/support/slow_edge_codes.h"
#include "tests/support/status_matchers.h"

namespace trivium::routing {
namespace {

using base::Metric;
using testing_support::CellWorld;
using testing_support::SlowFloatFromBfloat;

constexpr Metric kMetrics[] = {Metric::kCosine, Metric::kInnerProduct, Metric::kSquaredL2};
constexpr int kDepth = 4;

struct CodedWorld : CellWorld {
  CodedWorld(std::size_t rows, std::size_t dimension, Metric metric)
      : CellWorld(rows, dimension, kDepth, metric),
        model(*CellModel::Create(Parts(kDepth))),
        coded(*CellLists::Build(*model, this->rows.view(), 2)) {}
  const CellCodes& codes() const { return *coded->codes(); }

  std::shared_ptr<const CellModel> model;
  std::shared_ptr<const CellLists> coded;
};

struct ReadRow {
  float offset, scale;
  std::vector<double> signs;
};

ReadRow Read(const CellCodes& codes, std::size_t at, std::size_t padded) {
  const std::uint8_t* pack = codes.packs() + at / 32 * (128 + 4 * padded);
  std::uint16_t factors[2];
  std::memcpy(&factors[0], pack + 2 * (at % 32), 2);
  std::memcpy(&factors[1], pack + 64 + 2 * (at % 32), 2);
  ReadRow row{SlowFloatFromBfloat(factors[0]), SlowFloatFromBfloat(factors[1]), {}};
  for (std::size_t d = 0; d < padded; ++d) {
    const std::uint8_t pair = pack[128 + d / 4 * 16 + at % 16];
    row.signs.push_back(((at % 32 < 16 ? pair & 15 : pair >> 4) >> d % 4 & 1) != 0 ? 1 : -1);
  }
  return row;
}

TEST(CellCodes, AreSignsAndFactorsOfWhatTheHeaderDraws) {
  for (const Metric metric : kMetrics) {
    for (const std::size_t dimension : {64, 100}) {
      const CodedWorld world(333, dimension, metric);
      const CellCodes& codes = world.codes();
      const std::size_t padded = (dimension + 63) / 64 * 64;
      ASSERT_EQ(codes.bytes(), 11 * (128 + 4 * padded));
      const index::RandomRotation rotation(dimension, CellCodes::kRotationSeed);
      std::vector<float> row(padded), center(padded);
      std::size_t at = 0;
      for (std::size_t cell = 0; cell < world.coded->cell_count(); ++cell) {
        rotation.Apply(world.model->centroids().row(cell), codes.origin(), center.data());
        for (const std::uint32_t number : world.coded->Rows(cell)) {
          rotation.Apply(world.rows.row(number), codes.origin(), row.data());
          const ReadRow read = Read(codes, at++, padded);
          double squares = 0, product = 0, from = 0, length = 0;
          for (std::size_t d = 0; d < padded; ++d) {
            const double r = row[d] - center[d];
            ASSERT_EQ(read.signs[d], row[d] - center[d] >= 0 ? 1 : -1);
            squares += r * r;
            product += std::abs(r);
            from += center[d] * read.signs[d];
          }
          for (std::size_t d = 0; d < dimension; ++d) {
            length += double{world.rows.row(number)[d]} * world.rows.row(number)[d];
          }
          const double scale =
              (metric == Metric::kInnerProduct ? 1 : 2) * (product > 0 ? squares / product : 0);
          double offset = metric == Metric::kInnerProduct ? 0 : squares + scale * from;
          if (metric == Metric::kCosine) offset -= length - 1;
          EXPECT_NEAR(read.scale, scale, 1e-6 + scale / 256);
          EXPECT_LE(read.offset, offset + 1e-5);
          EXPECT_NEAR(read.offset, offset, 1e-5 + std::abs(offset) / 128);
        }
      }
    }
  }
}

TEST(CellCodes, LowerBoundsAreRarelyAboveAndNotFarBelowTheDistances) {
  for (const Metric metric : kMetrics) {
    const CodedWorld world(700, 128, metric);
    const CellCodes& codes = world.codes();
    const auto queries = testing_support::ClusteredVectors(40, 128, metric, 7);
    std::size_t count = 0, above = 0, above_estimate = 0;
    for (std::size_t i = 0; i < queries.rows(); ++i) {
      const float* query = queries.row(i);
      index::EdgeQuery prepared;
      codes.Prepare(query, &prepared);
      double square = 0;
      for (std::size_t d = 0; d < 128; ++d) square += double{query[d]} * query[d];
      std::size_t at = 0;
      for (std::uint32_t cell = 0; cell < world.coded->cell_count(); ++cell) {
        float center;
        codes.CenterDistances(*world.model, absl::MakeConstSpan(&cell, 1), query, &center);
        EXPECT_NEAR(
            center,
            testing_support::SlowDistance(metric == Metric::kInnerProduct ? metric : Metric::kSquaredL2,
                                          query, world.model->centroids().row(cell), 128),
            1e-3 * (1 + std::abs(center)));
        kernels::EdgeEstimate estimate = codes.Around(center, prepared);
        estimate.bound = std::numeric_limits<float>::infinity();
        kernels::EdgeEstimate plain = estimate;
        plain.table_offset = prepared.view().table_offset;
        for (const std::uint32_t row : world.coded->Rows(cell)) {
          float bounds[48], estimates[48];
          std::uint32_t places[48];
          const auto& table = kernels::ActiveDistances();
          ASSERT_EQ(codes.Score(table, at / 32, 1, prepared, estimate, bounds, places), 32u);
          ASSERT_EQ(codes.Score(table, at / 32, 1, prepared, plain, estimates, places), 32u);
          const double distance = codes.CodeDistance(
              static_cast<float>(testing_support::SlowDistance(metric, query, world.rows.row(row), 128)),
              static_cast<float>(square));
          ++count;
          above += bounds[at % 32] > distance ? 1 : 0;
          above_estimate += estimates[at % 32] > distance ? 1 : 0;
          ++at;
        }
      }
    }
    EXPECT_LE(above, count / 150) << static_cast<int>(metric);
    EXPECT_GT(above, count / 10000) << static_cast<int>(metric);
    EXPECT_NEAR(static_cast<double>(above_estimate) / static_cast<double>(count), 0.5, 0.05);
  }
}

TEST(CellCodes, AreTheSameForAnyNumberOfThreads) {
  const CodedWorld world(500, 64, Metric::kSquaredL2);
  const auto one = *CellLists::Build(*world.model, world.rows.view(), 1);
  EXPECT_EQ(std::memcmp(one->codes()->packs(), world.codes().packs(), world.codes().bytes()), 0);
}

TEST(CellCodes, TakeRowsInTheFormTheyAreStoredIn) {
  const CodedWorld world(400, 64, Metric::kCosine);
  index::VectorRows stored(64, index::RowFormat::kInt8, Metric::kCosine);
  ASSERT_OK(stored.Append(world.rows.view()));
  base::AlignedMatrix decoded(400, 64);
  for (std::size_t i = 0; i < 400; ++i) stored.view().CopyRow(i, decoded.row(i));
  const auto of_stored = *CellLists::Build(*world.model, stored.view(), 1);
  const auto of_decoded = *CellLists::Build(*world.model, decoded.view(), 1);
  EXPECT_EQ(
      std::memcmp(of_stored->codes()->packs(), of_decoded->codes()->packs(), of_stored->codes()->bytes()), 0);
}

TEST(CellCodes, ThereAreNoneOfShortRows) {
  const CodedWorld world(300, 63, Metric::kCosine);
  EXPECT_EQ(world.coded->codes(), nullptr);
}

}  // namespace
}  // namespace trivium::routing
