// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/second_look_learner.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace trivium::routing {
namespace {

constexpr int kMostSteps = 200, kMostHalvings = 12;
constexpr double kLongestStep = 4;        // of the step that surely does not overshoot
constexpr double kSmallestGain = 1e-6;    // of the mean loss, by a step
constexpr double kRidgeQueries = 5;       // the ridge weighs as much as so many queries
constexpr double kSmallestShare = 1e-30;  // so that a loss stays finite

double SumOfShares(const LookedQuery& query) {
  double sum = 0;
  for (const LookedAt& expert : query.experts) sum += expert.share;
  return sum;
}

bool Tells(const LookedQuery& query) {
  return query.experts.size() > 1 && query.weight > 0 && SumOfShares(query) > 0;
}

// Scores differ by hundredths where probabilities differ by factors, so they are divided by how much they
// usually differ between the experts of a query.
double SpreadOfScores(absl::Span<const LookedQuery* const> queries) {
  double squares = 0;
  std::size_t count = 0;
  for (const LookedQuery* query : queries) {
    double mean = 0;
    for (const LookedAt& expert : query->experts) mean += expert.score;
    mean /= static_cast<double>(std::max<std::size_t>(1, query->experts.size()));
    for (const LookedAt& expert : query->experts) squares += (expert.score - mean) * (expert.score - mean);
    count += query->experts.size();
  }
  return count > 0 ? std::sqrt(squares / static_cast<double>(count)) : 0.0;
}

struct Parameters {
  double route = 1, score = 0;
  std::vector<double> bias;
};

// The loss of some parameters with its slope, and how it curves: the block of the two weights, and for each
// bias a bound, the weight of its expert's shares.
struct Loss {
  double value = 0, weight = 0;
  Parameters slope;
  double route_route = 0, route_score = 0, score_score = 0;
  std::vector<double> bias_bound;
};

void Add(const LookedQuery& query, const Parameters& now, double scale, Loss* loss) {
  const auto worth = [&](const LookedAt& expert) {
    return now.route * expert.log_probability + now.score * scale * expert.score + now.bias[expert.column];
  };
  double highest = -std::numeric_limits<double>::infinity(), sum = 0;
  for (const LookedAt& expert : query.experts) highest = std::max(highest, worth(expert));
  for (const LookedAt& expert : query.experts) sum += std::exp(worth(expert) - highest);
  const double owned = SumOfShares(query), weight = query.weight;
  double route = 0, score = 0, route_route = 0, route_score = 0, score_score = 0;
  for (const LookedAt& expert : query.experts) {
    const double share = std::exp(worth(expert) - highest) / sum, target = expert.share / owned;
    const double x = expert.log_probability, y = scale * expert.score;
    loss->value -= weight * target * std::log(std::max(share, kSmallestShare));
    loss->slope.route += weight * (share - target) * x;
    loss->slope.score += weight * (share - target) * y;
    loss->slope.bias[expert.column] += weight * (share - target);
    loss->bias_bound[expert.column] += weight * share;
    route += share * x;
    score += share * y;
    route_route += share * x * x;
    route_score += share * x * y;
    score_score += share * y * y;
  }
  loss->route_route += weight * (route_route - route * route);
  loss->route_score += weight * (route_score - route * score);
  loss->score_score += weight * (score_score - score * score);
  loss->weight += weight;
}

// With a ridge towards the route's own probabilities that weighs as much as `ridge` in queries' weights.
Loss LossOf(absl::Span<const LookedQuery* const> queries, const Parameters& now, double scale, double ridge) {
  Loss loss;
  loss.slope.route = 0;
  loss.slope.bias.assign(now.bias.size(), 0.0);
  loss.bias_bound.assign(now.bias.size(), 0.0);
  for (const LookedQuery* query : queries) {
    if (Tells(*query)) Add(*query, now, scale, &loss);
  }
  const auto pull = [&](double from, double* slope, double* curve) {
    loss.value += ridge / 2 * from * from;
    *slope += ridge * from;
    *curve += ridge;
  };
  pull(now.route - 1, &loss.slope.route, &loss.route_route);
  pull(now.score, &loss.slope.score, &loss.score_score);
  for (std::size_t c = 0; c < now.bias.size(); ++c) {
    pull(now.bias[c], &loss.slope.bias[c], &loss.bias_bound[c]);
  }
  return loss;
}

// Against the slope, each of the two blocks by its own curvature. Half of it surely does not overshoot: the
// curvature is at most twice that of its blocks.
Parameters Direction(const Loss& loss) {
  const double determinant =
      loss.route_route * loss.score_score - loss.route_score * loss.route_score;  // > 0: the ridge
  Parameters way;
  way.route = (loss.score_score * loss.slope.route - loss.route_score * loss.slope.score) / -2 / determinant;
  way.score = (loss.route_route * loss.slope.score - loss.route_score * loss.slope.route) / -2 / determinant;
  for (std::size_t c = 0; c < loss.bias_bound.size(); ++c) {
    way.bias.push_back(loss.slope.bias[c] / -2 / loss.bias_bound[c]);
  }
  return way;
}

Parameters Moved(const Parameters& from, const Parameters& way, double length) {
  Parameters to = from;
  to.route += length * way.route;
  to.score += length * way.score;
  for (std::size_t c = 0; c < to.bias.size(); ++c) to.bias[c] += length * way.bias[c];
  return to;
}

}  // namespace

SecondLook LearnSecondLook(absl::Span<const LookedQuery* const> queries, std::size_t column_count) {
  const double spread = SpreadOfScores(queries);
  const double scale = spread > 0 ? 1 / spread : 0.0;
  double telling = 0, total_weight = 0;
  for (const LookedQuery* query : queries) {
    if (!Tells(*query)) continue;
    ++telling;
    total_weight += query->weight;
  }
  SecondLook look;
  look.bias.assign(column_count, 0.0f);
  if (telling == 0) return look;
  const double ridge = kRidgeQueries * total_weight / telling;

  Parameters now;
  now.bias.assign(column_count, 0.0);
  Loss loss = LossOf(queries, now, scale, ridge);
  double length = 1;
  for (int step = 0; step < kMostSteps; ++step) {
    const Parameters way = Direction(loss);
    const double before = loss.value;
    length = std::min(kLongestStep, 2 * length);
    for (int halving = 0; halving < kMostHalvings; ++halving, length /= 2) {
      Parameters next = Moved(now, way, length);
      Loss there = LossOf(queries, next, scale, ridge);
      if (there.value >= before) continue;
      now = std::move(next);
      loss = std::move(there);
      break;
    }
    if (before - loss.value <= kSmallestGain * total_weight) break;
  }
  look.route_weight = static_cast<float>(now.route);
  look.score_weight = static_cast<float>(now.score * scale);
  for (std::size_t c = 0; c < column_count; ++c) look.bias[c] = static_cast<float>(now.bias[c]);
  return look;
}

double SecondLookLoss(absl::Span<const LookedQuery* const> queries, const SecondLook& look) {
  Parameters parameters{look.route_weight, look.score_weight, {look.bias.begin(), look.bias.end()}};
  const Loss loss = LossOf(queries, parameters, 1, 0);
  return loss.weight > 0 ? loss.value / loss.weight : 0.0;
}

}  // namespace trivium::routing
