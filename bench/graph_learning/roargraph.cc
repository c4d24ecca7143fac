// SPDX-License-Identifier: Apache-2.0
#include "bench/graph_learning/roargraph.h"

#include <algorithm>
#include <compare>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "base/random.h"
#include "base/thread_pool.h"
#include "base/top_k.h"
#include "index/beam_search.h"
#include "index/build_space.h"
#include "index/prune_rule.h"
#include "index/reachability.h"
#include "index/row_distances.h"
#include "index/search_scratch.h"
#include "index/vertex_distances.h"

namespace trivium::bench {
namespace {

// Of the rows; those of a batch do not see each other while they search.
constexpr double kBatchShare = 0.02;
// Queries that read a block of rows together, and the rows of it, which fit the second cache.
constexpr std::size_t kQueryBlock = 64, kRowBlock = 512;

struct Edge {
  std::uint32_t target = 0, source = 0;

  friend auto operator<=>(const Edge&, const Edge&) = default;
};

struct ExpandedCollector {
  std::vector<std::uint32_t>& expanded;

  void OnScored(const std::uint32_t*, const float*, std::size_t) {}
  void OnExpanded(std::uint32_t vertex, float) { expanded.push_back(vertex); }
};

// Buffers of one thread.
struct Workspace {
  index::SearchScratch search;
  index::PruneScratch prune;
  std::vector<index::PruneCandidate> candidates;
  std::vector<std::uint32_t> vertices, kept;
  std::vector<float> distances;
};

class Builder {
 public:
  Builder(base::MatrixView rows, base::Metric metric, const RoarGraphOptions& options)
      : space_(rows, metric), options_(options), workspaces_(options.thread_count) {
    if (index::BuildSpace::CodesPay(rows.rows, rows.rows)) space_.UseCodes(options.thread_count);
  }

  index::ProximityGraph Project(const routing::QueryAnswers& answers) {
    std::vector<Edge> pivots;  // source: the query
    for (std::uint32_t query = 0; query < answers.queries.rows; ++query) {
      pivots.push_back({answers.AnswersOf(query).front(), query});
    }
    index::ProximityGraph graph(options_.projected_degree);
    graph.Resize(space_.size());
    ForEachTarget(&pivots, [&](std::span<const Edge> queries, Workspace* work) {
      const std::uint32_t pivot = queries.front().target;
      work->vertices.clear();
      for (const Edge& query : queries) {
        const auto others = answers.AnswersOf(query.source).subspan(1);
        work->vertices.insert(work->vertices.end(), others.begin(), others.end());
      }
      std::sort(work->vertices.begin(), work->vertices.end());
      work->vertices.erase(std::unique(work->vertices.begin(), work->vertices.end()), work->vertices.end());
      std::erase(work->vertices, pivot);
      Prune(pivot, graph.degree_bound(), /*fill=*/true, work);
      graph.SetNeighbors(pivot, work->kept);
    });
    std::vector<std::uint32_t> all(space_.size());
    std::iota(all.begin(), all.end(), 0);
    AddReverse(all, /*fill=*/true, &graph);
    return graph;
  }

  index::ProximityGraph Build(const routing::QueryAnswers& answers) {
    const index::ProximityGraph projected = Project(answers);
    const index::ProximityGraph enhanced = Enhance(projected);
    index::ProximityGraph graph(options_.degree_bound);
    graph.Resize(space_.size());
    graph.set_entry(enhanced.entry());
    std::vector<std::uint32_t> list;
    for (std::uint32_t vertex = 0; vertex < graph.size(); ++vertex) {
      const auto first = projected.Neighbors(vertex);
      list.assign(first.begin(), first.end());
      for (const std::uint32_t other : enhanced.Neighbors(vertex)) {
        if (list.size() == graph.degree_bound()) break;
        if (std::find(list.begin(), list.end(), other) == list.end()) list.push_back(other);
      }
      graph.SetNeighbors(vertex, list);
    }
    index::MakeReachable(space_, options_.beam_width, &graph);
    return graph;
  }

 private:
  // The lists that every row gets by searching from the medoid: first those of `projected`, then, vertex by
  // vertex, others in their place.
  index::ProximityGraph Enhance(const index::ProximityGraph& projected) {
    index::ProximityGraph graph(options_.degree_bound);
    graph.Resize(space_.size());
    for (std::uint32_t vertex = 0; vertex < graph.size(); ++vertex) {
      graph.SetNeighbors(vertex, projected.Neighbors(vertex));
    }
    graph.set_entry(space_.Medoid());
    std::vector<std::uint32_t> order(space_.size());
    std::iota(order.begin(), order.end(), 0);
    base::Random(options_.seed).Shuffle(order);
    std::swap(order.front(), *std::find(order.begin(), order.end(), graph.entry()));
    const std::size_t limit = std::max<std::size_t>(1, static_cast<std::size_t>(kBatchShare * order.size()));
    for (std::size_t done = 0; done < order.size();) {
      const std::size_t count = std::min({limit, std::max<std::size_t>(1, done), order.size() - done});
      EnhanceBatch(std::span(order).subspan(done, count), &graph);
      done += count;
    }
    return graph;
  }

  void EnhanceBatch(std::span<const std::uint32_t> batch, index::ProximityGraph* graph) {
    std::vector<std::vector<std::uint32_t>> lists(batch.size());
    base::ParallelFor(batch.size(), options_.thread_count, 8, [&](std::size_t i, int thread) {
      Workspace* work = &workspaces_[thread];
      work->vertices.clear();
      index::VertexDistances scorer{space_, batch[i]};
      ExpandedCollector collector{work->vertices};
      const std::uint32_t entry = graph->entry();
      index::BeamSearch(*graph, scorer, {&entry, 1}, options_.beam_width, &work->search, collector);
      std::erase(work->vertices, batch[i]);
      Prune(batch[i], graph->degree_bound(), /*fill=*/false, work);
      lists[i] = work->kept;
    });
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (!lists[i].empty()) graph->SetNeighbors(batch[i], lists[i]);
    }
    AddReverse(batch, /*fill=*/false, graph);
  }

  // Gives every neighbour of `sources` the edge back, and prunes lists that get too long.
  void AddReverse(std::span<const std::uint32_t> sources, bool fill, index::ProximityGraph* graph) {
    std::vector<Edge> incoming;
    for (const std::uint32_t source : sources) {
      for (const std::uint32_t target : graph->Neighbors(source)) incoming.push_back({target, source});
    }
    ForEachTarget(&incoming, [&](std::span<const Edge> edges, Workspace* work) {
      const std::uint32_t target = edges.front().target;
      const auto present = graph->Neighbors(target);
      work->vertices.assign(present.begin(), present.end());
      for (const Edge& edge : edges) {
        if (std::find(present.begin(), present.end(), edge.source) == present.end()) {
          work->vertices.push_back(edge.source);
        }
      }
      work->kept = work->vertices;
      if (work->kept.size() > graph->degree_bound()) Prune(target, graph->degree_bound(), fill, work);
      graph->SetNeighbors(target, work->kept);
    });
  }

  // Sorts `edges` and calls handle(edges of one target, workspace) for each target, on several threads.
  template <class Handle>
  void ForEachTarget(std::vector<Edge>* edges, const Handle& handle) {
    std::sort(edges->begin(), edges->end());
    std::vector<std::size_t> first;
    for (std::size_t i = 0; i < edges->size(); ++i) {
      if (i == 0 || (*edges)[i].target != (*edges)[i - 1].target) first.push_back(i);
    }
    first.push_back(edges->size());
    base::ParallelFor(first.size() - 1, options_.thread_count, 16, [&](std::size_t i, int thread) {
      handle(std::span<const Edge>(*edges).subspan(first[i], first[i + 1] - first[i]), &workspaces_[thread]);
    });
  }

  // work->kept: at most `bound` of work->vertices (distinct, without `vertex`) by the pruning rule; `fill`
  // takes the nearest of the others where places are left.
  void Prune(std::uint32_t vertex, std::size_t bound, bool fill, Workspace* work) const {
    const std::size_t count = work->vertices.size();
    work->distances.resize(count);
    space_.Distances(vertex, work->vertices.data(), count, work->distances.data());
    work->candidates.clear();
    for (std::size_t i = 0; i < count; ++i) {
      work->candidates.push_back({work->distances[i], work->vertices[i], false});
    }
    std::sort(work->candidates.begin(), work->candidates.end());
    index::RobustPrune(space_, work->candidates, options_.alpha, bound, &work->prune, &work->kept);
    if (!fill) return;
    for (const index::PruneCandidate& candidate : work->candidates) {
      if (work->kept.size() == bound) return;
      const auto end = work->kept.end();
      if (std::find(work->kept.begin(), end, candidate.vertex) == end) work->kept.push_back(candidate.vertex);
    }
  }

  index::BuildSpace space_;
  const RoarGraphOptions& options_;
  std::vector<Workspace> workspaces_;
};

}  // namespace

routing::QueryAnswers NearestRows(base::MatrixView rows, base::Metric metric, base::MatrixView queries,
                                  std::size_t count, int thread_count) {
  routing::QueryAnswers answered;
  answered.queries = queries;
  answered.answer_count = std::min(count, rows.rows);
  answered.answers.resize(queries.rows * answered.answer_count);
  const index::RowDistances distances(rows, metric);
  base::ParallelFor(
      (queries.rows + kQueryBlock - 1) / kQueryBlock, thread_count, 1, [&](std::size_t item, int) {
        const std::size_t first = item * kQueryBlock, asked = std::min(kQueryBlock, queries.rows - first);
        std::vector<base::TopK> best(asked);
        for (base::TopK& top : best) top.Reset(answered.answer_count);
        std::vector<float> found(kRowBlock);
        for (std::size_t row = 0; row < rows.rows; row += kRowBlock) {
          const std::size_t block = std::min(kRowBlock, rows.rows - row);
          for (std::size_t i = 0; i < asked; ++i) {
            distances.Block(queries.row(first + i), row, block, found.data());
            for (std::size_t j = 0; j < block; ++j) {
              if (found[j] <= best[i].Bound()) best[i].Push({found[j], static_cast<std::uint32_t>(row + j)});
            }
          }
        }
        std::vector<base::Neighbor> sorted;
        for (std::size_t i = 0; i < asked; ++i) {
          best[i].DrainSorted(&sorted);
          std::transform(sorted.begin(), sorted.end(),
                         answered.answers.begin() + (first + i) * answered.answer_count,
                         [](const base::Neighbor& neighbor) { return neighbor.row; });
        }
      });
  return answered;
}

index::ProximityGraph ProjectQueries(base::MatrixView rows, base::Metric metric,
                                     const routing::QueryAnswers& answers, const RoarGraphOptions& options) {
  return Builder(rows, metric, options).Project(answers);
}

index::ProximityGraph BuildRoarGraph(base::MatrixView rows, base::Metric metric,
                                     const routing::QueryAnswers& answers, const RoarGraphOptions& options) {
  return Builder(rows, metric, options).Build(answers);
}

}  // namespace trivium::bench
