// SPDX-License-Identifier: Apache-2.0
// Checksums of a database's write-ahead logs, kept up to date by reading each new byte once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "storage/checksum.h"
#include "storage/file_system.h"
#include "storage/watermark.h"

namespace trivium::storage {

// Not thread-safe; nobody may append to a log while Extend() runs.
class LogTracker {
 public:
  void Reset(const std::string& directory);

  // Follows exactly these logs from now on: forgets others, reads new ones from their start.
  absl::Status Follow(const std::vector<std::uint64_t>& numbers);

  // Reads what was appended since the last time. The caller made it durable before.
  absl::Status Extend();

  // One claim for each log followed, by number.
  std::vector<LogClaim> Claims() const;
  // The number of the newest log, 0 where there is none.
  std::uint64_t newest() const { return logs_.empty() ? 0 : logs_.back().number; }

 private:
  struct Log {
    std::uint64_t number = 0;
    std::uint64_t bytes = 0;
    std::string path;
    FileDescriptor file;
    ChecksumStream checksum;
  };

  std::string directory_;
  std::vector<Log> logs_;
  std::vector<std::byte> buffer_;
};

}  // namespace trivium::storage
