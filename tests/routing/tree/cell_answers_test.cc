// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_answers.h"

#include <atomic>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"

namespace trivium::routing {
namespace {

using base::Metric;
using testing_support::ClusteredVectors;

TEST(NearestDocuments, AreThoseOfASlowSearch) {
  for (const Metric metric : {Metric::kCosine, Metric::kInnerProduct, Metric::kSquaredL2}) {
    const auto rows = ClusteredVectors(1300, 20, metric, 1), queries = ClusteredVectors(150, 20, metric, 2);
    const auto answers = NearestDocuments(rows.view(), metric, queries.view(), 7, {}, 2, nullptr);
    ASSERT_OK(answers);
    for (std::size_t i = 0; i < queries.rows(); ++i) {
      const auto expected = testing_support::SlowSearch(rows.view(), metric, queries.row(i), 7);
      for (std::size_t j = 0; j < 7; ++j) EXPECT_EQ((*answers)[i * 7 + j], expected[j].row) << i;
    }
  }
}

TEST(NearestDocuments, ADocumentDoesNotSeeItself) {
  const auto rows = ClusteredVectors(50, 8, Metric::kCosine, 1);
  std::vector<std::uint32_t> own(50);
  for (std::uint32_t i = 0; i < 50; ++i) own[i] = i;
  const auto answers = NearestDocuments(rows.view(), Metric::kCosine, rows.view(), 100, own, 1, nullptr);
  ASSERT_OK(answers);
  ASSERT_EQ(answers->size(), 50u * 49);
  for (std::size_t i = 0; i < 50; ++i) {
    const auto expected = testing_support::SlowSearch(rows.view(), Metric::kCosine, rows.row(i), 2);
    EXPECT_EQ((*answers)[i * 49], expected[1].row);
  }
}

TEST(NearestDocuments, CanBeCancelled) {
  const auto rows = ClusteredVectors(50, 8, Metric::kCosine, 1);
  const std::atomic<bool> cancelled{true};
  EXPECT_THAT(NearestDocuments(rows.view(), Metric::kCosine, rows.view(), 3, {}, 1, &cancelled).status(),
              StatusIs(absl::StatusCode::kCancelled));
}

TEST(TargetsOf, SharesAddUpByCell) {
  const base::AlignedMatrix queries(2, 3);
  const std::vector<std::uint32_t> answers = {0, 1, 2, 3, 3, 0, 1, 2}, cell_of = {5, 2, 5, 2};
  const CellTargets plain = TargetsOf(queries.view(), answers, 4, cell_of);
  ASSERT_EQ(plain.Of(0).size(), 2u);
  EXPECT_EQ(plain.Of(0)[0].cell, 2u);
  EXPECT_FLOAT_EQ(plain.Of(0)[0].share, 0.5f);
  EXPECT_EQ(plain.Of(0)[1].cell, 5u);
  const CellTargets weighted = TargetsOf(queries.view(), answers, 4, cell_of, std::vector<float>{5, 1, 1, 1});
  EXPECT_FLOAT_EQ(weighted.Of(0)[0].share, 0.25f);
  EXPECT_FLOAT_EQ(weighted.Of(1)[0].share, 0.75f);
}

}  // namespace
}  // namespace trivium::routing
