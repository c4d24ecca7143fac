// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/cell_groups.h"

#include <algorithm>
#include <cmath>

namespace trivium::routing {
namespace {

std::vector<std::uint32_t> Distinct(std::vector<std::uint32_t> values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

}  // namespace

int LevelsToClimb(std::vector<std::vector<std::uint32_t>> cells, int depth, std::size_t most) {
  for (std::vector<std::uint32_t>& nodes : cells) nodes = Distinct(std::move(nodes));
  for (int climbed = 0;; ++climbed) {
    std::size_t groups = 0;
    for (const std::vector<std::uint32_t>& nodes : cells) groups += nodes.size();
    if (groups <= most || climbed == depth) return climbed;
    for (std::vector<std::uint32_t>& nodes : cells) {
      for (std::uint32_t& node : nodes) node >>= 1;  // still sorted
      nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
    }
  }
}

void AddCellGroups(base::MatrixView rows, absl::Span<const std::uint32_t> nodes, CellGroups* groups) {
  const std::vector<std::uint32_t> distinct = Distinct({nodes.begin(), nodes.end()});
  std::vector<double> sums(distinct.size() * rows.columns, 0.0);
  std::vector<std::size_t> counts(distinct.size(), 0);
  for (std::size_t i = 0; i < rows.rows; ++i) {
    const std::size_t group = std::lower_bound(distinct.begin(), distinct.end(), nodes[i]) - distinct.begin();
    ++counts[group];
    double* sum = &sums[group * rows.columns];
    for (std::size_t c = 0; c < rows.columns; ++c) sum[c] += rows.row(i)[c];
  }
  std::vector<float> direction(rows.columns);
  if (groups->directions.columns() == 0) groups->directions = base::AlignedMatrix(rows.columns);
  for (std::size_t group = 0; group < distinct.size(); ++group) {
    const double* sum = &sums[group * rows.columns];
    double squared_norm = 0;
    for (std::size_t c = 0; c < rows.columns; ++c) squared_norm += sum[c] * sum[c];
    const double scale = squared_norm > 0 ? 1 / std::sqrt(squared_norm) : 0;
    for (std::size_t c = 0; c < rows.columns; ++c) direction[c] = static_cast<float>(scale * sum[c]);
    groups->directions.Append(direction.data());
    groups->shares.push_back(static_cast<float>(counts[group]) / static_cast<float>(rows.rows));
  }
}

}  // namespace trivium::routing
