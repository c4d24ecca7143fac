// SPDX-License-Identifier: Apache-2.0
// What must be on disk if nothing was lost: the claims a database makes about its own files.
//
// RocksDB opens over a truncated MANIFEST or a flipped bit in the tail of its log and silently drops what
// stood there. A watermark, checked before RocksDB may touch anything, turns that into an error. It claims
//   - how long the MANIFEST is at least, and the checksum of that prefix,
//   - which table files (.sst) exist, with their sizes,
//   - how long each live log (.log) is at least, and the checksum of that prefix,
//   - the sequence number up to which writes are durable.
// A claim stays true until the next watermark is durable because the database deletes no file before that.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/file_system.h"

namespace trivium::storage {

// Name of the watermark inside the database's directory; RocksDB leaves names alone that it does not know.
inline constexpr char kWatermarkName[] = "WATERMARK";

enum class WatermarkState : std::uint8_t {
  kCreating = 0,  // nothing was acknowledged yet: whatever lies there may be removed
  kOpening = 1,   // the claims hold as long as CURRENT names `manifest`; then RocksDB has moved on by itself
  kRunning = 2,   // a writer was at work
  kClosed = 3,    // closed properly: the logs hold nothing that is not in a table
};

struct ManifestClaim {
  std::string name;
  std::uint64_t bytes = 0;
  std::uint64_t checksum = 0;
};
struct TableClaim {
  std::string name;
  std::uint64_t bytes = 0;
};
struct LogClaim {
  std::uint64_t number = 0;
  std::uint64_t bytes = 0;
  std::uint64_t checksum = 0;
};

struct Watermark {
  WatermarkState state = WatermarkState::kCreating;
  std::uint64_t generation = 0;  // counts replacements of the file; set by WatermarkFile
  std::uint64_t sequence = 0;
  ManifestClaim manifest = {};
  std::vector<TableClaim> tables = {};
  std::vector<LogClaim> logs = {};
};

// kNotFound where there is none; kDataLoss or kFailedPrecondition (newer format) name the file.
absl::StatusOr<Watermark> ReadWatermark(const std::string& directory);

// The manifest that CURRENT names. kDataLoss where CURRENT is missing or malformed.
absl::StatusOr<std::string> ReadCurrent(const std::string& directory);

// The claim that holds for the first `bytes` of `directory`/`name`. kDataLoss where the file is shorter.
absl::StatusOr<ManifestClaim> ClaimManifest(const std::string& directory, const std::string& name,
                                            std::uint64_t bytes);

// kDataLoss names the first file that breaks a claim. Reads the MANIFEST and the logs, not the tables.
absl::Status CheckClaims(const std::string& directory, const Watermark& watermark);

// "000012.log"
std::string LogFileName(std::uint64_t number);

// Writes the watermark of one database; the only writer of that file. Not thread-safe.
class WatermarkFile {
 public:
  // The next Replace() must be given a generation of its own: continue from `generation`.
  void Reset(const std::string& directory, std::uint64_t generation);

  // Durable once OK. Where it fails, the old claims or the new ones are on disk, and this object goes on
  // writing into whichever it is.
  absl::Status Replace(const Watermark& watermark);

  // The cheap step: claims that more of the logs is durable. Two sectors in place and an fdatasync; the
  // previous claim stays readable until this one is whole. kResourceExhausted: more logs than fit.
  absl::Status Advance(std::uint64_t sequence, const std::vector<LogClaim>& logs);

 private:
  std::string directory_;
  FileDescriptor file_;
  std::uint64_t generation_ = 0;
  std::uint64_t step_ = 0;  // of Advance() since the last Replace()
};

}  // namespace trivium::storage
