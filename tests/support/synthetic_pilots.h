// SPDX-License-Identifier: Apache-2.0
// Queries that lie around one centre per expert, each answered best by that expert: data whose right route is
// known.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "base/random.h"
#include "routing/expert/expert_facts.h"
#include "routing/expert/pilot_set.h"
#include "routing/expert/pilot_weights.h"

namespace trivium::testing_support {

inline std::vector<float> RandomUnitVector(std::size_t dimension, base::Random* random) {
  std::vector<float> vector(dimension);
  double squared_norm = 0;
  for (float& x : vector) {
    x = static_cast<float>(random->Normal());
    squared_norm += static_cast<double>(x) * x;
  }
  for (float& x : vector) x = static_cast<float>(x / std::sqrt(squared_norm));
  return vector;
}

class ClusteredQueries {
 public:
  // `noise`: length of the random part added to a unit centre; 1 gives cosines of about 0.5 within a cluster.
  ClusteredQueries(std::size_t dimension, std::size_t expert_count, double noise, std::uint64_t seed)
      : dimension_(dimension), noise_(noise), random_(seed) {
    for (std::size_t e = 0; e < expert_count; ++e) centers_.push_back(RandomUnitVector(dimension, &random_));
  }

  std::vector<float> Draw(std::size_t expert) {
    std::vector<float> query = RandomUnitVector(dimension_, &random_);
    double squared_norm = 0;
    for (std::size_t c = 0; c < dimension_; ++c) {
      query[c] = static_cast<float>(centers_[expert][c] + noise_ * query[c]);
      squared_norm += static_cast<double>(query[c]) * query[c];
    }
    for (float& x : query) x = static_cast<float>(x / std::sqrt(squared_norm));
    return query;
  }

  // Utility 0.9 for the expert of the cluster, 0.1 for the others.
  std::vector<float> Utilities(std::size_t expert) const {
    std::vector<float> utilities(centers_.size(), 0.1f);
    utilities[expert] = 0.9f;
    return utilities;
  }

  // `count` pilots, expert of pilot i = i % experts.
  routing::PilotSet Pilots(std::size_t count) {
    routing::PilotSet pilots(dimension_, centers_.size());
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t expert = i % centers_.size();
      const std::vector<float> vector = Draw(expert);
      const std::vector<float> utilities = Utilities(expert);
      if (!pilots.Add({.vector = vector, .utilities = utilities}).ok()) std::abort();
    }
    return pilots;
  }

 private:
  std::size_t dimension_;
  double noise_;
  base::Random random_;
  std::vector<std::vector<float>> centers_;
};

// What label-free routers could know of the experts: the vectors for which an expert is best are what it
// holds, all in one cell, and their mean direction is what it says of itself; its answers agree as far as
// they are of use.
inline routing::ExpertFacts FactsOf(const routing::PilotSet& pilots) {
  routing::ExpertFacts facts;
  facts.dimension = pilots.dimension();
  facts.cells_are_nodes = true;
  facts.cells.directions = base::AlignedMatrix(facts.dimension);
  facts.experts.resize(pilots.expert_count());
  facts.agreement = routing::PilotSet(pilots.dimension(), pilots.expert_count());
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    if (!facts.agreement.Add({.vector = pilots.pilot(i).vector, .utilities = pilots.utilities(i)}).ok()) {
      std::abort();
    }
  }
  std::vector<unsigned char> best;
  for (std::size_t e = 0; e < facts.experts.size(); ++e) {
    routing::MomentSums sums(facts.dimension);
    double count = 0;
    for (std::size_t i = 0; i < pilots.size(); ++i) {
      routing::MarkBestExperts(pilots.utilities(i), &best);
      if (!best[e]) continue;
      sums.Add(pilots.vectors().row(i));
      ++count;
    }
    if (count == 0) continue;
    facts.experts[e].sets = {static_cast<std::uint32_t>(facts.sets.size())};
    facts.sets.push_back(sums.Finish(count));
    std::vector<float> direction = facts.sets.back().mean;
    double squared_norm = 0;
    for (float x : direction) squared_norm += double{x} * x;
    for (float& x : direction) x = static_cast<float>(x / std::sqrt(squared_norm));
    facts.experts[e].description = base::AlignedMatrix(facts.dimension);
    facts.experts[e].description.Append(direction.data());
    facts.experts[e].cells = {static_cast<std::uint32_t>(facts.cells.shares.size())};
    facts.cells.directions.Append(direction.data());
    facts.cells.shares.push_back(1);
  }
  return facts;
}

}  // namespace trivium::testing_support
