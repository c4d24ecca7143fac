// SPDX-License-Identifier: Apache-2.0
// What the chosen experts found becomes one list.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "api/expert_searches.h"
#include "api/query_planner.h"
#include "api/store_state.h"
#include "routing/expert/result_fusion.h"
#include "trivium/options.h"

namespace trivium {

// Overwrites `hits` with the k best of `lists`, each of which is of an expert that the plan chose. kAuto: as
// the options say. Returns the method used: "single", "score", "score+prior", "rrf" or "convex", and "none"
// without lists.
std::string FuseLists(const StoreState& state, const SearchOptions& options, const Plan& plan,
                      const std::vector<const ExpertList*>& lists, std::size_t k,
                      routing::FusionMethod method, routing::FusionScratch* scratch,
                      std::vector<routing::FusedHit>* hits);

}  // namespace trivium
