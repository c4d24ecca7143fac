// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_lists.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "index/row_scan.h"
#include "routing/tree/cell_assignment.h"

namespace trivium::routing {
namespace {

constexpr std::string_view kMagic("TRIVCLS", 8);
constexpr std::uint32_t kVersion = 1;

struct Header {
  char magic[8];
  std::uint32_t version, reserved;
  std::uint64_t rows, cells;
  std::uint64_t more[4];
};
static_assert(sizeof(Header) == 64);

// Rows a kernel call.
constexpr std::size_t kBlockRows = 256;
// The cells to read for the m nearest rows grow with this power of m. MiniLM questions, calibrated for 0.95
// of 10: with 0.4 they find 0.97 of 100 nearest in 1,024 cells, with 0.25 0.94 in 4,096.
constexpr double kProbesByRank = 1.0 / 3;
// So few allowed rows, and not more than cells, are scanned: that costs less than ranking the cells.
constexpr std::size_t kFewAllowed = 1024;
constexpr double kCalibratedRank = 10;

absl::Status CheckDimension(const CellModel& model, const index::RowsView& rows) {
  if (rows.columns == model.dimension()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("rows to deal to cells: of %d numbers, expected %d", rows.columns, model.dimension()));
}

}  // namespace

std::shared_ptr<const CellLists> CellLists::FromCells(absl::Span<const std::uint32_t> cell_of,
                                                      std::size_t cell_count) {
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
  return FromCells(AssignCells(nearest, rows, model.cell_count(), thread_count), model.cell_count());
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
  return FromCells(cell_of, cell_count());
}

absl::Status CellLists::Write(const std::string& path) const {
  Header header = {};
  std::memcpy(header.magic, kMagic.data(), kMagic.size());
  header.version = kVersion;
  header.rows = size();
  header.cells = cell_count();
  const auto bytes = [](const auto* values, std::size_t count) {
    return absl::Span<const std::byte>(reinterpret_cast<const std::byte*>(values), count * sizeof(*values));
  };
  TRIVIUM_ASSIGN_OR_RETURN(const auto writer, storage::SegmentFileWriter::Create(path));
  TRIVIUM_RETURN_IF_ERROR(writer->AddBlock("cell_lists", bytes(&header, 1)));
  TRIVIUM_RETURN_IF_ERROR(writer->AddBlock("offsets", bytes(offsets_.data(), offsets_.size())));
  TRIVIUM_RETURN_IF_ERROR(writer->AddBlock("rows", bytes(rows_.data(), rows_.size())));
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
  if (header.version != kVersion) {
    return absl::FailedPreconditionError(
        absl::StrFormat("cell lists version: %d, expected %d (%s)", header.version, kVersion, path));
  }
  if (header.cells < 2 || header.cells > std::size_t{1} << kDeepestCells || header.rows >= 0xFFFFFFFF) {
    return damaged("more cells or rows than there can be");
  }
  std::shared_ptr<CellLists> lists(new CellLists);
  const auto load = [&](std::string_view name, std::uint64_t count,
                        absl::Span<const std::uint32_t>* out) -> absl::Status {
    TRIVIUM_ASSIGN_OR_RETURN(const auto block, file->Block(name));
    if (block.size() != count * sizeof(std::uint32_t)) {
      return damaged(absl::StrFormat("%d bytes in block '%s', expected %d", block.size(), name,
                                     count * sizeof(std::uint32_t)));
    }
    *out = {reinterpret_cast<const std::uint32_t*>(block.data()), count};
    return absl::OkStatus();
  };
  TRIVIUM_RETURN_IF_ERROR(load("offsets", header.cells + 1, &lists->offsets_));
  TRIVIUM_RETURN_IF_ERROR(load("rows", header.rows, &lists->rows_));
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

void CellLists::Search(const CellModel& model, const index::RowDistances& distances, const float* query,
                       const CellSearchParameters& parameters, CellOrder* order,
                       index::SearchScratch* scratch, std::vector<base::Neighbor>* found,
                       index::SearchCounters* counters) const {
  const base::Bitmap* allowed = parameters.allowed;
  const std::size_t allowed_count = allowed == nullptr ? size() : std::min(parameters.allowed_count, size());
  const std::size_t wanted = std::min(parameters.k, allowed_count);
  found->clear();
  if (!parameters.resume) order->Clear();
  if (wanted == 0) return;
  const CellRouterKind kind =
      parameters.router && model.Has(*parameters.router) ? *parameters.router : model.router();
  std::size_t probes = parameters.probes;
  if (probes == 0) {
    const double rank =
        static_cast<double>(parameters.k) * static_cast<double>(size()) / static_cast<double>(allowed_count);
    probes =
        static_cast<std::size_t>(std::ceil(static_cast<double>(model.Probes(kind, parameters.recall)) *
                                           std::pow(std::max(rank / kCalibratedRank, 1.0), kProbesByRank)));
  }
  probes = std::min(probes, cell_count());

  const index::RowQuery row_query =
      scratch->query_words.Prepare(distances.rows().format, query, distances.rows().columns);
  index::SearchCounters counted;
  std::uint64_t products = 0;
  scratch->top.Reset(wanted);
  if (allowed != nullptr && allowed_count <= std::max(std::min(kFewAllowed, cell_count()), 2 * wanted)) {
    index::ScanRows(distances, row_query, 0, size(), allowed, scratch, &counted);
  } else {
    if (scratch->distances.size() < kBlockRows) scratch->distances.resize(kBlockRows);
    if (scratch->rows.size() < kBlockRows) scratch->rows.resize(kBlockRows);
    const std::uint64_t before = order->started() ? order->products() : 0;
    if (!order->started()) order->Start(model, kind, query, probes);
    std::size_t picked = 0;
    const auto flush = [&] {
      distances.Gather(row_query, scratch->rows.data(), picked, scratch->distances.data());
      counted.scan_distances += picked;
      for (std::size_t i = 0; i < picked; ++i) scratch->top.Push({scratch->distances[i], scratch->rows[i]});
      picked = 0;
    };
    for (std::size_t read = 0; read < cell_count(); ++read) {
      if (read >= probes) {
        flush();
        if (scratch->top.size() == wanted) break;
      }
      for (std::uint32_t row : Rows(order->Cell(read))) {
        if (allowed != nullptr && !allowed->Test(row)) continue;
        scratch->rows[picked++] = row;
        if (picked == kBlockRows) flush();
      }
    }
    flush();
    products = order->products() - before;
  }
  scratch->top.DrainSorted(found);
  if (counters == nullptr) return;
  counted.code_distances = products;
  counted.bytes_read = counted.scan_distances * distances.rows().bytes_per_row() +
                       products * model.centroids().stride * sizeof(float);
  counters->Add(counted);
}

}  // namespace trivium::routing
