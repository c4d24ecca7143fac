// SPDX-License-Identifier: Apache-2.0
// The small, mutable half of a store: ordered tables of bytes in RocksDB, written in atomic batches.
//
// storage/ owns bytes on disk and their truth: checksums, atomic replacement, locks, recovery. It must not
// know what a document, a graph or an expert means.
//
// A watermark file beside the database records the durable sequence number and the live files; it is checked
// before RocksDB may open (and so rewrite) anything, because RocksDB alone would silently drop acknowledged
// writes behind a truncated MANIFEST or a flipped bit in the log's tail.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace trivium::storage {

// One column family each.
enum class Table : std::uint8_t { kManifest, kDocuments, kMetadata, kIds, kVectors, kPilots, kEncodings };
inline constexpr int kTableCount = 7;
inline constexpr std::size_t kMaxKeyBytes = 65535;

// Changes that become visible and durable together, or not at all.
class WriteBatch {
 public:
  WriteBatch();
  ~WriteBatch();
  WriteBatch(WriteBatch&&) noexcept;
  WriteBatch& operator=(WriteBatch&&) noexcept;

  void Put(Table table, std::string_view key, std::string_view value);
  void Delete(Table table, std::string_view key);
  // Every key that starts with `prefix`, those put earlier in this batch included. Each one slows reads of
  // the table down a little until the next compaction: meant for few, large ranges.
  void DeletePrefix(Table table, std::string_view prefix);
  bool empty() const;
  std::size_t bytes() const;

 private:
  friend class KeyValueStore;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class KeyValueStore {
 public:
  struct Options {
    bool read_only = false;
    bool create_if_missing = false;
    std::function<void(std::string_view message)> log = {};  // RocksDB's own messages; empty: dropped
  };

  // kNotFound: no database there and not asked to create. kDataLoss: damaged, names the file. The caller
  // holds the store's lock unless `read_only`.
  static absl::StatusOr<std::unique_ptr<KeyValueStore>> Open(const std::string& directory,
                                                             const Options& options);
  ~KeyValueStore();  // closes; errors are lost, so call Close() first where they matter

  absl::StatusOr<std::optional<std::string>> Get(Table table, std::string_view key) const;
  // Aligned with `keys`.
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      Table table, const std::vector<std::string>& keys) const;
  // Visits every key that starts with `prefix`, in byte order, on one consistent snapshot; stops when
  // `visit` returns false. `visit` must not call Write(), Compact() or Close() of this store.
  absl::Status ForEach(Table table, std::string_view prefix,
                       const std::function<bool(std::string_view key, std::string_view value)>& visit) const;

  // With `sync` the batch survives kill -9 and power loss once this returns OK; without, kill -9 only. Two
  // fsyncs with `sync`; one writer at a time. Thread-safe.
  // kResourceExhausted: the disk is full; the batch was not applied, reads go on, and the next write opens
  // the database again once there is room. kInvalidArgument: a key above kMaxKeyBytes; nothing was applied.
  // After any other error the batch is there as a whole or not at all.
  absl::Status Write(WriteBatch batch, bool sync);
  absl::Status Sync();  // makes every earlier write durable

  // Merges files and drops deleted keys. Writes go on meanwhile.
  absl::Status Compact();
  // Reads every block; kDataLoss names the file. Writes wait.
  absl::Status VerifyChecksums();
  // Makes a consistent copy in a directory that does not exist yet. Writes wait.
  absl::Status Checkpoint(const std::string& directory);
  // Flushes; idempotent. Other calls fail with kFailedPrecondition from then on.
  absl::Status Close();

 private:
  KeyValueStore();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace trivium::storage
