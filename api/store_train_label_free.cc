// SPDX-License-Identifier: Apache-2.0
// Dispatch without judged queries: label-free routers learn from what the store holds. Nothing can be
// compared, so none of them becomes the default.
#include <algorithm>
#include <chrono>

#include "absl/strings/str_format.h"
#include "api/store_facts.h"
#include "api/store_impl.h"
#include "base/status_macros.h"
#include "routing/expert/dispatch_candidates.h"

namespace trivium {
namespace {

constexpr char kReason[] =
    "learned without judged queries, so nothing was compared: asking all stays the default";

absl::Status CheckNothingJudged(const TrainDispatchOptions& options) {
  if (options.train.empty() && options.validation.empty() && options.background.size() == 0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrFormat(
      "train dispatch, label_free: %d sets of judged queries and %d background queries, expected none",
      options.train.size() + options.validation.size(), options.background.size()));
}

// Those named, or all that have facts to learn from.
absl::StatusOr<routing::TrainedDispatch> LearnFromFacts(const routing::ExpertFacts& facts,
                                                        const std::vector<std::string>& named) {
  std::vector<std::string> names = named;
  if (named.empty()) names.assign(routing::RouterNames().begin(), routing::RouterNames().end());
  routing::TrainedDispatch trained;
  trained.report.reason = kReason;
  absl::Status lacking;
  for (const std::string& name : names) {
    TRIVIUM_ASSIGN_OR_RETURN(std::unique_ptr<routing::ExpertRouter> router, routing::MakeRouter(name));
    if (!router->IsLabelFree() && named.empty()) continue;
    routing::DispatchSettings settings;
    settings.router = name;
    settings.router_options = routing::RouterCandidates(name).front();
    const absl::Status learned = router->TrainLabelFree(facts, settings.router_options);
    if (!learned.ok()) {
      if (!named.empty()) return absl::InvalidArgumentError(learned.message());
      lacking = learned;
      continue;
    }
    trained.report.settings.push_back(std::move(settings));
    trained.routers.push_back(std::move(router));
  }
  if (trained.routers.empty()) return absl::FailedPreconditionError(lacking.message());
  return trained;
}

}  // namespace

absl::StatusOr<DispatchReport> Store::Impl::TrainLabelFree(const TrainDispatchOptions& options,
                                                           std::shared_ptr<StoreState> state) {
  const auto start = std::chrono::steady_clock::now();
  TRIVIUM_RETURN_IF_ERROR(CheckNothingJudged(options));
  const std::uint32_t space =
      std::find_if(state->experts.begin(), state->experts.end(), [](const ExpertView& expert) {
        return !expert.lexical;
      })->space;
  TRIVIUM_ASSIGN_OR_RETURN(const routing::ExpertFacts facts, GatherFacts(*state, &encoders, space));
  TRIVIUM_ASSIGN_OR_RETURN(const routing::TrainedDispatch trained, LearnFromFacts(facts, options.routers));
  if (options.cancelled != nullptr && options.cancelled->load()) {
    return absl::CancelledError("train dispatch: cancelled by the caller");
  }
  const routing::DispatchSettings& first = trained.report.settings.front();
  DispatchReport report;
  report.router = first.router;
  report.reason = trained.report.reason;
  report.top_p = first.policy.top_p;
  report.max_experts = static_cast<int>(first.policy.max_experts);
  report.prior_weight = first.answer.prior_weight;
  TRIVIUM_RETURN_IF_ERROR(SaveDispatch(trained, nullptr, {}, space, std::move(state)));
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace trivium
