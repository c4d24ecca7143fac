// SPDX-License-Identifier: Apache-2.0
// The walks of a batch of queries, and the derivatives of their mean loss by codes, biases and query map.
//
//   d / d p_v = sum over queries of g_v W q      g_v: derivative by the score of v in that query's walk
//   d / d b_v = sum over queries of g_v
//   d / d W   = sum over queries of (sum over v of g_v p_v) q'
//
// Walks run in parallel; then each thread adds up the derivatives of the vertices that are its own, query
// after query, so that codes need no locks and sums do not depend on the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned_matrix.h"
#include "index/proximity_graph.h"
#include "routing/graph/imitation/agent.h"
#include "routing/graph/imitation/answered_queries.h"
#include "routing/graph/imitation/code_model.h"
#include "routing/graph/imitation/hop_oracle.h"
#include "routing/graph/imitation/imitation_loss.h"
#include "routing/graph/imitation/routing_codes.h"

namespace trivium::routing {

struct BatchOptions {
  std::size_t visited = 512;  // vertices a walk may score
  std::size_t max_hops = 3;
  float noise = 0;
  double final_weight = 3;
  bool steps_after_found = false;  // whether expansions count after a true neighbour was scored
};

class ImitationBatch {
 public:
  // `graph` and `oracle` outlive the batch.
  ImitationBatch(const index::ProximityGraph& graph, const HopOracle& oracle, const BatchOptions& options,
                 int thread_count);

  // Returns the mean loss of the walks for queries `chosen`.
  //
  //   seed       of the noise
  //   gradient   of the mean loss; its shape is made on first use, and what it held is cleared
  //   query_map  d' x d, overwritten; null where W is not learned
  double Run(const RoutingCodes& codes, const AnsweredQueries& queries, std::span<const std::uint32_t> chosen,
             std::uint64_t seed, CodeGradient* gradient, base::AlignedMatrix* query_map);

 private:
  // What one walk leaves for the second phase.
  struct Lesson {
    std::vector<std::uint32_t> vertices;
    std::vector<float> derivatives;  // by their scores
    std::vector<float> projected;    // W q
    std::vector<float> code_sum;     // sum of g_v p_v
    double loss = 0;
  };
  struct Workspace {
    Walk walk;
    WalkScratch walk_scratch;
    HopScratch hop_scratch;
    ImitationLoss loss;
    std::vector<float> scores;
    std::vector<std::uint8_t> hops;
    std::vector<std::uint32_t> touched;
  };

  void WalkOnce(const RoutingCodes& codes, const AnsweredQueries& queries, std::uint32_t query,
                std::uint64_t seed, Workspace* work, Lesson* lesson) const;
  void AddOwn(std::size_t owner, std::size_t count, CodeGradient* gradient);

  const index::ProximityGraph& graph_;
  const HopOracle& oracle_;
  BatchOptions options_;
  std::vector<Workspace> workspaces_;  // one a thread
  std::vector<Lesson> lessons_;
  std::vector<std::uint8_t> is_touched_;  // a vertex
};

}  // namespace trivium::routing
