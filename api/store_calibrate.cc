// SPDX-License-Identifier: Apache-2.0
// Choosing the beam width of a space for a recall.
#include <algorithm>
#include <chrono>

#include "absl/strings/str_format.h"
#include "api/query_vectors.h"
#include "api/store_impl.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "index/beam_calibration.h"

namespace trivium {
namespace {

using Hits = std::vector<routing::ScoredDocument>;

// Own vectors asked where the caller gives no queries.
constexpr std::size_t kOwnQueries = 200;

// All vector sets of one space, searched as one.
class SpaceSearch {
 public:
  SpaceSearch(const StoreState& state, std::uint32_t space) {
    for (const auto& set : state.sets) {
      if (set->space() == space && set->live_count() > 0) sets_.push_back(set.get());
    }
  }

  bool empty() const { return sets_.empty(); }

  // Rows evenly out of all, as queries.
  base::AlignedMatrix OwnQueries(std::size_t dimension) const {
    std::vector<std::pair<const RowSource*, std::size_t>> rows;
    for (const VectorSet* set : sets_) {
      for (const VectorPart& part : set->parts()) {
        for (std::size_t i = 0; i < part.rows->size(); ++i) {
          if (part.live == nullptr || part.live->Test(i)) rows.emplace_back(part.rows.get(), i);
        }
      }
    }
    base::AlignedMatrix queries(dimension);
    const std::size_t count = std::min(kOwnQueries, rows.size());
    queries.Resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      const auto& [source, row] = rows[rows.size() * i / count];
      source->CopyRow(row, queries.row(i));
    }
    return queries;
  }

  // The k nearest documents, best first.
  void Run(const float* query, const index::SearchParameters& parameters, VectorSetScratch* scratch,
           Hits* hits) const {
    hits->clear();
    Hits found;
    for (const VectorSet* set : sets_) {
      set->Search(query, parameters, nullptr, scratch, &found, nullptr);
      hits->insert(hits->end(), found.begin(), found.end());
    }
    std::sort(hits->begin(), hits->end(), [](const auto& a, const auto& b) {
      return a.score != b.score ? a.score > b.score : a.key < b.key;
    });
    if (hits->size() > parameters.k) hits->resize(parameters.k);
  }

 private:
  std::vector<const VectorSet*> sets_;
};

// Sample queries of one space.
class SampleSearch {
 public:
  SampleSearch(const SpaceSearch& search, const base::AlignedMatrix& queries, const CalibrateOptions& options)
      : search_(search), queries_(queries), options_(options) {}

  // See SampleRecall::SearchAll.
  void Run(std::size_t beam_width, const index::SampleRecall::Take& take) const {
    index::SearchParameters parameters;
    parameters.k = options_.k;
    parameters.beam_width = beam_width;
    if (beam_width == 0) parameters.method = index::SearchMethod::kExact;
    struct Buffers {
      VectorSetScratch scratch;
      Hits hits;
      std::vector<float> scores;
    };
    const int threads = base::ResolveThreadCount(options_.threads);
    std::vector<Buffers> buffers(threads);
    base::ParallelFor(queries_.rows(), threads, 4, [&](std::size_t i, int thread) {
      if (cancelled()) return;
      auto& [scratch, hits, scores] = buffers[thread];
      search_.Run(queries_.row(i), parameters, &scratch, &hits);
      scores.clear();
      for (const auto& hit : hits) scores.push_back(hit.score);
      take(i, scores);
    });
  }

  bool cancelled() const {
    return options_.cancelled != nullptr && options_.cancelled->load(std::memory_order_relaxed);
  }

 private:
  const SpaceSearch& search_;
  const base::AlignedMatrix& queries_;
  const CalibrateOptions& options_;
};

}  // namespace

absl::StatusOr<CalibrationReport> Store::Calibrate(const CalibrateOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.Validate());
  const auto start = std::chrono::steady_clock::now();
  const std::lock_guard<std::mutex> writing(impl_->writer);
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> state, impl_->BeginWrite());
  CalibrationReport report;
  report.target_recall = options.target_recall;
  report.k = options.k;

  std::vector<std::pair<std::uint32_t, base::AlignedMatrix>> samples;
  for (const SpaceVectors& given : options.queries) {
    TRIVIUM_ASSIGN_OR_RETURN(const SpaceRecord* space, ResolveSpace(state->schema, given.space));
    TRIVIUM_ASSIGN_OR_RETURN(base::AlignedMatrix queries, PrepareVectors(*space, given.vectors));
    if (queries.rows() == 0) {
      return absl::InvalidArgumentError(
          absl::StrFormat("sample queries of space '%s': 0 rows, expected at least 1", space->name));
    }
    samples.emplace_back(space->id, std::move(queries));
  }
  if (options.queries.empty()) {
    for (const SpaceRecord& space : state->schema.spaces) {
      samples.emplace_back(space.id, SpaceSearch(*state, space.id).OwnQueries(space.dimension));
    }
  }
  for (auto& [id, queries] : samples) {
    const SpaceSearch search(*state, id);
    if (search.empty()) continue;
    const SampleSearch sample(search, queries, options);
    const index::SampleRecall recall(queries.rows(),
                                     [&](std::size_t width, const auto& take) { sample.Run(width, take); });
    const index::BeamCalibration chosen =
        index::CalibrateBeam(options.target_recall, std::max(options.k, index::kNarrowestWalk),
                             [&](std::size_t width) { return recall.At(width); });
    if (sample.cancelled()) return absl::CancelledError("calibration: cancelled by the caller");
    for (SpaceRecord& space : state->schema.spaces) {
      if (space.id != id) continue;
      space.beam_width = chosen.beam_width;
      space.target_recall = options.target_recall;
      report.spaces.push_back({space.name, chosen.beam_width, chosen.recall, chosen.reached, queries.rows()});
    }
  }
  TRIVIUM_RETURN_IF_ERROR(impl_->Commit(std::move(state), {}, true));
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace trivium
