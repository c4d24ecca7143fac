// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/imitation/budgeted_search.h"

#include <algorithm>

#include "base/thread_pool.h"

namespace trivium::routing {
namespace {

// A VertexScorer of exact distances.
struct ExactScorer {
  const index::RowDistances& distances;
  index::RowQuery query;

  void Score(const std::uint32_t* vertices, std::size_t count, float* out) {
    distances.Gather(query, vertices, count, out);
  }
  void Prefetch(std::uint32_t) {}
};

}  // namespace

std::size_t AffordableVertices(const RoutingCodes& codes, std::size_t budget, std::size_t rerank_width) {
  const std::size_t fixed = codes.projection_cost() + rerank_width;
  if (budget <= fixed) return 0;
  const std::size_t d = codes.query_map.rows() == 0 ? codes.dimension() : codes.query_map.columns();
  return std::min((budget - fixed) * d / codes.dimension(), codes.codes.rows());
}

bool IsAnswer(const index::RowDistances& distances, const float* query, std::uint32_t target,
              const std::optional<base::Neighbor>& found) {
  if (!found.has_value()) return false;
  float nearest = 0;
  distances.Gather(query, &target, 1, &nearest);
  return found->distance <= nearest;
}

std::optional<base::Neighbor> SearchByCodes(const index::ProximityGraph& graph,
                                            const index::RowDistances& distances, const RoutingCodes& codes,
                                            const float* query, std::size_t budget, std::size_t rerank_width,
                                            std::uint32_t hidden, BudgetedScratch* scratch) {
  const std::size_t affordable = AffordableVertices(codes, budget, rerank_width);
  if (affordable == 0) return std::nullopt;
  scratch->projected.resize(codes.dimension());
  codes.Project(query, scratch->projected.data());
  CodeScorer scorer(codes, scratch->projected.data());
  base::Random unused(0);
  WalkLimits limits;
  limits.visited = affordable;
  limits.hidden = hidden;
  WalkGraph(graph, scorer, limits, &unused, &scratch->walk_scratch, &scratch->walk);

  const Walk& walk = scratch->walk;
  std::vector<base::Neighbor>& candidates = scratch->candidates;
  candidates.clear();
  for (std::size_t i = 0; i < walk.vertices.size(); ++i) {
    candidates.push_back({walk.distances[i], walk.vertices[i]});
  }
  const std::size_t count = std::min(rerank_width, candidates.size());
  if (count == 0) return std::nullopt;
  std::nth_element(candidates.begin(), candidates.begin() + (count - 1), candidates.end());
  scratch->rows.resize(count);
  scratch->distances.resize(count);
  for (std::size_t i = 0; i < count; ++i) scratch->rows[i] = candidates[i].row;
  distances.Gather(query, scratch->rows.data(), count, scratch->distances.data());
  base::Neighbor best{scratch->distances[0], scratch->rows[0]};
  for (std::size_t i = 1; i < count; ++i) {
    best = std::min(best, base::Neighbor{scratch->distances[i], scratch->rows[i]});
  }
  return best;
}

std::optional<base::Neighbor> SearchByDistances(const index::ProximityGraph& graph,
                                                const index::RowDistances& distances, const float* query,
                                                std::size_t budget, std::uint32_t hidden,
                                                BudgetedScratch* scratch) {
  if (budget == 0) return std::nullopt;
  ExactScorer scorer{distances, index::RowQuery(query)};
  base::Random unused(0);
  WalkLimits limits;
  limits.visited = std::min(budget, graph.size());
  limits.hidden = hidden;
  WalkGraph(graph, scorer, limits, &unused, &scratch->walk_scratch, &scratch->walk);
  const Walk& walk = scratch->walk;
  if (walk.vertices.empty()) return std::nullopt;
  base::Neighbor best{walk.distances[0], walk.vertices[0]};
  for (std::size_t i = 1; i < walk.vertices.size(); ++i) {
    best = std::min(best, base::Neighbor{walk.distances[i], walk.vertices[i]});
  }
  return best;
}

double RecallAtBudget(const index::ProximityGraph& graph, const index::RowDistances& distances,
                      const RoutingCodes& codes, const AnsweredQueries& queries, std::size_t budget,
                      std::size_t rerank_width, int thread_count) {
  std::vector<BudgetedScratch> scratches(thread_count);
  std::vector<std::size_t> answered(thread_count, 0);
  base::ParallelFor(queries.queries.rows, thread_count, 16, [&](std::size_t i, int thread) {
    const float* query = queries.queries.row(i);
    const auto found = SearchByCodes(graph, distances, codes, query, budget, rerank_width,
                                     queries.HiddenFrom(i), &scratches[thread]);
    if (IsAnswer(distances, query, queries.TargetsOf(i)[0], found)) ++answered[thread];
  });
  std::size_t sum = 0;
  for (const std::size_t each : answered) sum += each;
  return static_cast<double>(sum) / static_cast<double>(std::max<std::size_t>(1, queries.queries.rows));
}

}  // namespace trivium::routing
