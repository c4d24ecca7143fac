// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_lists.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "routing/tree/cell_assignment.h"

namespace trivium::routing {
namespace {

constexpr std::string_view kMagic("TRIVCLS", 8);
constexpr std::uint32_t kVersion = 2;
constexpr std::uint32_t kOldestVersion = 1;

struct Header {
  char magic[8];
  std::uint32_t version, reserved;
  std::uint64_t rows, cells;
  std::uint32_t codes_dimension, metric;  // 0: no codes
  std::uint64_t more[3];
};
static_assert(sizeof(Header) == 64);

constexpr std::size_t kLargestDimension = 65536;
constexpr auto kLargestMetric = static_cast<std::uint32_t>(base::Metric::kSquaredL2);

absl::Status CheckDimension(const CellModel& model, const index::RowsView& rows) {
  if (rows.columns == model.dimension()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("rows to deal to cells: of %d numbers, expected %d", rows.columns, model.dimension()));
}

}  // namespace

std::shared_ptr<const CellLists> CellLists::FromCells(absl::Span<const std::uint32_t> cell_of,
                                                      std::size_t cell_count) {
  return Dealt(cell_of, cell_count);
}

std::shared_ptr<CellLists> CellLists::Dealt(absl::Span<const std::uint32_t> cell_of, std::size_t cell_count) {
  std::shared_ptr<CellLists> lists(new CellLists);
  lists->owned_offsets_.assign(cell_count + 1, 0);
  lists->owned_rows_.resize(cell_of.size());
  std::vector<std::uint32_t>& offsets = lists->owned_offsets_;
  for (std::uint32_t cell : cell_of) ++offsets[cell + 1];
  std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());
  std::vector<std::uint32_t> next(offsets.begin(), offsets.end() - 1);
  for (std::size_t row = 0; row < cell_of.size(); ++row) {
    lists->owned_rows_[next[cell_of[row]]++] = static_cast<std::uint32_t>(row);
  }
  lists->offsets_ = lists->owned_offsets_;
  lists->rows_ = lists->owned_rows_;
  return lists;
}

absl::StatusOr<std::shared_ptr<const CellLists>> CellLists::Build(const CellModel& model,
                                                                  const index::RowsView& rows,
                                                                  int thread_count) {
  TRIVIUM_RETURN_IF_ERROR(CheckDimension(model, rows));
  const NearestCells nearest(model.centroids(), model.depth(), model.metric());
  const auto lists = Dealt(AssignCells(nearest, rows, model.cell_count(), thread_count), model.cell_count());
  lists->Encode(model, rows, thread_count);
  return lists;
}

void CellLists::Encode(const CellModel& model, const index::RowsView& rows, int thread_count) {
  if (model.dimension() < CellCodes::kSmallestDimension) return;
  codes_.emplace(model, rows, offsets_, rows_, thread_count);
}

absl::StatusOr<std::shared_ptr<const CellLists>> CellLists::Extended(const CellModel& model,
                                                                     const index::RowsView& rows,
                                                                     int thread_count) const {
  TRIVIUM_RETURN_IF_ERROR(CheckDimension(model, rows));
  if (rows.rows < size() || model.cell_count() != cell_count()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("cells to extend: %d rows in %d cells, expected at least %d in %d", rows.rows,
                        model.cell_count(), size(), cell_count()));
  }
  std::vector<std::uint32_t> cell_of(rows.rows);
  for (std::size_t cell = 0; cell < cell_count(); ++cell) {
    for (std::uint32_t row : Rows(cell)) cell_of[row] = static_cast<std::uint32_t>(cell);
  }
  std::vector<float> closeness(rows.rows - size());
  NearestCells(model.centroids(), model.depth(), model.metric())
      .Find(rows, size(), rows.rows - size(), thread_count, cell_of.data() + size(), closeness.data());
  const auto lists = Dealt(cell_of, cell_count());
  lists->Encode(model, rows, thread_count);
  return lists;
}

absl::Status CellLists::Write(const std::string& path) const {
  Header header = {};
  std::memcpy(header.magic, kMagic.data(), kMagic.size());
  header.version = kVersion;
  header.rows = size();
  header.cells = cell_count();
  if (codes_) {
    header.codes_dimension = static_cast<std::uint32_t>(codes_->dimension());
    header.metric = static_cast<std::uint32_t>(codes_->metric());
  }
  const auto bytes = [](const auto* values, std::size_t count) {
    return absl::Span<const std::byte>(reinterpret_cast<const std::byte*>(values), count * sizeof(*values));
  };
  TRIVIUM_ASSIGN_OR_RETURN(const auto writer, storage::SegmentFileWriter::Create(path));
  TRIVIUM_RETURN_IF_ERROR(writer->AddBlock("cell_lists", bytes(&header, 1)));
  TRIVIUM_RETURN_IF_ERROR(writer->AddBlock("offsets", bytes(offsets_.data(), offsets_.size())));
  TRIVIUM_RETURN_IF_ERROR(writer->AddBlock("rows", bytes(rows_.data(), rows_.size())));
  if (codes_) {
    TRIVIUM_RETURN_IF_ERROR(writer->AddBlock("codes", bytes(codes_->packs(), codes_->bytes())));
    TRIVIUM_RETURN_IF_ERROR(writer->AddBlock("origin", bytes(codes_->origin(), codes_->dimension())));
  }
  return writer->Commit();
}

absl::StatusOr<std::shared_ptr<const CellLists>> CellLists::Open(const std::string& path, bool verify) {
  TRIVIUM_ASSIGN_OR_RETURN(const auto file, storage::SegmentFile::Open(path, verify));
  const auto damaged = [&](absl::string_view what) {
    return absl::DataLossError(absl::StrFormat("cell lists: %s (%s)", what, path));
  };
  TRIVIUM_ASSIGN_OR_RETURN(const auto bytes, file->Block("cell_lists"));
  Header header;
  if (bytes.size() != sizeof(header)) return damaged("a header of another size, expected 64 bytes");
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (std::memcmp(header.magic, kMagic.data(), kMagic.size()) != 0) {
    return damaged("unknown first bytes, expected \"TRIVCLS\"");
  }
  if (header.version < kOldestVersion || header.version > kVersion) {
    return absl::FailedPreconditionError(absl::StrFormat("cell lists version: %d, expected %d to %d (%s)",
                                                         header.version, kOldestVersion, kVersion, path));
  }
  if (header.cells < 2 || header.cells > std::size_t{1} << kDeepestCells || header.rows >= 0xFFFFFFFF) {
    return damaged("more cells or rows than there can be");
  }
  std::shared_ptr<CellLists> lists(new CellLists);
  const auto load = [&](std::string_view name, std::uint64_t count, auto* out) -> absl::Status {
    using Value = typename std::remove_pointer_t<decltype(out)>::value_type;
    TRIVIUM_ASSIGN_OR_RETURN(const auto block, file->Block(name));
    if (block.size() != count * sizeof(Value)) {
      return damaged(
          absl::StrFormat("%d bytes in block '%s', expected %d", block.size(), name, count * sizeof(Value)));
    }
    *out = {reinterpret_cast<const Value*>(block.data()), count};
    return absl::OkStatus();
  };
  TRIVIUM_RETURN_IF_ERROR(load("offsets", header.cells + 1, &lists->offsets_));
  TRIVIUM_RETURN_IF_ERROR(load("rows", header.rows, &lists->rows_));
  if (header.version > 1 && header.codes_dimension > 0) {
    const std::size_t dimension = header.codes_dimension;
    if (dimension > kLargestDimension || header.metric > kLargestMetric) {
      return damaged(absl::StrFormat("codes of dimension %d for metric %d, expected at most %d and %d",
                                     dimension, header.metric, kLargestDimension, kLargestMetric));
    }
    absl::Span<const std::uint8_t> packs;
    absl::Span<const float> origin;
    TRIVIUM_RETURN_IF_ERROR(load("codes", CellCodes::Bytes(dimension, header.rows), &packs));
    TRIVIUM_RETURN_IF_ERROR(load("origin", dimension, &origin));
    if (!std::all_of(origin.begin(), origin.end(), [](float value) { return std::isfinite(value); })) {
      return damaged("an origin of codes that is not finite");
    }
    lists->codes_.emplace(dimension, static_cast<base::Metric>(header.metric), header.rows, packs.data(),
                          origin.data(), file);
  }
  lists->file_ = file;
  TRIVIUM_RETURN_IF_ERROR(lists->Check(path));
  return std::shared_ptr<const CellLists>(std::move(lists));
}

absl::Status CellLists::Check(const std::string& path) const {
  const auto damaged = [&](absl::string_view what) {
    return absl::DataLossError(absl::StrFormat("cell lists: %s (%s)", what, path));
  };
  if (offsets_.front() != 0 || offsets_.back() != size() ||
      !std::is_sorted(offsets_.begin(), offsets_.end())) {
    return damaged("offsets out of order, expected increasing ones from 0 to the number of rows");
  }
  base::Bitmap seen(size());
  for (std::size_t cell = 0; cell < cell_count(); ++cell) {
    const auto rows = Rows(cell);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows[i] >= size() || seen.Test(rows[i]) || (i > 0 && rows[i] < rows[i - 1])) {
        return damaged(
            absl::StrFormat("row %d in cell %d, expected every row once, in order", rows[i], cell));
      }
      seen.Set(rows[i]);
    }
  }
  return absl::OkStatus();
}

std::size_t CellLists::bytes() const {
  return (offsets_.size() + rows_.size()) * sizeof(std::uint32_t) + (codes_ ? codes_->bytes() : 0);
}

std::size_t CellLists::used_cells() const {
  std::size_t used = 0;
  for (std::size_t cell = 0; cell < cell_count(); ++cell) used += Rows(cell).empty() ? 0 : 1;
  return used;
}

std::size_t CellLists::largest_cell() const {
  std::size_t largest = 0;
  for (std::size_t cell = 0; cell < cell_count(); ++cell) largest = std::max(largest, Rows(cell).size());
  return largest;
}

}  // namespace trivium::routing
