// SPDX-License-Identifier: Apache-2.0
// What a space's tree learns from, and the public report of what it learned.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/query_vectors.h"
#include "api/store_state.h"
#include "base/aligned_matrix.h"
#include "routing/tree/cell_trainer.h"
#include "routing/tree/tree_trainer.h"
#include "trivium/report.h"

namespace trivium {

inline constexpr std::size_t kMostTreeDocuments = 262144;

// Of all query sets, in their order.
struct TreeQueries {
  base::AlignedMatrix rows;  // unit vectors, read by the adapter of all domains where one is in use
  std::vector<std::vector<std::uint64_t>> relevant;  // document numbers, for each
  std::uint64_t unknown_judgements = 0;
};

// kInvalidArgument: arrays of different lengths, vectors; kNotFound: a partition; kFailedPrecondition:
// queries with neither vectors nor an encoder.
absl::StatusOr<TreeQueries> LoadTreeQueries(const StoreState& state, EncoderSet* encoders,
                                            const SpaceRecord& space, const std::vector<QuerySet>& sets);

struct TreeDocuments {
  base::AlignedMatrix rows;
  std::vector<std::uint64_t> numbers;  // aligned
};

// The live vectors of a space, or of more than kMostTreeDocuments a sample that holds those `wanted`.
TreeDocuments LoadTreeDocuments(const StoreState& state, std::uint32_t space,
                                const std::vector<std::vector<std::uint64_t>>& wanted, std::uint64_t seed);

// Rows of `documents` with the numbers `relevant`, for each query.
std::vector<std::vector<std::uint32_t>> RelevantRows(const TreeDocuments& documents,
                                                     const std::vector<std::vector<std::uint64_t>>& relevant);

routing::TreeTrainingOptions EngineOptions(const TreeTrainingOptions& options, std::size_t documents);

// Of several spaces each has a checkpoint of its own; empty: none.
std::string CheckpointPath(const TreeTrainingOptions& options, std::size_t space);

routing::CellTrainingOptions CellOptions(const TreeTrainingOptions& options, std::size_t documents);

// The one that the gate let pass, else the learned one that costs least, where there is one.
routing::CellRouterKind BestRouter(const routing::CellTrainingReport& trained);

// The report of trained cells: `enabled` where a learned router passed the gate.
TrainedSpaceTree DescribeCells(const routing::CellTrainingReport& trained);

// The report of a trained tree, with the gate's verdict as `enabled`.
TrainedSpaceTree DescribeTree(const routing::TreeTrainingReport& trained);

}  // namespace trivium
