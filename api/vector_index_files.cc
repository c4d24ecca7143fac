// SPDX-License-Identifier: Apache-2.0
// Vector indexes and files: their own, and those of hnswlib and FAISS.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <new>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "api/vector_index_impl.h"
#include "base/status_macros.h"
#include "index/adapters/import_index_file.h"
#include "index/vector_segment.h"
#include "storage/file_system.h"
#include "trivium/vector_index.h"

namespace trivium {
namespace {

absl::StatusOr<VectorIndex> FromImported(const index::ImportedVectors& vectors,
                                         const VectorIndexOptions& options) {
  TRIVIUM_ASSIGN_OR_RETURN(VectorIndex made, VectorIndex::Create(options));
  // The public view has no gaps between rows.
  const std::size_t columns = vectors.rows.columns();
  std::vector<float> dense(vectors.rows.rows() * columns);
  for (std::size_t i = 0; i < vectors.rows.rows(); ++i) {
    std::copy_n(vectors.rows.row(i), columns, dense.begin() + static_cast<std::ptrdiff_t>(i * columns));
  }
  TRIVIUM_RETURN_IF_ERROR(made.Add(vectors.labels, {dense.data(), vectors.rows.rows(), columns}));
  return made;
}

// The codes of a segment, which keeps their memory.
index::GraphCodes BorrowCodes(const std::shared_ptr<const index::VectorSegment>& segment) {
  index::GraphCodes codes;
  if (segment->codes() != nullptr) codes.edges = segment->codes()->Borrow(segment);
  if (const index::RowCodes* mapped = segment->row_codes()) {
    codes.rows.emplace(segment->dimension(), segment->metric(), segment->size(), mapped->records(),
                       mapped->center(), segment);
  }
  return codes;
}

absl::StatusOr<index::VectorRows> Decode(const index::RowsView& rows) {
  base::AlignedMatrix decoded(rows.rows, rows.columns);
  for (std::size_t i = 0; i < rows.rows; ++i) rows.CopyRow(i, decoded.row(i));
  index::VectorRows made(rows.columns);
  TRIVIUM_RETURN_IF_ERROR(made.Append(decoded.view()));
  return made;
}

}  // namespace

absl::Status VectorIndex::Save(const std::string& path) {
  TRIVIUM_RETURN_IF_ERROR(Compact());
  index::SearchableRows contents = {.rows = impl_->Rows(), .metric = BaseMetric(metric())};
  if (impl_->graph != nullptr) {
    try {
      TRIVIUM_RETURN_IF_ERROR(impl_->graph->Seal(impl_->options.threads));
    } catch (const std::bad_alloc&) {
      return VectorIndexOutOfMemory("building the graph");
    }
    contents = impl_->graph->searchable();
  }
  const std::string temporary = storage::TemporaryName(path);
  TRIVIUM_RETURN_IF_ERROR(index::VectorSegment::Write(contents, EngineProfile(profile()), Labels(), temporary,
                                                      impl_->beam, impl_->Training()));
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    const absl::Status status = storage::ErrnoStatus(errno, "rename", path);
    storage::RemoveFile(temporary).IgnoreError();
    return status;
  }
  const std::string directory = std::filesystem::path(path).parent_path().string();
  return storage::SyncDirectory(directory.empty() ? "." : directory);
}

absl::StatusOr<VectorIndex> VectorIndex::Load(const std::string& path,
                                              const VectorIndexLoadOptions& options) {
  TRIVIUM_ASSIGN_OR_RETURN(const auto segment, index::VectorSegment::Open(path, options.verify));
  const index::ProximityGraph& stored = segment->graph();
  const bool has_graph = stored.degree_bound() > 0;
  VectorIndexOptions adopted;
  adopted.dimension = segment->dimension();
  adopted.metric = PublicMetric(segment->metric());
  adopted.algorithm =
      options.algorithm.value_or(has_graph ? VectorIndexAlgorithm::kGraph : VectorIndexAlgorithm::kExact);
  const bool in_place =
      adopted.algorithm == VectorIndexAlgorithm::kGraph || adopted.algorithm == VectorIndexAlgorithm::kExact;
  if (in_place) adopted.profile = PublicProfile(segment->profile());
  if (has_graph) adopted.degree_bound = stored.degree_bound();
  adopted.build_beam_width = options.build_beam_width;
  adopted.threads = options.threads;
  TRIVIUM_RETURN_IF_ERROR(adopted.Validate());
  try {
    auto impl = std::make_unique<Impl>(adopted);
    index::VectorRows rows(segment->stored_rows(), segment);
    if (adopted.algorithm == VectorIndexAlgorithm::kGraph && has_graph) {
      impl->AdoptGraph(std::move(rows),
                       index::ProximityGraph(stored.words(), stored.size(), stored.degree_bound(),
                                             stored.entry(), segment),
                       BorrowCodes(segment), segment->training());
      impl->beam = segment->beam();
    } else {
      if (!in_place) {
        TRIVIUM_ASSIGN_OR_RETURN(rows, Decode(segment->stored_rows()));
      }
      TRIVIUM_RETURN_IF_ERROR(impl->Adopt(std::move(rows)));
    }
    impl->labels.Append(segment->labels());
    if (impl->labels.live_count() < impl->labels.row_count()) {
      return absl::DataLossError(absl::StrFormat("segment %s: %d distinct labels, expected %d", path,
                                                 impl->labels.live_count(), impl->labels.row_count()));
    }
    return VectorIndex(std::move(impl));
  } catch (const std::bad_alloc&) {
    return VectorIndexOutOfMemory("loading it");
  }
}

absl::StatusOr<VectorIndex> VectorIndex::ImportHnswlib(const std::string& path,
                                                       const VectorIndexOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.Validate());
  TRIVIUM_ASSIGN_OR_RETURN(const index::ImportedVectors vectors,
                           index::ReadHnswlibFile(path, options.dimension, BaseMetric(options.metric)));
  return FromImported(vectors, options);
}

absl::StatusOr<VectorIndex> VectorIndex::ImportFaiss(const std::string& path,
                                                     const VectorIndexOptions& options) {
  TRIVIUM_ASSIGN_OR_RETURN(const index::ImportedVectors vectors, index::ReadFaissFile(path));
  if (base::UsesInnerProduct(BaseMetric(options.metric)) != base::UsesInnerProduct(vectors.metric)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "metric: %s, expected %s (%s)", MetricName(options.metric),
        vectors.metric == base::Metric::kSquaredL2 ? "squared_l2" : "inner_product or cosine", path));
  }
  VectorIndexOptions adopted = options;
  if (options.dimension == 0) adopted.dimension = vectors.rows.columns();
  return FromImported(vectors, adopted);
}

}  // namespace trivium
