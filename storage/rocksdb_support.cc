// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb_support.h"

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <system_error>
#include <utility>

#include "absl/strings/str_format.h"

namespace trivium::storage {
namespace {

constexpr std::size_t kWriteBufferBytes = std::size_t{32} << 20;  // of all tables together
constexpr std::size_t kTableWriteBufferBytes = std::size_t{16} << 20;
constexpr std::size_t kBlockCacheBytes = std::size_t{16} << 20;
constexpr std::uint64_t kLogBytes = std::uint64_t{64} << 20;  // bounds what a reopen must replay
constexpr double kFilterBitsPerKey = 10;                      // 1 % false positives

// RocksDB's own text log aborts the process where the disk is full; this one writes no file.
class ForwardingLogger : public rocksdb::Logger {
 public:
  explicit ForwardingLogger(std::function<void(std::string_view)> log)
      : rocksdb::Logger(log ? rocksdb::InfoLogLevel::WARN_LEVEL : rocksdb::InfoLogLevel::NUM_INFO_LOG_LEVELS),
        log_(std::move(log)) {}

  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    if (!log_) return;
    char line[1024];
    const int size = std::vsnprintf(line, sizeof(line), format, arguments);
    if (size <= 0) return;
    try {
      log_(std::string_view(line, std::min<std::size_t>(size, sizeof(line) - 1)));
    } catch (...) {
      // The caller's function threw; an exception must not pass through RocksDB's threads.
    }
  }

 private:
  std::function<void(std::string_view)> log_;
};

bool Mentions(const std::string& message, int error) {
  return message.find(std::generic_category().message(error)) != std::string::npos;
}

absl::StatusCode CodeOf(const rocksdb::Status& status, const std::string& message) {
  using Code = rocksdb::Status::Code;
  using SubCode = rocksdb::Status::SubCode;
  switch (status.subcode()) {
    case SubCode::kNoSpace:
    case SubCode::kSpaceLimit:
    case SubCode::kMemoryLimit:
      return absl::StatusCode::kResourceExhausted;
    case SubCode::kPathNotFound:
      return absl::StatusCode::kDataLoss;
    default:
      break;
  }
  switch (status.code()) {
    case Code::kOk:
      return absl::StatusCode::kOk;
    case Code::kCorruption:
      return absl::StatusCode::kDataLoss;
    case Code::kNotFound:
      return absl::StatusCode::kNotFound;
    case Code::kInvalidArgument:  // a column family this version does not know
    case Code::kNotSupported:
      return absl::StatusCode::kFailedPrecondition;
    case Code::kIOError:
      if (message.find("lock hold by current process") != std::string::npos ||
          message.find("While lock file") != std::string::npos) {
        return absl::StatusCode::kUnavailable;
      }
      for (int error : {ENOSPC, EDQUOT, EFBIG, ENOMEM, EMFILE, ENFILE}) {
        if (Mentions(message, error)) return absl::StatusCode::kResourceExhausted;
      }
      for (int error : {EACCES, EPERM, EROFS}) {
        if (Mentions(message, error)) return absl::StatusCode::kPermissionDenied;
      }
      if (Mentions(message, ENOENT)) return absl::StatusCode::kDataLoss;
      return absl::StatusCode::kInternal;
    default:
      return absl::StatusCode::kInternal;
  }
}

rocksdb::ColumnFamilyOptions MakeTableOptions(rocksdb::CompressionType compression,
                                              const rocksdb::BlockBasedTableOptions& blocks) {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = kTableWriteBufferBytes;
  options.compression = compression;
  options.paranoid_file_checks = false;  // would read each new file back at once
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(blocks));
  return options;
}

}  // namespace

rocksdb::DBOptions MakeDatabaseOptions(const std::function<void(std::string_view)>& log,
                                       std::shared_ptr<DatabaseEvents> events) {
  rocksdb::DBOptions options;
  options.info_log = std::make_shared<ForwardingLogger>(log);
  options.listeners.push_back(std::move(events));
  // A crash may cut the last record short; what was acknowledged is guarded by the watermark.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.paranoid_checks = true;
  options.max_open_files = -1;  // tables are opened, and so looked at, when the database is
  options.db_write_buffer_size = kWriteBufferBytes;
  options.max_total_wal_size = kLogBytes;
  options.max_background_jobs = 2;
  options.max_bgerror_resume_count = 0;
  options.skip_stats_update_on_db_open = true;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  return options;
}

std::vector<rocksdb::ColumnFamilyDescriptor> MakeColumnFamilies() {
  rocksdb::BlockBasedTableOptions blocks;
  blocks.block_cache = rocksdb::NewLRUCache(kBlockCacheBytes);
  blocks.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kFilterBitsPerKey));
  const auto none = MakeTableOptions(rocksdb::kNoCompression, blocks);
  const auto fast = MakeTableOptions(rocksdb::kLZ4Compression, blocks);
  const auto small = MakeTableOptions(rocksdb::kZSTD, blocks);
  return {{rocksdb::kDefaultColumnFamilyName, none},
          {"manifest", fast},
          {"documents", small},
          {"metadata", small},
          {"ids", fast},
          {"vectors", none},
          {"pilots", none},
          {"encodings", none}};
}

absl::Status StatusFromRocksDb(const rocksdb::Status& status, const std::string& directory) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = status.ToString();
  return absl::Status(CodeOf(status, message), absl::StrFormat("database: %s (%s)", message, directory));
}

}  // namespace trivium::storage
