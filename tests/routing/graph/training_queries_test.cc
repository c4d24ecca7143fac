// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/training_queries.h"

#include <limits>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trivium::routing {
namespace {

base::AlignedMatrix Rows(const std::vector<std::vector<float>>& values) {
  base::AlignedMatrix rows(values[0].size());
  for (const auto& row : values) rows.Append(row.data());
  return rows;
}

std::vector<float> FirstColumn(base::MatrixView rows) {
  std::vector<float> column;
  for (std::size_t i = 0; i < rows.rows; ++i) column.push_back(rows.row(i)[0]);
  return column;
}

TEST(JoinQueries, TakesEveryFiniteQueryOnce) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const base::AlignedMatrix one = Rows({{1, 2}, {3, 4}, {1, 2}});
  const base::AlignedMatrix other =
      Rows({{3, 4}, {5, kNan}, {3, 5}, {std::numeric_limits<float>::infinity(), 1}});
  const base::AlignedMatrix joined = JoinQueries(2, {one.view(), base::MatrixView(), other.view()});
  EXPECT_EQ(joined.columns(), 2u);
  EXPECT_THAT(FirstColumn(joined.view()), ::testing::ElementsAre(1, 3, 3));
  EXPECT_EQ(joined.row(2)[1], 5);
  EXPECT_EQ(JoinQueries(2, {}).rows(), 0u);
}

TEST(KeepQueries, KeepsThoseHeldOutFirst) {
  std::vector<std::vector<float>> values;
  for (int i = 0; i < 100; ++i) values.push_back({static_cast<float>(i), 1000.0f - 10.0f * i * i});
  const base::AlignedMatrix queries = Rows(values);
  const QuerySplit split = SplitQueries(queries.view(), 0.2, 7, 1);
  ASSERT_EQ(split.validation.rows(), 20u);
  const index::KeptTraining some = KeepQueries(split, 50);
  EXPECT_EQ(some.held_out, 20u);
  EXPECT_EQ(some.queries.rows, std::min<std::size_t>(50, 20 + split.training.rows()));
  EXPECT_EQ(FirstColumn(some.queries.First(20)), FirstColumn(split.validation.view()));
  const std::vector<float> column = FirstColumn(some.queries);
  EXPECT_EQ(std::set<float>(column.begin(), column.end()).size(), column.size());
  const index::KeptTraining few = KeepQueries(split, 10);
  EXPECT_EQ(few.held_out, 10u);
  EXPECT_EQ(few.queries.rows, 10u);
  const index::KeptTraining all = KeepQueries(split, 1000);
  EXPECT_EQ(all.queries.rows, 20 + split.training.rows());
}

}  // namespace
}  // namespace trivium::routing
