// SPDX-License-Identifier: Apache-2.0
#include "index/graph_builder.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "index/beam_search.h"
#include "index/build_space.h"
#include "index/prune_rule.h"
#include "index/reachability.h"
#include "index/vertex_distances.h"

namespace trivium::index {
namespace {

// A batch is at most this share of the new rows, which may all lie in a region of their own: its vertices do
// not see each other while they search.
constexpr double kBatchShare = 0.02;

// Vertices by which a batch is ordered.
constexpr std::size_t kLandmarks = 256;

struct ExpandedCollector {
  std::vector<PruneCandidate>& expanded;

  void OnScored(const std::uint32_t*, const float*, std::size_t) {}
  void OnExpanded(std::uint32_t vertex, float distance) { expanded.push_back({distance, vertex, false}); }
};

// An edge that asks to be reversed; sorted by target, then in order of insertion.
struct IncomingEdge {
  std::uint32_t target = 0;
  std::uint32_t source = 0;

  friend auto operator<=>(const IncomingEdge&, const IncomingEdge&) = default;
};

// Buffers of one thread.
struct Workspace {
  SearchScratch search;
  PruneScratch prune;
  std::vector<PruneCandidate> passed;  // expanded by a search
  std::vector<PruneCandidate> candidates;
  std::vector<std::uint32_t> vertices;
  std::vector<float> distances;
};

class Builder {
 public:
  Builder(const BuildSpace& space, const GraphBuildOptions& options, ProximityGraph* graph)
      : space_(space),
        options_(options),
        graph_(*graph),
        thread_count_(base::ResolveThreadCount(options.threads)),
        workspaces_(thread_count_),
        settled_count_(space.size(), 0) {
    // What was kept before, by whatever reason, is not doubted when new edges come.
    for (std::uint32_t vertex = 0; vertex < graph->size(); ++vertex) {
      settled_count_[vertex] = static_cast<std::uint16_t>(graph->Neighbors(vertex).size());
    }
  }

  // `order`: vertices without edges yet, distinct. `inserted`: how many vertices the graph has already; with
  // none the first of `order` is the entry.
  absl::Status Insert(std::span<const std::uint32_t> order, std::size_t inserted) {
    const std::size_t total = order.size();
    const auto limit = std::max<std::size_t>(1, static_cast<std::size_t>(kBatchShare * total));
    for (std::size_t done = inserted == 0 ? 1 : 0; done < total;) {
      if (options_.cancelled != nullptr && options_.cancelled->load(std::memory_order_relaxed)) {
        return absl::CancelledError("graph build: cancelled");
      }
      // Small batches first, whatever the graph holds: new vertices may lie where it has none.
      const std::size_t count = std::min({limit, std::max<std::size_t>(1, done), total - done});
      batch_.assign(order.begin() + done, order.begin() + done + count);
      if (landmarks_.empty() && done >= kLandmarks) ChooseLandmarks(order.first(kLandmarks));
      if (!landmarks_.empty()) SortByPlace();
      InsertBatch(batch_);
      done += count;
      if (options_.progress) options_.progress(done, total);
    }
    return absl::OkStatus();
  }

 private:
  // In an order in which each is near to the one before.
  void ChooseLandmarks(std::span<const std::uint32_t> vertices) {
    std::vector<std::uint32_t> left(vertices.begin(), vertices.end());
    std::vector<float> distances(left.size());
    for (std::size_t next = 0; !left.empty();) {
      landmarks_.push_back(left[next]);
      left.erase(left.begin() + static_cast<std::ptrdiff_t>(next));
      space_.Distances(landmarks_.back(), left.data(), left.size(), distances.data());
      next = std::min_element(distances.begin(), distances.begin() + left.size()) - distances.begin();
    }
  }

  // Vertices near to each other are searched for one after the other, so that a search finds in the caches
  // much of what it reads. The graph is the same in any order.
  void SortByPlace() {
    places_.resize(batch_.size());
    base::ParallelFor(batch_.size(), thread_count_, 64, [&](std::size_t i, int thread) {
      std::vector<float>& distances = workspaces_[thread].distances;
      distances.resize(landmarks_.size());
      space_.Distances(batch_[i], landmarks_.data(), landmarks_.size(), distances.data());
      const auto nearest = std::min_element(distances.begin(), distances.end()) - distances.begin();
      places_[i] = {static_cast<std::uint32_t>(nearest), batch_[i]};
    });
    std::sort(places_.begin(), places_.end());
    std::transform(places_.begin(), places_.end(), batch_.begin(), [](const auto& p) { return p.second; });
  }

  void InsertBatch(std::span<const std::uint32_t> batch) {
    // No edge leads to a vertex of the batch yet, so writing their lists does not disturb the searches.
    base::ParallelFor(batch.size(), thread_count_, 8,
                      [&](std::size_t i, int thread) { FindNeighbors(batch[i], &workspaces_[thread]); });
    GroupIncoming(batch);
    base::ParallelFor(groups_.size() - 1, thread_count_, 16, [&](std::size_t i, int thread) {
      AddIncoming(std::span(incoming_).subspan(groups_[i], groups_[i + 1] - groups_[i]),
                  &workspaces_[thread]);
    });
  }

  void FindNeighbors(std::uint32_t vertex, Workspace* work) {
    std::vector<PruneCandidate>& passed = work->passed;
    passed.clear();
    VertexDistances scorer{space_, vertex};
    ExpandedCollector collector{passed};
    const std::uint32_t entry = graph_.entry();
    BeamSearch(graph_, scorer, {&entry, 1}, options_.beam_width, &work->search, collector);

    // What the pool holds was expanded and is sorted. The few others it had on the way are farther away.
    std::vector<PruneCandidate>& candidates = work->candidates;
    const CandidatePool& pool = work->search.pool;
    candidates.clear();
    for (std::size_t i = 0; i < pool.size(); ++i) {
      candidates.push_back({pool[i].distance, pool[i].vertex, false});
    }
    const PruneCandidate last = candidates.back();
    std::erase_if(passed, [&](const PruneCandidate& candidate) { return !(last < candidate); });
    std::sort(passed.begin(), passed.end());
    candidates.insert(candidates.end(), passed.begin(), passed.end());
    Prune(vertex, work);
  }

  void GroupIncoming(std::span<const std::uint32_t> batch) {
    incoming_.clear();
    for (const std::uint32_t source : batch) {
      for (const std::uint32_t target : graph_.Neighbors(source)) incoming_.push_back({target, source});
    }
    std::sort(incoming_.begin(), incoming_.end());
    groups_.clear();
    for (std::size_t i = 0; i < incoming_.size(); ++i) {
      if (i == 0 || incoming_[i].target != incoming_[i - 1].target) groups_.push_back(i);
    }
    groups_.push_back(incoming_.size());
  }

  void AddIncoming(std::span<const IncomingEdge> edges, Workspace* work) {
    const std::uint32_t vertex = edges.front().target;
    const std::span<const std::uint32_t> present = graph_.Neighbors(vertex);
    work->vertices.assign(present.begin(), present.end());
    for (const IncomingEdge& edge : edges) work->vertices.push_back(edge.source);
    if (work->vertices.size() <= graph_.degree_bound()) {
      graph_.SetNeighbors(vertex, work->vertices);
      return;
    }
    for (const std::uint32_t neighbor : work->vertices) space_.Prefetch(neighbor);
    work->distances.resize(work->vertices.size());
    space_.Distances(vertex, work->vertices.data(), work->vertices.size(), work->distances.data());
    work->candidates.clear();
    for (std::size_t i = 0; i < work->vertices.size(); ++i) {
      work->candidates.push_back({work->distances[i], work->vertices[i], i < settled_count_[vertex]});
    }
    std::sort(work->candidates.begin(), work->candidates.end());
    Prune(vertex, work);
  }

  void Prune(std::uint32_t vertex, Workspace* work) {
    RobustPrune(space_, work->candidates, options_.alpha, graph_.degree_bound(), &work->prune,
                &work->vertices);
    graph_.SetNeighbors(vertex, work->vertices);
    settled_count_[vertex] = static_cast<std::uint16_t>(work->vertices.size());
  }

  const BuildSpace& space_;
  const GraphBuildOptions& options_;
  ProximityGraph& graph_;
  int thread_count_;
  std::vector<Workspace> workspaces_;
  std::vector<std::uint16_t> settled_count_;  // of each list, how many lead and were kept by one pruning
  std::vector<std::uint32_t> landmarks_;
  std::vector<std::uint32_t> batch_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> places_;  // nearest landmark, vertex of the batch
  std::vector<IncomingEdge> incoming_;
  std::vector<std::size_t> groups_;  // first of each target in incoming_, then its size
};

}  // namespace

absl::Status ExtendGraph(const RowsView& rows, base::Metric metric, const GraphBuildOptions& options,
                         ProximityGraph* graph) {
  const std::size_t old_size = graph->size();
  if (absl::Status status = options.Validate(); !status.ok()) return status;
  if (rows.rows > kMaxVertexCount) {
    return absl::InvalidArgumentError(
        absl::StrCat("rows of one graph: ", rows.rows, ", expected at most ", kMaxVertexCount));
  }
  if (rows.rows <= old_size) return absl::OkStatus();

  const int thread_count = base::ResolveThreadCount(options.threads);
  BuildSpace space(rows, metric);
  if (BuildSpace::CodesPay(rows.rows, rows.rows - old_size)) space.UseCodes(thread_count);
  std::vector<std::uint32_t> order(rows.rows - old_size);
  std::iota(order.begin(), order.end(), static_cast<std::uint32_t>(old_size));
  base::Random(options.seed).Shuffle(order);
  // The entry is chosen anew each time the graph doubles.
  std::uint32_t entry = graph->entry();
  if (std::bit_width(old_size) != std::bit_width(rows.rows)) entry = space.Medoid();
  graph->Resize(rows.rows);

  if (old_size == 0) {
    std::swap(order.front(), *std::find(order.begin(), order.end(), entry));
    graph->set_entry(entry);
  }
  Builder builder(space, options, graph);
  if (absl::Status status = builder.Insert(order, old_size); !status.ok()) {
    *graph = ProximityGraph(graph->degree_bound());
    return status;
  }
  if (!graph->Neighbors(entry).empty()) graph->set_entry(entry);  // else it was taken out of the graph
  MakeReachable(space, options.beam_width, graph);
  return absl::OkStatus();
}

}  // namespace trivium::index
