// SPDX-License-Identifier: Apache-2.0
// Graph training that can be gone on with: what is known after the answers and after each round, in a file
// with checksums that is replaced whole. It belongs to one training: a fingerprint of rows, graph, queries
// and options guards it. The blocks are drawn in trainer_checkpoint.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/matrix_view.h"
#include "index/graph_search.h"
#include "routing/graph/edge_rounds.h"

namespace trivium::routing {

struct GraphTrainingOptions;

// Of everything that the trained graph depends on; threads, progress and the checkpoint's path do not count.
// O(bytes of rows, graph and queries), at memory speed.
std::uint64_t TrainingFingerprint(const index::SearchableRows& searched, base::MatrixView queries,
                                  const GraphTrainingOptions& options);

struct TrainingCheckpoint {
  std::vector<std::uint32_t> answers;  // of all training queries
  std::optional<EdgeRounds> rounds;    // none: before the first round has ended
};

// Replaces `path`, durably. What the file system says.
absl::Status SaveCheckpoint(const std::string& path, std::uint64_t fingerprint,
                            absl::Span<const std::uint32_t> answers, const EdgeRounds* rounds);

// What `path` holds for a training of `graph` with so many answers; nothing where there is no such file.
// kNotFound: nor its folder. kFailedPrecondition: another fingerprint. kDataLoss: damaged, or sizes and
// vertices that do not fit.
absl::StatusOr<std::optional<TrainingCheckpoint>> LoadCheckpoint(const std::string& path,
                                                                 std::uint64_t fingerprint,
                                                                 const index::ProximityGraph& graph,
                                                                 std::size_t answer_count);

}  // namespace trivium::routing
