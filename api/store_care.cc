// SPDX-License-Identifier: Apache-2.0
// Inspection, verification, snapshots and their restoration.
#include <algorithm>
#include <filesystem>

#include "absl/strings/str_format.h"
#include "api/keys.h"
#include "api/store_impl.h"
#include "base/status_macros.h"
#include "storage/file_system.h"
#include "storage/segment_file.h"

namespace trivium {
namespace {

DispatchInfo DescribeDispatch(const StoreState& state) {
  DispatchInfo info;
  if (!state.schema.dispatch) return info;
  const DispatchRecord& record = *state.schema.dispatch;
  info.trained = true;
  info.enabled = record.enabled;
  info.router = record.router;
  info.reason = record.reason;
  info.pilots = record.pilots;
  if (!record.enabled) info.lexical_weight = record.lexical_weight;
  if (state.feedback != nullptr) info.feedback = state.feedback->size();
  if (const Dispatcher::Entry* entry = state.dispatcher->Find(record.router)) {
    info.top_p = entry->settings.policy.top_p;
    info.max_experts = static_cast<int>(entry->settings.policy.max_experts);
    info.prior_weight = entry->settings.answer.prior_weight;
    if (record.enabled) info.lexical_weight = MeanLexicalWeight(entry->settings);
    info.second_look = DescribeSecondLook(entry->settings);
    info.memory = DescribeMemory(entry->settings, state.dispatcher->memory());
    if (const auto& mixture = entry->settings.answer.mixture) info.mixture = {mixture->own, mixture->plain};
  }
  if (record.guard) info.guard = record.guard->report;
  return info;
}

std::uint64_t BytesOf(const std::string& file) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(file, error);
  return error ? 0 : bytes;
}

TextSetInfo DescribeTexts(const StoreState& state, const TextSet& set, const std::string& directory) {
  TextSetInfo info{state.schema.PartitionById(set.partition())->name};
  for (const TextPart& part : set.parts()) {
    info.documents += part.live_count;
    info.deleted += part.index->size() - part.live_count;
    if (part.file.empty()) {
      info.unsealed += part.live_count;
    } else {
      ++info.segments;
      info.bytes += BytesOf(directory + "/" + part.file);
    }
  }
  return info;
}

VectorSetInfo DescribeSet(const StoreState& state, const VectorSet& set, const std::string& directory) {
  VectorSetInfo info{state.schema.SpaceById(set.space())->name,
                     state.schema.PartitionById(set.partition())->name};
  for (const VectorPart& part : set.parts()) {
    info.rows += part.live_count;
    if (part.file.empty()) {
      info.unsealed += part.live_count;
      continue;
    }
    ++info.segments;
    info.deleted += part.rows->size() - part.live_count;
    info.bytes += BytesOf(directory + "/" + part.file);
    for (const SegmentRecord& record : state.schema.segments) {
      if (record.file != part.file) continue;
      for (const std::string& file : record.companions()) info.tree_bytes += BytesOf(directory + "/" + file);
    }
    info.training.push_back(part.segment->training().record);
  }
  return info;
}

// A copy of a store that appears under its name at once and whole.
absl::Status MakeCopy(const std::string& source, const std::string& destination,
                      const std::function<absl::Status(const std::string& copy)>& fill) {
  if (destination.empty()) {
    return absl::InvalidArgumentError("copy of a store: an empty path, expected a new directory");
  }
  if (storage::PathExists(destination)) {
    return absl::AlreadyExistsError(
        absl::StrFormat("copy of a store: '%s' exists, expected a new directory", destination));
  }
  std::error_code error;
  const std::filesystem::path inside =
      std::filesystem::weakly_canonical(destination, error)
          .lexically_relative(std::filesystem::weakly_canonical(source, error));
  if (!inside.empty() && *inside.begin() != "..") {
    return absl::InvalidArgumentError(
        absl::StrFormat("copy of a store: '%s', expected a directory outside the store", destination));
  }
  const std::string temporary = storage::TemporaryName(destination);
  absl::Status status = fill(temporary);
  if (status.ok()) status = storage::RenameToFreeName(temporary, destination);
  std::error_code ignored;
  if (!status.ok()) std::filesystem::remove_all(temporary, ignored);
  return status;
}

ExpertFeedback DescribeFeedback(const StoreState& state, const ExpertRecord& expert) {
  if (state.feedback == nullptr) return {};
  const std::vector<std::uint32_t>& ids = state.feedback->expert_ids();
  const auto column = std::find(ids.begin(), ids.end(), expert.id);
  if (column == ids.end()) return {};
  const routing::ExpertMonitor monitor =
      state.feedback->MonitorOf(static_cast<std::size_t>(column - ids.begin()), expert.monitored_from);
  return {monitor.count(), monitor.mean_predicted(), monitor.mean_observed(), monitor.capital()};
}

AdapterInfo DescribeAdapter(const std::optional<AdapterRecord>& adapter) {
  return adapter ? AdapterInfo{true, adapter->enabled, adapter->queries, adapter->reason} : AdapterInfo();
}

}  // namespace

absl::StatusOr<StoreInfo> Store::Inspect() const {
  TRIVIUM_ASSIGN_OR_RETURN(const std::shared_ptr<const StoreState> state, impl_->Read());
  StoreInfo info;
  info.path = impl_->path;
  info.uuid = impl_->identity.uuid;
  info.format_version = static_cast<int>(impl_->identity.format_version);
  info.version = std::string(Version());
  info.kernels = std::string(KernelName());
  info.documents = state->documents.live_count();
  std::map<std::uint32_t, std::uint64_t> counts;
  state->documents.ForEach(
      [&](std::uint64_t, const DocumentDirectory::Entry& entry) { ++counts[entry.partition]; });
  for (const PartitionRecord& partition : state->schema.partitions) {
    info.partitions.emplace_back(partition.name, counts[partition.id]);
  }
  for (const SpaceRecord& space : state->schema.spaces) {
    info.spaces.push_back({space.name, space.dimension, space.metric, space.encoder,
                           space.encoder_fingerprint, space.beam_width, space.target_recall, space.profile,
                           DescribeAdapter(space.adapter), space.tree ? space.tree->info : TreeInfo(),
                           space.cells ? space.cells->info : CellsInfo()});
  }
  for (const ExpertRecord& expert : state->schema.experts) {
    ExpertInfo view;
    view.name = expert.name;
    view.kind = expert.kind;
    if (expert.kind == ExpertKind::kDense) view.space = state->schema.SpaceById(expert.space)->name;
    view.k1 = expert.k1;
    view.b = expert.b;
    view.description = expert.description;
    if (expert.partition) view.partition = state->schema.PartitionById(*expert.partition)->name;
    view.cost = expert.cost;
    view.adapter = DescribeAdapter(expert.adapter);
    view.quarantine = expert.quarantine;
    view.feedback = DescribeFeedback(*state, expert);
    info.experts.push_back(std::move(view));
  }
  for (const auto& set : state->sets) {
    info.vector_sets.push_back(DescribeSet(*state, *set, impl_->SegmentsDirectory()));
  }
  for (const auto& set : state->text_sets) {
    info.text_sets.push_back(DescribeTexts(*state, *set, impl_->SegmentsDirectory()));
  }
  info.dispatch = DescribeDispatch(*state);
  return info;
}

absl::StatusOr<VerifyReport> Store::Verify() const {
  const std::lock_guard<std::mutex> writing(impl_->writer);  // files stay while they are read
  TRIVIUM_ASSIGN_OR_RETURN(const std::shared_ptr<const StoreState> state, impl_->Read());
  VerifyReport report;
  TRIVIUM_RETURN_IF_ERROR(state->db->VerifyChecksums());
  TRIVIUM_ASSIGN_OR_RETURN(const std::vector<std::string> db_files,
                           storage::ListDirectory(impl_->path + "/db"));
  for (const std::string& file : db_files) {
    const absl::StatusOr<std::uint64_t> bytes = storage::FileSize(impl_->path + "/db/" + file);
    if (!bytes.ok()) continue;  // a writer has replaced it meanwhile
    ++report.files;
    report.bytes += *bytes;
  }
  for (const std::string& file : state->schema.files()) {
    const auto mapped =
        storage::SegmentFile::Open(impl_->SegmentsDirectory() + "/" + file, /*verify_blocks=*/true);
    TRIVIUM_RETURN_IF_ERROR(MissingIsDataLoss(mapped.status()));
    ++report.files;
    report.bytes += (*mapped)->size_bytes();
  }
  // Every document has its record, and every record its document.
  std::uint64_t records = 0;
  absl::Status bad;
  TRIVIUM_RETURN_IF_ERROR(
      state->db->ForEach(storage::Table::kDocuments, "", [&](std::string_view key, std::string_view value) {
        const std::uint64_t number = ReadBigEndian(key);
        const DocumentDirectory::Entry* entry = state->documents.Find(number);
        const std::optional<DocumentRecord> record = DecodeDocument(value);
        if (entry == nullptr) return true;  // written or replaced since this version was published
        if (!record || record->id != entry->id || record->partition != entry->partition) {
          bad = absl::DataLossError(
              absl::StrFormat("document %d: its record does not match its id '%s' (db)", number, entry->id));
          return false;
        }
        ++records;
        return true;
      }));
  TRIVIUM_RETURN_IF_ERROR(bad);
  if (records != state->documents.live_count() && impl_->published.load() == state) {
    return absl::DataLossError(
        absl::StrFormat("documents: %d records, expected %d (db)", records, state->documents.live_count()));
  }
  report.documents = records;
  for (const auto& set : state->sets) report.vectors += set->live_count();
  return report;
}

absl::Status Store::Snapshot(const std::string& destination) {
  const std::lock_guard<std::mutex> writing(impl_->writer);
  TRIVIUM_ASSIGN_OR_RETURN(const std::shared_ptr<const StoreState> state, impl_->Read());
  if (!impl_->options.read_only) {
    return MakeCopy(impl_->path, destination,
                    [&](const std::string& copy) { return impl_->CopyLiveStore(*state, copy); });
  }
  // Nobody may write while files are copied one by one; where the lock cannot be written, nobody can.
  const absl::StatusOr<storage::StoreLock> lock = storage::StoreLock::Acquire(impl_->path);
  if (!lock.ok() && !absl::IsPermissionDenied(lock.status())) return lock.status();
  return MakeCopy(impl_->path, destination,
                  [&](const std::string& copy) { return storage::CopyTree(impl_->path, copy); });
}

absl::Status Store::Impl::CopyLiveStore(const StoreState& state, const std::string& copy) const {
  TRIVIUM_RETURN_IF_ERROR(storage::CreateDirectory(copy));
  TRIVIUM_RETURN_IF_ERROR(storage::CreateDirectory(copy + "/segments"));
  TRIVIUM_RETURN_IF_ERROR(state.db->Checkpoint(copy + "/db"));
  TRIVIUM_RETURN_IF_ERROR(
      storage::CopyFile(path + "/" + storage::kIdentityName, copy + "/" + storage::kIdentityName));
  TRIVIUM_ASSIGN_OR_RETURN(const std::vector<std::string> files, storage::ListDirectory(SegmentsDirectory()));
  for (const std::string& file : files) {
    if (!state.UsesFile(file)) continue;
    TRIVIUM_RETURN_IF_ERROR(storage::CopyFile(SegmentsDirectory() + "/" + file, copy + "/segments/" + file));
  }
  TRIVIUM_RETURN_IF_ERROR(storage::SyncDirectory(copy + "/segments"));
  return storage::SyncDirectory(copy);
}

absl::Status Store::Restore(const std::string& source, const std::string& destination) {
  OpenOptions read_only;
  read_only.read_only = true;
  TRIVIUM_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::Open(source, read_only));
  TRIVIUM_RETURN_IF_ERROR(store->Verify().status());
  return store->Snapshot(destination);
}

}  // namespace trivium
