// SPDX-License-Identifier: Apache-2.0
// What routers keep in a RouterScratch. For implementations of ExpertRouter only.
#pragma once

#include <cstdint>
#include <vector>

#include "base/neighbor.h"
#include "routing/expert/expert_router.h"
#include "routing/expert/pilot_index.h"
#include "routing/expert/utility_votes.h"

namespace trivium::routing {

struct RouterScratch::Buffers {
  PilotSearchScratch search;
  std::vector<base::Neighbor> found;
  std::vector<float> similarities;  // per pilot, cluster, class or vector set
  std::vector<float> spreads;       // per vector set or region
  std::vector<float> squares;       // of the query's components
  std::vector<std::uint32_t> active;
  std::vector<UtilityVotes> votes;                      // per expert
  std::vector<float> other_utility, other_uncertainty;  // per expert, of a router within
};

}  // namespace trivium::routing
