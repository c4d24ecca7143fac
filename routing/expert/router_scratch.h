// SPDX-License-Identifier: Apache-2.0
// What routers keep in a RouterScratch. For implementations of ExpertRouter only.
#pragma once

#include <vector>

#include "base/neighbor.h"
#include "routing/expert/expert_router.h"
#include "routing/expert/pilot_index.h"

namespace trivium::routing {

struct RouterScratch::Buffers {
  PilotSearchScratch search;
  std::vector<base::Neighbor> found;
  std::vector<float> similarities;  // per pilot

  // Per expert: sums over the pilots whose utility for it is known.
  struct Votes {
    float weight = 0;
    float squared_weight = 0;
    float utility = 0;
    float squared_utility = 0;
  };
  std::vector<Votes> votes;
};

}  // namespace trivium::routing
