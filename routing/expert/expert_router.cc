// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/expert_router.h"

#include <cmath>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "routing/expert/agreement_router.h"
#include "routing/expert/bilevel_router.h"
#include "routing/expert/cluster_table_router.h"
#include "routing/expert/description_router.h"
#include "routing/expert/knn_utility_router.h"
#include "routing/expert/linear_router.h"
#include "routing/expert/logistic_router.h"
#include "routing/expert/max_pilot_router.h"
#include "routing/expert/mean_pilot_router.h"
#include "routing/expert/moments_router.h"
#include "routing/expert/pooled_router.h"
#include "routing/expert/router_scratch.h"
#include "routing/expert/static_best_router.h"
#include "routing/expert/tree_router.h"

namespace trivium::routing {

absl::Status RouterOptions::Validate() const {
  if (!(class_balance >= 0 && class_balance <= 2)) {
    return absl::InvalidArgumentError(absl::StrFormat("class_balance: %g, expected 0 to 2", class_balance));
  }
  if (neighbor_count == 0) return absl::InvalidArgumentError("neighbor_count: 0, expected at least 1");
  if (!(temperature > 0) || std::isinf(temperature)) {
    return absl::InvalidArgumentError(absl::StrFormat("temperature: %g, expected > 0", temperature));
  }
  if (!(shrinkage >= 0) || std::isinf(shrinkage)) {
    return absl::InvalidArgumentError(absl::StrFormat("shrinkage: %g, expected >= 0", shrinkage));
  }
  if (cluster_count == 0) return absl::InvalidArgumentError("cluster_count: 0, expected at least 1");
  if (!(depth > 0) || std::isinf(depth)) {
    return absl::InvalidArgumentError(absl::StrFormat("depth: %g, expected > 0", depth));
  }
  if (!(ridge > 0) || std::isinf(ridge)) {
    return absl::InvalidArgumentError(absl::StrFormat("ridge: %g, expected > 0", ridge));
  }
  if (!(owner_power >= 1 && owner_power <= 16)) {
    return absl::InvalidArgumentError(absl::StrFormat("owner_power: %g, expected 1 to 16", owner_power));
  }
  if (!(document_share >= 0 && document_share <= 1)) {
    return absl::InvalidArgumentError(absl::StrFormat("document_share: %g, expected 0 to 1", document_share));
  }
  if (!(pilot_share >= 0 && pilot_share <= 1)) {
    return absl::InvalidArgumentError(absl::StrFormat("pilot_share: %g, expected 0 to 1", pilot_share));
  }
  return absl::OkStatus();
}

RouterScratch::RouterScratch() : buffers_(std::make_unique<Buffers>()) {}
RouterScratch::~RouterScratch() = default;
RouterScratch::RouterScratch(RouterScratch&&) noexcept = default;
RouterScratch& RouterScratch::operator=(RouterScratch&&) noexcept = default;

std::optional<PilotVotes> ExpertRouter::ExplainVotes(absl::Span<const float>, std::size_t,
                                                     RouterScratch*) const {
  return std::nullopt;
}

absl::Status ExpertRouter::SaveIndex(const std::string& path) const {
  return absl::FailedPreconditionError(absl::StrFormat(
      "pilot index: router %s has none, expected a router that needs one (%s)", name(), path));
}

absl::Status ExpertRouter::OpenIndex(const std::string& path) {
  return absl::FailedPreconditionError(absl::StrFormat(
      "pilot index: router %s has none, expected a router that needs one (%s)", name(), path));
}

absl::Status ExpertRouter::TrainLabelFree(const ExpertFacts& facts, const RouterOptions& options) {
  return absl::FailedPreconditionError(
      absl::StrFormat("router %s: facts about %d experts, expected pilots", name(), facts.experts.size()));
}

absl::Status TrainRouter(const PilotSet& pilots, const ExpertFacts* facts, const RouterOptions& options,
                         ExpertRouter* router) {
  if (!router->IsLabelFree()) {
    TRIVIUM_RETURN_IF_ERROR(router->Train(pilots, options));
    if (facts != nullptr) router->AddFacts(*facts, options);
    return absl::OkStatus();
  }
  static const ExpertFacts kNothing;
  return router->TrainLabelFree(facts != nullptr ? *facts : kNothing, options);
}

absl::Status CheckTrainingInput(const PilotSet& pilots, const RouterOptions& options) {
  if (pilots.size() == 0) return absl::InvalidArgumentError("pilots: 0, expected at least 1");
  if (pilots.dimension() == 0) return absl::InvalidArgumentError("pilot dimension: 0, expected at least 1");
  if (pilots.expert_count() == 0) return absl::InvalidArgumentError("experts: 0, expected at least 1");
  double weight = 0;
  for (std::size_t i = 0; i < pilots.size(); ++i) weight += pilots.weight(i);
  if (!(weight > 0)) return absl::InvalidArgumentError("pilot weights: sum 0, expected above 0");
  return options.Validate();
}

absl::Span<const std::string_view> RouterNames() {
  static constexpr std::string_view kNames[] = {
      "static_best", "mean_pilot",    "max_pilot", "knn_utility", "linear",      "logistic", "pooled",
      "bilevel",     "cluster_table", "tree",      "moments",     "description", "agreement"};
  return kNames;
}

absl::StatusOr<std::unique_ptr<ExpertRouter>> MakeRouter(std::string_view name) {
  if (name == "static_best") return std::make_unique<StaticBestRouter>();
  if (name == "mean_pilot") return std::make_unique<MeanPilotRouter>();
  if (name == "max_pilot") return std::make_unique<MaxPilotRouter>();
  if (name == "knn_utility") return std::make_unique<KnnUtilityRouter>();
  if (name == "linear") return std::make_unique<LinearRouter>();
  if (name == "logistic") return std::make_unique<LogisticRouter>();
  if (name == "pooled") return std::make_unique<PooledRouter>();
  if (name == "bilevel") return std::make_unique<BilevelRouter>();
  if (name == "cluster_table") return std::make_unique<ClusterTableRouter>();
  if (name == "tree") return std::make_unique<TreeRouter>();
  if (name == "moments") return std::make_unique<MomentsRouter>();
  if (name == "description") return std::make_unique<DescriptionRouter>();
  if (name == "agreement") return std::make_unique<AgreementRouter>();
  std::string known;
  for (std::string_view each : RouterNames()) known.append(known.empty() ? "" : ", ").append(each);
  return absl::InvalidArgumentError(absl::StrFormat("router: %s, expected one of %s", name, known));
}

}  // namespace trivium::routing
