// SPDX-License-Identifier: Apache-2.0
// The large, immutable half of a store: one file of named blocks, each with its own checksum, that appears
// whole or not at all (temporary name, fsync, rename, fsync of the directory) and is memory-mapped to read.
// The byte layout is drawn in segment_file.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace trivium::storage {

inline constexpr std::size_t kBlockAlignmentBytes = 4096;

class SegmentFileWriter {
 public:
  static absl::StatusOr<std::unique_ptr<SegmentFileWriter>> Create(const std::string& path);
  ~SegmentFileWriter();  // removes the temporary file unless committed

  // A block in one piece, or begun and then appended to piece by piece. Names: 1 to 31 ASCII bytes, unique.
  absl::Status AddBlock(std::string_view name, absl::Span<const std::byte> bytes);
  absl::Status BeginBlock(std::string_view name);
  absl::Status Append(absl::Span<const std::byte> bytes);

  // Makes the file durable under its name. kAlreadyExists where the name is taken.
  absl::Status Commit();

 private:
  SegmentFileWriter();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class SegmentFile {
 public:
  // Maps the file and checks header, block table and every size against the file's length; with
  // `verify_blocks` also every block's checksum. kDataLoss names the file and the block.
  static absl::StatusOr<std::shared_ptr<const SegmentFile>> Open(const std::string& path, bool verify_blocks);
  ~SegmentFile();

  // Mapped bytes, kBlockAlignmentBytes aligned; kDataLoss where the block is absent. Valid while this lives.
  absl::StatusOr<absl::Span<const std::byte>> Block(std::string_view name) const;
  bool HasBlock(std::string_view name) const;
  absl::Status VerifyBlocks() const;
  const std::string& path() const;
  std::uint64_t size_bytes() const;

 private:
  SegmentFile();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace trivium::storage
