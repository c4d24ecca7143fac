// SPDX-License-Identifier: Apache-2.0
#include "storage/guarded_database.h"

#include <fcntl.h>
#include <rocksdb/convenience.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "storage/file_system.h"

namespace trivium::storage {
namespace {

// How often a purge may be put off because background work runs before a writer waits for it.
constexpr int kMaxDeferredPurges = 64;
constexpr int kReadOnlyAttempts = 60;
constexpr std::uint64_t kWatermarkLimitBytes = std::uint64_t{64} << 20;

bool HasEnding(std::string_view name, std::string_view ending) {
  return name.size() > ending.size() && name.substr(name.size() - ending.size()) == ending;
}

// Of "000012.log": 12; 0 for other names.
std::uint64_t LogNumber(std::string_view name) {
  std::uint64_t number = 0;
  if (!HasEnding(name, ".log") ||
      !absl::SimpleAtoi(absl::string_view(name.data(), name.size() - 4), &number)) {
    return 0;
  }
  return number;
}

absl::StatusOr<TableClaim> ClaimTable(const std::string& directory, const std::string& name) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::uint64_t bytes, FileSize(directory + "/" + name));
  return TableClaim{.name = name, .bytes = bytes};
}

absl::Status RemoveTemporaryFiles(const std::string& directory) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(directory));
  for (const std::string& name : names) {
    if (IsTemporaryName(name)) TRIVIUM_RETURN_IF_ERROR(RemoveFile(directory + "/" + name));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status GuardedDatabase::OpenRocksDb(bool read_only, bool create) {
  events_ = std::make_shared<DatabaseEvents>();
  rocksdb::DBOptions options = MakeDatabaseOptions(log_, events_);
  options.create_if_missing = create;
  options.create_missing_column_families = create;
  rocksdb::DB* opened = nullptr;
  const rocksdb::Status status =
      read_only ? rocksdb::DB::OpenForReadOnly(options, directory_, MakeColumnFamilies(), &handles_, &opened)
                : rocksdb::DB::Open(options, directory_, MakeColumnFamilies(), &handles_, &opened);
  db_.reset(opened);
  return Map(status);
}

absl::Status GuardedDatabase::Abandon() {
  if (db_ == nullptr) return absl::OkStatus();
  for (rocksdb::ColumnFamilyHandle* handle : handles_) (void)db_->DestroyColumnFamilyHandle(handle);
  handles_.clear();
  const absl::Status status = Map(db_->Close());
  db_.reset();
  return status;
}

absl::Status GuardedDatabase::CheckSequence(std::uint64_t durable) const {
  const std::uint64_t reached = db_->GetLatestSequenceNumber();
  if (reached >= durable) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrFormat("database: writes end at %d, expected at least %d (%s)", reached, durable, directory_));
}

// None where no database is there, or where its creation was never finished.
absl::StatusOr<std::optional<Watermark>> GuardedDatabase::FindWatermark() const {
  if (!PathExists(directory_)) return std::nullopt;
  absl::StatusOr<Watermark> found = ReadWatermark(directory_);
  if (absl::IsNotFound(found.status())) {
    TRIVIUM_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(directory_));
    for (const std::string& name : names) {
      if (IsTemporaryName(name)) continue;
      return absl::DataLossError(
          absl::StrFormat("database file: missing, expected because '%s' is there (%s/%s)", name, directory_,
                          kWatermarkName));
    }
    return std::nullopt;
  }
  if (!found.ok()) return found.status();
  if (found->state == WatermarkState::kCreating) return std::nullopt;
  return *std::move(found);
}

absl::Status GuardedDatabase::PrepareNew() {
  if (!PathExists(directory_)) TRIVIUM_RETURN_IF_ERROR(CreateDirectory(directory_));
  watermark_.Reset(directory_, 0);
  TRIVIUM_RETURN_IF_ERROR(watermark_.Replace({.state = WatermarkState::kCreating}));
  TRIVIUM_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(directory_));
  for (const std::string& name : names) {  // left by a creation that was interrupted
    if (name != kWatermarkName) TRIVIUM_RETURN_IF_ERROR(RemoveFile(directory_ + "/" + name));
  }
  return absl::OkStatus();
}

// Checks everything that can be checked before RocksDB changes anything, then lets it.
absl::Status GuardedDatabase::PrepareExisting(Watermark mark) {
  TRIVIUM_RETURN_IF_ERROR(CheckClaims(directory_, mark));
  watermark_.Reset(directory_, mark.generation);
  if (mark.state != WatermarkState::kClosed) {
    TRIVIUM_RETURN_IF_ERROR(OpenRocksDb(true, false));
    const absl::Status reached = CheckSequence(mark.sequence);
    std::vector<rocksdb::LiveFileMetaData> tables;
    db_->GetLiveFilesMetaData(&tables);
    TRIVIUM_RETURN_IF_ERROR(Abandon());
    TRIVIUM_RETURN_IF_ERROR(reached);
    TRIVIUM_ASSIGN_OR_RETURN(const std::string manifest, ReadCurrent(directory_));
    TRIVIUM_ASSIGN_OR_RETURN(const std::uint64_t bytes, FileSize(directory_ + "/" + manifest));
    TRIVIUM_ASSIGN_OR_RETURN(mark.manifest, ClaimManifest(directory_, manifest, bytes));
    mark.tables.clear();
    for (const rocksdb::LiveFileMetaData& table : tables) {
      mark.tables.push_back({.name = table.relative_filename, .bytes = table.size});
    }
  }
  mark.state = WatermarkState::kOpening;
  TRIVIUM_RETURN_IF_ERROR(watermark_.Replace(mark));
  return RemoveTemporaryFiles(directory_);
}

absl::Status GuardedDatabase::OpenForWriting(bool create_if_missing) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::optional<Watermark> mark, FindWatermark());
  if (!mark && !create_if_missing) {
    return absl::NotFoundError(absl::StrFormat("database: none, expected one (%s)", directory_));
  }
  TRIVIUM_RETURN_IF_ERROR(mark ? PrepareExisting(*mark) : PrepareNew());
  TRIVIUM_RETURN_IF_ERROR(OpenRocksDb(false, !mark));
  TRIVIUM_RETURN_IF_ERROR(CheckSequence(mark ? mark->sequence : 0));
  TRIVIUM_RETURN_IF_ERROR(Map(db_->DisableFileDeletions()));
  logs_.Reset(directory_);
  purge_pending_ = false;
  return ReplaceWatermark(WatermarkState::kRunning);
}

absl::Status GuardedDatabase::OpenOnceForReading() {
  TRIVIUM_ASSIGN_OR_RETURN(const std::optional<Watermark> mark, FindWatermark());
  if (!mark) return absl::NotFoundError(absl::StrFormat("database: none, expected one (%s)", directory_));
  TRIVIUM_ASSIGN_OR_RETURN(const std::string manifest, ReadCurrent(directory_));
  TRIVIUM_RETURN_IF_ERROR(CheckClaims(directory_, *mark));
  TRIVIUM_RETURN_IF_ERROR(OpenRocksDb(true, false));
  TRIVIUM_RETURN_IF_ERROR(CheckSequence(mark->sequence));
  // Had a writer deleted a log between our reading the MANIFEST and the logs, its contents would be missing
  // unnoticed. It deletes only after a new watermark or a new manifest.
  TRIVIUM_ASSIGN_OR_RETURN(const Watermark mark_now, ReadWatermark(directory_));
  TRIVIUM_ASSIGN_OR_RETURN(const std::string manifest_now, ReadCurrent(directory_));
  if (mark_now.generation != mark->generation || manifest_now != manifest) {
    return absl::UnavailableError(
        absl::StrFormat("database: changed while it was opened, expected a calmer writer (%s)", directory_));
  }
  return absl::OkStatus();
}

// Changes whenever a writer does anything that matters to a reader who opens.
std::string GuardedDatabase::Fingerprint() const {
  std::string bytes;
  for (const char* name : {kWatermarkName, "CURRENT"}) {
    bytes += ReadFile(directory_ + "/" + name, kWatermarkLimitBytes).value_or("");
  }
  return bytes;
}

absl::Status GuardedDatabase::OpenForReading() {
  for (int attempt = 1;; ++attempt) {
    const std::string before = Fingerprint();
    const absl::Status status = OpenOnceForReading();
    if (status.ok()) return status;
    (void)Abandon();  // read-only: nothing to lose
    const bool nobody_writes = !absl::IsUnavailable(status) && Fingerprint() == before;
    if (nobody_writes) return status;
    if (attempt == kReadOnlyAttempts) {
      return absl::UnavailableError(absl::StrFormat(
          "database: changed each time it was opened, expected a calmer writer (%s)", directory_));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(std::min(5 * attempt, 50)));
  }
}

absl::Status GuardedDatabase::CloseForWriting() {
  TRIVIUM_RETURN_IF_ERROR(Map(db_->Flush(rocksdb::FlushOptions(), handles_)));
  rocksdb::CancelAllBackgroundWork(db_.get(), true);
  TRIVIUM_RETURN_IF_ERROR(ReplaceWatermarkAndPurge(WatermarkState::kClosed));
  return Abandon();
}

// Numbers of the logs that opening would replay.
absl::StatusOr<std::vector<std::uint64_t>> GuardedDatabase::LiveLogs() const {
  std::uint64_t oldest = 0;
  if (!db_->GetIntProperty(rocksdb::DB::Properties::kMinLogNumberToKeep, &oldest)) {
    return absl::InternalError(
        absl::StrFormat("database: does not tell its oldest log, expected a number (%s)", directory_));
  }
  TRIVIUM_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(directory_));
  std::vector<std::uint64_t> numbers;
  for (const std::string& name : names) {
    if (const std::uint64_t number = LogNumber(name); number != 0 && number >= oldest)
      numbers.push_back(number);
  }
  return numbers;
}

// Claims the database as it is now.
absl::Status GuardedDatabase::ReplaceWatermark(WatermarkState state) {
  TRIVIUM_RETURN_IF_ERROR(Map(db_->SyncWAL()));
  // Logs first: one that a flush makes superfluous meanwhile is claimed once too often, never too seldom.
  TRIVIUM_ASSIGN_OR_RETURN(const std::vector<std::uint64_t> live_logs, LiveLogs());
  std::vector<std::string> names;
  std::uint64_t manifest_bytes = 0;
  TRIVIUM_RETURN_IF_ERROR(Map(db_->GetLiveFiles(names, &manifest_bytes, false)));
  Watermark mark{.state = state, .sequence = db_->GetLatestSequenceNumber()};
  for (std::string& name : names) {
    name.erase(0, name.find_first_not_of('/'));
    if (name.rfind("MANIFEST-", 0) == 0) {
      TRIVIUM_ASSIGN_OR_RETURN(mark.manifest, ClaimManifest(directory_, name, manifest_bytes));
    } else if (HasEnding(name, ".sst")) {
      TRIVIUM_ASSIGN_OR_RETURN(TableClaim table, ClaimTable(directory_, name));
      mark.tables.push_back(std::move(table));
    }
  }
  TRIVIUM_RETURN_IF_ERROR(logs_.Follow(live_logs));
  TRIVIUM_RETURN_IF_ERROR(logs_.Extend());
  mark.logs = logs_.Claims();
  return watermark_.Replace(mark);
}

// No background work may run: a file that it gave up after the watermark was written is still claimed.
absl::Status GuardedDatabase::ReplaceWatermarkAndPurge(WatermarkState state) {
  TRIVIUM_RETURN_IF_ERROR(ReplaceWatermark(state));
  TRIVIUM_RETURN_IF_ERROR(Map(db_->EnableFileDeletions(true)));  // purges
  purge_pending_ = false;
  deferred_purges_ = 0;
  return Map(db_->DisableFileDeletions());
}

absl::Status GuardedDatabase::PauseAndPurge() {
  TRIVIUM_RETURN_IF_ERROR(Map(db_->PauseBackgroundWork()));
  const absl::Status status = ReplaceWatermarkAndPurge(WatermarkState::kRunning);
  TRIVIUM_RETURN_IF_ERROR(Map(db_->ContinueBackgroundWork()));
  return status;
}

bool GuardedDatabase::BackgroundWorkRuns() const {
  std::uint64_t flushes = 0;
  std::uint64_t compactions = 0;
  db_->GetIntProperty(rocksdb::DB::Properties::kNumRunningFlushes, &flushes);
  db_->GetIntProperty(rocksdb::DB::Properties::kNumRunningCompactions, &compactions);
  return flushes + compactions > 0;
}

void GuardedDatabase::FollowFileChanges() {
  const bool changed = events_->files_changed.exchange(false);
  if (!changed && !purge_pending_) return;
  purge_pending_ = true;
  if (BackgroundWorkRuns() && (!changed || ++deferred_purges_ < kMaxDeferredPurges)) return;
  if (const absl::Status status = PauseAndPurge(); !status.ok() && log_) log_(status.ToString());
}

absl::Status GuardedDatabase::AdvanceWatermark() {
  std::unique_ptr<rocksdb::LogFile> current;
  TRIVIUM_RETURN_IF_ERROR(Map(db_->GetCurrentWalFile(&current)));
  if (current->LogNumber() != logs_.newest()) {
    TRIVIUM_ASSIGN_OR_RETURN(const std::vector<std::uint64_t> live_logs, LiveLogs());
    TRIVIUM_RETURN_IF_ERROR(logs_.Follow(live_logs));
  }
  TRIVIUM_RETURN_IF_ERROR(logs_.Extend());
  return watermark_.Advance(db_->GetLatestSequenceNumber(), logs_.Claims());
}

absl::Status GuardedDatabase::ProbeSpace() const {
  std::uint64_t needed = std::uint64_t{1} << 20;
  TRIVIUM_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(directory_));
  for (const std::string& name : names) {
    if (LogNumber(name) == 0) continue;
    TRIVIUM_ASSIGN_OR_RETURN(const std::uint64_t bytes, FileSize(directory_ + "/" + name));
    needed += bytes;
  }
  const std::string path = TemporaryName(directory_ + "/probe");
  TRIVIUM_ASSIGN_OR_RETURN(const FileDescriptor file, OpenFile(path, O_WRONLY | O_CREAT | O_EXCL));
  const int result = ::fallocate(file.get(), 0, 0, static_cast<off_t>(needed));
  const int error = errno;
  TRIVIUM_RETURN_IF_ERROR(RemoveFile(path));
  if (result == 0 || error == EOPNOTSUPP || error == ENOSYS) return absl::OkStatus();
  return ErrnoStatus(error, absl::StrFormat("reserve %d bytes", needed), directory_);
}

absl::Status ClaimCheckpoint(const std::string& directory, std::uint64_t sequence) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::string manifest, ReadCurrent(directory));
  TRIVIUM_ASSIGN_OR_RETURN(const std::uint64_t manifest_bytes, FileSize(directory + "/" + manifest));
  Watermark mark{.state = WatermarkState::kClosed, .sequence = sequence};
  TRIVIUM_ASSIGN_OR_RETURN(mark.manifest, ClaimManifest(directory, manifest, manifest_bytes));
  TRIVIUM_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(directory));
  std::vector<std::uint64_t> log_numbers;
  for (const std::string& name : names) {
    if (LogNumber(name) != 0) log_numbers.push_back(LogNumber(name));
    if (!HasEnding(name, ".sst")) continue;
    TRIVIUM_ASSIGN_OR_RETURN(TableClaim table, ClaimTable(directory, name));
    mark.tables.push_back(std::move(table));
  }
  LogTracker logs;
  logs.Reset(directory);
  TRIVIUM_RETURN_IF_ERROR(logs.Follow(log_numbers));
  TRIVIUM_RETURN_IF_ERROR(logs.Extend());
  mark.logs = logs.Claims();
  WatermarkFile watermark;
  watermark.Reset(directory, 0);
  return watermark.Replace(mark);
}

}  // namespace trivium::storage
