// SPDX-License-Identifier: Apache-2.0
#include "api/route_stability.h"

#include <vector>

#include "routing/expert/feedback_correction.h"

namespace trivium {
namespace {

// Of each pilot, by lasting id; ids in the order of the router's columns. 0: nobody is known.
std::vector<std::uint32_t> FirstExperts(const routing::ExpertRouter& router,
                                        absl::Span<const std::uint32_t> ids,
                                        const routing::PilotSet& pilots) {
  routing::RouterScratch scratch;
  std::vector<float> utility(router.expert_count()), uncertainty(router.expert_count());
  std::vector<std::uint32_t> experts;
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    router.Predict(pilots.pilot(i).vector, &scratch, absl::MakeSpan(utility), absl::MakeSpan(uncertainty));
    const int first = routing::FirstExpert(utility);
    experts.push_back(first < 0 ? 0 : ids[first]);
  }
  return experts;
}

}  // namespace

std::optional<double> FirstExpertChanged(const StoreState& state, const routing::TrainedDispatch& trained,
                                         std::uint32_t space, const routing::PilotSet& pilots) {
  if (state.dispatcher == nullptr || state.dispatcher->space() != space || pilots.size() == 0) return {};
  const Dispatcher::Entry* before = state.dispatcher->Find(state.schema.dispatch->router);
  if (before == nullptr || before->router->dimension() != pilots.dimension()) return {};
  std::vector<std::uint32_t> ids;
  for (const ExpertView& expert : state.experts) ids.push_back(expert.id);
  const std::vector<std::uint32_t> old =
      FirstExperts(*before->router, state.schema.dispatch->expert_ids, pilots);
  const std::vector<std::uint32_t> fresh = FirstExperts(*trained.routers[trained.report.chosen], ids, pilots);
  std::size_t changed = 0;
  for (std::size_t i = 0; i < old.size(); ++i) changed += old[i] != fresh[i];
  return static_cast<double>(changed) / static_cast<double>(pilots.size());
}

}  // namespace trivium
