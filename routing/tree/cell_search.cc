// SPDX-License-Identifier: Apache-2.0
// The search of CellLists: cells in the order of the router, each read by its rows or by their codes.
#include <algorithm>
#include <cmath>
#include <limits>

#include "index/row_scan.h"
#include "routing/tree/cell_lists.h"

namespace trivium::routing {
namespace {

// Rows a kernel call.
constexpr std::size_t kBlockRows = 256;
// The cells to read for the m nearest rows grow with this power of m. MiniLM questions, calibrated for 0.95
// of 10: with 0.4 they find 0.97 of 100 nearest in 1,024 cells, with 0.25 0.94 in 4,096.
constexpr double kProbesByRank = 1.0 / 3;
// So few allowed rows, and not more than cells, are scanned: that costs less than ranking the cells.
constexpr std::size_t kFewAllowed = 1024;
constexpr double kCalibratedRank = 10;
// Rows compared at a time, the nearest by their codes of at least kWaiting times as many: the further off the
// bound still is, the more rows would be compared in vain.
constexpr std::size_t kFewestCompared = 16;
constexpr std::size_t kWaiting = 4;
// Cells whose centroids are compared with the query at a time.
constexpr std::size_t kCellsAtOnce = 16;

// What both readers of cells share. `Add` reads a cell, `Flush` leaves nothing waiting for scratch->top.
struct Asked {
  const index::RowDistances& distances;
  const index::RowQuery& query;
  const base::Bitmap* allowed;
  index::SearchScratch& scratch;
  index::SearchCounters& counters;

  bool Allows(std::uint32_t row) const { return allowed == nullptr || allowed->Test(row); }
  // Pushes the first `count` of scratch.rows.
  void Compare(std::size_t count) {
    distances.Gather(query, scratch.rows.data(), count, scratch.distances.data());
    counters.scan_distances += count;
    for (std::size_t i = 0; i < count; ++i) scratch.top.Push({scratch.distances[i], scratch.rows[i]});
  }
};

class ByRows {
 public:
  explicit ByRows(const Asked& asked) : asked_(asked) {}

  void Add(absl::Span<const std::uint32_t> rows) {
    for (const std::uint32_t row : rows) {
      if (!asked_.Allows(row)) continue;
      asked_.scratch.rows[picked_++] = row;
      if (picked_ == kBlockRows) Flush();
    }
  }
  void Flush() {
    asked_.Compare(picked_);
    picked_ = 0;
  }

 private:
  Asked asked_;
  std::size_t picked_ = 0;
};

// Rows whose lower bound is below the k-th distance wait, and are compared nearest first.
class ByCodes {
 public:
  ByCodes(const Asked& asked, const CellCodes& codes, const CellModel& model, std::size_t wanted)
      : asked_(asked),
        codes_(codes),
        model_(model),
        table_(kernels::ActiveDistances()),
        batch_(std::clamp(wanted, kFewestCompared, kBlockRows)) {
    const float* values = asked.query.values;
    codes.Prepare(values, &asked_.scratch.code_query);
    squared_length_ = table_.inner_product_f32(values, values, codes.dimension());
    asked_.scratch.near.clear();
  }

  // At most kCellsAtOnce `cells`, whose rows are those at offsets[cell] to offsets[cell + 1] of `rows`.
  void Add(absl::Span<const std::uint32_t> cells, absl::Span<const std::uint32_t> offsets,
           absl::Span<const std::uint32_t> rows) {
    float centers[kCellsAtOnce];
    codes_.CenterDistances(model_, cells, asked_.query.values, centers);
    products_ += cells.size();
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (i + 1 < cells.size()) codes_.Prefetch(offsets[cells[i + 1]] / CellCodes::kPackRows);
      AddCell(offsets[cells[i]], offsets[cells[i] + 1], centers[i], rows);
    }
  }
  void Flush() {
    while (!asked_.scratch.near.empty()) CompareNearest();
  }

  std::uint64_t products() const { return products_; }
  std::uint64_t packs() const { return packs_; }

 private:
  // The rows at [first, last) of `rows`, around a centroid this far from the query.
  void AddCell(std::size_t first, std::size_t last, float center, absl::Span<const std::uint32_t> rows) {
    constexpr std::size_t kPack = CellCodes::kPackRows;
    if (first == last) return;
    index::SearchScratch& scratch = asked_.scratch;
    kernels::EdgeEstimate estimate = codes_.Around(center, scratch.code_query);
    asked_.counters.code_distances += last - first;
    const std::size_t last_pack = (last + kPack - 1) / kPack;
    for (std::size_t pack = first / kPack; pack < last_pack; pack += kBlockRows / kPack) {
      const std::size_t count = std::min(last_pack - pack, kBlockRows / kPack);
      estimate.bound = Bound();
      const std::size_t found = codes_.Score(table_, pack, count, scratch.code_query, estimate,
                                             scratch.distances.data(), scratch.rows.data());
      packs_ += count;
      for (std::size_t i = 0; i < found; ++i) {
        const std::size_t at = pack * kPack + scratch.rows[i];
        if (at < first || at >= last || !asked_.Allows(rows[at])) continue;
        scratch.near.push_back({scratch.distances[i], rows[at]});
      }
      while (scratch.near.size() >= kWaiting * batch_) CompareNearest();
    }
  }

  float Bound() const { return codes_.CodeDistance(asked_.scratch.top.Bound(), squared_length_); }

  void CompareNearest() {
    std::vector<base::Neighbor>& near = asked_.scratch.near;
    const std::size_t some = std::min(batch_, near.size());
    std::nth_element(near.begin(), near.begin() + static_cast<std::ptrdiff_t>(some - 1), near.end());
    const float before = Bound();
    std::size_t count = 0;
    for (std::size_t i = 0; i < some; ++i) {
      if (near[i].distance < before) asked_.scratch.rows[count++] = near[i].row;
    }
    asked_.Compare(count);
    const float bound = Bound();
    std::size_t kept = 0;
    for (std::size_t i = some; i < near.size(); ++i) {
      if (near[i].distance < bound) near[kept++] = near[i];
    }
    near.resize(kept);
  }

  Asked asked_;
  const CellCodes& codes_;
  const CellModel& model_;
  const kernels::DistanceTable& table_;
  std::size_t batch_;
  float squared_length_ = 0;
  std::uint64_t products_ = 0, packs_ = 0;
};

std::size_t ProbesFor(const CellModel& model, CellRouterKind kind, const CellSearchParameters& parameters,
                      std::size_t size, std::size_t allowed_count) {
  if (parameters.probes > 0) return std::min(parameters.probes, model.cell_count());
  const double rank =
      static_cast<double>(parameters.k) * static_cast<double>(size) / static_cast<double>(allowed_count);
  const double more = std::pow(std::max(rank / kCalibratedRank, 1.0), kProbesByRank);
  const double probes = std::ceil(static_cast<double>(model.Probes(kind, parameters.recall)) * more);
  return std::min(static_cast<std::size_t>(probes), model.cell_count());
}

}  // namespace

// Bytes decide: of few allowed rows the codes of all would be more.
bool CellLists::SearchesByCodes(const CellModel& model, const index::RowDistances& distances,
                                std::size_t allowed_count) const {
  return codes_ && codes_->dimension() == model.dimension() && codes_->metric() == model.metric() &&
         allowed_count * distances.rows().bytes_per_row() > codes_->bytes();
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
  const std::size_t probes = ProbesFor(model, kind, parameters, size(), allowed_count);

  const index::RowQuery row_query =
      scratch->query_words.Prepare(distances.rows().format, query, distances.rows().columns);
  index::SearchCounters counted;
  std::uint64_t products = 0, packs = 0;
  scratch->top.Reset(wanted);
  if (allowed != nullptr && allowed_count <= std::max(std::min(kFewAllowed, cell_count()), 2 * wanted)) {
    index::ScanRows(distances, row_query, 0, size(), allowed, scratch, &counted);
  } else {
    // The kernel of packs writes a few values past the last one.
    if (scratch->distances.size() < kBlockRows + 16) scratch->distances.resize(kBlockRows + 16);
    if (scratch->rows.size() < kBlockRows + 16) scratch->rows.resize(kBlockRows + 16);
    const std::uint64_t before = order->started() ? order->products() : 0;
    if (!order->started()) order->Start(model, kind, query, probes);
    const Asked asked{distances, row_query, allowed, *scratch, counted};
    const auto read_cells = [&](auto& reader, const auto& add) {
      std::uint32_t cells[kCellsAtOnce];
      for (std::size_t read = 0; read < cell_count();) {
        if (read >= probes) {
          reader.Flush();
          if (scratch->top.size() == wanted) return;
        }
        const std::size_t some = read < probes ? std::min(kCellsAtOnce, probes - read) : 1;
        for (std::size_t i = 0; i < some; ++i) cells[i] = order->Cell(read++);
        add(absl::MakeConstSpan(cells, some));
      }
      reader.Flush();
    };
    if (SearchesByCodes(model, distances, allowed_count)) {
      ByCodes reader(asked, *codes_, model, wanted);
      read_cells(reader, [&](const auto cells) { reader.Add(cells, offsets_, rows_); });
      products = reader.products();
      packs = reader.packs();
      if (scratch->top.size() < wanted) {  // codes of a damaged file, or distances beyond float32
        scratch->top.Reset(wanted);
        index::ScanRows(distances, row_query, 0, size(), allowed, scratch, &counted);
      }
    } else {
      ByRows reader(asked);
      read_cells(reader, [&](const auto cells) {
        for (const std::uint32_t cell : cells) reader.Add(Rows(cell));
      });
    }
    products += order->products() - before;
  }
  scratch->top.DrainSorted(found);
  if (counters == nullptr) return;
  counted.code_distances += products;
  counted.bytes_read = counted.scan_distances * distances.rows().bytes_per_row() +
                       products * model.centroids().stride * sizeof(float) +
                       packs * (codes_ ? codes_->pack_bytes() : 0);
  counters->Add(counted);
}

}  // namespace trivium::routing
