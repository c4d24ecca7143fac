// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/tree_anchors.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <utility>

#include "base/thread_pool.h"
#include "base/top_k.h"
#include "kernels/distance_table.h"
#include "kernels/matrix_products.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kQueriesAtOnce = 256, kDocumentsAtOnce = 4096;

}  // namespace

std::vector<std::vector<std::uint32_t>> NearestDocuments(base::MatrixView queries, base::MatrixView documents,
                                                         const std::vector<std::uint32_t>& except,
                                                         std::size_t count, int thread_count) {
  std::vector<std::vector<std::uint32_t>> near(queries.rows);
  const std::size_t pieces = (queries.rows + kQueriesAtOnce - 1) / kQueriesAtOnce;
  base::ParallelFor(pieces, thread_count, 1, [&](std::size_t piece, int) {
    const std::size_t first = piece * kQueriesAtOnce;
    const std::size_t rows = std::min(kQueriesAtOnce, queries.rows - first);
    std::vector<base::TopK> best(rows);
    for (base::TopK& top : best) top.Reset(count);
    base::AlignedMatrix products(rows, kDocumentsAtOnce);
    for (std::size_t from = 0; from < documents.rows; from += kDocumentsAtOnce) {
      const std::size_t width = std::min(kDocumentsAtOnce, documents.rows - from);
      kernels::MultiplyByTransposed(
          base::MatrixView(queries.row(first), rows, queries.columns, queries.stride),
          base::MatrixView(documents.row(from), width, documents.columns, documents.stride), 1, &products);
      for (std::size_t i = 0; i < rows; ++i) {
        const float* row = products.row(i);
        float bound = -best[i].Bound();
        for (std::size_t j = 0; j < width; ++j) {
          if (row[j] <= bound) continue;
          if (!except.empty() && except[first + i] == from + j) continue;
          best[i].Push({-row[j], static_cast<std::uint32_t>(from + j)});
          bound = -best[i].Bound();
        }
      }
    }
    std::vector<base::Neighbor> found;
    for (std::size_t i = 0; i < rows; ++i) {
      best[i].DrainSorted(&found);
      for (const base::Neighbor& one : found) near[first + i].push_back(one.row);
    }
  });
  return near;
}

TreeAnchors::TreeAnchors(base::MatrixView documents, base::MatrixView anchors, std::vector<std::uint32_t> own,
                         std::vector<std::vector<std::uint32_t>> relevant, const Options& options,
                         int thread_count)
    : documents_(documents),
      anchors_(anchors),
      own_(std::move(own)),
      relevant_(std::move(relevant)),
      near_(NearestDocuments(anchors, documents, own_, options.near, thread_count)),
      options_(options) {}

void TreeAnchors::Draw(base::Random* random, TreeBatch* batch) const {
  const std::size_t d = documents_.columns;
  const std::size_t count = std::min(options_.anchor_count, anchors_.rows);
  batch->anchors = base::AlignedMatrix(d);
  batch->documents = base::AlignedMatrix(d);
  std::unordered_map<std::uint32_t, std::uint32_t> place;  // of a document in the batch
  std::vector<std::uint32_t> members, drawn;
  const auto add = [&](std::uint32_t document) {
    if (place.emplace(document, members.size()).second) {
      members.push_back(document);
      batch->documents.Append(documents_.row(document));
    }
  };
  const std::size_t each = std::max<std::size_t>(1, options_.document_count / count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto anchor = static_cast<std::uint32_t>(random->Below(anchors_.rows));
    drawn.push_back(anchor);
    batch->anchors.Append(anchors_.row(anchor));
    std::size_t left = each;
    if (!relevant_.empty() && !relevant_[anchor].empty()) {
      add(relevant_[anchor][random->Below(relevant_[anchor].size())]);
      --left;
    }
    const std::vector<std::uint32_t>& near = near_[anchor];
    for (; left > 0 && !near.empty(); --left) add(near[random->Below(near.size())]);
  }
  batch->teacher = base::AlignedMatrix(count, members.size());
  kernels::MultiplyByTransposed(batch->anchors.view(), batch->documents.view(), 1, &batch->teacher);
  for (std::size_t i = 0; i < count; ++i) {
    float* row = batch->teacher.row(i);
    const std::uint32_t anchor = drawn[i];
    const auto itself = place.find(own_[anchor]);
    const float largest = *std::max_element(row, row + members.size());
    double sum = 0;
    for (std::size_t j = 0; j < members.size(); ++j) {
      row[j] = std::exp((row[j] - largest) / options_.teacher_temperature);
      if (itself == place.end() || itself->second != j) sum += row[j];
    }
    float label_share = 0;
    std::vector<std::uint32_t> relevant;
    if (!relevant_.empty()) {
      for (const std::uint32_t document : relevant_[anchor]) {
        if (const auto found = place.find(document); found != place.end()) relevant.push_back(found->second);
      }
      if (!relevant.empty()) label_share = options_.label_share;
    }
    for (std::size_t j = 0; j < members.size(); ++j) {
      row[j] *= static_cast<float>((1 - label_share) / sum);
    }
    for (const std::uint32_t j : relevant) row[j] += label_share / static_cast<float>(relevant.size());
    if (itself != place.end()) row[itself->second] = -1;
  }
}

}  // namespace trivium::routing
