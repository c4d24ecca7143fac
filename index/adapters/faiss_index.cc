// SPDX-License-Identifier: Apache-2.0
// The only library file that may include FAISS. Compiled without AVX, as Debian's libfaiss is.
#include "index/adapters/faiss_index.h"

#include <faiss/IndexFlat.h>
#include <faiss/IndexIVFFlat.h>
#include <faiss/impl/FaissException.h>
#include <faiss/impl/IDSelector.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "index/adapters/labelled_scan.h"
#include "kernels/distance_table.h"

namespace trivium::index {
namespace {

// Training rows a cell: what FAISS would draw itself.
constexpr std::size_t kTrainingRowsPerCell = 256;
// Rows copied at a time where they do not lie side by side.
constexpr std::size_t kCopiedRows = 65536;

faiss::MetricType FaissMetric(base::Metric metric) {
  return base::UsesInnerProduct(metric) ? faiss::METRIC_INNER_PRODUCT : faiss::METRIC_L2;
}

// OpenMP's number of threads for this thread's parallel regions, put back at the end.
class OpenMpThreads {
 public:
  explicit OpenMpThreads(int count) : saved_(omp_get_max_threads()) { omp_set_num_threads(count); }
  ~OpenMpThreads() { omp_set_num_threads(saved_); }

 private:
  int saved_;
};

// `count` rows, evenly spaced among all, side by side.
std::vector<float> SampleRows(base::MatrixView rows, std::size_t count) {
  std::vector<float> sample(count * rows.columns);
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(sample.data() + i * rows.columns, rows.row(i * rows.rows / count),
                rows.columns * sizeof(float));
  }
  return sample;
}

void AddRows(base::MatrixView rows, faiss::Index* index) {
  if (rows.stride == rows.columns) {
    index->add(static_cast<faiss::Index::idx_t>(rows.rows), rows.data);
    return;
  }
  for (std::size_t first = 0; first < rows.rows; first += kCopiedRows) {
    const std::size_t count = std::min(kCopiedRows, rows.rows - first);
    const base::MatrixView block(rows.row(first), count, rows.columns, rows.stride);
    index->add(static_cast<faiss::Index::idx_t>(count), SampleRows(block, count).data());
  }
}

// FAISS aborts, or silently drops rows, where a distance to a cell's centre is not finite. Below this squared
// length no two rows are so far apart that it could be.
constexpr float kMaxSquaredLength = std::numeric_limits<float>::max() / 8;

absl::Status CheckLengths(base::MatrixView rows) {
  const auto inner_product = kernels::ActiveDistances().inner_product_f32;
  for (std::size_t i = 0; i < rows.rows; ++i) {
    const float squared_length = inner_product(rows.row(i), rows.row(i), rows.columns);
    if (!(squared_length <= kMaxSquaredLength)) {
      return absl::InvalidArgumentError(absl::StrCat("squared vector length: ", squared_length,
                                                     ", expected at most ", kMaxSquaredLength, " (row ", i,
                                                     ")"));
    }
  }
  return absl::OkStatus();
}

// What FAISS writes: `count` distances or similarities with labels, -1 where there was none.
struct FaissResults {
  explicit FaissResults(std::size_t count) : values(count), labels(count, -1) {}

  void PushInto(base::Metric metric, base::TopK* top) const {
    for (std::size_t i = 0; i < labels.size(); ++i) {
      if (labels[i] < 0) continue;
      const float distance = base::UsesInnerProduct(metric) ? -values[i] : values[i];
      top->Push({distance, static_cast<std::uint32_t>(labels[i])});
    }
  }

  std::vector<float> values;
  std::vector<faiss::Index::idx_t> labels;
};

}  // namespace

absl::Status FaissOptions::Validate() const {
  constexpr std::size_t kMaxCells = 1 << 20;
  if (cell_count > kMaxCells) {
    return absl::InvalidArgumentError(
        absl::StrCat("cell_count: ", cell_count, ", expected 0 to ", kMaxCells));
  }
  if (probed_cells == 0) return absl::InvalidArgumentError("probed_cells: 0, expected at least 1");
  return absl::OkStatus();
}

// The functions throw what FAISS throws, but for Scan.
class FaissIndex::Rows {
 public:
  virtual ~Rows() = default;
  virtual std::size_t size() const = 0;
  virtual void Add(base::MatrixView rows) = 0;

  // Pushes up to `wanted` rows that pass `filter` (null: all) into `top`.
  virtual void Find(const float* query, const SearchParameters& parameters, std::size_t wanted,
                    faiss::IDSelector* filter, base::TopK* top, SearchCounters* counters) const = 0;

  // Pushes every allowed row into scratch->top.
  virtual void Scan(const float* query, const base::Bitmap* allowed, SearchScratch* scratch,
                    SearchCounters* counters) const = 0;
};

class FaissIndex::FlatRows final : public FaissIndex::Rows {
 public:
  FlatRows(std::size_t dimension, base::Metric metric)
      : metric_(metric), index_(static_cast<faiss::Index::idx_t>(dimension), FaissMetric(metric)) {}

  std::size_t size() const override { return static_cast<std::size_t>(index_.ntotal); }
  void Add(base::MatrixView rows) override { AddRows(rows, &index_); }

  void Find(const float* query, const SearchParameters& parameters, std::size_t wanted,
            faiss::IDSelector* filter, base::TopK* top, SearchCounters* counters) const override {
    FaissResults results(wanted);
    faiss::SearchParameters faiss_parameters;
    faiss_parameters.sel = filter;
    index_.search(1, query, static_cast<faiss::Index::idx_t>(wanted), results.values.data(),
                  results.labels.data(), &faiss_parameters);
    results.PushInto(metric_, top);
    counters->scan_distances += filter == nullptr ? size() : std::min(parameters.allowed_count, size());
  }

  void Scan(const float* query, const base::Bitmap* allowed, SearchScratch* scratch,
            SearchCounters* counters) const override {
    const base::MatrixView view(index_.get_xb(), size(), static_cast<std::size_t>(index_.d));
    const auto label_of = [](std::size_t place) { return place; };
    ScanLabelledRows(RowDistances(view, metric_), size(), label_of, query, allowed, scratch, counters);
  }

 private:
  base::Metric metric_;
  faiss::IndexFlat index_;
};

class FaissIndex::CellRows final : public FaissIndex::Rows {
 public:
  // Trains the cells on `rows`, adds none.
  CellRows(base::MatrixView rows, base::Metric metric, const FaissOptions& options)
      : metric_(metric),
        probed_cells_(options.probed_cells),
        centroids_(static_cast<faiss::Index::idx_t>(rows.columns), FaissMetric(metric)),
        index_(&centroids_, rows.columns, CellCount(rows.rows, options), FaissMetric(metric)) {
    index_.cp.seed = options.seed;
    index_.cp.min_points_per_centroid = 1;  // otherwise FAISS prints a warning
    const std::size_t sampled = std::min(rows.rows, kTrainingRowsPerCell * index_.nlist);
    index_.train(static_cast<faiss::Index::idx_t>(sampled), SampleRows(rows, sampled).data());
  }

  std::size_t size() const override { return static_cast<std::size_t>(index_.ntotal); }
  void Add(base::MatrixView rows) override { AddRows(rows, &index_); }

  void Find(const float* query, const SearchParameters& parameters, std::size_t wanted,
            faiss::IDSelector* filter, base::TopK* top, SearchCounters* counters) const override {
    const std::size_t asked = parameters.beam_width > 0 ? parameters.beam_width : probed_cells_;
    std::size_t probed =
        parameters.method == SearchMethod::kExact ? index_.nlist : std::min(asked, index_.nlist);
    for (;; probed = std::min(2 * probed, index_.nlist)) {
      top->Reset(wanted);
      Probe(query, probed, wanted, filter, top, counters);
      if (top->size() == wanted || probed == index_.nlist) return;
    }
  }

  void Scan(const float* query, const base::Bitmap* allowed, SearchScratch* scratch,
            SearchCounters* counters) const override {
    for (std::size_t cell = 0; cell < index_.nlist; ++cell) {
      const std::size_t count = index_.invlists->list_size(cell);
      if (count == 0) continue;
      faiss::InvertedLists::ScopedCodes codes(index_.invlists, cell);
      faiss::InvertedLists::ScopedIds ids(index_.invlists, cell);
      const base::MatrixView view(reinterpret_cast<const float*>(codes.get()), count,
                                  static_cast<std::size_t>(index_.d));
      const auto label_of = [&](std::size_t place) { return static_cast<std::size_t>(ids.get()[place]); };
      ScanLabelledRows(RowDistances(view, metric_), count, label_of, query, allowed, scratch, counters);
    }
  }

 private:
  static std::size_t CellCount(std::size_t row_count, const FaissOptions& options) {
    const auto automatic = static_cast<std::size_t>(4 * std::sqrt(static_cast<double>(row_count)));
    return std::min(row_count, options.cell_count > 0 ? options.cell_count : automatic);
  }

  // index_.search would add to statistics that all threads share; search_preassigned does not.
  void Probe(const float* query, std::size_t probed, std::size_t wanted, faiss::IDSelector* filter,
             base::TopK* top, SearchCounters* counters) const {
    FaissResults cells(probed), results(wanted);
    centroids_.search(1, query, static_cast<faiss::Index::idx_t>(probed), cells.values.data(),
                      cells.labels.data());
    faiss::IVFSearchParameters faiss_parameters;
    faiss_parameters.nprobe = probed;
    faiss_parameters.sel = filter;
    faiss::IndexIVFStats statistics;
    index_.search_preassigned(1, query, static_cast<faiss::Index::idx_t>(wanted), cells.labels.data(),
                              cells.values.data(), results.values.data(), results.labels.data(),
                              /*store_pairs=*/false, &faiss_parameters, &statistics);
    results.PushInto(metric_, top);
    counters->scan_distances += index_.nlist + statistics.ndis;
  }

  base::Metric metric_;
  std::size_t probed_cells_;
  faiss::IndexFlat centroids_;
  faiss::IndexIVFFlat index_;
};

FaissIndex::FaissIndex(std::size_t dimension, base::Metric metric, const FaissOptions& options)
    : dimension_(dimension), metric_(metric), options_(options) {}

FaissIndex::~FaissIndex() = default;

std::size_t FaissIndex::size() const { return rows_ == nullptr ? 0 : rows_->size(); }

absl::Status FaissIndex::Add(base::MatrixView rows, int thread_count) {
  if (rows.columns != dimension()) {
    return absl::InvalidArgumentError(
        absl::StrCat("vector dimension: ", rows.columns, ", expected ", dimension()));
  }
  constexpr std::size_t kMaxRows = std::numeric_limits<std::uint32_t>::max();
  const std::size_t total = size() + rows.rows;
  if (total > kMaxRows) {
    return absl::InvalidArgumentError(
        absl::StrCat("rows in a FAISS index: ", total, ", expected at most ", kMaxRows));
  }
  if (rows.rows == 0) return absl::OkStatus();
  if (options_.kind == FaissOptions::Kind::kCells) TRIVIUM_RETURN_IF_ERROR(CheckLengths(rows));
  try {
    const OpenMpThreads threads(base::ResolveThreadCount(thread_count));
    if (rows_ == nullptr) {
      if (options_.kind == FaissOptions::Kind::kFlat) {
        rows_ = std::make_unique<FlatRows>(dimension(), metric_);
      } else {
        rows_ = std::make_unique<CellRows>(rows, metric_, options_);
      }
    }
    rows_->Add(rows);
    return absl::OkStatus();
  } catch (const faiss::FaissException& error) {
    rows_.reset();
    return absl::InternalError(absl::StrCat("FAISS index: ", error.what(), ", expected no exception"));
  } catch (...) {
    rows_.reset();
    return absl::ResourceExhaustedError(
        absl::StrCat("FAISS index: out of memory at ", total, " rows, expected them to fit"));
  }
}

void FaissIndex::Search(const float* query, const SearchParameters& parameters, SearchScratch* scratch,
                        std::vector<base::Neighbor>* found, SearchCounters* counters) const {
  SearchCounters local;
  const base::Bitmap* allowed = parameters.allowed;
  const std::size_t candidates = allowed == nullptr ? size() : std::min(parameters.allowed_count, size());
  const std::size_t wanted = std::min(parameters.k, candidates);
  scratch->top.Reset(wanted);
  if (wanted > 0) {
    try {
      // Both bitmaps keep row i in bit i % 8 of byte i / 8 (little-endian words).
      const std::size_t bitmap_bytes = allowed == nullptr ? 0 : (allowed->size() + 7) / 8;
      faiss::IDSelectorBitmap filter(
          bitmap_bytes,
          allowed == nullptr ? nullptr : reinterpret_cast<const std::uint8_t*>(allowed->words()));
      rows_->Find(query, parameters, wanted, allowed == nullptr ? nullptr : &filter, &scratch->top, &local);
    } catch (...) {
      scratch->top.Reset(wanted);
    }
    // FAISS leaves out rows at an infinite distance, and may have failed: the scan answers in any case.
    if (scratch->top.size() < wanted) {
      scratch->top.Reset(wanted);
      rows_->Scan(query, allowed, scratch, &local);
    }
  }
  scratch->top.DrainSorted(found);
  local.bytes_read = local.distances() * dimension() * sizeof(float);
  if (counters != nullptr) counters->Add(local);
}

}  // namespace trivium::index
