// SPDX-License-Identifier: Apache-2.0
#include "trivium/vector_index.h"

#include <algorithm>
#include <new>
#include <utility>

#include "absl/strings/str_format.h"
#include "api/vector_index_impl.h"
#include "base/aligned_matrix.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"

namespace trivium {

VectorIndex::VectorIndex(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
VectorIndex::VectorIndex(VectorIndex&&) noexcept = default;
VectorIndex& VectorIndex::operator=(VectorIndex&&) noexcept = default;
VectorIndex::~VectorIndex() = default;

absl::StatusOr<VectorIndex> VectorIndex::Create(const VectorIndexOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.Validate());
  auto impl = std::make_unique<Impl>(options);
  TRIVIUM_RETURN_IF_ERROR(impl->Adopt(impl->NoRows()));
  return VectorIndex(std::move(impl));
}

absl::Status VectorIndex::Add(absl::Span<const std::uint64_t> labels, MatrixView rows) {
  try {
    std::vector<float> scales;
    TRIVIUM_RETURN_IF_ERROR(impl_->CheckBatch(labels, rows, &scales));
    if (rows.rows == 0) return absl::OkStatus();
    if (impl_->options.metric != Metric::kCosine) {
      return impl_->Append(labels, base::MatrixView(rows.data, rows.rows, rows.columns));
    }
    base::AlignedMatrix unit(rows.rows, rows.columns);
    for (std::size_t i = 0; i < rows.rows; ++i) {
      const float* row = rows.data + i * rows.columns;
      for (std::size_t j = 0; j < rows.columns; ++j) unit.row(i)[j] = row[j] * scales[i];
    }
    return impl_->Append(labels, unit.view());
  } catch (const std::bad_alloc&) {
    return VectorIndexOutOfMemory("adding rows");
  }
}

absl::Status VectorIndex::Remove(absl::Span<const std::uint64_t> labels) { return impl_->Remove(labels); }

absl::Status VectorIndex::Compact() {
  const bool needed = impl_->labels.live_count() < impl_->labels.row_count();
  return needed ? impl_->Rebuild() : absl::OkStatus();
}

std::size_t VectorIndex::size() const { return impl_->labels.live_count(); }
std::size_t VectorIndex::dimension() const { return impl_->options.dimension; }
Metric VectorIndex::metric() const { return impl_->options.metric; }
VectorIndexAlgorithm VectorIndex::algorithm() const { return impl_->options.algorithm; }
Profile VectorIndex::profile() const { return impl_->options.profile; }
std::size_t VectorIndex::beam_width() const { return impl_->beam.width; }
double VectorIndex::target_recall() const { return impl_->beam.target_recall; }
std::string VectorIndex::training() const { return impl_->Training().record; }

VectorIndexMemory VectorIndex::MemoryBytes() const {
  VectorIndexMemory memory;
  memory.rows = impl_->Rows().bytes();
  memory.labels = impl_->labels.bytes();
  if (const index::GraphIndex* graph = impl_->graph) {
    memory.graph = graph->graph().size() * graph->graph().record_bytes();
    if (const index::EdgeCodes* edges = graph->codes()) {
      memory.codes += edges->size() * edges->shape().bytes + edges->entry_shape().bytes;
      if (edges->spread() != nullptr) memory.codes += edges->spread()->covariance.size() * sizeof(float);
    }
    if (const index::RowCodes* rows = graph->row_codes()) {
      memory.codes += (rows->size() + rows->entries().size()) * rows->record_bytes() +
                      rows->center_size() * sizeof(float);
    }
    const index::KeptTraining& training = graph->training();
    memory.training = training.queries.rows * training.queries.stride * sizeof(float) +
                      training.edges.size() * sizeof(index::LearnedEdge);
  }
  return memory;
}

bool VectorIndex::Contains(std::uint64_t label) const { return impl_->labels.Find(label).has_value(); }
std::vector<std::uint64_t> VectorIndex::Labels() const { return impl_->labels.LiveLabels(); }

absl::StatusOr<std::vector<float>> VectorIndex::Get(std::uint64_t label) const {
  const std::optional<std::uint32_t> row = impl_->labels.Find(label);
  if (!row) return absl::NotFoundError(absl::StrFormat("label: %d, expected one in the index", label));
  std::vector<float> values(dimension());
  impl_->Rows().CopyRow(*row, values.data());
  return values;
}

VectorFilter VectorIndex::AllowLabels(absl::Span<const std::uint64_t> labels) const {
  auto rows = std::make_shared<VectorFilter::Rows>();
  rows->version = impl_->version;
  rows->allowed.Resize(impl_->labels.row_count());
  for (const std::uint64_t label : labels) {
    if (const auto row = impl_->labels.Find(label)) rows->allowed.Set(*row);
  }
  rows->allowed_count = rows->allowed.CountSet();
  VectorFilter filter;
  filter.rows_ = std::move(rows);
  return filter;
}

VectorFilter VectorIndex::AllowBitmap(absl::Span<const std::uint64_t> words) const {
  auto rows = std::make_shared<VectorFilter::Rows>();
  rows->version = impl_->version;
  rows->allowed.Resize(impl_->labels.row_count());
  impl_->labels.live().ForEachSet([&](std::size_t row) {
    const std::uint64_t label = impl_->labels.label(row);
    if (label / 64 < words.size() && (words[label / 64] >> (label % 64) & 1) != 0) rows->allowed.Set(row);
  });
  rows->allowed_count = rows->allowed.CountSet();
  VectorFilter filter;
  filter.rows_ = std::move(rows);
  return filter;
}

absl::StatusOr<std::size_t> VectorIndex::Search(absl::Span<const float> query,
                                                const VectorSearchOptions& options,
                                                absl::Span<std::uint64_t> labels, absl::Span<float> scores,
                                                VectorSearchStats* stats) const {
  std::size_t count = 0;
  TRIVIUM_RETURN_IF_ERROR(SearchBatch({query.data(), 1, query.size()}, options, 1, labels, scores,
                                      absl::MakeSpan(&count, 1), stats));
  return count;
}

absl::Status VectorIndex::SearchBatch(MatrixView queries, const VectorSearchOptions& options, int threads,
                                      absl::Span<std::uint64_t> labels, absl::Span<float> scores,
                                      absl::Span<std::size_t> counts, VectorSearchStats* stats) const {
  TRIVIUM_RETURN_IF_ERROR(impl_->CheckSearch(options));
  if (queries.columns != dimension()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("query dimension: %d, expected %d", queries.columns, dimension()));
  }
  if (queries.rows == 0) return absl::OkStatus();
  const std::size_t room = std::min(labels.size(), scores.size()) / queries.rows;
  if (room < options.k || counts.size() < queries.rows) {
    return absl::InvalidArgumentError(
        absl::StrFormat("result buffers: %d labels, %d scores and %d counts, expected room for %d x %d",
                        labels.size(), scores.size(), counts.size(), queries.rows, options.k));
  }
  try {
    std::vector<float> scales(queries.rows);
    for (std::size_t i = 0; i < queries.rows; ++i) {
      TRIVIUM_ASSIGN_OR_RETURN(
          scales[i], RowScale(queries.data + i * queries.columns, queries.columns, metric(), "query", i));
    }
    return impl_->SearchMany(queries, scales, options, base::ResolveThreadCount(threads), labels.data(),
                             scores.data(), counts.data(), stats);
  } catch (const std::bad_alloc&) {
    return VectorIndexOutOfMemory("searching");
  }
}

}  // namespace trivium
