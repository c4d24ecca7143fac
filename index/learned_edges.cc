// SPDX-License-Identifier: Apache-2.0
#include "index/learned_edges.h"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <span>

#include "index/edge_codes.h"

namespace trivium::index {
namespace {

bool Contains(std::span<const std::uint32_t> list, std::uint32_t vertex) {
  return std::find(list.begin(), list.end(), vertex) != list.end();
}

}  // namespace

std::vector<LearnedEdge> FindLearnedEdges(const ProximityGraph& before, const ProximityGraph& after) {
  assert(before.size() == after.size());
  std::vector<LearnedEdge> edges;
  for (std::uint32_t vertex = 0; vertex < after.size(); ++vertex) {
    const std::span<const std::uint32_t> old = before.Neighbors(vertex), now = after.Neighbors(vertex);
    assert(old.size() <= now.size());
    for (std::size_t place = 0; place < now.size(); ++place) {
      const std::uint32_t replaced = place < old.size() ? old[place] : kNoVertex;
      if (now[place] != replaced) edges.push_back({vertex, now[place], replaced});
    }
  }
  return edges;
}

std::vector<LearnedEdge> WithoutMovedEdges(absl::Span<const LearnedEdge> edges) {
  std::vector<LearnedEdge> others;
  for (auto first = edges.begin(); first != edges.end();) {
    const auto last =
        std::find_if(first, edges.end(), [&](const LearnedEdge& edge) { return edge.from != first->from; });
    std::copy_if(first, last, std::back_inserter(others), [&](const LearnedEdge& edge) {
      return std::none_of(first, last, [&](const LearnedEdge& other) { return other.replaced == edge.to; });
    });
    first = last;
  }
  return others;
}

std::vector<LearnedEdge> MergeLearnedEdges(absl::Span<const LearnedEdge> first,
                                           std::vector<LearnedEdge> then) {
  std::vector<LearnedEdge> all(first.begin(), first.end());
  all.insert(all.end(), then.begin(), then.end());
  std::stable_sort(all.begin(), all.end(),
                   [](const LearnedEdge& one, const LearnedEdge& other) { return one.from < other.from; });
  return all;
}

ProximityGraph UndoLearnedEdges(const ProximityGraph& graph, absl::Span<const LearnedEdge> edges) {
  ProximityGraph undone(graph.words(), graph.size(), graph.degree_bound(), graph.entry());
  undone.Resize(graph.size());  // makes it its own
  std::vector<std::uint32_t> list;
  for (auto first = edges.begin(); first != edges.end();) {
    const auto last =
        std::find_if(first, edges.end(), [&](const LearnedEdge& edge) { return edge.from != first->from; });
    const auto leads_to = [&](std::uint32_t vertex) {
      return std::find_if(first, last, [&](const LearnedEdge& edge) { return edge.to == vertex; });
    };
    const std::span<const std::uint32_t> now = graph.Neighbors(first->from);
    list.clear();
    for (std::uint32_t neighbor : now) {
      const auto edge = leads_to(neighbor);
      if (edge != last) {
        // What gave way may have come back since; then an edge that was only moved is where it was.
        const bool is_back = Contains(now, edge->replaced) && leads_to(edge->replaced) == last;
        const bool is_moved =
            std::any_of(first, last, [&](const LearnedEdge& e) { return e.replaced == neighbor; });
        if (!is_back || !is_moved) neighbor = edge->replaced;
      }
      if (neighbor != kNoVertex && !Contains(list, neighbor)) list.push_back(neighbor);
    }
    undone.SetNeighbors(first->from, list);
    first = last;
  }
  return undone;
}

std::vector<LearnedEdge> KeepLearnedEdges(absl::Span<const LearnedEdge> edges, const base::Bitmap& kept) {
  std::vector<std::uint32_t> number(kept.size(), kNoVertex);
  std::uint32_t count = 0;
  kept.ForEachSet([&](std::size_t vertex) { number[vertex] = count++; });
  std::vector<LearnedEdge> left;
  for (const LearnedEdge& edge : edges) {
    const std::uint32_t from = number[edge.from], to = number[edge.to];
    if (from == kNoVertex || to == kNoVertex) continue;
    left.push_back({from, to, edge.replaced == kNoVertex ? kNoVertex : number[edge.replaced]});
  }
  return left;
}

}  // namespace trivium::index
