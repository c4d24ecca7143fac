// SPDX-License-Identifier: Apache-2.0
#include "index/graph_repair.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/thread_pool.h"
#include "base/vertex_set.h"
#include "index/build_space.h"
#include "index/prune_rule.h"
#include "index/reachability.h"

namespace trivium::index {
namespace {

// Rows whose distances are computed in one call by a scan.
constexpr std::size_t kScanBlock = 1024;

// Vertices repaired before the next look at `cancelled`.
constexpr std::size_t kBatch = 8192;

// Where a region is emptied, candidates are collected until there are that many for each place in a list.
// Measured on MiniLM vectors, half of them replaced domain by domain: 2 lose 0.8 points at beam 32 where the
// query's own domain is gone, 4 nothing against a fresh build.
constexpr std::size_t kCandidatesAPlace = 4;
// Removed vertices that are looked at for one that stays.
constexpr std::size_t kMostPassed = 256;

// Buffers of one thread.
struct Workspace {
  PruneScratch prune;
  std::vector<PruneCandidate> candidates;
  std::vector<std::uint32_t> vertices;
  std::vector<std::uint32_t> passed;  // removed, on the way to them
  base::VertexSet seen;
  std::vector<std::uint32_t> kept;
  std::vector<float> distances;
};

class Remover {
 public:
  // `present`: the vertices that stay in the graph, ascending.
  Remover(const BuildSpace& space, const GraphBuildOptions& options, const base::Bitmap& removed,
          const std::vector<std::uint32_t>& present, ProximityGraph* graph)
      : space_(space),
        options_(options),
        removed_(removed),
        present_(present),
        graph_(*graph),
        thread_count_(base::ResolveThreadCount(options.threads)),
        workspaces_(thread_count_) {}

  // `affected`: the vertices of `present` that lose neighbours. A repair reads the vertex's own list and
  // those of removed vertices, which do not change, and writes its own: the order does not matter.
  absl::Status Repair(const std::vector<std::uint32_t>& affected) {
    for (std::size_t first = 0; first < affected.size(); first += kBatch) {
      if (options_.cancelled != nullptr && options_.cancelled->load(std::memory_order_relaxed)) {
        return absl::CancelledError("graph repair: cancelled");
      }
      const std::size_t count = std::min(kBatch, affected.size() - first);
      base::ParallelFor(count, thread_count_, 16, [&](std::size_t i, int thread) {
        RepairVertex(affected[first + i], &workspaces_[thread]);
      });
    }
    return absl::OkStatus();
  }

  // Empties the lists of removed vertices and moves the entry to the vertex nearest to it where it is one.
  void Detach() {
    const std::uint32_t entry = graph_.entry();
    if (removed_.Test(entry)) graph_.set_entry(NearestPresent(entry, 1, &workspaces_[0]).front().vertex);
    removed_.ForEachSet(
        [&](std::size_t vertex) { graph_.SetNeighbors(static_cast<std::uint32_t>(vertex), {}); });
  }

 private:
  void RepairVertex(std::uint32_t vertex, Workspace* work) {
    FindCandidates(vertex, work);
    if (work->vertices.empty() && present_.size() > 1) {
      work->candidates = NearestPresent(vertex, graph_.degree_bound(), work);
    } else {
      Measure(vertex, work);
      // Neighbours that stay do not drop each other: reversed edges came to the list without a pruning, and
      // where removals took them away it became thinner with each.
      const auto neighbors = graph_.Neighbors(vertex);
      for (PruneCandidate& candidate : work->candidates) {
        candidate.settled =
            std::find(neighbors.begin(), neighbors.end(), candidate.vertex) != neighbors.end();
      }
      std::sort(work->candidates.begin(), work->candidates.end());
    }
    RobustPrune(space_, work->candidates, options_.alpha, graph_.degree_bound(), &work->prune, &work->kept);
    graph_.SetNeighbors(vertex, work->kept);
  }

  // Into work->vertices: the neighbours that stay, and what the removed ones led to. Where those led
  // mostly to removed ones in turn, a region is emptied, and what lies around it was joined through it: goes
  // on beyond them.
  void FindCandidates(std::uint32_t vertex, Workspace* work) {
    std::vector<std::uint32_t>& vertices = work->vertices;
    std::vector<std::uint32_t>& passed = work->passed;
    vertices.clear();
    passed.clear();
    work->seen.Clear();
    work->seen.Insert(vertex);
    const auto look = [&](std::uint32_t from) {
      for (const std::uint32_t next : graph_.Neighbors(from)) {
        if (work->seen.Insert(next)) (removed_.Test(next) ? passed : vertices).push_back(next);
      }
    };
    look(vertex);
    const std::size_t staying = vertices.size(), direct = passed.size();
    for (std::size_t i = 0; i < direct; ++i) look(passed[i]);
    if (passed.size() - direct > vertices.size() - staying) {
      const std::size_t enough = kCandidatesAPlace * graph_.degree_bound();
      for (std::size_t i = direct; i < std::min(passed.size(), kMostPassed) && vertices.size() < enough;
           ++i) {
        look(passed[i]);
      }
    }
    std::sort(vertices.begin(), vertices.end());
  }

  // Candidates are work->vertices with their distances.
  void Measure(std::uint32_t vertex, Workspace* work) {
    const std::vector<std::uint32_t>& vertices = work->vertices;
    for (const std::uint32_t other : vertices) space_.Prefetch(other);
    work->distances.resize(vertices.size());
    space_.Distances(vertex, vertices.data(), vertices.size(), work->distances.data());
    work->candidates.clear();
    for (std::size_t i = 0; i < vertices.size(); ++i) {
      work->candidates.push_back({work->distances[i], vertices[i], false});
    }
  }

  // The `count` present vertices nearest to `vertex`, itself apart, nearest first. O(present).
  std::vector<PruneCandidate> NearestPresent(std::uint32_t vertex, std::size_t count, Workspace* work) {
    std::vector<PruneCandidate> nearest;
    for (std::size_t first = 0; first < present_.size(); first += kScanBlock) {
      const std::size_t end = std::min(present_.size(), first + kScanBlock);
      work->vertices.assign(present_.begin() + first, present_.begin() + end);
      std::erase(work->vertices, vertex);
      Measure(vertex, work);
      nearest.insert(nearest.end(), work->candidates.begin(), work->candidates.end());
      std::sort(nearest.begin(), nearest.end());
      if (nearest.size() > count) nearest.resize(count);
    }
    return nearest;
  }

  const BuildSpace& space_;
  const GraphBuildOptions& options_;
  const base::Bitmap& removed_;
  const std::vector<std::uint32_t>& present_;
  ProximityGraph& graph_;
  int thread_count_;
  std::vector<Workspace> workspaces_;
};

absl::Status Check(const RowsView& rows, const GraphBuildOptions& options, const base::Bitmap& removed,
                   const ProximityGraph& graph) {
  if (absl::Status status = options.Validate(); !status.ok()) return status;
  if (removed.size() != graph.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("bits of removed: ", removed.size(), ", expected ", graph.size()));
  }
  if (rows.rows < graph.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("rows: ", rows.rows, ", expected at least the ", graph.size(), " of the graph"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RemoveVertices(const RowsView& rows, base::Metric metric, const GraphBuildOptions& options,
                            const base::Bitmap& removed, ProximityGraph* graph) {
  if (absl::Status status = Check(rows, options, removed, *graph); !status.ok()) return status;
  if (removed.CountSet() == 0) return absl::OkStatus();
  std::vector<std::uint32_t> present, affected;
  for (std::uint32_t vertex = 0; vertex < graph->size(); ++vertex) {
    const auto neighbors = graph->Neighbors(vertex);
    // Without neighbours it was taken out before, or is all that was left.
    if (removed.Test(vertex) || (neighbors.empty() && vertex != graph->entry())) continue;
    present.push_back(vertex);
    if (std::any_of(neighbors.begin(), neighbors.end(), [&](std::uint32_t n) { return removed.Test(n); })) {
      affected.push_back(vertex);
    }
  }
  if (present.empty()) {
    return absl::InvalidArgumentError("vertices left in the graph: 0, expected at least 1");
  }
  graph->Resize(graph->size());  // a mapped graph becomes its own
  BuildSpace space(rows.First(graph->size()), metric);
  if (BuildSpace::CodesPay(graph->size(), affected.size())) {
    space.UseCodes(base::ResolveThreadCount(options.threads));
  }
  Remover remover(space, options, removed, present, graph);
  const absl::Status status = remover.Repair(affected);
  if (status.ok()) remover.Detach();
  MakeReachable(space, options.beam_width, graph);  // also those that stay because it was cancelled
  return status;
}

ProximityGraph KeepVertices(const ProximityGraph& graph, const base::Bitmap& kept) {
  std::vector<std::uint32_t> number(graph.size());
  std::uint32_t count = 0;
  kept.ForEachSet([&](std::size_t vertex) { number[vertex] = count++; });
  ProximityGraph dense(graph.degree_bound());
  dense.Resize(count);
  std::vector<std::uint32_t> neighbors;
  kept.ForEachSet([&](std::size_t vertex) {
    neighbors.clear();
    for (const std::uint32_t neighbor : graph.Neighbors(static_cast<std::uint32_t>(vertex))) {
      neighbors.push_back(number[neighbor]);
    }
    dense.SetNeighbors(number[vertex], neighbors);
  });
  if (count > 0) dense.set_entry(number[graph.entry()]);
  return dense;
}

}  // namespace trivium::index
