// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/guard_trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "routing/expert/query_folds.h"
#include "routing/expert/ridge_regression.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kLeastQueries = 10;
constexpr double kModelRidge = 0.01;  // of the logistic model: keeps it finite where the sides come apart

// One side, with what is known of each of its queries.
struct Side {
  const DispatchQueries* queries = nullptr;
  bool served = false;
  std::vector<std::uint32_t> folds;
  std::vector<GuardFeatures> features;  // by a guard that learned from the other folds
  std::vector<double> scores;           // likewise

  std::size_t size() const { return folds.size(); }
};

absl::Status MeasureFold(std::uint32_t fold, const GuardTrainingOptions& options, absl::Span<Side> sides) {
  std::vector<PilotSet> others;
  for (const Side& side : sides) {
    std::vector<std::uint32_t> rows;
    for (std::uint32_t i = 0; i < side.size(); ++i) {
      if (side.folds[i] != fold) rows.push_back(i);
    }
    others.push_back(side.queries->pilots->Subset(rows));
  }
  QueryGuard guard;
  TRIVIUM_RETURN_IF_ERROR(guard.Build(others[0].vectors(), others[1].vectors(),
                                      /*graph_threshold=*/std::numeric_limits<std::size_t>::max()));
  const int threads = base::ResolveThreadCount(options.thread_count);
  std::vector<RouterScratch> scratch(threads);
  for (Side& side : sides) {
    base::ParallelFor(side.size(), threads, 64, [&](std::size_t i, int thread) {
      if (side.folds[i] != fold) return;
      side.features[i] = guard.Measure(side.queries->pilots->pilot(i).vector, &scratch[thread]);
    });
  }
  return absl::OkStatus();
}

// Logistic regression, both sides of equal weight, by iteratively reweighted least squares over the queries
// that are not in `left_out` (no fold: over all).
absl::StatusOr<QueryGuard::Weights> FitModel(absl::Span<const Side> sides, std::uint32_t left_out) {
  base::AlignedMatrix rows(kGuardFeatureCount);
  std::vector<float> balance, truth;
  for (const Side& side : sides) {
    const auto count = std::count_if(side.folds.begin(), side.folds.end(),
                                     [&](std::uint32_t fold) { return fold != left_out; });
    for (std::size_t i = 0; i < side.size(); ++i) {
      if (side.folds[i] == left_out) continue;
      rows.Append(side.features[i].data());
      balance.push_back(0.5f / static_cast<float>(count));
      truth.push_back(side.served ? 1.0f : 0.0f);
    }
  }
  std::vector<std::uint32_t> chosen(rows.rows());
  std::iota(chosen.begin(), chosen.end(), 0);
  for (float& weight : balance) weight *= static_cast<float>(chosen.size());
  QueryGuard::Weights model{};
  std::vector<float> weights(chosen.size()), targets(chosen.size());
  constexpr int kMostSteps = 30;
  for (int step = 0; step < kMostSteps; ++step) {
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      GuardFeatures features;
      std::copy_n(rows.row(i), features.size(), features.begin());
      const double log_odds = QueryGuard::LogOdds(model, features);
      const double probability = QueryGuard::Probability(log_odds);
      const double variance = std::max(probability * (1 - probability), 1e-6);
      weights[i] = static_cast<float>(balance[i] * variance);
      targets[i] = static_cast<float>(log_odds + (truth[i] - probability) / variance);
    }
    TRIVIUM_ASSIGN_OR_RETURN(const RidgeFit fit,
                             FitRidge(rows.view(), chosen, weights, targets, kModelRidge));
    double change = 0;
    for (std::size_t f = 0; f < model.size(); ++f) {
      change = std::max(change, std::abs(fit.coefficients[f] - model[f]));
      model[f] = fit.coefficients[f];
    }
    if (change < 1e-4) break;
  }
  return model;
}

// The largest threshold at which this share of `scores`, ascending, is accepted.
double ThresholdAccepting(double share, const std::vector<double>& scores) {
  const auto accepted = static_cast<std::size_t>(std::ceil(share * static_cast<double>(scores.size())));
  return scores[scores.size() - std::clamp<std::size_t>(accepted, 1, scores.size())];
}

double ShareBelow(double threshold, const std::vector<double>& scores) {
  const auto below =
      std::count_if(scores.begin(), scores.end(), [&](double score) { return score < threshold; });
  return static_cast<double>(below) / static_cast<double>(scores.size());
}

// `served` ascending.
double ThresholdOfBestMean(const std::vector<double>& served, const std::vector<double>& background) {
  double best = 0, threshold = served.front();
  for (std::size_t i = 0; i < served.size(); ++i) {
    const double accepted = 1 - static_cast<double>(i) / static_cast<double>(served.size());
    const double rejected = ShareBelow(served[i], background);
    const double mean = 2 * accepted * rejected / (accepted + rejected);
    if (mean <= best) continue;
    best = mean;
    threshold = served[i];
  }
  return threshold;
}

// `background` ascending; ties count half.
double Auroc(const std::vector<double>& served, const std::vector<double>& background) {
  double above = 0;
  for (const double score : served) {
    const auto [first, last] = std::equal_range(background.begin(), background.end(), score);
    above += static_cast<double>(first - background.begin()) + 0.5 * static_cast<double>(last - first);
  }
  return above / static_cast<double>(served.size()) / static_cast<double>(background.size());
}

std::vector<double> Resampled(const std::vector<double>& scores, base::Random* random) {
  std::vector<double> drawn(scores.size());
  for (double& score : drawn) score = scores[random->Below(scores.size())];
  return drawn;
}

void Judge(std::vector<double> served, std::vector<double> background, const GuardTrainingOptions& options,
           GuardReport* report) {
  std::sort(served.begin(), served.end());
  std::sort(background.begin(), background.end());
  report->threshold = options.acceptance > 0 ? ThresholdAccepting(options.acceptance, served)
                                             : ThresholdOfBestMean(served, background);
  report->acceptance = 1 - ShareBelow(report->threshold, served);
  report->rejection = ShareBelow(report->threshold, background);
  report->auroc = Auroc(served, background);
  base::Random random(options.seed);
  std::vector<double> aurocs, skills;
  for (std::size_t round = 0; round < options.bootstrap_rounds; ++round) {
    const std::vector<double> drawn = Resampled(served, &random);
    std::vector<double> others = Resampled(background, &random);
    std::sort(others.begin(), others.end());
    aurocs.push_back(Auroc(drawn, others));
    skills.push_back(ShareBelow(report->threshold, others) - ShareBelow(report->threshold, drawn));
  }
  report->auroc_interval = PercentileInterval(&aurocs);
  report->skill_interval = PercentileInterval(&skills);
  report->accepted = report->auroc_interval.low > 0.5 && report->skill_interval.low > 0;
  report->reason = absl::StrFormat(
      "%s: of queries held out accepts %.3f of %d in domain and rejects %.3f of %d background, AUROC %.3f "
      "[%.3f, %.3f]",
      report->accepted ? "tells them apart" : "does not tell them apart, so nothing is rejected",
      report->acceptance, report->queries, report->rejection, report->background, report->auroc,
      report->auroc_interval.low, report->auroc_interval.high);
}

absl::Status CheckSides(absl::Span<const Side> sides) {
  for (const Side& side : sides) {
    const PilotSet& pilots = *side.queries->pilots;
    if (pilots.size() < kLeastQueries) {
      return absl::InvalidArgumentError(absl::StrFormat("guard: %d %s, expected at least %d", pilots.size(),
                                                        side.served ? "judged queries" : "background queries",
                                                        kLeastQueries));
    }
    if (pilots.dimension() != sides.front().queries->pilots->dimension()) {
      return absl::InvalidArgumentError(absl::StrFormat("background queries: dimension %d, expected %d",
                                                        pilots.dimension(),
                                                        sides.front().queries->pilots->dimension()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status GuardTrainingOptions::Validate() const {
  if (!(acceptance >= 0 && acceptance < 1)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "guard acceptance: %g, expected 0 (the best balance) or between 0 and 1", acceptance));
  }
  if (fold_count < 2)
    return absl::InvalidArgumentError(absl::StrFormat("fold_count: %d, expected at least 2", fold_count));
  if (bootstrap_rounds == 0) return absl::InvalidArgumentError("bootstrap_rounds: 0, expected at least 1");
  return absl::OkStatus();
}

absl::StatusOr<TrainedGuard> TrainGuard(const DispatchQueries& queries, const DispatchQueries& background,
                                        const GuardTrainingOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.Validate());
  std::vector<Side> sides(2);
  sides[0].queries = &queries;
  sides[0].served = true;
  sides[1].queries = &background;
  TRIVIUM_RETURN_IF_ERROR(CheckSides(sides));
  for (Side& side : sides) {
    const std::size_t count = side.queries->pilots->size();
    side.folds =
        GroupedFolds(count, side.queries->groups, side.queries->sets, options.fold_count, options.seed);
    side.features.resize(count);
    side.scores.resize(count);
  }
  const auto folds = static_cast<std::uint32_t>(options.fold_count);
  for (std::uint32_t fold = 0; fold < folds; ++fold) {
    if (options.cancelled != nullptr && options.cancelled->load()) {
      return absl::CancelledError("training of the guard: cancelled, expected to finish");
    }
    TRIVIUM_RETURN_IF_ERROR(MeasureFold(fold, options, absl::MakeSpan(sides)));
  }
  for (std::uint32_t fold = 0; fold < folds; ++fold) {
    TRIVIUM_ASSIGN_OR_RETURN(const QueryGuard::Weights model, FitModel(sides, fold));
    for (Side& side : sides) {
      for (std::size_t i = 0; i < side.size(); ++i) {
        if (side.folds[i] == fold)
          side.scores[i] = QueryGuard::Probability(QueryGuard::LogOdds(model, side.features[i]));
      }
    }
  }
  TrainedGuard trained;
  trained.report.queries = sides[0].size();
  trained.report.background = sides[1].size();
  Judge(sides[0].scores, sides[1].scores, options, &trained.report);
  TRIVIUM_ASSIGN_OR_RETURN(const QueryGuard::Weights model, FitModel(sides, folds));
  TRIVIUM_RETURN_IF_ERROR(trained.guard.Build(queries.pilots->vectors(), background.pilots->vectors(),
                                              RouterOptions().graph_threshold));
  trained.guard.SetModel(model, trained.report.threshold);
  return trained;
}

}  // namespace trivium::routing
