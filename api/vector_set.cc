// SPDX-License-Identifier: Apache-2.0
#include "api/vector_set.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "index/flat_index.h"
#include "index/graph_search.h"
#include "index/row_distances.h"

namespace trivium {
namespace {

// The newest unsealed part is merged into the one before it while that is not this much larger.
constexpr std::size_t kMergeRatio = 2;

class SegmentRows final : public RowSource {
 public:
  explicit SegmentRows(std::shared_ptr<const index::VectorSegment> segment) : segment_(std::move(segment)) {}

  absl::Span<const std::uint64_t> documents() const override { return segment_->labels(); }
  void CopyRow(std::size_t i, float* out) const override { segment_->CopyRow(i, out); }
  const index::RowsView& stored_rows() const override { return segment_->stored_rows(); }
  void SearchMany(base::MatrixView queries, const index::SearchParameters& parameters,
                  index::SearchScratch* scratch, std::vector<base::Neighbor>* found,
                  index::SearchCounters* counters) const override {
    segment_->SearchMany(queries, parameters, scratch, found, counters);
  }

 private:
  std::shared_ptr<const index::VectorSegment> segment_;
};

class UnsealedRows final : public RowSource {
 public:
  UnsealedRows(std::shared_ptr<const base::AlignedMatrix> rows, std::vector<std::uint64_t> documents,
               base::Metric metric)
      : documents_(std::move(documents)),
        rows_(std::move(rows)),
        index_(index::VectorRows(rows_->view(), rows_), metric) {}

  absl::Span<const std::uint64_t> documents() const override { return documents_; }
  void CopyRow(std::size_t i, float* out) const override {
    std::memcpy(out, rows_->row(i), rows_->columns() * sizeof(float));
  }
  const index::RowsView& stored_rows() const override { return index_.stored_rows(); }
  void SearchMany(base::MatrixView queries, const index::SearchParameters& parameters,
                  index::SearchScratch* scratch, std::vector<base::Neighbor>* found,
                  index::SearchCounters* counters) const override {
    index_.SearchMany(queries, parameters, scratch, found, counters);
  }

 private:
  std::vector<std::uint64_t> documents_;
  std::shared_ptr<const base::AlignedMatrix> rows_;
  index::FlatIndex index_;
};

// The row of `document` in `part`, or size() where it has none.
std::size_t RowOf(const VectorPart& part, std::uint64_t document) {
  const absl::Span<const std::uint64_t> documents = part.rows->documents();
  const auto found = std::lower_bound(documents.begin(), documents.end(), document);
  if (found == documents.end() || *found != document) return documents.size();
  return static_cast<std::size_t>(found - documents.begin());
}

bool IsLive(const VectorPart& part, std::size_t row) { return part.live == nullptr || part.live->Test(row); }

VectorPart UnsealedPart(base::AlignedMatrix rows, std::vector<std::uint64_t> documents, base::Metric metric) {
  VectorPart part;
  part.live_count = documents.size();
  part.unsealed = std::make_shared<const base::AlignedMatrix>(std::move(rows));
  part.rows = std::make_shared<UnsealedRows>(part.unsealed, std::move(documents), metric);
  return part;
}

// Their live rows, in order.
VectorPart MergedPart(absl::Span<const VectorPart> parts, std::size_t dimension, base::Metric metric) {
  std::size_t count = 0;
  for (const VectorPart& part : parts) count += part.live_count;
  base::AlignedMatrix rows(dimension);
  rows.Reserve(count);
  std::vector<std::uint64_t> documents;
  documents.reserve(count);
  for (const VectorPart& part : parts) {
    for (std::size_t i = 0; i < part.rows->size(); ++i) {
      if (!IsLive(part, i)) continue;
      rows.Resize(documents.size() + 1);
      part.rows->CopyRow(i, rows.row(documents.size()));
      documents.push_back(part.rows->documents()[i]);
    }
  }
  return UnsealedPart(std::move(rows), std::move(documents), metric);
}

void SortBestFirst(std::size_t k, std::vector<routing::ScoredDocument>* found) {
  std::sort(found->begin(), found->end(), [](const auto& a, const auto& b) {
    return a.score != b.score ? a.score > b.score : a.key < b.key;
  });
  if (found->size() > k) found->resize(k);
}

}  // namespace

void RowFilter::Prepare(const VectorPart& part, const base::Bitmap& documents) {
  const absl::Span<const std::uint64_t> numbers = part.rows->documents();
  Rows rows{base::Bitmap(numbers.size()), 0};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] >= documents.size() || !documents.Test(numbers[i]) || !IsLive(part, i)) continue;
    rows.allowed.Set(i);
    ++rows.allowed_count;
  }
  rows_[part.rows.get()] = std::move(rows);
}

const RowFilter::Rows* RowFilter::Find(const VectorPart& part) const {
  const auto found = rows_.find(part.rows.get());
  return found == rows_.end() ? nullptr : &found->second;
}

VectorPart VectorSet::SegmentPart(std::shared_ptr<const index::VectorSegment> segment, std::string file) {
  VectorPart part;
  part.profile = segment->profile();
  part.segment = segment;
  part.rows = std::make_shared<SegmentRows>(std::move(segment));
  part.file = std::move(file);
  return part;
}

void VectorSet::ReplaceSegment(std::size_t part, std::shared_ptr<const index::VectorSegment> segment,
                               std::string file) {
  assert(segment->size() == parts_[part].rows->size());
  VectorPart replaced = SegmentPart(std::move(segment), std::move(file));
  replaced.live = parts_[part].live;
  replaced.live_count = parts_[part].live_count;
  replaced.trees = parts_[part].trees;
  parts_[part] = std::move(replaced);
}

std::size_t VectorSet::live_count() const {
  std::size_t count = 0;
  for (const VectorPart& part : parts_) count += part.live_count;
  return count;
}

void VectorSet::ReplaceTrees(SpaceTrees trees, std::vector<PartTrees> of_parts) {
  assert(of_parts.size() == parts_.size());
  trees_ = std::move(trees);
  for (std::size_t p = 0; p < parts_.size(); ++p) parts_[p].trees = std::move(of_parts[p]);
}

void VectorSet::FindLeaves(int thread_count) {
  if (trees_.tree == nullptr || parts_.empty() || parts_.back().trees.leaves != nullptr) return;
  parts_.back().trees.leaves =
      routing::LeafTable::Build(*trees_.tree, parts_.back().unsealed->view(), thread_count);
}

void VectorSet::AddUnsealed(base::AlignedMatrix rows, std::vector<std::uint64_t> documents,
                            int thread_count) {
  assert(rows.rows() == documents.size());
  parts_.push_back(UnsealedPart(std::move(rows), std::move(documents), metric_));
  while (parts_.size() >= 2) {
    const VectorPart& last = parts_.back();
    const VectorPart& previous = parts_[parts_.size() - 2];
    if (!previous.file.empty() || previous.live_count > kMergeRatio * last.live_count) break;
    Merge(parts_.size() - 2);
  }
  FindLeaves(thread_count);
}

void VectorSet::MergeParts(std::size_t first, int thread_count) {
  if (first == parts_.size()) return;
  Merge(first);
  if (parts_.size() > first) FindLeaves(thread_count);
}

void VectorSet::Merge(std::size_t first) {
  if (first + 1 == parts_.size() && parts_[first].unsealed != nullptr && parts_[first].live == nullptr)
    return;
  VectorPart merged = MergedPart(absl::MakeConstSpan(parts_).subspan(first), dimension_, metric_);
  Truncate(first);
  if (merged.live_count > 0) parts_.push_back(std::move(merged));
}

void VectorSet::RemoveDocument(std::uint64_t document) {
  for (VectorPart& part : parts_) {
    const std::size_t row = RowOf(part, document);
    if (row == part.rows->size() || !IsLive(part, row)) continue;
    auto live = part.live == nullptr ? std::make_shared<base::Bitmap>(part.rows->size(), true)
                                     : std::make_shared<base::Bitmap>(*part.live);
    live->Clear(row);
    part.live = std::move(live);
    --part.live_count;
    return;
  }
}

bool VectorSet::CopyRow(std::uint64_t document, float* out) const {
  for (const VectorPart& part : parts_) {
    const std::size_t row = RowOf(part, document);
    if (row == part.rows->size() || !IsLive(part, row)) continue;
    part.rows->CopyRow(row, out);
    return true;
  }
  return false;
}

bool VectorSet::Restrict(const VectorPart& part, const RowFilter* filter,
                         index::SearchParameters* parameters) {
  const RowFilter::Rows* allowed = filter == nullptr ? nullptr : filter->Find(part);
  parameters->allowed = allowed != nullptr ? &allowed->allowed : part.live.get();
  parameters->allowed_count = allowed != nullptr ? allowed->allowed_count : part.live_count;
  return parameters->allowed_count > 0;
}

double VectorSet::ExpectedDistances(index::SearchParameters parameters, const RowFilter* filter) const {
  double distances = 0;
  for (const VectorPart& part : parts_) {
    if (!Restrict(part, filter, &parameters)) continue;
    distances += part.segment != nullptr
                     ? index::ExpectedSearchDistances(part.segment->searchable(), parameters)
                     : static_cast<double>(parameters.allowed_count);
  }
  return distances;
}

template <class SearchPart>
void VectorSet::SearchParts(std::size_t query_count, std::size_t k, const RowFilter* filter,
                            VectorSetScratch* scratch, std::vector<routing::ScoredDocument>* found,
                            SearchPart search) const {
  if (scratch->neighbors.size() < query_count) scratch->neighbors.resize(query_count);
  for (std::size_t i = 0; i < query_count; ++i) found[i].clear();
  for (const VectorPart& part : parts_) {
    index::SearchParameters allowed;
    if (!Restrict(part, filter, &allowed)) continue;
    search(part, allowed);
    for (std::size_t i = 0; i < query_count; ++i) {
      for (const base::Neighbor& neighbor : scratch->neighbors[i]) {
        found[i].push_back(
            {part.rows->documents()[neighbor.row], base::ScoreFromDistance(neighbor.distance)});
      }
    }
  }
  if (parts_.size() <= 1) return;
  for (std::size_t i = 0; i < query_count; ++i) SortBestFirst(k, &found[i]);
}

void VectorSet::SearchMany(base::MatrixView queries, index::SearchParameters parameters,
                           const RowFilter* filter, VectorSetScratch* scratch,
                           std::vector<routing::ScoredDocument>* found,
                           index::SearchCounters* counters) const {
  SearchParts(queries.rows, parameters.k, filter, scratch, found,
              [&](const VectorPart& part, const index::SearchParameters& restricted) {
                parameters.allowed = restricted.allowed;
                parameters.allowed_count = restricted.allowed_count;
                part.rows->SearchMany(queries, parameters, &scratch->index, scratch->neighbors.data(),
                                      counters);
              });
}

// Query by query, so that the segments share the ranking of its cells.
void VectorSet::SearchCells(base::MatrixView queries, std::size_t probes, std::size_t k,
                            const RowFilter* filter, VectorSetScratch* scratch,
                            std::vector<routing::ScoredDocument>* found,
                            index::SearchCounters* counters) const {
  for (std::size_t i = 0; i < queries.rows; ++i) {
    const base::MatrixView query(queries.row(i), 1, queries.columns, queries.stride);
    index::SearchCounters* counter = counters != nullptr ? &counters[i] : nullptr;
    scratch->cells.Clear();
    SearchParts(
        1, k, filter, scratch, &found[i], [&](const VectorPart& part, index::SearchParameters restricted) {
          if (part.trees.cells == nullptr) {
            restricted.k = k;
            restricted.method = index::SearchMethod::kExact;
            part.rows->SearchMany(query, restricted, &scratch->index, scratch->neighbors.data(), counter);
            return;
          }
          const index::RowDistances distances(part.rows->stored_rows(), metric_);
          routing::CellSearchParameters parameters;
          parameters.k = k;
          parameters.probes = probes;
          parameters.router = trees_.router;
          parameters.allowed = restricted.allowed;
          parameters.allowed_count = restricted.allowed_count;
          parameters.resume = scratch->cells.started();
          part.trees.cells->Search(*trees_.cells, distances, query.data, parameters, &scratch->cells,
                                   &scratch->index, &scratch->neighbors[0], counter);
        });
  }
}

// Query by query, because to place a query in the tree costs as much as thousands of rows.
void VectorSet::SearchTree(base::MatrixView queries, std::size_t level, std::size_t k,
                           const RowFilter* filter, VectorSetScratch* scratch,
                           std::vector<routing::ScoredDocument>* found,
                           index::SearchCounters* counters) const {
  for (std::size_t i = 0; i < queries.rows; ++i) {
    scratch->leaves.query.Set(*trees_.tree, queries.row(i));
    SearchParts(1, k, filter, scratch, &found[i],
                [&](const VectorPart& part, const index::SearchParameters& restricted) {
                  part.trees.leaves->Search(scratch->leaves.query, level, k, restricted.allowed,
                                            &scratch->leaves, &scratch->neighbors[0],
                                            counters != nullptr ? &counters[i] : nullptr);
                });
    for (routing::ScoredDocument& document : found[i]) document.score += 1;  // what is shared
  }
}

}  // namespace trivium
