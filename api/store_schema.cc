// SPDX-License-Identifier: Apache-2.0
// Spaces, partitions and experts.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "api/keys.h"
#include "api/store_impl.h"
#include "base/status_macros.h"
#include "routing/expert/adapter_bytes.h"

namespace trivium {

absl::Status CheckAdapter(absl::Span<const float> matrix, const SpaceRecord& space) {
  const std::size_t expected = space.dimension * space.dimension;
  if (matrix.size() != expected) {
    return absl::InvalidArgumentError(absl::StrFormat("adapter: %d values, expected %d (%d x %d)",
                                                      matrix.size(), expected, space.dimension,
                                                      space.dimension));
  }
  if (!std::all_of(matrix.begin(), matrix.end(), [](float x) { return std::isfinite(x); })) {
    return absl::InvalidArgumentError("adapter: a value that is not finite, expected finite numbers");
  }
  return absl::OkStatus();
}

void PutAdapter(std::uint32_t id, std::size_t dimension, std::vector<float> matrix, StoreState* state,
                storage::WriteBatch* batch) {
  DropAdapter(id, state, batch);
  batch->Put(storage::Table::kManifest, AdapterKey(id), routing::SaveAdapter(matrix, dimension));
  state->adapters[id] = std::make_shared<const std::vector<float>>(std::move(matrix));
}

void DropAdapter(std::uint32_t id, StoreState* state, storage::WriteBatch* batch) {
  batch->Delete(storage::Table::kManifest, AdapterKey(id));
  batch->Delete(storage::Table::kManifest, HeldOutKey(id));
  state->adapters.erase(id);
}

absl::StatusOr<std::uint32_t> Store::Impl::PartitionId(const std::string& name, Schema* schema,
                                                       bool* changed) const {
  if (const PartitionRecord* found = schema->FindPartition(name)) return found->id;
  TRIVIUM_RETURN_IF_ERROR(ValidateName("partition", name));
  *changed = true;
  schema->partitions.push_back({schema->next_id, name});
  return schema->next_id++;
}

absl::Status Store::AddSpace(const SpaceOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.Validate());
  const std::lock_guard<std::mutex> writing(impl_->writer);
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> state, impl_->BeginWrite());
  if (const SpaceRecord* existing = state->schema.FindSpace(options.name)) {
    if (existing->dimension == options.dimension && existing->metric == options.metric &&
        existing->encoder == options.encoder) {
      return absl::OkStatus();  // the same space: nothing to do
    }
    return absl::AlreadyExistsError(
        absl::StrFormat("space: '%s', expected a name that is not taken (it has dimension %d, metric %s)",
                        options.name, existing->dimension, MetricName(existing->metric)));
  }
  SpaceRecord record;
  record.id = state->schema.next_id++;
  record.name = options.name;
  record.dimension = options.dimension;
  record.metric = options.metric;
  record.encoder = options.encoder;
  state->schema.spaces.push_back(std::move(record));
  return impl_->Commit(std::move(state), {}, true);
}

absl::Status Store::AddExpert(const ExpertOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.Validate());
  const std::lock_guard<std::mutex> writing(impl_->writer);
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> state, impl_->BeginWrite());
  Schema& schema = state->schema;
  if (schema.FindExpert(options.name) != nullptr) {
    return absl::AlreadyExistsError(
        absl::StrFormat("expert: '%s', expected a name that is not taken", options.name));
  }
  const bool lexical = options.kind == ExpertKind::kLexical;
  const SpaceRecord* space = lexical ? nullptr : schema.FindSpace(options.space);
  if (space == nullptr && !lexical) {
    return absl::NotFoundError(absl::StrFormat("space: '%s', expected one of the store's", options.space));
  }
  if (!options.adapter.empty()) TRIVIUM_RETURN_IF_ERROR(CheckAdapter(options.adapter, *space));
  ExpertRecord record;
  record.id = schema.next_id++;
  record.name = options.name;
  record.kind = options.kind;
  if (lexical) {
    record.k1 = options.k1;
    record.b = options.b;
  } else {
    record.space = space->id;
  }
  record.description = options.description;
  record.cost = options.cost;
  const std::uint32_t id = record.id;
  bool changed = true;
  if (options.partition) {
    TRIVIUM_ASSIGN_OR_RETURN(record.partition, impl_->PartitionId(*options.partition, &schema, &changed));
  }
  storage::WriteBatch batch;
  if (!options.adapter.empty()) {
    record.adapter = AdapterRecord();
    PutAdapter(id, space->dimension, options.adapter, state.get(), &batch);
  }
  std::vector<std::uint32_t> fresh;  // partitions whose texts nobody has searched so far
  for (const PartitionRecord& partition : schema.partitions) {
    const bool covers = lexical && (!record.partition || *record.partition == partition.id);
    if (covers && !schema.IndexesTexts(partition.id)) fresh.push_back(partition.id);
  }
  schema.experts.push_back(std::move(record));
  for (const std::uint32_t partition : fresh) {
    TRIVIUM_RETURN_IF_ERROR(IndexTexts(partition, /*through=*/0, state.get()));
  }
  return impl_->Commit(std::move(state), std::move(batch), true);
}

absl::Status Store::RemoveExpert(const std::string& name) {
  const std::lock_guard<std::mutex> writing(impl_->writer);
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> state, impl_->BeginWrite());
  const ExpertRecord* expert = state->schema.FindExpert(name);
  if (expert == nullptr) {
    return absl::NotFoundError(
        absl::StrFormat("expert: '%s', expected one of the store's", name.substr(0, 80)));
  }
  const std::uint32_t id = expert->id;
  storage::WriteBatch batch;
  DropAdapter(id, state.get(), &batch);
  std::erase_if(state->schema.experts, [&](const ExpertRecord& record) { return record.id == id; });
  const std::vector<std::string> obsolete = DropUnsearchedTexts(state.get());
  TRIVIUM_RETURN_IF_ERROR(impl_->Commit(std::move(state), std::move(batch), true));
  return impl_->RemoveObsolete(obsolete);
}

bool Store::HasSpace(const std::string& name) const {
  const auto state = impl_->published.load();
  return state != nullptr && state->schema.FindSpace(name) != nullptr;
}

bool Store::HasExpert(const std::string& name) const {
  const auto state = impl_->published.load();
  return state != nullptr && state->schema.FindExpert(name) != nullptr;
}

}  // namespace trivium
