// SPDX-License-Identifier: Apache-2.0
// What walks of a graph cost while it is being taught: the codes that they run on follow it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "index/edge_codes.h"
#include "index/graph_search.h"
#include "index/proximity_graph.h"
#include "routing/graph/walk_costs.h"

namespace trivium::routing {

class GraphJudge {
 public:
  // `entries`: where walks start; none: at a sample, as before. `searched`, which stays as it is, and
  // `cancelled` (may be null) must outlive this.
  GraphJudge(const index::SearchableRows& searched, std::vector<std::uint32_t> entries, int thread_count,
             const std::atomic<bool>* cancelled);

  // As WalkCosts::Measure, of another graph over the same rows. On top of that, codes cost 8 us for each
  // vertex whose neighbours are not those of the graph before.
  absl::StatusOr<WalkCosts> Measure(const index::ProximityGraph& graph, const NearestDistances& truth,
                                    const std::function<void()>& after_width);

  // Codes are made anew by the spread from now on. Only where there are codes.
  void UseSpread(std::shared_ptr<const index::QuerySpread> spread);

  // Of the graph measured last; none where `searched` has none.
  std::optional<index::EdgeCodes> TakeCodes() { return std::move(codes_); }

 private:
  const index::SearchableRows& searched_;
  std::vector<std::uint32_t> entries_;
  int thread_count_;
  const std::atomic<bool>* cancelled_;
  std::optional<index::EdgeCodes> codes_;
};

}  // namespace trivium::routing
