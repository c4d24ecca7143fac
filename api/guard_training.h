// SPDX-License-Identifier: Apache-2.0
// Training the guard beside the dispatch: background queries become pilots that no expert serves.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "api/dispatcher.h"
#include "api/query_vectors.h"
#include "api/store_state.h"
#include "routing/expert/guard_trainer.h"
#include "storage/key_value_store.h"
#include "trivium/options.h"
#include "trivium/report.h"

namespace trivium {

struct LearnedGuard {
  GuardReport report;
  routing::QueryGuard guard;
  routing::PilotSet background;
};

// `served`: pilots and sets of the judged queries; `space` routes. kInvalidArgument, or what the encoder
// says.
absl::StatusOr<LearnedGuard> LearnGuard(const StoreState& state, EncoderSet* encoders,
                                        const TrainDispatchOptions& options, std::uint32_t space,
                                        routing::DispatchQueries served, int threads);

// Writes files and puts the rest into `schema`, `record` and `batch`. Returns what a later opener will see.
absl::StatusOr<std::shared_ptr<const routing::QueryGuard>> SaveGuard(const LearnedGuard& learned,
                                                                     const std::string& segments_directory,
                                                                     Schema* schema, DispatchRecord* record,
                                                                     storage::WriteBatch* batch);

}  // namespace trivium
