// SPDX-License-Identifier: Apache-2.0
// Query adapters: learned from judged queries, given by the caller, handed out. routing/expert/ does the
// learning.
#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "api/adapter_queries.h"
#include "api/held_out_readings.h"
#include "api/keys.h"
#include "api/store_impl.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "routing/expert/adapter_trainer.h"

namespace trivium {
namespace {

// Whose adapter: an expert's, or that of all domains of a space.
struct Learner {
  const ExpertView* expert = nullptr;  // null: all domains
  std::vector<std::uint32_t> sets;     // it searches: indexes into StoreState::sets
  std::vector<std::uint32_t> queries;  // it learns from
};

// The spaces in which adapters can be learned; only that of the expert where one is named.
absl::StatusOr<std::vector<std::uint32_t>> LearnableSpaces(const StoreState& state,
                                                           const EncoderSet& encoders,
                                                           const TrainAdapterOptions& options) {
  const ExpertRecord* expert = state.schema.FindExpert(options.expert);
  if (!options.expert.empty() && expert == nullptr) {
    return absl::NotFoundError(
        absl::StrFormat("expert: '%s', expected one of the store's", options.expert.substr(0, 80)));
  }
  std::vector<std::uint32_t> spaces;
  for (const SpaceRecord& space : state.schema.spaces) {
    if (space.metric != Metric::kCosine || (expert != nullptr && expert->space != space.id)) continue;
    TRIVIUM_ASSIGN_OR_RETURN(const bool can_read, CanReadQueries(state, encoders, space, options.train));
    if (!can_read) continue;
    if (options.rank > space.dimension) {
      return absl::InvalidArgumentError(absl::StrFormat("rank: %d, expected 0 to %d, the dimension of '%s'",
                                                        options.rank, space.dimension, space.name));
    }
    spaces.push_back(space.id);
  }
  if (spaces.empty()) {
    return absl::FailedPreconditionError(
        "train adapter: no space of the cosine metric for which the queries have vectors or an encoder, "
        "expected one");
  }
  return spaces;
}

std::vector<std::uint32_t> AllQueries(const AdapterQueries& queries) {
  std::vector<std::uint32_t> all;
  for (std::uint32_t i = 0; i < queries.size(); ++i) {
    if (queries.HasNegatives(i)) all.push_back(i);
  }
  return all;
}

std::vector<std::uint32_t> QueriesOf(const ExpertRecord& expert, bool named, const AdapterQueries& queries) {
  std::vector<std::uint32_t> own;
  const std::vector<std::uint32_t> all = AllQueries(queries);
  for (const std::uint32_t i : all) {
    const bool is_own =
        expert.partition ? queries.HasRelevant(i, *expert.partition) : queries.set(i).name == expert.name;
    if (is_own) own.push_back(i);
  }
  return own.empty() && named && !expert.partition ? all : own;
}

std::vector<Learner> LearnersOf(const StoreState& state, std::uint32_t space,
                                const TrainAdapterOptions& options, const AdapterQueries& queries) {
  std::vector<Learner> learners;
  for (std::size_t e = 0; e < state.schema.experts.size(); ++e) {
    const ExpertRecord& record = state.schema.experts[e];
    const bool named = record.name == options.expert;
    const bool given = record.adapter && record.adapter->queries == 0;
    if (record.space != space || (options.expert.empty() ? given : !named)) continue;
    learners.push_back({&state.experts[e], state.experts[e].sets, QueriesOf(record, named, queries)});
  }
  if (!options.expert.empty()) return learners;
  Learner everybody;
  for (std::uint32_t i = 0; i < state.sets.size(); ++i) {
    if (state.sets[i]->space() == space) everybody.sets.push_back(i);
  }
  everybody.queries = AllQueries(queries);
  learners.push_back(std::move(everybody));
  return learners;
}

TrainedAdapter Describe(const routing::AdapterReport& trained) {
  TrainedAdapter told;
  told.queries = trained.queries;
  told.steps = trained.steps;
  told.plain = trained.plain;
  told.adapted = trained.adapted;
  told.gain = trained.gain;
  told.gain_low = trained.gain_low;
  told.gain_high = trained.gain_high;
  told.enabled = trained.accepted;
  told.reason = trained.reason;
  return told;
}

std::vector<float> Values(const base::AlignedMatrix& matrix) {
  std::vector<float> values;
  for (std::size_t i = 0; i < matrix.rows(); ++i) {
    values.insert(values.end(), matrix.row(i), matrix.row(i) + matrix.columns());
  }
  return values;
}

// What an adapter belongs to: of an expert, or of all domains of a space.
struct AdapterPlace {
  std::uint32_t id = 0;
  const SpaceRecord* space = nullptr;
  std::optional<AdapterRecord>* record = nullptr;
};
absl::StatusOr<AdapterPlace> FindPlace(const std::string& expert, const std::string& space, Schema* schema) {
  AdapterPlace place;
  if (!expert.empty()) {
    const auto found = std::find_if(schema->experts.begin(), schema->experts.end(),
                                    [&](const ExpertRecord& record) { return record.name == expert; });
    if (found == schema->experts.end()) {
      return absl::NotFoundError(
          absl::StrFormat("expert: '%s', expected one of the store's", expert.substr(0, 80)));
    }
    if (found->kind == ExpertKind::kLexical) {
      return absl::InvalidArgumentError(
          absl::StrFormat("expert: '%s' is lexical, expected one of a space", expert));
    }
    return AdapterPlace{found->id, schema->SpaceById(found->space), &found->adapter};
  }
  TRIVIUM_ASSIGN_OR_RETURN(place.space, ResolveSpace(*schema, space));
  place.id = place.space->id;
  place.record = &schema->spaces[static_cast<std::size_t>(place.space - schema->spaces.data())].adapter;
  return place;
}

}  // namespace

absl::StatusOr<AdapterReport> Store::TrainAdapter(const TrainAdapterOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.Validate());
  const auto start = std::chrono::steady_clock::now();
  const std::lock_guard<std::mutex> writing(impl_->writer);
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> state, impl_->BeginWrite());
  TRIVIUM_ASSIGN_OR_RETURN(const std::vector<std::uint32_t> spaces,
                           LearnableSpaces(*state, impl_->encoders, options));
  const int threads = base::ResolveThreadCount(options.threads);
  routing::AdapterTrainingOptions learning;
  learning.rank = options.rank;
  learning.seed = options.seed;
  learning.thread_count = threads;
  learning.cancelled = options.cancelled;

  AdapterReport report;
  storage::WriteBatch batch;
  for (const std::uint32_t space_id : spaces) {
    const SpaceRecord space = *state->schema.SpaceById(space_id);
    AdapterQueries queries(state.get(), &impl_->encoders, space_id);
    TRIVIUM_RETURN_IF_ERROR(queries.Load(options.train));
    TRIVIUM_RETURN_IF_ERROR(queries.Mine(threads, options.progress, options.cancelled));
    report.unknown_judgements = queries.unknown_judgements();
    const std::vector<Learner> learners = LearnersOf(*state, space_id, options, queries);
    for (std::size_t l = 0; l < learners.size(); ++l) {
      const Learner& learner = learners[l];
      if (options.progress) {
        learning.progress = [&](double share) {
          options.progress("train", static_cast<std::uint64_t>(100 * (static_cast<double>(l) + share)),
                           100 * learners.size());
        };
      }
      base::AlignedMatrix rows;
      const routing::AdapterQueries view = queries.View(learner.queries, threads, &rows);
      const absl::StatusOr<routing::TrainedAdapter> trained = routing::TrainAdapter(
          view,
          [&](std::size_t query, const float* vector) {
            return queries.Evaluate(learner.queries[query], vector, learner.sets);
          },
          learning);
      TrainedAdapter told;
      if (absl::IsFailedPrecondition(trained.status())) {  // too few, or all alike: it stays as it was
        told.reason = std::string(trained.status().message());
      } else {
        TRIVIUM_RETURN_IF_ERROR(trained.status());
        told = Describe(trained->report);
      }
      told.space = space.name;
      if (learner.expert != nullptr) told.expert = learner.expert->name;
      if (trained.ok()) {
        TRIVIUM_ASSIGN_OR_RETURN(const AdapterPlace place,
                                 FindPlace(told.expert, space.name, &state->schema));
        *place.record = AdapterRecord{told.enabled, told.queries, told.reason};
        PutAdapter(place.id, space.dimension, Values(trained->matrix), state.get(), &batch);
        HeldOutReadings held_out;
        for (std::size_t i = 0; i < rows.rows(); ++i) {
          const bool is_new = StandsForNewQueries(rows.row(i), space.dimension);
          const base::AlignedMatrix& readings =
              is_new ? trained->apart_from_related : trained->apart_from_twins;
          held_out.Add(place.id, space.dimension, rows.row(i), readings.row(i));
        }
        batch.Put(storage::Table::kManifest, HeldOutKey(place.id), held_out.Save(place.id, space.dimension));
      }
      report.adapters.push_back(std::move(told));
    }
  }
  TRIVIUM_RETURN_IF_ERROR(impl_->Commit(std::move(state), std::move(batch), true));
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

absl::Status Store::SetAdapter(const SetAdapterOptions& options) {
  const std::lock_guard<std::mutex> writing(impl_->writer);
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> state, impl_->BeginWrite());
  TRIVIUM_ASSIGN_OR_RETURN(const AdapterPlace place,
                           FindPlace(options.expert, options.space, &state->schema));
  storage::WriteBatch batch;
  if (options.matrix.empty()) {
    if (!*place.record) return absl::NotFoundError("adapter: none, expected one to take away");
    place.record->reset();
    DropAdapter(place.id, state.get(), &batch);
  } else {
    TRIVIUM_RETURN_IF_ERROR(CheckAdapter(options.matrix, *place.space));
    *place.record = AdapterRecord();
    PutAdapter(place.id, place.space->dimension, options.matrix, state.get(), &batch);
  }
  return impl_->Commit(std::move(state), std::move(batch), true);
}

absl::StatusOr<std::vector<float>> Store::GetAdapter(const std::string& expert,
                                                     const std::string& space) const {
  TRIVIUM_ASSIGN_OR_RETURN(const std::shared_ptr<const StoreState> state, impl_->Read());
  Schema schema = state->schema;
  TRIVIUM_ASSIGN_OR_RETURN(const AdapterPlace place, FindPlace(expert, space, &schema));
  return *place.record ? *state->adapters.at(place.id) : std::vector<float>();
}

}  // namespace trivium
