// SPDX-License-Identifier: Apache-2.0
// After a failed write RocksDB refuses more of them. The next write closes and opens it again, as after a
// crash, once the disk has room; until then the old one still answers reads.
#include "storage/key_value_store.h"

#include <rocksdb/db.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>

#include <mutex>
#include <shared_mutex>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "storage/file_system.h"
#include "storage/guarded_database.h"
#include "storage/rocksdb_support.h"
#include "storage/watermark.h"

namespace trivium::storage {
namespace {

rocksdb::Slice ToSlice(std::string_view text) { return rocksdb::Slice(text.data(), text.size()); }
std::string_view ToView(const rocksdb::Slice& slice) { return std::string_view(slice.data(), slice.size()); }

// The smallest key above every key that starts with `prefix`; where there is none, above every key allowed.
std::string PrefixEnd(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xFF') end.pop_back();
  if (end.empty()) return std::string(kMaxKeyBytes + 1, '\xFF');
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

}  // namespace

// Operations wait here in one string; RocksDB's own batch wants column families, which exist only once a
// database is open.
struct WriteBatch::Impl {
  enum class Kind : std::uint8_t { kPut, kDelete, kDeletePrefix };
  struct Operation {
    Kind kind;
    Table table;
    std::size_t key_bytes;
    std::size_t value_bytes;
  };
  std::vector<Operation> operations;
  std::string bytes;  // key and value of each operation, one after another

  void Add(Kind kind, Table table, std::string_view key, std::string_view value) {
    operations.push_back({kind, table, key.size(), value.size()});
    bytes.append(key);
    bytes.append(value);
  }
};

WriteBatch::WriteBatch() : impl_(std::make_unique<Impl>()) {}
WriteBatch::~WriteBatch() = default;
WriteBatch::WriteBatch(WriteBatch&&) noexcept = default;
WriteBatch& WriteBatch::operator=(WriteBatch&&) noexcept = default;

void WriteBatch::Put(Table table, std::string_view key, std::string_view value) {
  impl_->Add(Impl::Kind::kPut, table, key, value);
}
void WriteBatch::Delete(Table table, std::string_view key) {
  impl_->Add(Impl::Kind::kDelete, table, key, {});
}
void WriteBatch::DeletePrefix(Table table, std::string_view prefix) {
  impl_->Add(Impl::Kind::kDeletePrefix, table, prefix, {});
}
bool WriteBatch::empty() const { return impl_->operations.empty(); }
std::size_t WriteBatch::bytes() const { return impl_->bytes.size(); }

struct KeyValueStore::Impl {
  Impl(const std::string& directory, const Options& options)
      : directory(directory), read_only(options.read_only), database(directory, options.log) {}

  const std::string directory;
  const bool read_only;
  GuardedDatabase database;

  std::mutex write_mutex;     // one writer at a time
  bool needs_reopen = false;  // under write_mutex: RocksDB met an error and refuses writes
  mutable std::shared_mutex
      gate;  // after write_mutex; shared to use the database, exclusive to open or close it

  rocksdb::DB* db() const { return database.db(); }
  rocksdb::ColumnFamilyHandle* handle(Table table) const {
    return database.handle(static_cast<std::size_t>(table));
  }
  absl::Status Map(const rocksdb::Status& status) const { return StatusFromRocksDb(status, directory); }

  absl::Status CheckOpen() const {
    if (db() != nullptr) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrFormat("database: closed, expected it open (%s)", directory));
  }

  absl::StatusOr<rocksdb::WriteBatch> Translate(const WriteBatch& batch) const {
    using Kind = WriteBatch::Impl::Kind;
    rocksdb::WriteBatch native(batch.impl_->bytes.size() + 16 * batch.impl_->operations.size());
    std::string_view rest = batch.impl_->bytes;
    for (const WriteBatch::Impl::Operation& operation : batch.impl_->operations) {
      const std::string_view key = rest.substr(0, operation.key_bytes);
      const std::string_view value = rest.substr(operation.key_bytes, operation.value_bytes);
      rest.remove_prefix(operation.key_bytes + operation.value_bytes);
      if (key.size() > kMaxKeyBytes) {
        return absl::InvalidArgumentError(
            absl::StrFormat("key: %d bytes, expected at most %d", key.size(), kMaxKeyBytes));
      }
      rocksdb::Status status;
      switch (operation.kind) {
        case Kind::kPut:
          status = native.Put(handle(operation.table), ToSlice(key), ToSlice(value));
          break;
        case Kind::kDelete:
          status = native.Delete(handle(operation.table), ToSlice(key));
          break;
        case Kind::kDeletePrefix:
          status = native.DeleteRange(handle(operation.table), ToSlice(key), PrefixEnd(key));
          break;
      }
      TRIVIUM_RETURN_IF_ERROR(Map(status));
    }
    return native;
  }

  bool Failed() const { return needs_reopen || database.background_failed(); }

  absl::Status Reopen() {
    TRIVIUM_RETURN_IF_ERROR(database.ProbeSpace());
    const std::unique_lock<std::shared_mutex> exclusive(gate);
    needs_reopen = true;
    (void)database.Abandon();  // its errors are why we are here
    absl::Status status = database.OpenForWriting(false);
    if (status.ok()) {
      needs_reopen = false;
      return status;
    }
    (void)database.Abandon();
    // So that reads go on. Where not even that works, they fail with CheckOpen()'s status.
    (void)database.OpenForReading();
    return status;
  }

  // Under write_mutex, before taking the gate.
  absl::Status PrepareToWrite() {
    if (read_only) {
      return absl::FailedPreconditionError(
          absl::StrFormat("database: read-only, expected one open for writing (%s)", directory));
    }
    if (closed) return CheckOpen();
    return Failed() ? Reopen() : absl::OkStatus();
  }

  absl::Status Write(const WriteBatch& batch, bool sync) {
    TRIVIUM_ASSIGN_OR_RETURN(rocksdb::WriteBatch native, Translate(batch));
    database.FollowFileChanges();
    rocksdb::WriteOptions options;
    options.sync = sync;
    TRIVIUM_RETURN_IF_ERROR(Map(db()->Write(options, &native)));
    if (!sync) return absl::OkStatus();
    const absl::Status claimed = database.AdvanceWatermark();
    // The batch is in the log: not the error that says otherwise.
    return absl::IsResourceExhausted(claimed) ? absl::InternalError(claimed.message()) : claimed;
  }

  bool closed = false;  // under write_mutex
};

KeyValueStore::KeyValueStore() = default;
KeyValueStore::~KeyValueStore() { (void)Close(); }

absl::StatusOr<std::unique_ptr<KeyValueStore>> KeyValueStore::Open(const std::string& directory,
                                                                   const Options& options) {
  std::unique_ptr<KeyValueStore> store(new KeyValueStore);
  store->impl_ = std::make_unique<Impl>(directory, options);
  GuardedDatabase& database = store->impl_->database;
  const absl::Status status =
      options.read_only ? database.OpenForReading() : database.OpenForWriting(options.create_if_missing);
  if (status.ok()) return store;
  (void)database.Abandon();
  return status;
}

absl::StatusOr<std::optional<std::string>> KeyValueStore::Get(Table table, std::string_view key) const {
  const std::shared_lock<std::shared_mutex> shared(impl_->gate);
  TRIVIUM_RETURN_IF_ERROR(impl_->CheckOpen());
  std::string value;
  const rocksdb::Status status =
      impl_->db()->Get(rocksdb::ReadOptions(), impl_->handle(table), ToSlice(key), &value);
  if (status.IsNotFound()) return std::nullopt;
  TRIVIUM_RETURN_IF_ERROR(impl_->Map(status));
  return value;
}

absl::StatusOr<std::vector<std::optional<std::string>>> KeyValueStore::MultiGet(
    Table table, const std::vector<std::string>& keys) const {
  const std::shared_lock<std::shared_mutex> shared(impl_->gate);
  TRIVIUM_RETURN_IF_ERROR(impl_->CheckOpen());
  const std::vector<rocksdb::Slice> slices(keys.begin(), keys.end());
  std::vector<rocksdb::PinnableSlice> found(keys.size());
  std::vector<rocksdb::Status> statuses(keys.size());
  impl_->db()->MultiGet(rocksdb::ReadOptions(), impl_->handle(table), keys.size(), slices.data(),
                        found.data(), statuses.data());
  std::vector<std::optional<std::string>> values(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (statuses[i].IsNotFound()) continue;
    TRIVIUM_RETURN_IF_ERROR(impl_->Map(statuses[i]));
    values[i] = found[i].ToString();
  }
  return values;
}

absl::Status KeyValueStore::ForEach(
    Table table, std::string_view prefix,
    const std::function<bool(std::string_view key, std::string_view value)>& visit) const {
  const std::shared_lock<std::shared_mutex> shared(impl_->gate);
  TRIVIUM_RETURN_IF_ERROR(impl_->CheckOpen());
  const std::string end = PrefixEnd(prefix);
  const rocksdb::Slice end_slice(end);
  rocksdb::ReadOptions read_options;
  read_options.iterate_upper_bound = &end_slice;
  read_options.fill_cache = false;  // a scan would push out what lookups need
  const std::unique_ptr<rocksdb::Iterator> entry(
      impl_->db()->NewIterator(read_options, impl_->handle(table)));
  for (entry->Seek(ToSlice(prefix)); entry->Valid(); entry->Next()) {
    if (!visit(ToView(entry->key()), ToView(entry->value()))) break;
  }
  return impl_->Map(entry->status());
}

absl::Status KeyValueStore::Write(WriteBatch batch, bool sync) {
  const std::lock_guard<std::mutex> writing(impl_->write_mutex);
  TRIVIUM_RETURN_IF_ERROR(impl_->PrepareToWrite());
  const std::shared_lock<std::shared_mutex> shared(impl_->gate);
  const absl::Status status = impl_->Write(batch, sync);
  if (!status.ok() && !absl::IsInvalidArgument(status)) impl_->needs_reopen = true;
  return status;
}

absl::Status KeyValueStore::Sync() { return Write(WriteBatch(), true); }

absl::Status KeyValueStore::Compact() {
  {
    const std::lock_guard<std::mutex> writing(impl_->write_mutex);
    TRIVIUM_RETURN_IF_ERROR(impl_->PrepareToWrite());
  }
  {
    // Without write_mutex: writes go on meanwhile.
    const std::shared_lock<std::shared_mutex> shared(impl_->gate);
    TRIVIUM_RETURN_IF_ERROR(impl_->CheckOpen());
    for (rocksdb::ColumnFamilyHandle* handle : impl_->database.handles()) {
      TRIVIUM_RETURN_IF_ERROR(
          impl_->Map(impl_->db()->CompactRange(rocksdb::CompactRangeOptions(), handle, nullptr, nullptr)));
    }
  }
  const std::lock_guard<std::mutex> writing(impl_->write_mutex);
  TRIVIUM_RETURN_IF_ERROR(impl_->PrepareToWrite());
  const std::shared_lock<std::shared_mutex> shared(impl_->gate);
  return impl_->database.PauseAndPurge();
}

absl::Status KeyValueStore::VerifyChecksums() {
  const std::lock_guard<std::mutex> writing(impl_->write_mutex);
  const std::shared_lock<std::shared_mutex> shared(impl_->gate);
  TRIVIUM_RETURN_IF_ERROR(impl_->CheckOpen());
  if (!impl_->read_only) {
    TRIVIUM_ASSIGN_OR_RETURN(const Watermark mark, ReadWatermark(impl_->directory));
    TRIVIUM_RETURN_IF_ERROR(CheckClaims(impl_->directory, mark));
  }
  return impl_->Map(impl_->db()->VerifyChecksum());
}

absl::Status KeyValueStore::Checkpoint(const std::string& directory) {
  const std::lock_guard<std::mutex> writing(impl_->write_mutex);
  TRIVIUM_RETURN_IF_ERROR(impl_->PrepareToWrite());
  const std::shared_lock<std::shared_mutex> shared(impl_->gate);
  if (PathExists(directory)) {
    return absl::AlreadyExistsError(
        absl::StrFormat("checkpoint: exists, expected a new name (%s)", directory));
  }
  rocksdb::Checkpoint* made = nullptr;
  TRIVIUM_RETURN_IF_ERROR(impl_->Map(rocksdb::Checkpoint::Create(impl_->db(), &made)));
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  TRIVIUM_RETURN_IF_ERROR(impl_->Map(checkpoint->CreateCheckpoint(directory)));
  return ClaimCheckpoint(directory, impl_->db()->GetLatestSequenceNumber());
}

absl::Status KeyValueStore::Close() {
  if (impl_ == nullptr) return absl::OkStatus();
  const std::lock_guard<std::mutex> writing(impl_->write_mutex);
  const std::unique_lock<std::shared_mutex> exclusive(impl_->gate);
  impl_->closed = true;
  if (impl_->db() == nullptr) return absl::OkStatus();
  if (impl_->read_only) return impl_->database.Abandon();
  if (impl_->Failed()) {  // the logs hold every acknowledged write; the next opening replays them
    (void)impl_->database.Abandon();
    return absl::OkStatus();
  }
  const absl::Status status = impl_->database.CloseForWriting();
  (void)impl_->database.Abandon();  // where closing stopped half-way
  return status;
}

}  // namespace trivium::storage
