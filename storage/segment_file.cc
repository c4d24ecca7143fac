// SPDX-License-Identifier: Apache-2.0
// Layout (little-endian). Header, blocks and table follow one another without a gap, so that every byte of
// the file is under one of the checksums:
//
//        0  +----------------------------------------------------------+
//           | "TRVMSEG\0"           8 bytes                             |
//        8  | format version        u32   1                             |
//       12  | block count           u32                                 |
//       16  | file length           u64                                 |
//       24  | table offset          u64   table runs to the file's end  |
//       32  | table checksum        u64                                 |
//       40  | zeros                                                     |
//     4088  | header checksum       u64   of bytes 0 to 4087            |
//     4096  +----------------------------------------------------------+
//           | block 0, zeros up to a multiple of 4096                   |
//           | block 1, zeros up to a multiple of 4096                   |
//           | ...                                                       |
//           +----------------------------------------------------------+
//           | table: 56 bytes a block                                   |
//           |   name      32 bytes, zero-padded                         |
//           |   offset    u64                                           |
//           |   size      u64   without the zeros                       |
//           |   checksum  u64   of the block with its zeros             |
//           +----------------------------------------------------------+
#include "storage/segment_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"
#include "storage/checksum.h"
#include "storage/file_system.h"

namespace trivium::storage {
namespace {

constexpr std::string_view kMagic("TRVMSEG\0", 8);
constexpr std::uint32_t kFormatVersion = 1;
constexpr std::size_t kHeaderBytes = 4096;
constexpr std::size_t kHeaderSumOffset = kHeaderBytes - sizeof(std::uint64_t);
constexpr std::size_t kNameBytes = 32;
constexpr std::size_t kTableEntryBytes = kNameBytes + 3 * sizeof(std::uint64_t);
constexpr std::size_t kBufferBytes = std::size_t{1} << 18;

struct BlockEntry {
  std::string name;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t checksum = 0;
};

std::uint64_t PaddedSize(std::uint64_t size) {
  return (size + kBlockAlignmentBytes - 1) / kBlockAlignmentBytes * kBlockAlignmentBytes;
}

absl::Span<const std::byte> AsBytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

bool IsValidName(std::string_view name) {
  return !name.empty() && name.size() < kNameBytes &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~'; });
}

}  // namespace

struct SegmentFileWriter::Impl {
  std::string path;
  std::string temporary;
  FileDescriptor file;
  std::uint64_t offset = kHeaderBytes;  // where the next byte goes, buffered ones included
  std::vector<std::byte> buffer;
  std::vector<BlockEntry> blocks;
  ChecksumStream checksum;  // of the block that is open, the last of `blocks`
  absl::Status failure;     // the first one; every later call repeats it
  bool committed = false;

  absl::Status Flush() {
    TRIVIUM_RETURN_IF_ERROR(WriteAllAt(file, offset - buffer.size(), buffer, temporary));
    buffer.clear();
    return absl::OkStatus();
  }

  absl::Status Write(absl::Span<const std::byte> bytes) {
    if (buffer.size() + bytes.size() > kBufferBytes) TRIVIUM_RETURN_IF_ERROR(Flush());
    if (bytes.size() > kBufferBytes) {
      TRIVIUM_RETURN_IF_ERROR(WriteAllAt(file, offset, bytes, temporary));
    } else {
      buffer.insert(buffer.end(), bytes.begin(), bytes.end());
    }
    offset += bytes.size();
    return absl::OkStatus();
  }

  absl::Status EndBlock() {
    if (blocks.empty()) return absl::OkStatus();
    BlockEntry& block = blocks.back();
    block.size = offset - block.offset;
    const std::vector<std::byte> zeros(PaddedSize(block.size) - block.size);
    checksum.Update(zeros);
    block.checksum = checksum.Digest();
    return Write(zeros);
  }

  absl::Status Begin(std::string_view name) {
    if (!IsValidName(name)) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "block name: '%s', expected 1 to %d printable ASCII bytes (%s)", name, kNameBytes - 1, path));
    }
    for (const BlockEntry& block : blocks) {
      if (block.name == name) {
        return absl::InvalidArgumentError(
            absl::StrFormat("block name: '%s' twice, expected distinct names (%s)", name, path));
      }
    }
    TRIVIUM_RETURN_IF_ERROR(EndBlock());
    blocks.push_back({.name = std::string(name), .offset = offset});
    checksum.Reset();
    return absl::OkStatus();
  }

  absl::Status Finish() {
    TRIVIUM_RETURN_IF_ERROR(EndBlock());
    ByteWriter table;
    for (const BlockEntry& block : blocks) {
      table.PutBytes(block.name);
      table.PutBytes(std::string(kNameBytes - block.name.size(), '\0'));
      table.Put(block.offset);
      table.Put(block.size);
      table.Put(block.checksum);
    }
    const std::uint64_t table_offset = offset;
    TRIVIUM_RETURN_IF_ERROR(Write(AsBytes(table.bytes())));
    TRIVIUM_RETURN_IF_ERROR(Flush());
    ByteWriter header;
    header.PutBytes(kMagic);
    header.Put(kFormatVersion);
    header.Put(static_cast<std::uint32_t>(blocks.size()));
    header.Put(offset);
    header.Put(table_offset);
    header.Put(Checksum(table.bytes()));
    header.PutBytes(std::string(kHeaderSumOffset - header.bytes().size(), '\0'));
    header.Put(Checksum(header.bytes()));
    TRIVIUM_RETURN_IF_ERROR(WriteAllAt(file, 0, AsBytes(header.bytes()), temporary));
    TRIVIUM_RETURN_IF_ERROR(SyncFile(file, temporary));
    return RenameToFreeName(temporary, path);
  }

  absl::Status Remember(absl::Status status) {
    if (failure.ok()) failure = status;
    return failure;
  }
};

SegmentFileWriter::SegmentFileWriter() : impl_(std::make_unique<Impl>()) {}

SegmentFileWriter::~SegmentFileWriter() {
  if (!impl_->committed) ::unlink(impl_->temporary.c_str());
}

absl::StatusOr<std::unique_ptr<SegmentFileWriter>> SegmentFileWriter::Create(const std::string& path) {
  std::unique_ptr<SegmentFileWriter> writer(new SegmentFileWriter);
  Impl& impl = *writer->impl_;
  impl.path = path;
  impl.temporary = TemporaryName(path);
  TRIVIUM_ASSIGN_OR_RETURN(impl.file, OpenFile(impl.temporary, O_WRONLY | O_CREAT | O_TRUNC));
  impl.buffer.reserve(kBufferBytes);
  return writer;
}

absl::Status SegmentFileWriter::AddBlock(std::string_view name, absl::Span<const std::byte> bytes) {
  TRIVIUM_RETURN_IF_ERROR(BeginBlock(name));
  return Append(bytes);
}

absl::Status SegmentFileWriter::BeginBlock(std::string_view name) {
  TRIVIUM_RETURN_IF_ERROR(impl_->failure);
  return impl_->Remember(impl_->Begin(name));
}

absl::Status SegmentFileWriter::Append(absl::Span<const std::byte> bytes) {
  TRIVIUM_RETURN_IF_ERROR(impl_->failure);
  if (impl_->blocks.empty()) {
    return absl::FailedPreconditionError(
        absl::StrFormat("append: no block is open, expected BeginBlock first (%s)", impl_->path));
  }
  impl_->checksum.Update(bytes);
  return impl_->Remember(impl_->Write(bytes));
}

absl::Status SegmentFileWriter::Commit() {
  TRIVIUM_RETURN_IF_ERROR(impl_->failure);
  TRIVIUM_RETURN_IF_ERROR(impl_->Remember(impl_->Finish()));
  impl_->committed = true;
  impl_->failure = absl::FailedPreconditionError(
      absl::StrFormat("segment file: already committed, expected no further call (%s)", impl_->path));
  return absl::OkStatus();
}

struct SegmentFile::Impl {
  std::string path;
  const std::byte* data = nullptr;
  std::uint64_t size = 0;
  std::vector<BlockEntry> blocks;

  ~Impl() {
    if (data != nullptr) ::munmap(const_cast<std::byte*>(data), size);
  }

  absl::Status Damaged(std::string_view what) const {
    return absl::DataLossError(absl::StrFormat("segment file: %s (%s)", what, path));
  }

  absl::Status Map() {
    TRIVIUM_ASSIGN_OR_RETURN(const FileDescriptor file, OpenFile(path, O_RDONLY));
    TRIVIUM_ASSIGN_OR_RETURN(size, FileSize(file, path));
    if (size < kHeaderBytes) {
      return Damaged(absl::StrFormat("%d bytes, expected at least %d", size, kHeaderBytes));
    }
    void* address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
    if (address == MAP_FAILED) return ErrnoStatus(errno, "mmap", path);
    data = static_cast<const std::byte*>(address);
    return absl::OkStatus();
  }

  absl::Status ReadHeaderAndTable() {
    ByteReader header({data, kHeaderBytes});
    if (header.ReadBytes(kMagic.size()) != kMagic)
      return Damaged("unknown first bytes, expected \"TRVMSEG\"");
    ByteReader header_sum({data + kHeaderSumOffset, sizeof(std::uint64_t)});
    if (header_sum.Read<std::uint64_t>() != Checksum(absl::MakeSpan(data, kHeaderSumOffset))) {
      return Damaged("header checksum differs, expected an undamaged header");
    }
    const auto version = header.Read<std::uint32_t>();
    if (version != kFormatVersion) {
      return absl::FailedPreconditionError(
          absl::StrFormat("format version: %d, expected at most %d (%s)", version, kFormatVersion, path));
    }
    const auto count = header.Read<std::uint32_t>();
    const auto length = header.Read<std::uint64_t>();
    const auto table_offset = header.Read<std::uint64_t>();
    const auto table_checksum = header.Read<std::uint64_t>();
    if (length != size) return Damaged(absl::StrFormat("%d bytes, expected %d", size, length));
    if (table_offset < kHeaderBytes || table_offset > size ||
        size - table_offset != std::uint64_t{count} * kTableEntryBytes) {
      return Damaged("block table does not fit, expected it to end the file");
    }
    const absl::Span<const std::byte> table_bytes(data + table_offset, size - table_offset);
    if (Checksum(table_bytes) != table_checksum) {
      return Damaged("block table checksum differs, expected an undamaged table");
    }
    ByteReader table(table_bytes);
    std::uint64_t expected_offset = kHeaderBytes;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::string_view padded_name = table.ReadBytes(kNameBytes);
      BlockEntry block{.name = std::string(padded_name.substr(0, padded_name.find('\0')))};
      block.offset = table.Read<std::uint64_t>();
      block.size = table.Read<std::uint64_t>();
      block.checksum = table.Read<std::uint64_t>();
      const std::uint64_t room = table_offset - expected_offset;
      if (!IsValidName(block.name) || block.offset != expected_offset || block.size > room ||
          PaddedSize(block.size) > room) {
        return Damaged(absl::StrFormat("block %d does not fit, expected it at %d", i, expected_offset));
      }
      expected_offset += PaddedSize(block.size);
      blocks.push_back(std::move(block));
    }
    if (expected_offset != table_offset) return Damaged("bytes of no block, expected none");
    return absl::OkStatus();
  }

  const BlockEntry* Find(std::string_view name) const {
    for (const BlockEntry& block : blocks) {
      if (block.name == name) return &block;
    }
    return nullptr;
  }
};

SegmentFile::SegmentFile() : impl_(std::make_unique<Impl>()) {}
SegmentFile::~SegmentFile() = default;

absl::StatusOr<std::shared_ptr<const SegmentFile>> SegmentFile::Open(const std::string& path,
                                                                     bool verify_blocks) {
  std::shared_ptr<SegmentFile> file(new SegmentFile);
  file->impl_->path = path;
  TRIVIUM_RETURN_IF_ERROR(file->impl_->Map());
  TRIVIUM_RETURN_IF_ERROR(file->impl_->ReadHeaderAndTable());
  if (verify_blocks) TRIVIUM_RETURN_IF_ERROR(file->VerifyBlocks());
  return std::shared_ptr<const SegmentFile>(std::move(file));
}

absl::StatusOr<absl::Span<const std::byte>> SegmentFile::Block(std::string_view name) const {
  const BlockEntry* block = impl_->Find(name);
  if (block == nullptr) return impl_->Damaged(absl::StrFormat("no block '%s', expected one", name));
  return absl::Span<const std::byte>(impl_->data + block->offset, block->size);
}

bool SegmentFile::HasBlock(std::string_view name) const { return impl_->Find(name) != nullptr; }

absl::Status SegmentFile::VerifyBlocks() const {
  for (const BlockEntry& block : impl_->blocks) {
    if (Checksum(absl::MakeSpan(impl_->data + block.offset, PaddedSize(block.size))) != block.checksum) {
      return impl_->Damaged(
          absl::StrFormat("checksum of block '%s' differs, expected an undamaged block", block.name));
    }
  }
  return absl::OkStatus();
}

const std::string& SegmentFile::path() const { return impl_->path; }
std::uint64_t SegmentFile::size_bytes() const { return impl_->size; }

}  // namespace trivium::storage
