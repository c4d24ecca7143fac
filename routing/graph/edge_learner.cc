// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/edge_learner.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/bitmap.h"
#include "base/thread_pool.h"
#include "base/vertex_set.h"
#include "index/beam_search.h"
#include "index/build_space.h"
#include "index/graph_build_options.h"
#include "index/reachability.h"
#include "index/row_distances.h"
#include "index/search_scratch.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kStarts = 2;
// Queries walked for before their edges are made.
constexpr std::size_t kBatch = 4096;

struct RowScorer {
  const index::RowDistances& distances;
  const index::RowQuery& query;

  void Score(const std::uint32_t* vertices, std::size_t count, float* out) {
    distances.Gather(query, vertices, count, out);
  }
  void Prefetch(std::uint32_t vertex) { distances.PrefetchWhole(vertex); }
};

struct ExpandedTracker {
  base::VertexSet& expanded;
  std::uint32_t nearest = 0;
  float distance = std::numeric_limits<float>::infinity();

  void OnScored(const std::uint32_t*, const float*, std::size_t) {}
  void OnExpanded(std::uint32_t vertex, float d) {
    expanded.Insert(vertex);
    if (d < distance) std::tie(nearest, distance) = std::pair(vertex, d);
  }
};

using Edge = std::pair<std::uint32_t, std::uint32_t>;

// Buffers of one thread.
struct Workspace {
  index::SearchScratch search;
  base::VertexSet expanded;
  std::vector<std::uint32_t> starts, reached, missed;
  std::vector<float> distances;
};

class EdgeLearner {
 public:
  EdgeLearner(const index::RowsView& rows, base::Metric metric, const QueryAnswers& training,
              absl::Span<const std::uint32_t> entries, const EdgeLearningOptions& options,
              EdgeLearning* learning)
      : rows_(rows),
        distances_(rows, metric),
        space_(rows, metric),
        training_(training),
        entries_(entries.empty() ? absl::MakeConstSpan(&own_entry_, 1) : entries),
        own_entry_(learning->graph.entry()),
        options_(options),
        learning_(*learning),
        graph_(learning->graph),
        workspaces_(options.thread_count) {}

  absl::Status Run() {
    const std::size_t count = training_.queries.rows, total = count * options_.rounds;
    for (std::size_t first = 0; first < count; first += kBatch) {
      Learn(first, std::min(kBatch, count - first));
      if (options_.progress) {
        options_.progress(learning_.rounds * count + std::min(first + kBatch, count), total);
      }
      if (options_.cancelled != nullptr && options_.cancelled->load(std::memory_order_relaxed)) {
        return absl::CancelledError("graph training: cancelled by the caller");
      }
    }
    ++learning_.rounds;
    return absl::OkStatus();
  }

 private:
  void Learn(std::size_t first, std::size_t count) {
    std::vector<std::vector<Edge>> edges(count);
    base::ParallelFor(count, options_.thread_count, 16, [&](std::size_t i, int thread) {
      FindEdges(first + i, &workspaces_[thread], &edges[i]);
    });
    for (const std::vector<Edge>& found : edges) {
      if (learning_.rounds == 0) learning_.edges.missed += found.size();
      for (const auto& [one, other] : found) {
        AddEdge(one, other);
        AddEdge(other, one);
      }
    }
  }

  void FindEdges(std::size_t query, Workspace* work, std::vector<Edge>* edges) {
    const index::RowQuery prepared =
        work->search.query_words.Prepare(rows_.format, training_.queries.row(query), rows_.columns);
    work->expanded.Clear();
    RowScorer scorer{distances_, prepared};
    ExpandedTracker tracker{work->expanded};
    NearestEntries(prepared, work);
    index::BeamSearch(graph_, scorer, work->starts, options_.beam_width, &work->search, tracker);

    work->reached.clear();
    work->missed.clear();
    for (const std::uint32_t answer : training_.AnswersOf(query)) {
      (work->expanded.Contains(answer) ? work->reached : work->missed).push_back(answer);
    }
    if (work->reached.empty()) work->reached.push_back(tracker.nearest);
    work->distances.resize(work->reached.size());
    for (const std::uint32_t answer : work->missed) {
      space_.Distances(answer, work->reached.data(), work->reached.size(), work->distances.data());
      const auto nearest = std::min_element(work->distances.begin(), work->distances.end());
      edges->emplace_back(work->reached[nearest - work->distances.begin()], answer);
    }
  }

  void NearestEntries(const index::RowQuery& query, Workspace* work) {
    work->distances.resize(entries_.size());
    distances_.Gather(query, entries_.data(), entries_.size(), work->distances.data());
    work->starts.clear();
    for (std::size_t start = 0; start < std::min(kStarts, entries_.size()); ++start) {
      const auto nearest = std::min_element(work->distances.begin(), work->distances.end());
      work->starts.push_back(entries_[nearest - work->distances.begin()]);
      *nearest = std::numeric_limits<float>::infinity();
    }
  }

  void AddEdge(std::uint32_t from, std::uint32_t to) {
    const auto neighbors = graph_.Neighbors(from);
    if (from == to || std::find(neighbors.begin(), neighbors.end(), to) != neighbors.end()) return;
    list_.assign(neighbors.begin(), neighbors.end());
    std::size_t place = list_.size();
    if (place < graph_.degree_bound()) {
      list_.push_back(to);
    } else {
      if (learning_.replaced[from] == options_.most_replaced) return;
      place = LongestUntaught(from);
      if (place == list_.size()) return;
      list_[place] = to;
      ++learning_.replaced[from];
      ++learning_.edges.replaced;
    }
    learning_.learned.Set(from * graph_.degree_bound() + place);
    graph_.SetNeighbors(from, list_);
    ++learning_.edges.added;
  }

  // The place of the longest edge of list_ that was not learned; list_.size() where all were.
  std::size_t LongestUntaught(std::uint32_t from) {
    lengths_.resize(list_.size());
    space_.Distances(from, list_.data(), list_.size(), lengths_.data());
    std::size_t longest = list_.size();
    for (std::size_t place = 0; place < list_.size(); ++place) {
      if (learning_.learned.Test(from * graph_.degree_bound() + place)) continue;
      if (longest == list_.size() || lengths_[place] > lengths_[longest]) longest = place;
    }
    return longest;
  }

  const index::RowsView& rows_;
  index::RowDistances distances_;
  index::BuildSpace space_;
  const QueryAnswers& training_;
  absl::Span<const std::uint32_t> entries_;
  std::uint32_t own_entry_;
  const EdgeLearningOptions& options_;
  EdgeLearning& learning_;
  index::ProximityGraph& graph_;  // of it
  std::vector<Workspace> workspaces_;
  std::vector<std::uint32_t> list_;
  std::vector<float> lengths_;
};

index::ProximityGraph Copy(const index::ProximityGraph& graph) {
  index::ProximityGraph copy(graph.words(), graph.size(), graph.degree_bound(), graph.entry());
  copy.Resize(graph.size());  // makes it its own
  return copy;
}

}  // namespace

EdgeLearning::EdgeLearning(const index::ProximityGraph& untaught)
    : graph(Copy(untaught)),
      learned(untaught.size() * untaught.degree_bound()),
      replaced(untaught.size(), 0) {}

void EdgeLearning::Protect(absl::Span<const index::LearnedEdge> known) {
  for (const index::LearnedEdge& edge : known) {
    const auto list = graph.Neighbors(edge.from);
    const auto place = std::find(list.begin(), list.end(), edge.to);
    if (place != list.end()) learned.Set(edge.from * graph.degree_bound() + (place - list.begin()));
  }
}

index::ProximityGraph EdgeLearning::Reachable(const index::RowsView& rows, base::Metric metric) const {
  index::ProximityGraph whole = Copy(graph);
  index::MakeReachable(index::BuildSpace(rows, metric), index::GraphBuildOptions().beam_width, &whole);
  return whole;
}

absl::Status LearnRound(const index::RowsView& rows, base::Metric metric, const QueryAnswers& training,
                        absl::Span<const std::uint32_t> entries, const EdgeLearningOptions& options,
                        EdgeLearning* learning) {
  return EdgeLearner(rows, metric, training, entries, options, learning).Run();
}

absl::StatusOr<LearnedEdges> LearnEdges(const index::RowsView& rows, base::Metric metric,
                                        const QueryAnswers& training, absl::Span<const std::uint32_t> entries,
                                        const EdgeLearningOptions& options, index::ProximityGraph* graph) {
  EdgeLearning learning(*graph);
  while (learning.rounds < options.rounds) {
    const absl::Status status = LearnRound(rows, metric, training, entries, options, &learning);
    if (!status.ok()) return status;
  }
  *graph = learning.Reachable(rows, metric);
  return learning.edges;
}

}  // namespace trivium::routing
