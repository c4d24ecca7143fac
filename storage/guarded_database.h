// SPDX-License-Identifier: Apache-2.0
// A RocksDB under the guard of a watermark (storage/watermark.h). Only key_value_store.cc uses it.
//
// Order of events that keeps the watermark's claims true at every instant:
//   write     log record, log fsync, watermark advanced, only then OK
//   flush or  RocksDB adds files by itself but may delete none. Between two writes, when no background work
//   compact   runs, the watermark is replaced, and then RocksDB may delete what it no longer claims
//   open      claims checked, log replayed read-only and its end compared with the durable sequence number;
//             watermark says kOpening, then DB::Open, then watermark says kRunning
//   close     flush, background work ended, watermark says kClosed, RocksDB closed
#pragma once

#include <rocksdb/db.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/log_tracker.h"
#include "storage/rocksdb_support.h"
#include "storage/watermark.h"

namespace trivium::storage {

// One thread at a time may call methods that are not const; db() may be used by many.
class GuardedDatabase {
 public:
  using Log = std::function<void(std::string_view)>;

  GuardedDatabase(std::string directory, Log log) : directory_(std::move(directory)), log_(std::move(log)) {}
  ~GuardedDatabase() { (void)Abandon(); }

  // kNotFound: none there and not asked to create. kDataLoss: a claim is broken; names the file.
  absl::Status OpenForWriting(bool create_if_missing);
  // Changes nothing on disk. Works beside a writer in another process: where that deletes files in between,
  // tries again for a few seconds, then kUnavailable.
  absl::Status OpenForReading();

  absl::Status CloseForWriting();  // flushes and leaves claims that make the next opening fast
  absl::Status Abandon();          // closes as it is; the logs hold every write. OK if not open

  rocksdb::DB* db() const { return db_.get(); }  // null unless open
  rocksdb::ColumnFamilyHandle* handle(std::size_t table) const { return handles_[table + 1]; }
  const std::vector<rocksdb::ColumnFamilyHandle*>& handles() const { return handles_; }
  bool background_failed() const { return events_ != nullptr && events_->failed; }

  // The rest is for an open writer.

  // After a write with sync: claims it, so that its loss will be noticed.
  absl::Status AdvanceWatermark();
  // Cheap where no flush or compaction ended since the last call. Waiting for a long compaction would stall
  // writers, so the work is put off while one runs. A failure costs only disk space: the old claims hold, and
  // the next call tries again.
  void FollowFileChanges();
  // The same at once, waiting for background work.
  absl::Status PauseAndPurge();
  // Whether there is room to flush what the logs hold; without it, opening again would only fail and leave
  // more half-written files. kResourceExhausted.
  absl::Status ProbeSpace() const;

 private:
  absl::Status OpenRocksDb(bool read_only, bool create);
  absl::Status OpenOnceForReading();
  absl::Status PrepareNew();
  absl::Status PrepareExisting(Watermark mark);
  absl::StatusOr<std::optional<Watermark>> FindWatermark() const;
  absl::Status CheckSequence(std::uint64_t durable) const;
  std::string Fingerprint() const;
  absl::StatusOr<std::vector<std::uint64_t>> LiveLogs() const;
  absl::Status ReplaceWatermark(WatermarkState state);
  absl::Status ReplaceWatermarkAndPurge(WatermarkState state);
  bool BackgroundWorkRuns() const;
  absl::Status Map(const rocksdb::Status& status) const { return StatusFromRocksDb(status, directory_); }

  const std::string directory_;
  const Log log_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;  // "default", then by table
  std::shared_ptr<DatabaseEvents> events_;
  WatermarkFile watermark_;
  LogTracker logs_;
  bool purge_pending_ = false;  // files that no claim names wait to be deleted
  int deferred_purges_ = 0;
};

// Writes the watermark of a checkpoint that RocksDB made: claims every file in it.
absl::Status ClaimCheckpoint(const std::string& directory, std::uint64_t sequence);

}  // namespace trivium::storage
