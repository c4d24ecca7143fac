// SPDX-License-Identifier: Apache-2.0
// How RocksDB is set up here and how its errors become ours. Only key_value_store.cc may include this.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/status.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace trivium::storage {

// What happened inside RocksDB since somebody last looked. It reports from its own threads, where nothing of
// ours may fail: so nothing but flags.
class DatabaseEvents : public rocksdb::EventListener {
 public:
  std::atomic<bool> files_changed{false};  // a flush or compaction put files in the place of others
  std::atomic<bool> failed{false};         // background work met an error; RocksDB now refuses writes

  void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo&) override { files_changed = true; }
  void OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo&) override {
    files_changed = true;
  }
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status*) override { failed = true; }
  // The store closes and reopens the database instead: resuming by itself would also switch the deletion of
  // files back on, which the watermark relies on being off.
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* auto_recovery) override {
    *auto_recovery = false;
  }
};

rocksdb::DBOptions MakeDatabaseOptions(const std::function<void(std::string_view)>& log,
                                       std::shared_ptr<DatabaseEvents> events);

// "default", then one a Table, in the order of the enum.
std::vector<rocksdb::ColumnFamilyDescriptor> MakeColumnFamilies();

// Corruption or a missing file -> kDataLoss, full disk -> kResourceExhausted, lock -> kUnavailable, ...
absl::Status StatusFromRocksDb(const rocksdb::Status& status, const std::string& directory);

}  // namespace trivium::storage
