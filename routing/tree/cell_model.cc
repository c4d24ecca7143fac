// SPDX-License-Identifier: Apache-2.0
// Blocks of a file (little-endian, matrices row-major without padding):
//
//   "cell_model"     Header, 128 bytes
//   "centroids"      f32 2^depth x dimension
//   "map_weights"    f32 2^depth x dimension     with a map
//   "map_biases"     f32 2^depth                 with a map
//   "split_weights"  f32 2^depth - 1 x dimension with a tree
//   "split_biases"   f32 2^depth - 1             with a tree
//   "level_weights"  f32 rows x dimension        with levels: those of all levels, the coarsest first
//   "level_biases"   f32 rows                    with levels
#include "routing/tree/cell_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "kernels/distance_table.h"

namespace trivium::routing {
namespace {

constexpr std::string_view kMagic("TRIVCEL", 8);
constexpr std::uint32_t kVersion = 1;
constexpr std::uint64_t kMostDimensions = 1 << 16;
constexpr std::size_t kDefaultShare = 32;  // of the cells, where nothing was calibrated

struct Header {
  char magic[8];
  std::uint32_t version, depth, dimension, metric, router, has_map, has_splits, levels;
  float centroid_weight;
  std::uint32_t reserved;
  double mean_rows;
  std::uint32_t probes[kCellRouterKinds][kProbeRecalls.size()];
  std::uint32_t more[2];
};
static_assert(sizeof(Header) == 128);

bool AreFinite(const float* values, std::size_t count) {
  return std::all_of(values, values + count, [](float value) { return std::isfinite(value); });
}

bool AreFinite(const base::AlignedMatrix& matrix) {
  for (std::size_t i = 0; i < matrix.rows(); ++i) {
    if (!AreFinite(matrix.row(i), matrix.columns())) return false;
  }
  return true;
}

// Empty, or of `rows` rows and finite.
bool Fits(const LinearScores& scores, std::size_t rows, std::size_t dimension) {
  if (scores.empty()) return scores.biases.empty();
  return scores.weights.rows() == rows && scores.weights.columns() == dimension &&
         scores.biases.size() == rows && AreFinite(scores.weights) &&
         AreFinite(scores.biases.data(), scores.biases.size());
}

absl::Status CheckParts(const CellParts& parts) {
  if (parts.depth < 1 || parts.depth > kDeepestCells) {
    return absl::InvalidArgumentError(
        absl::StrFormat("cell model: depth %d, expected 1 to %d", parts.depth, kDeepestCells));
  }
  const std::size_t cells = std::size_t{1} << parts.depth, dimension = parts.centroids.columns();
  if (parts.centroids.rows() != cells || dimension == 0) {
    return absl::InvalidArgumentError(absl::StrFormat("cell model: %d centroids of %d numbers, expected %d",
                                                      parts.centroids.rows(), dimension, cells));
  }
  if (!AreFinite(parts.centroids)) {
    return absl::InvalidArgumentError("cell model: a centroid that is not finite");
  }
  if (!Fits(parts.map, cells, dimension) || !Fits(parts.splits, cells - 1, dimension)) {
    return absl::InvalidArgumentError(
        "cell model: a map or splits of another shape, or not finite, expected those of the centroids");
  }
  if (!parts.levels.empty() && parts.map.empty()) {
    return absl::InvalidArgumentError("cell model: levels without a map, which orders the leaves");
  }
  if (2 * parts.levels.size() >= static_cast<std::size_t>(parts.depth)) {
    return absl::InvalidArgumentError(absl::StrFormat("cell model: %d levels, expected less than half of %d",
                                                      parts.levels.size(), parts.depth));
  }
  for (std::size_t i = 0; i < parts.levels.size(); ++i) {
    if (parts.levels[i].empty() || !Fits(parts.levels[i], parts.level_size(i), dimension)) {
      return absl::InvalidArgumentError("cell model: a level of another shape, or not finite");
    }
  }
  const bool router_is_there = parts.router == CellRouterKind::kCentroids ||
                               (parts.router == CellRouterKind::kMap && !parts.map.empty()) ||
                               (parts.router == CellRouterKind::kTree && !parts.splits.empty()) ||
                               (parts.router == CellRouterKind::kLevels && !parts.levels.empty());
  if (!router_is_there) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "cell model: router %d by default, expected one that the model has", static_cast<int>(parts.router)));
  }
  if (!std::isfinite(parts.centroid_weight) || !std::isfinite(parts.mean_rows) || parts.mean_rows < 0) {
    return absl::InvalidArgumentError("cell model: a weight or mean that is not finite");
  }
  for (const CalibratedProbes& probes : parts.probes) {
    for (std::uint32_t count : probes) {
      if (count > cells) {
        return absl::InvalidArgumentError(
            absl::StrFormat("cell model: %d cells to read, expected at most %d", count, cells));
      }
    }
  }
  return absl::OkStatus();
}

base::AlignedMatrix Copy(const base::AlignedMatrix& from) {
  base::AlignedMatrix copy(from.rows(), from.columns());
  for (std::size_t i = 0; i < from.rows(); ++i) std::copy_n(from.row(i), from.columns(), copy.row(i));
  return copy;
}

template <class T>
absl::Span<const std::byte> AsBytes(const T* values, std::size_t count) {
  return {reinterpret_cast<const std::byte*>(values), count * sizeof(T)};
}

absl::Status WriteMatrix(std::string_view name, const base::AlignedMatrix& matrix,
                         storage::SegmentFileWriter* writer) {
  TRIVIUM_RETURN_IF_ERROR(writer->BeginBlock(name));
  for (std::size_t i = 0; i < matrix.rows(); ++i) {
    TRIVIUM_RETURN_IF_ERROR(writer->Append(AsBytes(matrix.row(i), matrix.columns())));
  }
  return absl::OkStatus();
}

absl::Status WriteScores(std::string_view weights, std::string_view biases, const LinearScores& scores,
                         storage::SegmentFileWriter* writer) {
  if (scores.empty()) return absl::OkStatus();
  TRIVIUM_RETURN_IF_ERROR(WriteMatrix(weights, scores.weights, writer));
  return writer->AddBlock(biases, AsBytes(scores.biases.data(), scores.biases.size()));
}

absl::Status WriteLevels(const std::vector<LinearScores>& levels, storage::SegmentFileWriter* writer) {
  if (levels.empty()) return absl::OkStatus();
  TRIVIUM_RETURN_IF_ERROR(writer->BeginBlock("level_weights"));
  for (const LinearScores& level : levels) {
    for (std::size_t i = 0; i < level.weights.rows(); ++i) {
      TRIVIUM_RETURN_IF_ERROR(writer->Append(AsBytes(level.weights.row(i), level.weights.columns())));
    }
  }
  TRIVIUM_RETURN_IF_ERROR(writer->BeginBlock("level_biases"));
  for (const LinearScores& level : levels) {
    TRIVIUM_RETURN_IF_ERROR(writer->Append(AsBytes(level.biases.data(), level.biases.size())));
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::Span<const float>> Floats(const storage::SegmentFile& file, std::string_view name,
                                               std::size_t count) {
  TRIVIUM_ASSIGN_OR_RETURN(const auto bytes, file.Block(name));
  if (bytes.size() != count * sizeof(float)) {
    return absl::DataLossError(absl::StrFormat("cell model: %d bytes in block '%s', expected %d (%s)",
                                               bytes.size(), name, count * sizeof(float), file.path()));
  }
  return absl::MakeConstSpan(reinterpret_cast<const float*>(bytes.data()), count);
}

absl::StatusOr<base::AlignedMatrix> ReadMatrix(const storage::SegmentFile& file, std::string_view name,
                                               std::size_t rows, std::size_t columns) {
  TRIVIUM_ASSIGN_OR_RETURN(const auto values, Floats(file, name, rows * columns));
  base::AlignedMatrix matrix(rows, columns);
  for (std::size_t i = 0; i < rows; ++i) std::copy_n(&values[i * columns], columns, matrix.row(i));
  return matrix;
}

absl::Status ReadScores(const storage::SegmentFile& file, std::string_view weights, std::string_view biases,
                        std::size_t rows, std::size_t columns, LinearScores* scores) {
  TRIVIUM_ASSIGN_OR_RETURN(scores->weights, ReadMatrix(file, weights, rows, columns));
  TRIVIUM_ASSIGN_OR_RETURN(const auto values, Floats(file, biases, rows));
  scores->biases.assign(values.begin(), values.end());
  return absl::OkStatus();
}

// Of the number of levels that `parts` has room for.
absl::Status ReadLevels(const storage::SegmentFile& file, std::size_t columns, CellParts* parts) {
  std::size_t rows = 0;
  for (std::size_t i = 0; i < parts->levels.size(); ++i) rows += parts->level_size(i);
  TRIVIUM_ASSIGN_OR_RETURN(const auto weights, Floats(file, "level_weights", rows * columns));
  TRIVIUM_ASSIGN_OR_RETURN(const auto biases, Floats(file, "level_biases", rows));
  std::size_t at = 0;
  for (std::size_t i = 0; i < parts->levels.size(); ++i) {
    LinearScores& level = parts->levels[i];
    level.weights = base::AlignedMatrix(parts->level_size(i), columns);
    for (std::size_t row = 0; row < level.weights.rows(); ++row) {
      std::copy_n(&weights[(at + row) * columns], columns, level.weights.row(row));
    }
    level.biases.assign(biases.begin() + at, biases.begin() + at + level.weights.rows());
    at += level.weights.rows();
  }
  return absl::OkStatus();
}

}  // namespace

const char* CellRouterName(CellRouterKind kind) {
  switch (kind) {
    case CellRouterKind::kCentroids:
      return "centroids";
    case CellRouterKind::kMap:
      return "map";
    case CellRouterKind::kTree:
      return "tree";
    case CellRouterKind::kLevels:
      return "levels";
  }
  return "unknown";
}

LinearScores CopyScores(const LinearScores& from) { return {Copy(from.weights), from.biases}; }

CellParts CopyParts(const CellParts& from) {
  CellParts parts;
  parts.depth = from.depth;
  parts.metric = from.metric;
  parts.centroids = Copy(from.centroids);
  parts.map = CopyScores(from.map);
  parts.splits = CopyScores(from.splits);
  parts.centroid_weight = from.centroid_weight;
  for (const LinearScores& level : from.levels) parts.levels.push_back(CopyScores(level));
  parts.router = from.router;
  parts.probes = from.probes;
  parts.mean_rows = from.mean_rows;
  return parts;
}

CellModel::CellModel(CellParts parts) : parts_(std::move(parts)), centroid_biases_(cell_count(), 0.0f) {
  if (base::UsesInnerProduct(parts_.metric)) return;
  for (std::size_t i = 0; i < cell_count(); ++i) {
    const float* centroid = parts_.centroids.row(i);
    centroid_biases_[i] = -kernels::ActiveDistances().inner_product_f32(centroid, centroid, dimension()) / 2;
  }
}

absl::StatusOr<std::shared_ptr<const CellModel>> CellModel::Create(CellParts parts) {
  TRIVIUM_RETURN_IF_ERROR(CheckParts(parts));
  return std::shared_ptr<const CellModel>(new CellModel(std::move(parts)));
}

bool CellModel::Has(CellRouterKind kind) const {
  switch (kind) {
    case CellRouterKind::kCentroids:
      return true;
    case CellRouterKind::kMap:
      return !parts_.map.empty();
    case CellRouterKind::kTree:
      return !parts_.splits.empty();
    case CellRouterKind::kLevels:
      return !parts_.levels.empty();
  }
  return false;
}

std::size_t CellModel::Probes(CellRouterKind kind, double recall) const {
  const CalibratedProbes& probes = parts_.probes[static_cast<std::size_t>(kind)];
  std::size_t wanted = 0;
  while (wanted + 1 < kProbeRecalls.size() && kProbeRecalls[wanted] < recall) ++wanted;
  if (probes[wanted] > 0) return probes[wanted];
  return std::max<std::size_t>(1, cell_count() / kDefaultShare);
}

absl::Status CellModel::Write(const std::string& path) const {
  Header header = {};
  std::memcpy(header.magic, kMagic.data(), kMagic.size());
  header.version = kVersion;
  header.depth = static_cast<std::uint32_t>(depth());
  header.dimension = static_cast<std::uint32_t>(dimension());
  header.metric = static_cast<std::uint32_t>(metric());
  header.router = static_cast<std::uint32_t>(router());
  header.has_map = parts_.map.empty() ? 0 : 1;
  header.has_splits = parts_.splits.empty() ? 0 : 1;
  header.levels = static_cast<std::uint32_t>(parts_.levels.size());
  header.centroid_weight = parts_.centroid_weight;
  header.mean_rows = parts_.mean_rows;
  for (std::size_t i = 0; i < kCellRouterKinds; ++i) {
    std::copy(parts_.probes[i].begin(), parts_.probes[i].end(), header.probes[i]);
  }
  TRIVIUM_ASSIGN_OR_RETURN(const auto writer, storage::SegmentFileWriter::Create(path));
  TRIVIUM_RETURN_IF_ERROR(writer->AddBlock("cell_model", AsBytes(&header, 1)));
  TRIVIUM_RETURN_IF_ERROR(WriteMatrix("centroids", parts_.centroids, writer.get()));
  TRIVIUM_RETURN_IF_ERROR(WriteScores("map_weights", "map_biases", parts_.map, writer.get()));
  TRIVIUM_RETURN_IF_ERROR(WriteScores("split_weights", "split_biases", parts_.splits, writer.get()));
  TRIVIUM_RETURN_IF_ERROR(WriteLevels(parts_.levels, writer.get()));
  return writer->Commit();
}

absl::StatusOr<std::shared_ptr<const CellModel>> CellModel::Open(const std::string& path, bool verify) {
  TRIVIUM_ASSIGN_OR_RETURN(const auto file, storage::SegmentFile::Open(path, verify));
  const auto damaged = [&](absl::string_view what) {
    return absl::DataLossError(absl::StrFormat("cell model: %s (%s)", what, path));
  };
  TRIVIUM_ASSIGN_OR_RETURN(const auto bytes, file->Block("cell_model"));
  Header header;
  if (bytes.size() != sizeof(header)) return damaged("a header of another size, expected 128 bytes");
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (std::memcmp(header.magic, kMagic.data(), kMagic.size()) != 0) {
    return damaged("unknown first bytes, expected \"TRIVCEL\"");
  }
  if (header.version != kVersion) {
    return absl::FailedPreconditionError(
        absl::StrFormat("cell model version: %d, expected %d (%s)", header.version, kVersion, path));
  }
  if (header.depth < 1 || header.depth > kDeepestCells || header.dimension < 1 ||
      header.dimension > kMostDimensions || header.metric > 2 || header.router >= kCellRouterKinds ||
      header.has_map > 1 || header.has_splits > 1 || 2 * std::uint64_t{header.levels} >= header.depth) {
    return damaged("a depth, dimension, metric or router that no model has");
  }
  CellParts parts;
  parts.depth = static_cast<int>(header.depth);
  parts.metric = static_cast<base::Metric>(header.metric);
  parts.router = static_cast<CellRouterKind>(header.router);
  parts.centroid_weight = header.centroid_weight;
  parts.mean_rows = header.mean_rows;
  for (std::size_t i = 0; i < kCellRouterKinds; ++i) {
    std::copy_n(header.probes[i], kProbeRecalls.size(), parts.probes[i].begin());
  }
  const std::size_t cells = std::size_t{1} << header.depth, dimension = header.dimension;
  TRIVIUM_ASSIGN_OR_RETURN(parts.centroids, ReadMatrix(*file, "centroids", cells, dimension));
  if (header.has_map == 1) {
    TRIVIUM_RETURN_IF_ERROR(ReadScores(*file, "map_weights", "map_biases", cells, dimension, &parts.map));
  }
  if (header.has_splits == 1) {
    TRIVIUM_RETURN_IF_ERROR(
        ReadScores(*file, "split_weights", "split_biases", cells - 1, dimension, &parts.splits));
  }
  if (header.levels > 0) {
    parts.levels.resize(header.levels);
    TRIVIUM_RETURN_IF_ERROR(ReadLevels(*file, dimension, &parts));
  }
  if (const absl::Status status = CheckParts(parts); !status.ok()) return damaged(status.message());
  return std::shared_ptr<const CellModel>(new CellModel(std::move(parts)));
}

}  // namespace trivium::routing
