// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/imitation/imitation_batch.h"

#include <algorithm>
#include <cstring>

#include "base/random.h"
#include "base/thread_pool.h"

namespace trivium::routing {

ImitationBatch::ImitationBatch(const index::ProximityGraph& graph, const HopOracle& oracle,
                               const BatchOptions& options, int thread_count)
    : graph_(graph),
      oracle_(oracle),
      options_(options),
      workspaces_(thread_count),
      is_touched_(graph.size(), 0) {}

double ImitationBatch::Run(const RoutingCodes& codes, const AnsweredQueries& queries,
                           std::span<const std::uint32_t> chosen, std::uint64_t seed, CodeGradient* gradient,
                           base::AlignedMatrix* query_map) {
  const int thread_count = static_cast<int>(workspaces_.size());
  const std::size_t count = chosen.size();
  if (gradient->codes.rows() != graph_.size()) {
    gradient->codes = base::AlignedMatrix(graph_.size(), codes.dimension());
    gradient->biases.assign(graph_.size(), 0.0f);
    gradient->touched.clear();
  }
  for (const std::uint32_t vertex : gradient->touched) {
    std::memset(gradient->codes.row(vertex), 0, codes.dimension() * sizeof(float));
    gradient->biases[vertex] = 0;
  }
  if (lessons_.size() < count) lessons_.resize(count);
  base::ParallelFor(count, thread_count, 4, [&](std::size_t i, int thread) {
    WalkOnce(codes, queries, chosen[i], seed, &workspaces_[thread], &lessons_[i]);
  });
  // The mean's share goes into the derivatives once.
  const float share = 1.0f / static_cast<float>(std::max<std::size_t>(1, count));
  base::ParallelFor(count, thread_count, 16, [&](std::size_t i, int) {
    for (float& derivative : lessons_[i].derivatives) derivative *= share;
    for (float& value : lessons_[i].code_sum) value *= share;
  });
  base::ParallelFor(thread_count, thread_count, 1,
                    [&](std::size_t owner, int) { AddOwn(owner, count, gradient); });
  gradient->touched.clear();
  for (const Workspace& work : workspaces_) {
    gradient->touched.insert(gradient->touched.end(), work.touched.begin(), work.touched.end());
  }
  if (query_map != nullptr) {
    base::ParallelFor(query_map->rows(), thread_count, 1, [&](std::size_t r, int) {
      float* row = query_map->row(r);
      std::fill(row, row + query_map->columns(), 0.0f);
      for (std::size_t i = 0; i < count; ++i) {
        const float factor = lessons_[i].code_sum[r];
        const float* query = queries.queries.row(chosen[i]);
        for (std::size_t j = 0; j < query_map->columns(); ++j) row[j] += factor * query[j];
      }
    });
  }
  double loss = 0;
  for (std::size_t i = 0; i < count; ++i) loss += lessons_[i].loss;
  return loss / static_cast<double>(std::max<std::size_t>(1, count));
}

void ImitationBatch::WalkOnce(const RoutingCodes& codes, const AnsweredQueries& queries, std::uint32_t query,
                              std::uint64_t seed, Workspace* work, Lesson* lesson) const {
  const std::size_t dimension = codes.dimension();
  lesson->projected.resize(dimension);
  codes.Project(queries.queries.row(query), lesson->projected.data());
  CodeScorer scorer(codes, lesson->projected.data());
  base::Random random(seed ^ (0xD1342543DE82EF95ull * (query + 1)));
  WalkLimits limits;
  limits.visited = options_.visited;
  limits.hidden = queries.HiddenFrom(query);
  limits.noise = options_.noise;
  WalkGraph(graph_, scorer, limits, &random, &work->walk_scratch, &work->walk);

  const Walk& walk = work->walk;
  const std::size_t size = walk.vertices.size();
  work->hops.resize(size);
  work->scores.resize(size);
  lesson->derivatives.resize(size);
  lesson->vertices.assign(walk.vertices.begin(), walk.vertices.end());
  for (std::size_t i = 0; i < size; ++i) work->scores[i] = -walk.distances[i];
  oracle_.Hops(queries.TargetsOf(query), walk.vertices, limits.hidden, options_.max_hops, &work->hop_scratch,
               work->hops.data());
  std::size_t steps = walk.expanded.size();
  if (!options_.steps_after_found) {
    const auto found = std::find(work->hops.begin(), work->hops.end(), 0) - work->hops.begin();
    steps = std::upper_bound(walk.arrived.begin(), walk.arrived.end(), found) - walk.arrived.begin();
  }
  lesson->loss = work->loss.Evaluate(
      {work->scores, work->hops, std::span(walk.expanded).first(steps), std::span(walk.arrived).first(steps)},
      options_.final_weight, lesson->derivatives);

  lesson->code_sum.assign(dimension, 0.0f);
  for (std::size_t i = 0; i < size; ++i) {
    const float derivative = lesson->derivatives[i];
    const float* code = codes.codes.row(lesson->vertices[i]);
    for (std::size_t j = 0; j < dimension; ++j) lesson->code_sum[j] += derivative * code[j];
  }
}

// Vertices are dealt to the threads in turn.
void ImitationBatch::AddOwn(std::size_t owner, std::size_t count, CodeGradient* gradient) {
  std::vector<std::uint32_t>& touched = workspaces_[owner].touched;
  touched.clear();
  const std::size_t owners = workspaces_.size();
  const std::size_t dimension = gradient->codes.columns();
  for (std::size_t l = 0; l < count; ++l) {
    const Lesson& lesson = lessons_[l];
    for (std::size_t i = 0; i < lesson.vertices.size(); ++i) {
      const std::uint32_t vertex = lesson.vertices[i];
      const float derivative = lesson.derivatives[i];
      if (vertex % owners != owner || derivative == 0) continue;
      if (is_touched_[vertex] == 0) {
        is_touched_[vertex] = 1;
        touched.push_back(vertex);
      }
      float* row = gradient->codes.row(vertex);
      for (std::size_t j = 0; j < dimension; ++j) row[j] += derivative * lesson.projected[j];
      gradient->biases[vertex] += derivative;
    }
  }
  for (const std::uint32_t vertex : touched) is_touched_[vertex] = 0;
}

}  // namespace trivium::routing
