// SPDX-License-Identifier: Apache-2.0
// Choosing the beam width of a vector index for a recall.
#include <algorithm>
#include <chrono>
#include <new>
#include <vector>

#include "absl/strings/str_format.h"
#include "api/vector_index_impl.h"
#include "base/status_macros.h"
#include "trivium/vector_index.h"

namespace trivium {
namespace {

bool HasBeam(VectorIndexAlgorithm algorithm) {
  return algorithm != VectorIndexAlgorithm::kExact && algorithm != VectorIndexAlgorithm::kFaissFlat;
}

}  // namespace

absl::StatusOr<VectorCalibrationReport> VectorIndex::Calibrate(MatrixView queries,
                                                               const VectorCalibrateOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.Validate());
  const auto start = std::chrono::steady_clock::now();
  if (!HasBeam(algorithm())) {
    return absl::FailedPreconditionError(
        absl::StrFormat("algorithm: %s, expected one with a beam to calibrate: graph, hnswlib or faiss_ivf",
                        VectorIndexAlgorithmName(algorithm())));
  }
  if (queries.rows == 0) {
    return absl::InvalidArgumentError("sample queries: 0 rows, expected at least 1");
  }
  if (size() == 0) {
    return absl::FailedPreconditionError("vector index: 0 rows, expected at least 1 to calibrate on");
  }
  try {
    const std::size_t k = options.k;
    std::vector<std::uint64_t> labels(queries.rows * k);
    std::vector<float> scores(queries.rows * k);
    std::vector<std::size_t> counts(queries.rows);
    absl::Status status;  // of the first search that failed
    const index::SampleRecall recall(queries.rows, [&](std::size_t width, const auto& take) {
      const VectorSearchOptions search{
          .k = k, .beam_width = width, .exact = width == 0, .force_graph = width > 0};
      if (status.ok()) {
        status = SearchBatch(queries, search, options.threads, absl::MakeSpan(labels), absl::MakeSpan(scores),
                             absl::MakeSpan(counts));
      }
      if (!status.ok()) return;
      for (std::size_t i = 0; i < queries.rows; ++i) {
        take(i, absl::MakeConstSpan(scores).subspan(i * k, counts[i]));
      }
    });
    TRIVIUM_RETURN_IF_ERROR(status);
    if (impl_->graph != nullptr) TRIVIUM_RETURN_IF_ERROR(impl_->graph->Seal(impl_->options.threads));
    const bool cells = algorithm() == VectorIndexAlgorithm::kFaissIvf;
    const index::BeamCalibration chosen =
        index::CalibrateBeam(options.target_recall, cells ? 1 : std::max(k, index::kNarrowestWalk),
                             [&](std::size_t width) { return recall.At(width); });
    TRIVIUM_RETURN_IF_ERROR(status);
    impl_->beam = {chosen.beam_width, options.target_recall};
    return VectorCalibrationReport{
        .target_recall = options.target_recall,
        .k = k,
        .beam_width = chosen.beam_width,
        .recall = chosen.recall,
        .reached = chosen.reached,
        .queries = queries.rows,
        .seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
  } catch (const std::bad_alloc&) {
    return VectorIndexOutOfMemory("calibrating");
  }
}

}  // namespace trivium
