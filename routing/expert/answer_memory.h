// SPDX-License-Identifier: Apache-2.0
// What was judged relevant for earlier queries, to be found again by queries like them.
//
//   remembered(d) = sqrt(sum of max(0, cos(q, p) - threshold)^2 over the nearest 50 earlier queries p that
//                        document d is relevant for)
//
// A hit d of expert e is raised by weight_e x remembered(d). Threshold and weights are learned, a weight an
// expert, because experts differ in whether the same documents are asked for again.
//
// Source:  one step of a walk over judged queries and documents (Craswell, Szummer 2007, on clicks).
// Differs: the walk starts at similar queries instead of the same one, and adds to scores of vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/matrix_view.h"
#include "base/neighbor.h"
#include "routing/expert/pilot_index.h"
#include "routing/expert/result_fusion.h"

namespace trivium::routing {

struct MemorySettings {
  float threshold = 0;         // (-1, 1]; queries less similar are not heard
  std::vector<float> weights;  // >= 0, one for each column of the router
};

// How many earlier queries are heard at most, and how deep a list is searched whose hits are to be raised.
inline constexpr std::size_t kMemoryNeighbors = 50;
inline constexpr std::size_t kMemoryDepth = 50;

// Buffers of one thread.
struct MemoryScratch {
  PilotSearchScratch search;
  std::vector<base::Neighbor> found;
};

// Const functions are safe to call concurrently, each thread with a scratch of its own.
class AnswerMemory {
 public:
  // Copies `queries` (n x d, unit rows). `relevant`: for each the keys of its relevant documents.
  // `graph_threshold` as of PilotIndex. kInvalidArgument: not one list a query.
  absl::Status Build(base::MatrixView queries, const std::vector<std::vector<std::uint64_t>>& relevant,
                     std::size_t graph_threshold);

  std::size_t size() const { return index_.size(); }
  std::size_t dimension() const { return index_.dimension(); }
  absl::Span<const std::uint64_t> relevant(std::uint32_t query) const {
    return absl::MakeConstSpan(keys_).subspan(begin_[query], begin_[query + 1] - begin_[query]);
  }

  // Overwrites `found` with the `count` earlier queries most similar to `query` (unit, d floats), nearest
  // first.
  void Nearest(const float* query, std::size_t count, MemoryScratch* scratch,
               std::vector<base::Neighbor>* found) const {
    index_.Nearest(query, count, &scratch->search, found);
  }

  // Overwrites `remembered` with the documents remembered above zero, by key, of these earlier queries
  // (distance = -cosine).
  void Remember(absl::Span<const base::Neighbor> similar, float threshold,
                std::vector<ScoredDocument>* remembered) const;

  // Both: of the nearest kMemoryNeighbors. A search of the earlier queries and O(documents log documents).
  void Recall(const float* query, float threshold, MemoryScratch* scratch,
              std::vector<ScoredDocument>* remembered) const;

  // As routers do: bytes without the vectors, and a file with them.
  std::string Save() const;
  absl::Status Load(std::string_view bytes);  // kDataLoss: damaged; unchanged then
  absl::Status SaveIndex(const std::string& path) const { return index_.Save(path); }
  absl::Status OpenIndex(const std::string& path);  // kDataLoss: damaged or of another Load

 private:
  std::uint64_t fingerprint_ = 0;  // of the index that belongs to these
  std::uint64_t dimension_ = 0;
  std::vector<std::uint64_t> begin_ = {0};  // n + 1: query i has keys_[begin_[i] .. begin_[i + 1])
  std::vector<std::uint64_t> keys_;
  PilotIndex index_;
};

// Raises hits by weight x what is remembered of them (by key) and brings them in order again; ties by key.
void RaiseRemembered(absl::Span<const ScoredDocument> remembered, float weight,
                     std::vector<ScoredDocument>* hits);

}  // namespace trivium::routing
