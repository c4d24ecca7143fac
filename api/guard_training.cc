// SPDX-License-Identifier: Apache-2.0
#include "api/guard_training.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "api/judged_queries.h"
#include "api/keys.h"
#include "api/vector_rules.h"
#include "base/status_macros.h"
#include "storage/file_system.h"

namespace trivium {
namespace {

// Near twins only: queries to come ask for documents that were asked for before, too, and what the guard is
// to accept of them is measured on queries like them.
std::vector<std::uint64_t> TwinGroups(const routing::PilotSet& pilots, int threads) {
  const JudgedQuery unjudged;
  std::vector<const float*> rows;
  for (std::size_t i = 0; i < pilots.size(); ++i) rows.push_back(pilots.pilot(i).vector.data());
  return GroupQueries(std::vector<const JudgedQuery*>(rows.size(), &unjudged), rows, pilots.dimension(),
                      threads)
      .twins;
}

GuardReport Describe(const routing::GuardReport& trained) {
  GuardReport report;
  report.queries = trained.queries;
  report.background = trained.background;
  report.threshold = trained.threshold;
  report.acceptance = trained.acceptance;
  report.rejection = trained.rejection;
  report.auroc = trained.auroc;
  report.auroc_low = trained.auroc_interval.low;
  report.auroc_high = trained.auroc_interval.high;
  report.enabled = trained.accepted;
  report.reason = trained.reason;
  return report;
}

absl::StatusOr<routing::PilotSet> LoadBackground(const StoreState& state, EncoderSet* encoders,
                                                 const BackgroundQueries& background, std::uint32_t space) {
  const std::size_t count = background.size();
  for (const SpaceVectors& vectors : background.vectors) {
    if (vectors.vectors.rows == count) continue;
    return absl::InvalidArgumentError(absl::StrFormat(
        "background queries: %d vector rows, expected %d, one a query", vectors.vectors.rows, count));
  }
  TRIVIUM_ASSIGN_OR_RETURN(
      const PreparedQueries prepared,
      PrepareQueries(state, encoders, count, background.vectors, background.texts, {&space, 1}));
  const base::AlignedMatrix* rows = prepared.Find(space);
  const SpaceRecord& record = *state.schema.SpaceById(space);
  if (rows == nullptr) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "background queries: no vectors of space '%s' and no encoder for it, expected one of them",
        record.name));
  }
  routing::PilotSet pilots(record.dimension, state.experts.size());
  const std::vector<float> unknown(state.experts.size(), std::numeric_limits<float>::quiet_NaN());
  std::vector<float> unit;
  routing::PilotView pilot;
  pilot.utilities = unknown;
  pilot.source = routing::PilotSource::kBackground;
  pilot.time =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  for (std::size_t i = 0; i < count; ++i) {
    if (!UnitCopy(rows->row(i), record.dimension, &unit)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("background queries, row %d: zero, expected a direction to route by", i));
    }
    pilot.vector = absl::MakeConstSpan(unit).first(record.dimension);
    TRIVIUM_RETURN_IF_ERROR(pilots.Add(pilot));
  }
  return pilots;
}

}  // namespace

absl::StatusOr<LearnedGuard> LearnGuard(const StoreState& state, EncoderSet* encoders,
                                        const TrainDispatchOptions& options, std::uint32_t space,
                                        routing::DispatchQueries served, int threads) {
  LearnedGuard learned;
  TRIVIUM_ASSIGN_OR_RETURN(learned.background, LoadBackground(state, encoders, options.background, space));
  served.groups = TwinGroups(*served.pilots, threads);
  const routing::DispatchQueries background{&learned.background, TwinGroups(learned.background, threads), {}};
  routing::GuardTrainingOptions learning;
  learning.acceptance = options.guard_acceptance;
  learning.seed = options.seed;
  learning.thread_count = threads;
  learning.cancelled = options.cancelled;
  TRIVIUM_ASSIGN_OR_RETURN(routing::TrainedGuard trained, routing::TrainGuard(served, background, learning));
  learned.report = Describe(trained.report);
  learned.guard = std::move(trained.guard);
  return learned;
}

absl::StatusOr<std::shared_ptr<const routing::QueryGuard>> SaveGuard(const LearnedGuard& learned,
                                                                     const std::string& segments_directory,
                                                                     Schema* schema, DispatchRecord* record,
                                                                     storage::WriteBatch* batch) {
  GuardRecord saved{learned.report, "", ""};
  for (std::string* file : {&saved.pilots_file, &saved.background_file}) {
    *file = absl::StrFormat("%06d.pilots", schema->next_file++);
    TRIVIUM_RETURN_IF_ERROR(storage::RemoveFile(segments_directory + "/" + *file));  // left by a failure
  }
  TRIVIUM_RETURN_IF_ERROR(learned.guard.SaveIndexes(segments_directory + "/" + saved.pilots_file,
                                                    segments_directory + "/" + saved.background_file));
  const std::string bytes = learned.guard.Save();
  batch->Put(storage::Table::kManifest, RouterKey(kGuardName), bytes);
  // Read back before anything names it, so that what becomes durable can be opened.
  auto loaded = Dispatcher::LoadGuard(saved, bytes, segments_directory);
  record->guard = std::move(saved);
  return loaded;
}

}  // namespace trivium
