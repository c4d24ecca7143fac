// SPDX-License-Identifier: Apache-2.0
// Opening, publishing and closing a store.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <thread>

#include "absl/strings/str_format.h"
#include "api/keys.h"
#include "api/store_impl.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "routing/expert/adapter_bytes.h"
#include "routing/expert/query_guard.h"
#include "storage/file_system.h"

namespace trivium {
namespace {

// Read-only openers race with a writer that replaces segments; what they read then is simply the next
// version.
constexpr int kReadOnlyAttempts = 5;

// Every write takes a number; a store that claims more is damaged.
constexpr std::uint64_t kMaxDocumentNumber = std::uint64_t{1} << 36;

// Names that this program gives to files under segments/: digits and an ending.
bool IsOwnFileName(std::string_view name) {
  const std::size_t digits = name.find_first_not_of("0123456789");
  if (digits == 0 || digits == std::string_view::npos) return false;
  return name.substr(digits) == ".seg" || name.substr(digits) == ".pilots" ||
         name.substr(digits) == ".terms" || name.substr(digits) == ".tree" ||
         name.substr(digits) == ".leaves" || name.substr(digits) == ".cells" ||
         name.substr(digits) == ".lists";
}

// A store may come from a stranger: every number refers to something, every file name is one of ours.
absl::Status CheckReferences(const Schema& schema) {
  const auto wrong = [](std::string_view what, const std::string& seen) {
    return absl::DataLossError(
        absl::StrFormat("manifest: %s '%s', expected one that makes sense (db)", what, seen.substr(0, 80)));
  };
  for (const SpaceRecord& space : schema.spaces) {
    if (space.dimension < 1 || space.dimension > 65536) return wrong("space", space.name);
    if (space.tree && !IsOwnFileName(space.tree->file)) return wrong("tree", space.tree->file);
    if (space.cells && !IsOwnFileName(space.cells->file)) return wrong("cells", space.cells->file);
  }
  for (const ExpertRecord& expert : schema.experts) {
    const index::Bm25Options bm25{static_cast<float>(expert.k1), static_cast<float>(expert.b)};
    const bool known = expert.kind == ExpertKind::kLexical
                           ? expert.space == 0 && !expert.adapter && bm25.Validate().ok()
                           : schema.SpaceById(expert.space) != nullptr;
    if (!known || (expert.partition && schema.PartitionById(*expert.partition) == nullptr)) {
      return wrong("expert", expert.name);
    }
  }
  for (const SegmentRecord& segment : schema.segments) {
    if (!IsOwnFileName(segment.file) || schema.SpaceById(segment.space) == nullptr ||
        schema.PartitionById(segment.partition) == nullptr) {
      return wrong("segment", segment.file);
    }
    const SpaceRecord& space = *schema.SpaceById(segment.space);
    const auto fits = [](const std::string& file, bool expected) {
      return expected ? IsOwnFileName(file) : file.empty();
    };
    if (!fits(segment.leaves_file, space.tree.has_value())) return wrong("leaves", segment.leaves_file);
    if (!fits(segment.cells_file, space.cells.has_value())) return wrong("cell lists", segment.cells_file);
  }
  for (const TextSegmentRecord& segment : schema.text_segments) {
    if (!IsOwnFileName(segment.file) || schema.PartitionById(segment.partition) == nullptr) {
      return wrong("text segment", segment.file);
    }
  }
  if (!schema.dispatch) return absl::OkStatus();
  if (schema.SpaceById(schema.dispatch->space) == nullptr)
    return wrong("router space", schema.dispatch->router);
  for (const std::string& file : schema.dispatch->files()) {
    if (!IsOwnFileName(file)) return wrong("router index", file);
  }
  return absl::OkStatus();
}

// Reads the adapter of an expert or space, `id`, of `space`.
absl::Status LoadAdapter(std::uint32_t id, const SpaceRecord& space, StoreState* state) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::optional<std::string> bytes,
                           state->db->Get(storage::Table::kManifest, AdapterKey(id)));
  if (!bytes) {
    return absl::DataLossError(absl::StrFormat("adapter %d of space '%s': missing (db)", id, space.name));
  }
  TRIVIUM_ASSIGN_OR_RETURN(std::vector<float> matrix, routing::LoadAdapter(*bytes, space.dimension));
  if (!std::all_of(matrix.begin(), matrix.end(), [](float x) { return std::isfinite(x); })) {
    return absl::DataLossError(absl::StrFormat(
        "adapter %d of space '%s': not finite, expected finite numbers (db)", id, space.name));
  }
  state->adapters[id] = std::make_shared<const std::vector<float>>(std::move(matrix));
  return absl::OkStatus();
}

// A new store takes an empty directory, or one in which making a store was cut short.
absl::Status CheckNothingForeign(const std::string& path) {
  if (!storage::PathExists(path)) return absl::OkStatus();
  TRIVIUM_ASSIGN_OR_RETURN(const std::vector<std::string> names, storage::ListDirectory(path));
  for (const std::string& name : names) {
    if (name == storage::kIdentityName || name == storage::kDatabaseFolder ||
        name == storage::kSegmentsFolder || name == "LOCK" || storage::IsTemporaryName(name)) {
      continue;
    }
    return absl::InvalidArgumentError(
        absl::StrFormat("store: a directory that holds '%s', expected an empty or new one (%s)", name, path));
  }
  return absl::OkStatus();
}

// Makes an empty store; a crash on the way leaves a directory that counts as empty. REQUIRES: its lock is
// held.
absl::Status CreateStore(const std::string& path, const LogCallback& log) {
  TRIVIUM_ASSIGN_OR_RETURN(const storage::StoreIdentity identity, storage::BeginStore(path));
  TRIVIUM_RETURN_IF_ERROR(storage::CreateDirectory(path + "/segments"));
  storage::KeyValueStore::Options options;
  options.create_if_missing = true;
  options.log = log;
  TRIVIUM_ASSIGN_OR_RETURN(auto db, storage::KeyValueStore::Open(path + "/db", options));
  TRIVIUM_RETURN_IF_ERROR(db->Close());
  return storage::FinishStore(path, identity);
}

}  // namespace

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Store::~Store() { (void)Close(); }

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& path, OpenOptions options) {
  if (path.empty()) return absl::InvalidArgumentError("store: an empty path, expected a directory");
  absl::StatusOr<storage::StoreIdentity> identity = storage::ReadStoreIdentity(path);
  const bool create = absl::IsNotFound(identity.status()) && !options.read_only && options.create_if_missing;
  if (!create) TRIVIUM_RETURN_IF_ERROR(identity.status());
  auto impl = std::make_unique<Impl>(path, std::move(options));
  if (create) {
    TRIVIUM_RETURN_IF_ERROR(CheckNothingForeign(path));
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) return storage::ErrnoStatus(error.value(), "create directory", path);
  }
  if (!impl->options.read_only) {
    TRIVIUM_ASSIGN_OR_RETURN(impl->lock, storage::StoreLock::Acquire(path));
  }
  if (create) {
    identity = storage::ReadStoreIdentity(path);  // somebody else may have been faster
    if (absl::IsNotFound(identity.status())) {
      TRIVIUM_RETURN_IF_ERROR(CreateStore(path, impl->options.log));
      identity = storage::ReadStoreIdentity(path);
    }
    TRIVIUM_RETURN_IF_ERROR(identity.status());
  }
  impl->identity = *identity;
  storage::KeyValueStore::Options db_options;
  db_options.read_only = impl->options.read_only;
  db_options.log = impl->options.log;
  absl::StatusOr<std::shared_ptr<StoreState>> state;
  for (int attempt = 0; attempt < (db_options.read_only ? kReadOnlyAttempts : 1); ++attempt) {
    absl::StatusOr<std::unique_ptr<storage::KeyValueStore>> db =
        storage::KeyValueStore::Open(path + "/db", db_options);
    state = db.ok() ? impl->LoadState(std::move(*db)) : db.status();
    if (state.ok()) break;
  }
  TRIVIUM_RETURN_IF_ERROR(state.status());
  if (!db_options.read_only) TRIVIUM_RETURN_IF_ERROR(impl->RemoveStrayFiles(**state));
  impl->published = std::move(*state);
  return std::unique_ptr<Store>(new Store(std::move(impl)));
}

absl::StatusOr<std::shared_ptr<StoreState>> Store::Impl::LoadState(
    std::shared_ptr<storage::KeyValueStore> db) const {
  auto state = std::make_shared<StoreState>();
  state->db = std::move(db);
  state->version = 1;
  TRIVIUM_ASSIGN_OR_RETURN(const std::optional<std::string> schema,
                           state->db->Get(storage::Table::kManifest, kSchemaKey));
  if (schema) {
    TRIVIUM_ASSIGN_OR_RETURN(state->schema, Schema::FromJson(*schema));
    TRIVIUM_RETURN_IF_ERROR(CheckReferences(state->schema));
  }
  TRIVIUM_ASSIGN_OR_RETURN(const std::optional<std::string> next,
                           state->db->Get(storage::Table::kManifest, kNextDocumentKey));
  if (next) state->next_document = ReadBigEndian(*next);

  absl::Status bad;
  TRIVIUM_RETURN_IF_ERROR(
      state->db->ForEach(storage::Table::kIds, "", [&](std::string_view key, std::string_view value) {
        const std::uint64_t number = ReadBigEndian(value);
        if (key.size() < 5 || value.size() != 8 || number == 0 || number >= state->next_document ||
            number >= kMaxDocumentNumber ||
            state->schema.PartitionById(static_cast<std::uint32_t>(ReadBigEndian(key.substr(0, 4)))) ==
                nullptr) {
          bad =
              absl::DataLossError("document ids: a malformed entry, expected partition, id and number (db)");
          return false;
        }
        state->documents.Add(number, static_cast<std::uint32_t>(ReadBigEndian(key.substr(0, 4))),
                             key.substr(4));
        return true;
      }));
  TRIVIUM_RETURN_IF_ERROR(bad);

  for (const SpaceRecord& space : state->schema.spaces) {
    TRIVIUM_RETURN_IF_ERROR(LoadTrees(space, state.get()));
  }
  const auto is_live = [&](std::uint64_t number) { return state->documents.Find(number) != nullptr; };
  for (const SegmentRecord& record : state->schema.segments) {
    const std::string file = SegmentsDirectory() + "/" + record.file;
    const SpaceRecord* space = state->schema.SpaceById(record.space);
    absl::StatusOr<std::shared_ptr<const index::VectorSegment>> segment =
        index::VectorSegment::Open(file, /*verify=*/false);
    TRIVIUM_RETURN_IF_ERROR(MissingIsDataLoss(segment.status()));
    if (space == nullptr || (*segment)->dimension() != space->dimension ||
        (*segment)->metric() != BaseMetric(space->metric)) {
      return absl::DataLossError(
          absl::StrFormat("segment: not of its space, expected the one it was built for (%s)", file));
    }
    VectorSet set = state->CopySet(*space, record.partition);
    PartTrees of_rows;
    const SpaceTrees& trees = set.trees();
    if (trees.tree != nullptr) {
      TRIVIUM_ASSIGN_OR_RETURN(of_rows.leaves,
                               OpenLeaves(record.leaves_file, *trees.tree, (*segment)->size()));
    }
    if (trees.cells != nullptr) {
      TRIVIUM_ASSIGN_OR_RETURN(of_rows.cells,
                               OpenLists(record.cells_file, (*segment)->size(), trees.cells->cell_count()));
    }
    set.AddSegment(*std::move(segment), record.file, is_live, std::move(of_rows));
    state->ReplaceSet(std::move(set));
  }
  for (const SpaceRecord& space : state->schema.spaces) {
    for (const PartitionRecord& partition : state->schema.partitions) {
      base::AlignedMatrix rows(space.dimension);
      std::vector<std::uint64_t> documents;
      TRIVIUM_RETURN_IF_ERROR(state->db->ForEach(
          storage::Table::kVectors, VectorPrefix(space.id, partition.id),
          [&](std::string_view key, std::string_view value) {
            if (key.size() != 16 || value.size() != space.dimension * sizeof(float)) {
              bad = absl::DataLossError(
                  "unsealed vector: a malformed entry, expected its dimension's bytes (db)");
              return false;
            }
            documents.push_back(ReadBigEndian(key.substr(8)));
            rows.Resize(documents.size());
            std::memcpy(rows.row(documents.size() - 1), value.data(), value.size());
            return true;
          }));
      TRIVIUM_RETURN_IF_ERROR(bad);
      if (documents.empty()) continue;
      VectorSet set = state->CopySet(space, partition.id);
      set.AddUnsealed(std::move(rows), std::move(documents), base::ResolveThreadCount(0));
      state->ReplaceSet(std::move(set));
    }
  }
  TRIVIUM_RETURN_IF_ERROR(LoadTexts(state.get()));
  for (const SpaceRecord& space : state->schema.spaces) {
    if (space.adapter) TRIVIUM_RETURN_IF_ERROR(LoadAdapter(space.id, space, state.get()));
  }
  for (const ExpertRecord& expert : state->schema.experts) {
    if (!expert.adapter) continue;
    TRIVIUM_RETURN_IF_ERROR(LoadAdapter(expert.id, *state->schema.SpaceById(expert.space), state.get()));
  }
  if (state->schema.dispatch) {
    absl::StatusOr<std::shared_ptr<const Dispatcher>> dispatcher =
        Dispatcher::Load(*state->schema.dispatch, *state->db, SegmentsDirectory());
    TRIVIUM_RETURN_IF_ERROR(MissingIsDataLoss(dispatcher.status()));
    state->dispatcher = *std::move(dispatcher);
    for (const Dispatcher::Entry& entry : state->dispatcher->entries()) {
      if (entry.router->dimension() == state->schema.SpaceById(state->schema.dispatch->space)->dimension)
        continue;
      return absl::DataLossError(absl::StrFormat("router '%s': dimension %d, expected that of its space (db)",
                                                 entry.settings.router, entry.router->dimension()));
    }
    const routing::QueryGuard* guard = state->dispatcher->guard();
    if (guard != nullptr &&
        guard->dimension() != state->schema.SpaceById(state->schema.dispatch->space)->dimension) {
      return absl::DataLossError(
          absl::StrFormat("guard: dimension %d, expected that of its space (db)", guard->dimension()));
    }
  }
  TRIVIUM_RETURN_IF_ERROR(LoadFeedback(state.get()));
  state->ResolveExperts();
  return state;
}

absl::Status Store::Impl::RemoveStrayFiles(const StoreState& state) const {
  if (!storage::PathExists(SegmentsDirectory())) return storage::CreateDirectory(SegmentsDirectory());
  std::error_code error;
  if (std::filesystem::is_symlink(SegmentsDirectory(), error)) {
    return absl::DataLossError(
        absl::StrFormat("segments: a symbolic link, expected a directory (%s)", SegmentsDirectory()));
  }
  TRIVIUM_ASSIGN_OR_RETURN(const std::vector<std::string> names, storage::ListDirectory(SegmentsDirectory()));
  for (const std::string& name : names) {
    const bool ours = IsOwnFileName(name) || storage::IsTemporaryName(name);
    if (ours && !state.UsesFile(name)) {
      TRIVIUM_RETURN_IF_ERROR(storage::RemoveFile(SegmentsDirectory() + "/" + name));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const StoreState>> Store::Impl::Read() const {
  std::shared_ptr<const StoreState> state = published.load();
  if (state == nullptr) return absl::FailedPreconditionError("store: closed, expected an open one");
  return state;
}

absl::StatusOr<std::shared_ptr<StoreState>> Store::Impl::BeginWrite() {
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<const StoreState> current, Read());
  if (options.read_only) {
    return absl::FailedPreconditionError("store: opened read-only, expected a writable one");
  }
  if (reload_needed) {
    TRIVIUM_RETURN_IF_ERROR(current->db->Sync());  // reopens the database where that is needed
    TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> fresh, LoadState(current->db));
    fresh->version = current->version + 1;
    current = fresh;
    published = current;
    reload_needed = false;
  }
  auto state = std::make_shared<StoreState>(*current);
  state->documents.BeginChange();
  ++state->version;
  return state;
}

absl::Status Store::Impl::Commit(std::shared_ptr<StoreState> state, storage::WriteBatch batch,
                                 bool schema_changed) {
  if (schema_changed) batch.Put(storage::Table::kManifest, kSchemaKey, state->schema.ToJson());
  batch.Put(storage::Table::kManifest, kNextDocumentKey, U64Key(state->next_document));
  const absl::Status written = state->db->Write(std::move(batch), options.durability == Durability::kSync);
  if (!written.ok()) {
    reload_needed = !absl::IsResourceExhausted(written) && !absl::IsInvalidArgument(written);
    return written;
  }
  state->ResolveExperts();
  published = std::move(state);
  return absl::OkStatus();
}

absl::Status Store::Close() {
  const std::lock_guard<std::mutex> writing(impl_->writer);
  std::shared_ptr<const StoreState> state = impl_->published.exchange(nullptr);
  if (state == nullptr) return absl::OkStatus();
  while (state.use_count() > 1 ||
         state->db.use_count() > 1) {  // searches that began before; none can begin now
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  absl::Status status = state->db->Close();
  impl_->lock.reset();
  return status;
}

absl::Status Store::Refresh() {
  const std::lock_guard<std::mutex> writing(impl_->writer);
  TRIVIUM_ASSIGN_OR_RETURN(const std::shared_ptr<const StoreState> current, impl_->Read());
  if (!impl_->options.read_only) return absl::OkStatus();
  storage::KeyValueStore::Options db_options;
  db_options.read_only = true;
  db_options.log = impl_->options.log;
  absl::StatusOr<std::shared_ptr<StoreState>> state;
  for (int attempt = 0; attempt < kReadOnlyAttempts; ++attempt) {
    absl::StatusOr<std::unique_ptr<storage::KeyValueStore>> db =
        storage::KeyValueStore::Open(impl_->path + "/db", db_options);
    state = db.ok() ? impl_->LoadState(std::move(*db)) : db.status();
    if (state.ok()) break;
  }
  TRIVIUM_RETURN_IF_ERROR(state.status());
  (*state)->version = current->version + 1;
  impl_->published = std::move(*state);
  return absl::OkStatus();
}

}  // namespace trivium
