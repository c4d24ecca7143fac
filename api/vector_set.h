// SPDX-License-Identifier: Apache-2.0
// The vectors of one space over one partition: sealed segments and the rows written since, searched as one.
//
// A persistent value: parts are shared and never change; adding rows or deleting documents makes a new
// version, so readers keep the one they began with.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "api/space_trees.h"
#include "base/aligned_matrix.h"
#include "base/bitmap.h"
#include "base/matrix_view.h"
#include "base/metric.h"
#include "index/lexical/lexical_search.h"
#include "index/search_index.h"
#include "index/search_scratch.h"
#include "index/vector_segment.h"
#include "routing/expert/result_fusion.h"
#include "routing/tree/cell_router.h"

namespace trivium {

// Rows with the document numbers they belong to, in increasing order. Immutable; safe to read concurrently.
class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual absl::Span<const std::uint64_t> documents() const = 0;
  // Writes row i, decoded, into as many floats as it has dimensions.
  virtual void CopyRow(std::size_t i, float* out) const = 0;
  virtual const index::RowsView& stored_rows() const = 0;
  // As index::SearchIndex::SearchMany.
  virtual void SearchMany(base::MatrixView queries, const index::SearchParameters& parameters,
                          index::SearchScratch* scratch, std::vector<base::Neighbor>* found,
                          index::SearchCounters* counters) const = 0;
  std::size_t size() const { return documents().size(); }
};

// A RowSource with the rows whose document still exists.
struct VectorPart {
  std::shared_ptr<const RowSource> rows;
  std::shared_ptr<const base::Bitmap> live;  // null: all of them
  std::size_t live_count = 0;
  std::string file;                                     // of a segment; empty: not sealed yet
  index::Profile profile = index::Profile::kSpeed;      // of a segment
  std::shared_ptr<const index::VectorSegment> segment;  // what `rows` reads; null where it is not sealed
  std::shared_ptr<const base::AlignedMatrix> unsealed;  // likewise; null for a segment
  PartTrees trees;                                      // of its rows
};

// Rows a filter lets pass, for every part it was prepared for.
class RowFilter {
 public:
  RowFilter() = default;
  explicit RowFilter(std::shared_ptr<const base::Bitmap> documents) : documents_(std::move(documents)) {}
  const base::Bitmap* documents() const { return documents_.get(); }  // a bit per number; null: not given

  struct Rows {
    base::Bitmap allowed;
    std::size_t allowed_count = 0;
  };
  // `documents`: bit per document number. O(rows of the part).
  void Prepare(const VectorPart& part, const base::Bitmap& documents);
  const Rows* Find(const VectorPart& part) const;

 private:
  std::shared_ptr<const base::Bitmap> documents_;
  std::map<const RowSource*, Rows> rows_;
};

// Buffers of one thread, reused from query to query.
struct VectorSetScratch {
  index::SearchScratch index;
  std::vector<std::vector<base::Neighbor>> neighbors;  // of each query
  index::LexicalScratch lexical;                       // of text sets
  std::vector<index::ScoredLabel> labels;              // likewise
  routing::LeafScratch leaves;                         // of searches in a tree
  routing::CellOrder cells;                            // of searches in cells
};

class VectorSet {
 public:
  // `trees`: of the space.
  VectorSet(std::uint32_t space, std::uint32_t partition, std::size_t dimension, base::Metric metric,
            SpaceTrees trees = {})
      : space_(space),
        partition_(partition),
        dimension_(dimension),
        metric_(metric),
        trees_(std::move(trees)) {}

  std::uint32_t space() const { return space_; }
  std::uint32_t partition() const { return partition_; }
  std::size_t dimension() const { return dimension_; }
  base::Metric metric() const { return metric_; }
  const std::vector<VectorPart>& parts() const { return parts_; }
  const SpaceTrees& trees() const { return trees_; }
  std::size_t live_count() const;

  // Rows of a segment; `is_live(number)` tells which documents exist. `of_rows`: what trees() say of its
  // rows.
  template <class IsLive>
  void AddSegment(std::shared_ptr<const index::VectorSegment> segment, std::string file, IsLive is_live,
                  PartTrees of_rows = {}) {
    VectorPart part = SegmentPart(std::move(segment), std::move(file));
    part.trees = std::move(of_rows);
    base::Bitmap live(part.rows->size());
    for (std::size_t i = 0; i < part.rows->size(); ++i) {
      if (is_live(part.rows->documents()[i])) live.Set(i);
    }
    part.live_count = live.CountSet();
    if (part.live_count < live.size()) part.live = std::make_shared<base::Bitmap>(std::move(live));
    parts_.push_back(std::move(part));
  }

  // Another segment of the same rows, such as one with a trained graph, in place of that of part `part`.
  void ReplaceSegment(std::size_t part, std::shared_ptr<const index::VectorSegment> segment,
                      std::string file);

  // Other trees, and what they say of the rows of each part.
  void ReplaceTrees(SpaceTrees trees, std::vector<PartTrees> of_parts);
  // Another table that says the same of the rows of part `part`, such as one on disk.
  void ReplaceLeaves(std::size_t part, std::shared_ptr<const routing::LeafTable> leaves) {
    parts_[part].trees.leaves = std::move(leaves);
  }

  // Rows not sealed yet, of new documents with numbers above all others here. Small parts are merged, so that
  // there are O(log rows) of them. Threads are for the leaves of a tree.
  void AddUnsealed(base::AlignedMatrix rows, std::vector<std::uint64_t> documents, int thread_count = 1);

  // Turns the parts from `first` on, decoded, into one unsealed part of their live rows, or none of none.
  // O(their rows), unless it is one already; with a tree also the cost of LeafTable::Build.
  void MergeParts(std::size_t first, int thread_count = 1);

  void RemoveDocument(std::uint64_t document);
  void Truncate(std::size_t part_count) { parts_.resize(part_count); }  // keeps the first ones

  // Writes the row of a document into dimension() floats; false where it has none.
  bool CopyRow(std::uint64_t document, float* out) const;

  // Overwrites `found`, a list for each query, with the nearest documents, best first: exactly min(k, live
  // rows that pass `filter`).
  //   parameters  `allowed` is ignored: liveness and `filter` decide
  //   filter      null, or prepared for all parts
  //   counters    null, or one for each query, added to
  void SearchMany(base::MatrixView queries, index::SearchParameters parameters, const RowFilter* filter,
                  VectorSetScratch* scratch, std::vector<routing::ScoredDocument>* found,
                  index::SearchCounters* counters) const;
  // SearchMany, but ranked by what queries and documents share at a level of the tree, 1 to its depth, which
  // is their score; exact. REQUIRES: trees().tree.
  void SearchTree(base::MatrixView queries, std::size_t level, std::size_t k, const RowFilter* filter,
                  VectorSetScratch* scratch, std::vector<routing::ScoredDocument>* found,
                  index::SearchCounters* counters) const;
  // SearchMany in the cells of each segment that are likeliest, `probes` of them or, for 0, as calibrated;
  // rows that are not sealed are scanned. REQUIRES: trees().cells.
  void SearchCells(base::MatrixView queries, std::size_t probes, std::size_t k, const RowFilter* filter,
                   VectorSetScratch* scratch, std::vector<routing::ScoredDocument>* found,
                   index::SearchCounters* counters) const;
  // About how many distances SearchMany computes for a query; see index::ExpectedSearchDistances.
  double ExpectedDistances(index::SearchParameters parameters, const RowFilter* filter) const;

  void Search(const float* query, const index::SearchParameters& parameters, const RowFilter* filter,
              VectorSetScratch* scratch, std::vector<routing::ScoredDocument>* found,
              index::SearchCounters* counters) const {
    SearchMany(base::MatrixView(query, 1, dimension_), parameters, filter, scratch, found, counters);
  }

 private:
  // Whether anything of the part may be found; sets what of it.
  static bool Restrict(const VectorPart& part, const RowFilter* filter, index::SearchParameters* parameters);
  static VectorPart SegmentPart(std::shared_ptr<const index::VectorSegment> segment, std::string file);
  // Of each live part: `search(part, parameters)` fills scratch->neighbors; their documents, best first.
  template <class SearchPart>
  void SearchParts(std::size_t query_count, std::size_t k, const RowFilter* filter, VectorSetScratch* scratch,
                   std::vector<routing::ScoredDocument>* found, SearchPart search) const;
  void Merge(std::size_t first);
  void FindLeaves(int thread_count);  // of the last part, where it has none but should

  std::uint32_t space_;
  std::uint32_t partition_;
  std::size_t dimension_;
  base::Metric metric_;
  SpaceTrees trees_;
  std::vector<VectorPart> parts_;  // by document number
};

}  // namespace trivium
