// SPDX-License-Identifier: Apache-2.0
// The only file that may include hnswlib: its header defines functions that are not inline. They belong to
// its own SIMD, which is fixed at compile time and unused here, and go away with it.
#define NO_MANUAL_VECTORIZATION
#include "index/adapters/hnswlib_index.h"

#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/thread_pool.h"
#include "index/adapters/labelled_scan.h"
#include "index/graph_search.h"
#include "kernels/distance_table.h"

namespace trivium::index {
namespace {

using Hnsw = hnswlib::HierarchicalNSW<float>;

// Rows a thread inserts before it asks for more.
constexpr std::size_t kInsertGrain = 16;

// Distances computed by this thread, ever.
thread_local std::uint64_t computed_distances = 0;

// Vectors of float32 with the engine's own distances.
class KernelSpace final : public hnswlib::SpaceInterface<float> {
 public:
  KernelSpace(std::size_t dimension, base::Metric metric)
      : dimension_(dimension), inner_product_(base::UsesInnerProduct(metric)) {
    const kernels::DistanceTable& table = kernels::ActiveDistances();
    kernel_ = inner_product_ ? table.inner_product_f32 : table.squared_l2_f32;
  }

  std::size_t get_data_size() override { return dimension_ * sizeof(float); }
  hnswlib::DISTFUNC<float> get_dist_func() override { return &KernelSpace::Distance; }
  void* get_dist_func_param() override { return this; }
  std::size_t dimension() const { return dimension_; }

 private:
  // Never NaN, like RowDistances: hnswlib's queues need an order.
  static float Distance(const void* a, const void* b, const void* space) {
    const auto& self = *static_cast<const KernelSpace*>(space);
    ++computed_distances;
    const float value =
        self.kernel_(static_cast<const float*>(a), static_cast<const float*>(b), self.dimension_);
    return std::min(std::numeric_limits<float>::infinity(), self.inner_product_ ? -value : value);
  }

  std::size_t dimension_;
  bool inner_product_;
  float (*kernel_)(const float* a, const float* b, std::size_t dimension);
};

}  // namespace

absl::Status HnswlibOptions::Validate() const {
  if (degree_bound < 2 || degree_bound > 512) {
    return absl::InvalidArgumentError(absl::StrCat("degree_bound: ", degree_bound, ", expected 2 to 512"));
  }
  if (build_beam_width < 8 || build_beam_width > 4096) {
    return absl::InvalidArgumentError(
        absl::StrCat("build_beam_width: ", build_beam_width, ", expected 8 to 4096"));
  }
  return absl::OkStatus();
}

class HnswlibIndex::Graph {
 public:
  Graph(std::size_t dimension, base::Metric metric) : space_(dimension, metric), metric_(metric) {}

  std::size_t size() const { return hnsw_ == nullptr ? 0 : hnsw_->cur_element_count; }
  std::size_t dimension() const { return space_.dimension(); }

  // Throws what hnswlib throws.
  void Grow(std::size_t row_count, const HnswlibOptions& options) {
    if (hnsw_ == nullptr) {
      hnsw_ = std::make_unique<Hnsw>(&space_, row_count, options.degree_bound, options.build_beam_width,
                                     options.seed);
    } else if (row_count > hnsw_->max_elements_) {
      const std::size_t capacity = std::max(row_count, hnsw_->max_elements_ + hnsw_->max_elements_ / 2);
      // resizeIndex that fails midway leaves pointers its destructor would free twice: leaked in that case.
      Hnsw* growing = hnsw_.release();
      growing->resizeIndex(std::min<std::size_t>(capacity, std::numeric_limits<int>::max()));
      hnsw_.reset(growing);
    }
  }

  void Insert(const float* row, std::size_t label) {
    static_cast<hnswlib::AlgorithmInterface<float>&>(*hnsw_).addPoint(row, label);
  }

  // Pushes the allowed ones of the `beam_width` nearest rows the graph finds. Throws what hnswlib throws.
  void Walk(const float* query, std::size_t beam_width, const base::Bitmap* allowed, base::TopK* top) const {
    for (auto nearest = hnsw_->searchKnn(query, beam_width); !nearest.empty(); nearest.pop()) {
      const auto [distance, label] = nearest.top();
      if (allowed == nullptr || allowed->Test(label))
        top->Push({distance, static_cast<std::uint32_t>(label)});
    }
  }

  // Concurrent inserts give rows their places in the order they come; hnswlib stores row, then label, after
  // the links.
  void Scan(const float* query, const base::Bitmap* allowed, SearchScratch* scratch,
            SearchCounters* counters) const {
    const auto* first = reinterpret_cast<const float*>(hnsw_->data_level0_memory_ + hnsw_->offsetData_);
    const base::MatrixView view(first, size(), dimension(), hnsw_->size_data_per_element_ / sizeof(float));
    const auto label_of = [this](std::size_t place) {
      return hnsw_->getExternalLabel(static_cast<hnswlib::tableint>(place));
    };
    ScanLabelledRows(RowDistances(view, metric_), size(), label_of, query, allowed, scratch, counters);
  }

 private:
  KernelSpace space_;
  base::Metric metric_;
  std::unique_ptr<Hnsw> hnsw_;  // null until the first row
};

HnswlibIndex::HnswlibIndex(std::size_t dimension, base::Metric metric, const HnswlibOptions& options)
    : metric_(metric), options_(options), graph_(std::make_unique<Graph>(dimension, metric)) {}

HnswlibIndex::~HnswlibIndex() = default;

std::size_t HnswlibIndex::size() const { return graph_->size(); }
std::size_t HnswlibIndex::dimension() const { return graph_->dimension(); }

absl::Status HnswlibIndex::Add(base::MatrixView rows, int thread_count) {
  if (rows.columns != dimension()) {
    return absl::InvalidArgumentError(
        absl::StrCat("vector dimension: ", rows.columns, ", expected ", dimension()));
  }
  constexpr std::size_t kMaxRows = std::numeric_limits<int>::max();
  const std::size_t first = size();
  if (rows.rows > kMaxRows - first) {
    return absl::InvalidArgumentError(
        absl::StrCat("rows in an hnswlib index: ", first + rows.rows, ", expected at most ", kMaxRows));
  }
  if (rows.rows == 0) return absl::OkStatus();

  std::atomic<bool> failed{false};
  const auto insert = [&](std::size_t i) {
    if (failed.load(std::memory_order_relaxed)) return;
    try {
      graph_->Insert(rows.row(i), first + i);
    } catch (...) {
      failed = true;
    }
  };
  try {
    graph_->Grow(first + rows.rows, options_);
    insert(0);  // alone: the first row of all is where the others start
    base::ParallelFor(rows.rows - 1, base::ResolveThreadCount(thread_count), kInsertGrain,
                      [&](std::size_t i, int) { insert(i + 1); });
  } catch (...) {
    failed = true;
  }
  if (!failed) return absl::OkStatus();
  graph_ = std::make_unique<Graph>(dimension(), metric_);
  return absl::ResourceExhaustedError(
      absl::StrCat("hnswlib index: out of memory at ", first + rows.rows, " rows, expected them to fit"));
}

void HnswlibIndex::Search(const float* query, const SearchParameters& parameters, SearchScratch* scratch,
                          std::vector<base::Neighbor>* found, SearchCounters* counters) const {
  SearchCounters local;
  const base::Bitmap* allowed = parameters.allowed;
  const std::size_t candidates = allowed == nullptr ? size() : std::min(parameters.allowed_count, size());
  const std::size_t wanted = std::min(parameters.k, candidates);
  const auto scan_is_due = [&](std::size_t beam_width) {
    return parameters.method == SearchMethod::kExact ||
           (parameters.method == SearchMethod::kAuto &&
            ScanIsCheaper(candidates, beam_width, 2 * options_.degree_bound));
  };

  // hnswlib cannot filter on its way: the beam doubles until it holds enough allowed rows.
  scratch->top.Reset(wanted);
  for (std::size_t beam_width = EffectiveBeamWidth(parameters, size());
       scratch->top.size() < wanted && !scan_is_due(beam_width); beam_width *= 2) {
    scratch->top.Reset(wanted);
    const std::uint64_t before = computed_distances;
    try {
      graph_->Walk(query, std::min(beam_width, size()), allowed, &scratch->top);
    } catch (...) {
      break;  // the scan below allocates nothing and answers in any case
    }
    local.graph_distances += computed_distances - before;
    if (beam_width >= size()) break;
  }
  if (scratch->top.size() < wanted) {
    scratch->top.Reset(wanted);
    graph_->Scan(query, allowed, scratch, &local);
  }
  scratch->top.DrainSorted(found);
  local.bytes_read = local.distances() * dimension() * sizeof(float);
  if (counters != nullptr) counters->Add(local);
}

}  // namespace trivium::index
