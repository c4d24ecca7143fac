// SPDX-License-Identifier: Apache-2.0
#include "api/vector_index_impl.h"

#include <algorithm>
#include <atomic>
#include <new>
#include <unordered_set>

#include "absl/strings/str_format.h"
#include "base/aligned_matrix.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "index/adapters/faiss_index.h"
#include "index/adapters/hnswlib_index.h"
#include "routing/graph/graph_trainer.h"

namespace trivium {
namespace {

// Queries that one thread searches for in one go: enough for walks to take turns all the time.
constexpr std::size_t kQueriesAtOnce = 64;

// So that a filter knows whether it was made for this state of this index.
std::uint64_t NextVersion() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

}  // namespace

absl::Status VectorIndexOutOfMemory(std::string_view doing) {
  return absl::ResourceExhaustedError(
      absl::StrFormat("vector index: out of memory while %s, expected it to fit", doing));
}

VectorIndex::Impl::Impl(const VectorIndexOptions& options)
    : options(options), version(NextVersion()), copies(options.dimension) {}

index::GraphBuildOptions VectorIndex::Impl::GraphOptions() const {
  index::GraphBuildOptions build;
  build.profile = EngineProfile(options.profile);
  build.degree_bound = options.degree_bound;
  build.beam_width = options.build_beam_width;
  build.threads = options.threads;
  build.seed = options.seed;
  if (options.progress) {
    build.progress = [report = options.progress](std::uint64_t done, std::uint64_t total) {
      report("build", done, total);
    };
  }
  return build;
}

absl::Status VectorIndex::Impl::Adopt(index::VectorRows rows) {
  const base::Metric metric = BaseMetric(options.metric);
  switch (options.algorithm) {
    case VectorIndexAlgorithm::kGraph:
      AdoptGraph(
          std::move(rows),
          index::ProximityGraph(index::DegreeBoundOf(EngineProfile(options.profile), options.degree_bound)),
          {});
      return graph->size() > index::GraphIndex::kMaxTailRows ? graph->Seal(options.threads)
                                                             : absl::OkStatus();
    case VectorIndexAlgorithm::kExact: {
      auto made = std::make_unique<index::FlatIndex>(std::move(rows), metric);
      flat = made.get();
      index = std::move(made);
      return absl::OkStatus();
    }
    case VectorIndexAlgorithm::kHnswlib: {
      index::HnswlibOptions hnswlib;
      hnswlib.degree_bound = options.degree_bound / 2;
      hnswlib.build_beam_width = options.build_beam_width;
      hnswlib.seed = options.seed;
      index = std::make_unique<index::HnswlibIndex>(options.dimension, metric, hnswlib);
      break;
    }
    case VectorIndexAlgorithm::kFaissFlat:
    case VectorIndexAlgorithm::kFaissIvf: {
      index::FaissOptions faiss;
      if (options.algorithm == VectorIndexAlgorithm::kFaissIvf)
        faiss.kind = index::FaissOptions::Kind::kCells;
      faiss.cell_count = options.cell_count;
      faiss.seed = static_cast<int>(options.seed & 0x7FFFFFFF);
      index = std::make_unique<index::FaissIndex>(options.dimension, metric, faiss);
      break;
    }
  }
  copies = std::move(rows);
  return index->Add(copies.view().floats(), options.threads);
}

void VectorIndex::Impl::AdoptGraph(index::VectorRows rows, index::ProximityGraph built,
                                   index::GraphCodes codes, index::KeptTraining training) {
  auto made =
      std::make_unique<index::GraphIndex>(std::move(rows), std::move(built), std::move(codes),
                                          BaseMetric(options.metric), GraphOptions(), std::move(training));
  graph = made.get();
  index = std::move(made);
}

index::VectorRows VectorIndex::Impl::NoRows() const {
  return index::VectorRows(options.dimension, index::FormatOf(EngineProfile(options.profile)),
                           BaseMetric(options.metric));
}

const index::RowsView& VectorIndex::Impl::Rows() const {
  if (graph != nullptr) return graph->stored_rows();
  if (flat != nullptr) return flat->stored_rows();
  return copies.view();
}

absl::Status VectorIndex::Impl::CheckBatch(absl::Span<const std::uint64_t> batch_labels,
                                           const MatrixView& rows, std::vector<float>* scales) const {
  if (rows.columns != options.dimension) {
    return absl::InvalidArgumentError(
        absl::StrFormat("vector dimension: %d, expected %d", rows.columns, options.dimension));
  }
  if (batch_labels.size() != rows.rows) {
    return absl::InvalidArgumentError(
        absl::StrFormat("labels: %d, expected %d, one a row", batch_labels.size(), rows.rows));
  }
  std::unordered_set<std::uint64_t> seen;
  for (std::size_t i = 0; i < rows.rows; ++i) {
    TRIVIUM_ASSIGN_OR_RETURN(
        const float scale, RowScale(rows.data + i * rows.columns, rows.columns, options.metric, "vector", i));
    scales->push_back(scale);
    if (!seen.insert(batch_labels[i]).second) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "label, row %d: %d twice in the batch, expected distinct ones", i, batch_labels[i]));
    }
    if (labels.Find(batch_labels[i])) {
      return absl::AlreadyExistsError(
          absl::StrFormat("label, row %d: %d is in the index, expected a new one", i, batch_labels[i]));
    }
  }
  return absl::OkStatus();
}

absl::Status VectorIndex::Impl::Append(absl::Span<const std::uint64_t> batch_labels, base::MatrixView rows) {
  absl::Status status;
  try {
    if (UsesAdapter()) status = copies.Append(rows);
    if (status.ok()) status = index->Add(rows, options.threads);
    if (status.ok()) labels.Append(batch_labels);
  } catch (const std::bad_alloc&) {
    status = VectorIndexOutOfMemory("adding rows");
  }
  if (!status.ok()) {
    DropHalfAdded();
  } else if (graph != nullptr) {
    untaught_rows += rows.rows;
    TeachNewRows();
  }
  version = NextVersion();
  return status;
}

// A trained graph learns what leads to its new rows each time a tenth has come in: walks would else miss them
// more often than the others. Where memory does not suffice it stays as it is.
void VectorIndex::Impl::TeachNewRows() {
  constexpr double kShare = 0.1;
  const index::KeptTraining& training = graph->training();
  const bool many = static_cast<double>(untaught_rows) >= kShare * static_cast<double>(graph->graph().size());
  if (!many || training.queries.rows == 0 || training.edges.empty()) return;
  index::SearchableRows searched = graph->searchable();
  searched.rows = searched.rows.First(searched.graph->size());
  try {
    auto taught = routing::TeachNewRows(searched, training, base::ResolveThreadCount(options.threads));
    if (!taught.ok()) return;
    graph->Teach(std::move(taught->graph), std::move(taught->codes), std::move(taught->kept));
    untaught_rows = index->size() - graph->graph().size();
  } catch (const std::bad_alloc&) {
  }
}

// After a failed Append the rows are again those that have labels: what came in of the others counts as
// removed. An adapter may be empty then and gets its rows anew; where even that fails nothing is left.
void VectorIndex::Impl::DropHalfAdded() {
  if (!UsesAdapter()) {
    labels.AppendRemoved(index->size() - labels.row_count());
  } else if (!Rebuild().ok()) {
    labels = LabelTable();
    // Of no rows it needs no memory to speak of and cannot fail.
    Adopt(NoRows()).IgnoreError();
  }
}

absl::Status VectorIndex::Impl::Rebuild() {
  try {
    if (graph != nullptr) {
      TRIVIUM_ASSIGN_OR_RETURN(std::unique_ptr<index::GraphIndex> kept,
                               graph->KeepRows(labels.live(), options.threads));
      LabelTable live;
      live.Append(labels.LiveLabels());
      graph = kept.get();
      index = std::move(kept);
      labels = std::move(live);
      version = NextVersion();
      return absl::OkStatus();
    }
    index::VectorRows rows = NoRows();
    rows.Reserve(labels.live_count());
    labels.live().ForEachSet([&](std::size_t row) { rows.AppendEncoded(Rows(), row); });
    Impl fresh(options);
    fresh.labels.Append(labels.LiveLabels());
    TRIVIUM_RETURN_IF_ERROR(fresh.Adopt(std::move(rows)));
    index = std::move(fresh.index);
    graph = fresh.graph;
    flat = fresh.flat;
    copies = std::move(fresh.copies);
    labels = std::move(fresh.labels);
    version = NextVersion();
    return absl::OkStatus();
  } catch (const std::bad_alloc&) {
    return VectorIndexOutOfMemory("building it anew");
  }
}

absl::Status VectorIndex::Impl::Remove(absl::Span<const std::uint64_t> removed) {
  std::unordered_set<std::uint64_t> seen;
  for (const std::uint64_t label : removed) {
    if (!labels.Find(label) || !seen.insert(label).second) {
      return absl::NotFoundError(absl::StrFormat("label: %d, expected one in the index", label));
    }
  }
  for (const std::uint64_t label : removed) labels.Remove(label);
  if (!removed.empty()) version = NextVersion();
  return absl::OkStatus();
}

absl::StatusOr<base::AlignedMatrix> VectorIndex::Impl::PrepareQueries(MatrixView queries) const {
  if (queries.columns != options.dimension) {
    return absl::InvalidArgumentError(
        absl::StrFormat("query dimension: %d, expected %d", queries.columns, options.dimension));
  }
  base::AlignedMatrix rows(queries.rows, queries.columns);
  for (std::size_t i = 0; i < queries.rows; ++i) {
    const float* query = queries.data + i * queries.columns;
    TRIVIUM_ASSIGN_OR_RETURN(const float scale, RowScale(query, queries.columns, options.metric, "query", i));
    for (std::size_t j = 0; j < queries.columns; ++j) rows.row(i)[j] = query[j] * scale;
  }
  return rows;
}

absl::Status VectorIndex::Impl::CheckSearch(const VectorSearchOptions& search) const {
  TRIVIUM_RETURN_IF_ERROR(search.Validate());
  if (search.filter.rows_ != nullptr && search.filter.rows_->version != version) {
    return absl::FailedPreconditionError(
        "filter: made for another index or before it changed, expected one made for this index as it is");
  }
  return absl::OkStatus();
}

index::SearchParameters VectorIndex::Impl::Parameters(const VectorSearchOptions& search) const {
  index::SearchParameters parameters;
  parameters.k = std::min(search.k, std::max<std::size_t>(index->size(), 1));
  parameters.beam_width = std::min(search.beam_width > 0 ? search.beam_width : beam.width, index->size());
  if (search.exact) parameters.method = index::SearchMethod::kExact;
  if (search.force_graph) parameters.method = index::SearchMethod::kGraph;
  if (search.filter.rows_ != nullptr) {
    parameters.allowed = &search.filter.rows_->allowed;
    parameters.allowed_count = search.filter.rows_->allowed_count;
  } else if (labels.live_count() < labels.row_count()) {
    parameters.allowed = &labels.live();
    parameters.allowed_count = labels.live_count();
  }
  return parameters;
}

void VectorIndex::Impl::SearchChunk(base::MatrixView queries, const float* scales,
                                    const index::SearchParameters& parameters,
                                    VectorSearchBuffers* work) const {
  if (options.metric == Metric::kCosine) {
    work->queries.resize(queries.rows * queries.columns);
    float* unit = work->queries.data();
    for (std::size_t i = 0; i < queries.rows; ++i) {
      const float* query = queries.row(i);
      for (std::size_t j = 0; j < queries.columns; ++j) *unit++ = query[j] * scales[i];
    }
    queries = base::MatrixView(work->queries.data(), queries.rows, queries.columns);
  }
  if (work->found.size() < queries.rows) work->found.resize(queries.rows);
  work->counters.assign(queries.rows, {});
  index->SearchMany(queries, parameters, &work->scratch, work->found.data(), work->counters.data());
}

absl::Status VectorIndex::Impl::SearchMany(MatrixView queries, const std::vector<float>& scales,
                                           const VectorSearchOptions& search, int threads,
                                           std::uint64_t* found_labels, float* scores, std::size_t* counts,
                                           VectorSearchStats* stats) const {
  std::atomic<std::uint64_t> hops{0}, distances{0}, bytes{0};
  std::atomic<bool> out_of_memory{false};
  const index::SearchParameters parameters = Parameters(search);
  const std::size_t chunk =
      std::clamp<std::size_t>(queries.rows / (4 * static_cast<std::size_t>(threads)), 1, kQueriesAtOnce);
  base::ParallelFor((queries.rows + chunk - 1) / chunk, threads, 1, [&](std::size_t item, int) {
    try {
      std::unique_ptr<VectorSearchBuffers> work = buffers.Take();
      const std::size_t first = item * chunk, count = std::min(chunk, queries.rows - first);
      SearchChunk(base::MatrixView(queries.data + first * queries.columns, count, queries.columns),
                  scales.data() + first, parameters, work.get());
      index::SearchCounters counters;
      for (std::size_t i = 0; i < count; ++i) {
        const std::vector<base::Neighbor>& found = work->found[i];
        counters.Add(work->counters[i]);
        counts[first + i] = found.size();
        for (std::size_t j = 0; j < found.size(); ++j) {
          found_labels[(first + i) * search.k + j] = labels.label(found[j].row);
          scores[(first + i) * search.k + j] = base::ScoreFromDistance(found[j].distance);
        }
      }
      buffers.Return(std::move(work));
      hops.fetch_add(counters.hops, std::memory_order_relaxed);
      distances.fetch_add(counters.distances(), std::memory_order_relaxed);
      bytes.fetch_add(counters.bytes_read, std::memory_order_relaxed);
    } catch (const std::bad_alloc&) {
      out_of_memory = true;
    }
  });
  if (out_of_memory) return VectorIndexOutOfMemory("searching");
  if (stats != nullptr) {
    stats->hops += hops;
    stats->distance_computations += distances;
    stats->bytes_read += bytes;
  }
  return absl::OkStatus();
}

}  // namespace trivium
