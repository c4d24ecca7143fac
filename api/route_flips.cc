// SPDX-License-Identifier: Apache-2.0
#include "api/route_flips.h"

#include <algorithm>
#include <optional>
#include <string>

#include "api/query_typos.h"
#include "base/status_macros.h"

namespace trivium {
namespace {

// The most probable expert chosen; none where the router knew nothing.
std::optional<std::uint32_t> FirstExpert(const routing::Dispatch& dispatch) {
  if (dispatch.fell_back || dispatch.chosen.empty()) return std::nullopt;
  return dispatch.chosen.front();
}

}  // namespace

absl::StatusOr<RouteFlips> CountRouteFlips(const Searcher& searcher, EncoderSet* encoders,
                                           const JudgedSet& judged, const PreparedQueries& prepared,
                                           std::size_t typos) {
  const StoreState& state = searcher.state();
  RouteFlips flips;
  if (state.dispatcher == nullptr || typos == 0 || judged.set->texts.empty()) return flips;
  flips.flipped.resize(state.dispatcher->entries().size());
  const std::uint32_t space = state.dispatcher->space();
  const auto entry = std::find_if(prepared.entries.begin(), prepared.entries.end(),
                                  [&](const PreparedQueries::Entry& e) { return e.space == space; });
  if (entry == prepared.entries.end() || !entry->encoded) return flips;

  std::vector<std::string> edited;
  std::vector<std::size_t> rows;  // of `prepared`
  for (std::size_t i = 0; i < judged.queries.size(); ++i) {
    const std::string& text = judged.set->texts[judged.queries[i].row];
    if (text.empty()) continue;
    edited.push_back(WithTypos(text, typos, i));
    rows.push_back(i);
  }
  TRIVIUM_ASSIGN_OR_RETURN(const base::AlignedMatrix vectors,
                           encoders->Encode(*state.schema.SpaceById(space), edited, TextKind::kQuery));
  flips.queries = rows.size();
  PlannerScratch scratch;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    QueryVectors as_typed = JudgedVectors(state, encoders, judged, rows[i], prepared);
    QueryVectors mistyped(&state, encoders, &edited[i]);
    mistyped.Set(space, vectors.row(i));
    for (std::size_t r = 0; r < flips.flipped.size(); ++r) {
      const Dispatcher::Entry& router = state.dispatcher->entries()[r];
      Plan before, after;
      TRIVIUM_RETURN_IF_ERROR(searcher.planner().PlanRouted(router, &as_typed, &scratch, &before));
      TRIVIUM_RETURN_IF_ERROR(searcher.planner().PlanRouted(router, &mistyped, &scratch, &after));
      flips.flipped[r] += FirstExpert(before.dispatch) != FirstExpert(after.dispatch) ? 1 : 0;
    }
  }
  return flips;
}

}  // namespace trivium
