// SPDX-License-Identifier: Apache-2.0
// What the chosen experts found becomes one list.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "api/expert_searches.h"
#include "api/query_planner.h"
#include "api/store_state.h"
#include "routing/expert/result_fusion.h"
#include "trivium/options.h"

namespace trivium {

// The score of the list's first hit that is not the query's own document; NaN of a lexical expert, or where
// there is none.
float FirstScore(const StoreState& state, const ExpertList& list, absl::Span<const std::uint64_t> own);

// Takes the plan's second look at what its experts found, if it wants one: revises their probabilities, and
// lets the prior count by its weight. Returns the largest revised share, 1 without a look.
//   columns  of the router, by expert; empty: experts are columns
float LookAgain(const StoreState& state, const std::vector<const ExpertList*>& lists,
                absl::Span<const int> columns, absl::Span<const std::uint64_t> own, Plan* plan);

// Overwrites `hits` with the k best of `lists`, each of which is of an expert that the plan chose. kAuto: as
// the options say. Returns the method used: "single", "score", "score+prior", "rrf" or "convex", and "none"
// without lists.
std::string FuseLists(const StoreState& state, const SearchOptions& options, const Plan& plan,
                      const std::vector<const ExpertList*>& lists, std::size_t k,
                      routing::FusionMethod method, routing::FusionScratch* scratch,
                      std::vector<routing::FusedHit>* hits);

}  // namespace trivium
