// SPDX-License-Identifier: Apache-2.0
// Trains a graph router by imitation: the agent walks by its own scores, drawn with noise; the oracle tells
// at each step which candidates were nearest to the answer; the codes move down the loss of imitation_loss.h.
//
// Source:  Baranchuk et al. 2019, section 3.2 and 4.1.
// Differs: see the headers beside this one: agent.h, hop_oracle.h, imitation_loss.h, code_model.h,
//          projected_start.h. The first scores are scaled to where the untrained loss is least.
//          Expansions count until a true neighbour is scored (ImitationOptions::steps_after_found): the
//          exact re-rank finds it from there on.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "base/matrix_view.h"
#include "base/metric.h"
#include "index/proximity_graph.h"
#include "routing/graph/imitation/answered_queries.h"
#include "routing/graph/imitation/code_model.h"
#include "routing/graph/imitation/routing_codes.h"

namespace trivium::routing {

struct EpochReport {
  double loss = 0;               // mean over the trajectories of the epoch, with noise
  double recall = 0;             // of the validation queries, recall@1 within the budget
  std::size_t rerank_width = 0;  // the best of the widths offered
  double seconds = 0;            // of the trajectories and steps, without validation
};

struct ImitationOptions {
  CodeSource source = CodeSource::kFree;
  // Where free codes start: null at projected distances (projected_start.h), else these, such as those that
  // shared maps were trained to make. Not changed; the same dimensions.
  const RoutingCodes* start = nullptr;
  std::size_t code_dimension = 32;  // d', 1 to d
  // Whether W is learned. False needs d' = d and makes W the identity, which costs a search nothing.
  bool learn_query_map = true;
  std::size_t hidden_width = 256;  // of CodeSource::kHidden

  // Vertices a training walk may score. About what the budget affords; more costs time in proportion.
  std::size_t visited = 512;
  std::size_t max_hops = 3;        // the oracle sees no farther. 1 to HopOracle::kMostHops
  float noise = 0.1f;              // scale of the Gumbel noise, in nats
  double final_weight = 3;         // of the final choice, beside the expansions
  bool steps_after_found = false;  // whether expansions count after a true neighbour was scored
  // Of shared maps; free codes want about a quarter of it.
  double learning_rate = 0.02;  // share of the size of what is moved, at first; falls in a line to a tenth
  double query_map_rate = 0.3;  // of W, as a share of learning_rate
  std::size_t epochs = 4;
  std::size_t batch = 256;  // trajectories a step

  std::size_t budget = 256;  // of validation, in distances
  std::vector<std::size_t> rerank_widths = {8, 16, 32, 64};
  std::size_t patience = 2;  // epochs without a better validation recall before training ends

  int threads = 0;  // 0: all processors this process may use. The same codes with one thread
  std::uint64_t seed = 0;
  std::function<void(const EpochReport&)> progress;  // after each epoch, on the calling thread; may be empty
  const std::atomic<bool>* cancelled = nullptr;      // checked between steps: kCancelled. May be null

  // kInvalidArgument names the first field out of range. `dimension`: d.
  absl::Status Validate(std::size_t dimension) const;
};

struct ImitationReport {
  EpochReport untrained;  // loss 0
  std::vector<EpochReport> epochs;
  std::size_t best_epoch = 0;  // 0: untrained, else 1 + position in `epochs`
  double score_scale = 1;      // of the first scores
  std::size_t trajectories = 0;
  double seconds = 0;  // all in all
};

struct TrainedRouter {
  RoutingCodes codes;  // of the best epoch
  ImitationReport report;
};

// Memory on top of the graph and the rows: three times the codes, n x (d' + 1) x 4 bytes each (as they are,
// as they were best, their gradient), the oracle's 4 bytes an edge and 8 a vertex, a byte a vertex and
// thread, visited x 8 bytes a trajectory of a batch, and what the model adds (code_model.h).
//
// kInvalidArgument: options, no vertices, no queries, queries of another dimension or that are not finite,
// targets that are no vertices. kCancelled.
absl::StatusOr<TrainedRouter> TrainByImitation(const index::ProximityGraph& graph, base::MatrixView rows,
                                               base::Metric metric, const AnsweredQueries& training,
                                               const AnsweredQueries& validation,
                                               const ImitationOptions& options);

}  // namespace trivium::routing
