// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/tree_router.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "kernels/distance_table.h"
#include "routing/expert/router_bytes.h"
#include "routing/expert/router_matrix.h"
#include "routing/expert/router_scratch.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"

namespace trivium::routing {

absl::Status TreeRouter::TrainLabelFree(const ExpertFacts& facts, const RouterOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.Validate());
  if (facts.cells.shares.empty() || !facts.cells_are_nodes) {
    return absl::InvalidArgumentError(
        "router tree: no vectors of an expert lie in cells of the router space, expected a partition tree of "
        "it; train the tree first");
  }
  return TrainOnGroups(facts, options.temperature);
}

absl::Status TreeRouter::TrainOnGroups(const ExpertFacts& facts, float temperature) {
  TreeRouter fresh;
  std::size_t known = 0;
  bool differ = false;
  const std::vector<std::uint32_t>* first = nullptr;
  for (const ExpertFacts::Expert& expert : facts.experts) {
    fresh.groups_of_.push_back(expert.cells);
    if (expert.cells.empty()) continue;
    ++known;
    if (first == nullptr) first = &expert.cells;
    differ = differ || expert.cells != *first;
  }
  if (known == 0 || (known > 1 && !differ)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "router tree: %d experts, all of the same vectors, expected some that hold others", known));
  }
  fresh.temperature_ = temperature;
  fresh.groups_.shares = facts.cells.shares;
  fresh.groups_.directions = base::AlignedMatrix(facts.cells.directions.columns());
  for (std::size_t g = 0; g < facts.cells.shares.size(); ++g) {
    fresh.groups_.directions.Append(facts.cells.directions.row(g));
  }
  *this = std::move(fresh);
  return absl::OkStatus();
}

void TreeRouter::Predict(absl::Span<const float> query, RouterScratch* scratch, absl::Span<float> utility,
                         absl::Span<float> uncertainty) const {
  std::vector<float>& masses = scratch->buffers().similarities;
  const base::MatrixView rows = groups_.directions.view();
  masses.resize(rows.rows);
  kernels::ActiveDistances().inner_product_f32_rows(query.data(), rows.data, rows.stride, rows.rows,
                                                    rows.columns, masses.data());
  const float nearest = *std::max_element(masses.begin(), masses.end());
  double total = 0;
  for (std::size_t g = 0; g < masses.size(); ++g) {
    masses[g] = groups_.shares[g] * std::exp((masses[g] - nearest) / temperature_);
    total += masses[g];
  }
  for (std::size_t e = 0; e < groups_of_.size(); ++e) {
    double mass = groups_of_[e].empty() ? std::numeric_limits<double>::quiet_NaN() : 0.0;
    for (const std::uint32_t g : groups_of_[e]) mass += masses[g];
    const double probability = mass / total;
    utility[e] = static_cast<float>(probability);
    uncertainty[e] = static_cast<float>(std::sqrt(probability * std::max(0.0, 1 - probability)));
  }
}

void TreeRouter::AddExpert() { groups_of_.emplace_back(); }

void TreeRouter::RemoveExpert(std::size_t expert) { groups_of_.erase(groups_of_.begin() + expert); }

// u64 d | u64 E | u64 G | f32 temperature | f32[G] shares | (u64 m, u32[m] groups)[E] | f32[G x d] directions
std::string TreeRouter::Save() const {
  storage::ByteWriter writer;
  writer.Put<std::uint64_t>(dimension());
  writer.Put<std::uint64_t>(groups_of_.size());
  writer.Put<std::uint64_t>(groups_.shares.size());
  writer.Put(temperature_);
  writer.PutArray(groups_.shares.data(), groups_.shares.size());
  for (const std::vector<std::uint32_t>& groups : groups_of_) {
    writer.Put<std::uint64_t>(groups.size());
    writer.PutArray(groups.data(), groups.size());
  }
  PutMatrix(groups_.directions, &writer);
  return SealRouterBytes(name(), writer.bytes());
}

absl::Status TreeRouter::Load(std::string_view bytes) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::string_view payload, OpenRouterBytes(name(), bytes));
  storage::ByteReader reader(payload);
  TreeRouter fresh;
  const auto dimension = reader.Read<std::uint64_t>();
  const auto expert_count = reader.Read<std::uint64_t>();
  const auto group_count = reader.Read<std::uint64_t>();
  fresh.temperature_ = reader.Read<float>();
  fresh.groups_.shares = reader.ReadArray<float>(group_count);
  const auto is_group = [&](std::uint32_t g) { return g < group_count; };
  for (std::uint64_t e = 0; e < expert_count && reader.ok(); ++e) {
    const auto count = reader.Read<std::uint64_t>();
    fresh.groups_of_.push_back(reader.ReadArray<std::uint32_t>(count));
    const std::vector<std::uint32_t>& groups = fresh.groups_of_.back();
    if (!std::all_of(groups.begin(), groups.end(), is_group)) return MalformedRouter(name());
  }
  const auto is_share = [](float share) { return share > 0 && share <= 1; };
  const std::vector<float>& shares = fresh.groups_.shares;
  if (!reader.ok() || !(fresh.temperature_ > 0) || shares.empty() ||
      !std::all_of(shares.begin(), shares.end(), is_share) ||
      !ReadMatrix(group_count, dimension, &reader, &fresh.groups_.directions) || !reader.AtEnd()) {
    return MalformedRouter(name());
  }
  *this = std::move(fresh);
  return absl::OkStatus();
}

}  // namespace trivium::routing
