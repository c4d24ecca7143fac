// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/training_queries.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/thread_pool.h"
#include "kernels/distance_table.h"

namespace trivium::routing {
namespace {

constexpr float kTwinCosine = 0.95f;

float Length(base::MatrixView rows, std::size_t i) {
  return std::sqrt(kernels::ActiveDistances().inner_product_f32(rows.row(i), rows.row(i), rows.columns));
}

bool IsFinite(const float* values, std::size_t count) {
  return std::all_of(values, values + count, [](float value) { return std::isfinite(value); });
}

}  // namespace

base::AlignedMatrix JoinQueries(std::size_t columns, absl::Span<const base::MatrixView> sources) {
  base::AlignedMatrix joined(columns);
  std::unordered_set<std::string_view> seen;
  for (const base::MatrixView& source : sources) {
    for (std::size_t i = 0; i < source.rows; ++i) {
      const float* query = source.row(i);
      const std::string_view bytes(reinterpret_cast<const char*>(query), columns * sizeof(float));
      if (IsFinite(query, columns) && seen.insert(bytes).second) joined.Append(query);
    }
  }
  return joined;
}

QuerySplit SplitQueries(base::MatrixView queries, double validation_share, std::uint64_t seed,
                        int thread_count) {
  std::vector<std::uint32_t> order(queries.rows);
  std::iota(order.begin(), order.end(), 0);
  base::Random(seed).Shuffle(order);
  const std::size_t held_out = std::clamp<std::size_t>(
      static_cast<std::size_t>(validation_share * static_cast<double>(queries.rows)), 1, kMostValidation);
  QuerySplit split{base::AlignedMatrix(queries.columns), base::AlignedMatrix(queries.columns)};
  std::vector<float> lengths;
  for (std::size_t i = 0; i < held_out; ++i) {
    split.validation.Append(queries.row(order[i]));
    lengths.push_back(Length(queries, order[i]));
  }
  std::vector<std::uint8_t> is_twin(queries.rows, 0);
  const auto inner_product = kernels::ActiveDistances().inner_product_f32;
  base::ParallelFor(queries.rows - held_out, thread_count, 16, [&](std::size_t item, int) {
    const std::uint32_t query = order[held_out + item];
    const float length = Length(queries, query);
    for (std::size_t i = 0; i < held_out && is_twin[query] == 0; ++i) {
      const float product = inner_product(queries.row(query), split.validation.row(i), queries.columns);
      is_twin[query] = product >= kTwinCosine * length * lengths[i];
    }
  });
  for (std::size_t i = held_out; i < order.size(); ++i) {
    if (is_twin[order[i]] == 0) split.training.Append(queries.row(order[i]));
  }
  return split;
}

index::KeptTraining KeepQueries(const QuerySplit& split, std::size_t room) {
  index::KeptTraining kept;
  kept.held_out = std::min(split.validation.rows(), room);
  base::AlignedMatrix queries(split.validation.columns());
  for (std::size_t i = 0; i < kept.held_out; ++i) queries.Append(split.validation.row(i));
  for (std::size_t i = 0; i < std::min(split.training.rows(), room - kept.held_out); ++i) {
    queries.Append(split.training.row(i));
  }
  kept.SetQueries(std::move(queries));
  return kept;
}

}  // namespace trivium::routing
