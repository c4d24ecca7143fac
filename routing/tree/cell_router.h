// SPDX-License-Identifier: Apache-2.0
// The order in which a query visits the cells of a model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "routing/tree/cell_model.h"

namespace trivium::routing {

// The cells one query visits, best first, and the buffers to find them. Reused from query to query, by one
// thread at a time: then it allocates nothing.
class CellOrder {
 public:
  // Starts anew: ranks at least the best `count` cells (fewer only where there are no more). `query` has
  // model.dimension() floats; it and the model are borrowed until the next call.
  //
  // Cost: 2^depth products for kCentroids and kMap, O(beam x depth) for kTree and kLevels, where the beam
  // holds max(kBeamOverCount x count, kNarrowestBeam) nodes. REQUIRES: model.Has(kind).
  void Start(const CellModel& model, CellRouterKind kind, const float* query, std::size_t count);

  // The ranked cell at `position`, best first; ranks further ones where needed: what a router did not reach
  // follows in the order of the centroids. REQUIRES: position < model.cell_count().
  std::uint32_t Cell(std::size_t position) {
    if (position >= sorted_) Extend(position);
    return ranked_[position].cell;
  }

  // Forgets the query. Whether there is one, since Start.
  void Clear() { model_ = nullptr; }
  bool started() const { return model_ != nullptr; }

  std::uint64_t products() const { return products_; }  // inner products computed since Start

 private:
  struct Scored {
    float score;
    std::uint32_t cell;
  };

  void ScoreAll(base::MatrixView weights, absl::Span<const float> biases);
  void Gather(base::MatrixView weights);  // products_of_ of the nodes or leaves in beam_
  void Descend(std::size_t beam);
  void DescendLevels(std::size_t beam);
  void KeepBest(std::size_t beam, std::vector<Scored>* nodes) const;
  void SortUpTo(std::size_t end);
  void Extend(std::size_t position);

  const CellModel* model_ = nullptr;
  const float* query_ = nullptr;
  std::uint64_t products_ = 0;
  std::vector<Scored> ranked_;  // best first up to sorted_
  std::size_t sorted_ = 0;
  std::vector<Scored> beam_, children_;  // nodes of one level, and of the next
  std::vector<std::uint32_t> rows_;
  std::vector<float> products_of_;
  std::vector<bool> listed_;
};

// Of a beam, so that the leaves reached are worth ordering.
inline constexpr std::size_t kNarrowestBeam = 32;
inline constexpr std::size_t kBeamOverCount = 2;

}  // namespace trivium::routing
