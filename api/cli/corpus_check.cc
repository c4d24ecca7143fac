// SPDX-License-Identifier: Apache-2.0
#include "api/cli/corpus_check.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <unordered_set>
#include <vector>

#include "absl/strings/str_format.h"
#include "api/cli/arguments.h"
#include "api/cli/interrupt.h"
#include "api/cli/status_macros.h"
#include "trivium/files.h"

namespace trivium::cli {
namespace {

constexpr std::size_t kRowsAtOnce = 1024;
constexpr std::size_t kMaxIdBytes = 512;    // as Store::Upsert has it
constexpr double kZeroSquaredNorm = 1e-30;  // likewise
constexpr float kLargestComponent = 65504;  // likewise, of the profile balanced
constexpr std::uint64_t kProgressStep = 1000;

absl::StatusOr<std::uint64_t> CheckDocuments(const std::string& path,
                                             const std::function<void(std::uint64_t)>& progress) {
  std::unordered_set<std::string> ids;
  const absl::Status status = ReadCorpus(path, [&](CorpusRecord record) -> absl::Status {
    TRIVIUM_CLI_RETURN_IF_ERROR(CheckInterrupt());
    const std::string shown = Quoted(record.id);
    if (record.id.size() > kMaxIdBytes) {
      return absl::InvalidArgumentError(
          absl::StrFormat("document id: %d bytes, expected at most %d (%s: document %d)", record.id.size(),
                          kMaxIdBytes, path, ids.size() + 1));
    }
    if (!ids.insert(std::move(record.id)).second) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "document id: %s twice, expected distinct ids (%s: document %d)", shown, path, ids.size() + 1));
    }
    if (ids.size() % kProgressStep == 0) progress(ids.size());
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  if (ids.empty()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("corpus: no document, expected at least one (%s)", path));
  }
  return ids.size();
}

// For the profile balanced.
absl::Status CheckRange(const MatrixView& rows, std::size_t first_row, const std::string& path) {
  for (std::size_t i = 0; i < rows.rows * rows.columns; ++i) {
    if (std::abs(rows.data[i]) <= kLargestComponent) continue;
    return absl::InvalidArgumentError(absl::StrFormat(
        "vector component: %g, expected at most %g in size for the profile balanced (%s: row %d)",
        rows.data[i], kLargestComponent, path, first_row + i / rows.columns));
  }
  return absl::OkStatus();
}

// For a space with a given tree.
absl::Status CheckDistributions(const MatrixView& rows, std::size_t first_row, const std::string& path) {
  for (std::size_t i = 0; i < rows.rows * rows.columns; ++i) {
    if (rows.data[i] >= 0) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("vector component: %g, expected 0 or more, the share of a leaf, because the tree of "
                        "the space is given (%s: row %d)",
                        rows.data[i], path, first_row + i / rows.columns));
  }
  return absl::OkStatus();
}

absl::Status CheckVectorFile(const std::string& path, const std::string& corpus_path,
                             std::uint64_t document_count, SpacePlan* space) {
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<VectorReader> reader, VectorReader::Open(path));
  if (reader->rows() != document_count) {
    return absl::InvalidArgumentError(
        absl::StrFormat("vectors: %d rows, expected %d, one a document of %s (%s)", reader->rows(),
                        document_count, corpus_path, path));
  }
  if (space->dimension == 0) space->dimension = reader->columns();
  if (reader->columns() != space->dimension) {
    return absl::InvalidArgumentError(absl::StrFormat("vector dimension: %d, expected %d of space '%s' (%s)",
                                                      reader->columns(), space->dimension, space->name,
                                                      path));
  }
  std::vector<float> rows(kRowsAtOnce * reader->columns());
  for (std::size_t first = 0; first < reader->rows(); first += kRowsAtOnce) {
    TRIVIUM_CLI_RETURN_IF_ERROR(CheckInterrupt());
    const std::size_t count = std::min(kRowsAtOnce, reader->rows() - first);
    TRIVIUM_CLI_RETURN_IF_ERROR(reader->Read(first, count, rows.data()));
    TRIVIUM_CLI_RETURN_IF_ERROR(
        CheckRows({rows.data(), count, reader->columns()}, first, space->metric == Metric::kCosine, path));
    if (space->given_tree) {
      TRIVIUM_CLI_RETURN_IF_ERROR(CheckDistributions({rows.data(), count, reader->columns()}, first, path));
    }
    if (space->profile != Profile::kBalanced || space->metric == Metric::kCosine) continue;
    TRIVIUM_CLI_RETURN_IF_ERROR(CheckRange({rows.data(), count, reader->columns()}, first, path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckRows(const MatrixView& rows, std::size_t first_row, bool directions,
                       const std::string& path) {
  for (std::size_t i = 0; i < rows.rows; ++i) {
    double squared_norm = 0;
    for (std::size_t j = 0; j < rows.columns; ++j) {
      const float value = rows.data[i * rows.columns + j];
      if (!std::isfinite(value)) {
        return absl::InvalidArgumentError(absl::StrFormat(
            "vector component: %f, expected a finite number (%s: row %d)", value, path, first_row + i));
      }
      squared_norm += static_cast<double>(value) * value;
    }
    if (directions && squared_norm < kZeroSquaredNorm) {
      return absl::InvalidArgumentError(
          absl::StrFormat("vector: zero, expected a direction because the metric is cosine (%s: row %d)",
                          path, first_row + i));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::uint64_t> CheckCorpus(const CorpusPlan& corpus, BuildPlan* plan,
                                          const std::function<void(std::uint64_t)>& progress) {
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::uint64_t document_count, CheckDocuments(corpus.file, progress));
  for (const auto& [name, path] : corpus.vectors) {
    const auto space =
        std::find_if(plan->spaces.begin(), plan->spaces.end(),
                     [&name = name](const SpacePlan& candidate) { return candidate.name == name; });
    TRIVIUM_CLI_RETURN_IF_ERROR(CheckVectorFile(path, corpus.file, document_count, &*space));
  }
  return document_count;
}

}  // namespace trivium::cli
