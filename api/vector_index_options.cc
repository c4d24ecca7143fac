// SPDX-License-Identifier: Apache-2.0
#include "absl/strings/str_format.h"
#include "trivium/vector_index.h"

namespace trivium {
namespace {

constexpr std::size_t kMaxDimension = 65536;
constexpr std::size_t kMaxCells = std::size_t{1} << 20;

absl::Status OutOfRange(std::string_view what, std::uint64_t seen, std::string_view expected) {
  return absl::InvalidArgumentError(absl::StrFormat("%s: %d, expected %s", what, seen, expected));
}

}  // namespace

std::string_view VectorIndexAlgorithmName(VectorIndexAlgorithm algorithm) {
  switch (algorithm) {
    case VectorIndexAlgorithm::kGraph:
      return "graph";
    case VectorIndexAlgorithm::kExact:
      return "exact";
    case VectorIndexAlgorithm::kHnswlib:
      return "hnswlib";
    case VectorIndexAlgorithm::kFaissFlat:
      return "faiss_flat";
    case VectorIndexAlgorithm::kFaissIvf:
      return "faiss_ivf";
  }
  return "";
}

absl::StatusOr<VectorIndexAlgorithm> ParseVectorIndexAlgorithm(std::string_view name) {
  using enum VectorIndexAlgorithm;
  for (const VectorIndexAlgorithm algorithm : {kGraph, kExact, kHnswlib, kFaissFlat, kFaissIvf}) {
    if (name == VectorIndexAlgorithmName(algorithm)) return algorithm;
  }
  return absl::InvalidArgumentError(absl::StrFormat(
      "algorithm: '%s', expected graph, exact, hnswlib, faiss_flat or faiss_ivf", name.substr(0, 80)));
}

absl::Status VectorIndexOptions::Validate() const {
  if (dimension < 1 || dimension > kMaxDimension) return OutOfRange("dimension", dimension, "1 to 65536");
  if (degree_bound < 4 || degree_bound > 256) return OutOfRange("degree_bound", degree_bound, "4 to 256");
  if (build_beam_width < 8 || build_beam_width > 4096) {
    return OutOfRange("build_beam_width", build_beam_width, "8 to 4096");
  }
  if (cell_count > kMaxCells) return OutOfRange("cell_count", cell_count, "0 to 1048576");
  const bool keeps_profile =
      algorithm == VectorIndexAlgorithm::kGraph || algorithm == VectorIndexAlgorithm::kExact;
  if (profile != Profile::kSpeed && !keeps_profile) {
    return absl::InvalidArgumentError(absl::StrFormat("profile: %s, expected speed where the algorithm is %s",
                                                      ProfileName(profile),
                                                      VectorIndexAlgorithmName(algorithm)));
  }
  if (threads < 0) {
    return absl::InvalidArgumentError(absl::StrFormat("threads: %d, expected 0 (all) or more", threads));
  }
  return absl::OkStatus();
}

absl::Status VectorCalibrateOptions::Validate() const {
  if (!(target_recall > 0 && target_recall <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("target_recall: %g, expected more than 0, at most 1", target_recall));
  }
  if (k < 1 || k > 1000) return OutOfRange("k", k, "1 to 1000");
  if (threads < 0) {
    return absl::InvalidArgumentError(absl::StrFormat("threads: %d, expected 0 (all) or more", threads));
  }
  return absl::OkStatus();
}

absl::Status VectorSearchOptions::Validate() const {
  if (k < 1) return OutOfRange("k", k, "1 or more");
  if (exact && force_graph) {
    return absl::InvalidArgumentError("exact: true, expected false where force_graph is true");
  }
  return absl::OkStatus();
}

}  // namespace trivium
