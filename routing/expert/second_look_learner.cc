// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/second_look_learner.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/aligned_matrix.h"
#include "base/random.h"
#include "routing/learning/adam_optimizer.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kBatch = 512, kSteps = 1500;
constexpr double kRate = 0.02, kLastRateShare = 0.1;
constexpr double kRidgeQueries = 5;  // the ridge weighs as much as so many queries
constexpr std::size_t kRouteWeight = 0, kScoreWeight = 1, kFirstBias = 2;  // places in the parameters

float SumOfShares(const LookedQuery& query) {
  float sum = 0;
  for (const LookedAt& expert : query.experts) sum += expert.share;
  return sum;
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

// Revised shares of the query's experts.
void Shares(const LookedQuery& query, const float* parameters, float scale, std::vector<float>* shares) {
  shares->clear();
  float highest = -std::numeric_limits<float>::infinity();
  for (const LookedAt& expert : query.experts) {
    shares->push_back(parameters[kRouteWeight] * expert.log_probability +
                      parameters[kScoreWeight] * scale * expert.score +
                      parameters[kFirstBias + expert.column]);
    highest = std::max(highest, shares->back());
  }
  float sum = 0;
  for (float& share : *shares) {
    share = std::exp(share - highest);
    sum += share;
  }
  for (float& share : *shares) share /= sum;
}

}  // namespace

SecondLook LearnSecondLook(absl::Span<const LookedQuery* const> queries, std::size_t column_count) {
  const double spread = SpreadOfScores(queries);
  const float scale = spread > 0 ? static_cast<float>(1 / spread) : 0.0f;
  std::vector<const LookedQuery*> telling;
  double total_weight = 0;
  for (const LookedQuery* query : queries) {
    if (query->experts.size() < 2 || !(query->weight > 0) || !(SumOfShares(*query) > 0)) continue;
    telling.push_back(query);
    total_weight += query->weight;
  }
  SecondLook look;
  look.bias.assign(column_count, 0.0f);
  if (telling.empty()) return look;

  base::AlignedMatrix parameters(1, kFirstBias + column_count), gradient(1, kFirstBias + column_count);
  parameters.row(0)[kRouteWeight] = 1;
  std::vector<double> mean(kFirstBias + column_count, 0.0);
  const double mean_weight = total_weight / static_cast<double>(telling.size());
  const auto ridge = static_cast<float>(kRidgeQueries / static_cast<double>(telling.size()));
  base::Random random(1);
  AdamOptimizer optimizer(kRate);
  std::vector<float> shares;
  for (std::size_t step = 0; step < kSteps; ++step) {
    float* slope = gradient.row(0);
    const float* now = parameters.row(0);
    for (std::size_t j = 0; j < gradient.columns(); ++j) {
      slope[j] = ridge * (now[j] - (j == kRouteWeight ? 1.0f : 0.0f));
    }
    for (std::size_t i = 0; i < kBatch; ++i) {
      const LookedQuery& query = *telling[random.Below(telling.size())];
      Shares(query, now, scale, &shares);
      const auto weight = static_cast<float>(query.weight / mean_weight / kBatch);
      const float sum = SumOfShares(query);
      for (std::size_t e = 0; e < shares.size(); ++e) {
        const LookedAt& expert = query.experts[e];
        const float error = weight * (shares[e] - expert.share / sum);
        slope[kRouteWeight] += error * expert.log_probability;
        slope[kScoreWeight] += error * scale * expert.score;
        slope[kFirstBias + expert.column] += error;
      }
    }
    const double done = static_cast<double>(step) / kSteps;
    optimizer.Step(gradient, &parameters, 1 - (1 - kLastRateShare) * done);
    if (step < kSteps / 2) continue;
    for (std::size_t j = 0; j < mean.size(); ++j) mean[j] += now[j];
  }
  constexpr auto kAveraged = static_cast<double>(kSteps - kSteps / 2);
  look.route_weight = static_cast<float>(mean[kRouteWeight] / kAveraged);
  look.score_weight = static_cast<float>(mean[kScoreWeight] / kAveraged * scale);
  for (std::size_t c = 0; c < column_count; ++c) {
    look.bias[c] = static_cast<float>(mean[kFirstBias + c] / kAveraged);
  }
  return look;
}

double SecondLookLoss(absl::Span<const LookedQuery* const> queries, const SecondLook& look) {
  std::vector<float> parameters = {look.route_weight, look.score_weight}, shares;
  parameters.insert(parameters.end(), look.bias.begin(), look.bias.end());
  double loss = 0, weight = 0;
  for (const LookedQuery* query : queries) {
    const float sum = SumOfShares(*query);
    if (query->experts.size() < 2 || !(sum > 0)) continue;
    Shares(*query, parameters.data(), 1, &shares);
    for (std::size_t e = 0; e < shares.size(); ++e) {
      loss -= query->weight * query->experts[e].share / sum * std::log(std::max(shares[e], 1e-30f));
    }
    weight += query->weight;
  }
  return weight > 0 ? loss / weight : 0.0;
}

}  // namespace trivium::routing
