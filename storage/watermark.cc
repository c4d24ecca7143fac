// SPDX-License-Identifier: Apache-2.0
// Layout (little-endian). Two slots take turns, so that a torn write of one leaves the other; the list after
// them changes only when the file is replaced:
//
//      0  +-----------------------------------------------+
//         | slot 0   generation u64  step u64             |
//         |          sequence u64                         |
//         |          log count u32, then per log          |
//         |            number u64  bytes u64  checksum u64|
//         |          zeros                                |
//   4088  |          checksum u64 of bytes 0 to 4087      |
//   4096  +-----------------------------------------------+
//         | slot 1   the same                             |
//   8192  +-----------------------------------------------+
//         | "TRVMWMK\0"  version u32  state u8            |
//         | generation u64                                |
//         | manifest: name (u32 length), bytes, checksum  |
//         | table count u32, per table name and bytes     |
//         | checksum u64 of the list so far               |
//         +-----------------------------------------------+
//
// A slot counts only if its generation is the list's; the valid slot with the larger step is in force.
#include "storage/watermark.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"
#include "storage/checksum.h"
#include "storage/utf8.h"

namespace trivium::storage {
namespace {

constexpr std::string_view kMagic("TRVMWMK\0", 8);
constexpr std::uint32_t kFormatVersion = 1;
constexpr std::size_t kSlotBytes = 4096;
constexpr std::size_t kSlotSumOffset = kSlotBytes - sizeof(std::uint64_t);
constexpr std::size_t kMaxLogs = 160;
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{64} << 20;
constexpr std::string_view kManifestPrefix = "MANIFEST-";

struct Slot {
  std::uint64_t generation = 0;
  std::uint64_t step = 0;
  std::uint64_t sequence = 0;
  std::vector<LogClaim> logs = {};
};

absl::Span<const std::byte> AsBytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

absl::Status Damaged(std::string_view what, const std::string& path) {
  return absl::DataLossError(absl::StrFormat("database file: %s (%s)", what, path));
}

std::string EncodeSlot(const Slot& slot) {
  ByteWriter writer;
  writer.Put(slot.generation);
  writer.Put(slot.step);
  writer.Put(slot.sequence);
  writer.Put(static_cast<std::uint32_t>(slot.logs.size()));
  for (const LogClaim& log : slot.logs) {
    writer.Put(log.number);
    writer.Put(log.bytes);
    writer.Put(log.checksum);
  }
  writer.PutBytes(std::string(kSlotSumOffset - writer.bytes().size(), '\0'));
  writer.Put(Checksum(writer.bytes()));
  return writer.Take();
}

std::optional<Slot> DecodeSlot(std::string_view bytes) {
  ByteReader sum(bytes.substr(kSlotSumOffset));
  if (sum.Read<std::uint64_t>() != Checksum(bytes.substr(0, kSlotSumOffset))) return std::nullopt;
  ByteReader reader(bytes.substr(0, kSlotSumOffset));
  Slot slot;
  slot.generation = reader.Read<std::uint64_t>();
  slot.step = reader.Read<std::uint64_t>();
  slot.sequence = reader.Read<std::uint64_t>();
  const auto count = reader.Read<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    LogClaim log;
    log.number = reader.Read<std::uint64_t>();
    log.bytes = reader.Read<std::uint64_t>();
    log.checksum = reader.Read<std::uint64_t>();
    slot.logs.push_back(log);
  }
  if (!reader.ok()) return std::nullopt;
  return slot;
}

std::string EncodeList(const Watermark& watermark, std::uint64_t generation) {
  ByteWriter writer;
  writer.PutBytes(kMagic);
  writer.Put(kFormatVersion);
  writer.Put(watermark.state);
  writer.Put(generation);
  writer.PutString(watermark.manifest.name);
  writer.Put(watermark.manifest.bytes);
  writer.Put(watermark.manifest.checksum);
  writer.Put(static_cast<std::uint32_t>(watermark.tables.size()));
  for (const TableClaim& table : watermark.tables) {
    writer.PutString(table.name);
    writer.Put(table.bytes);
  }
  writer.Put(Checksum(writer.bytes()));
  return writer.Take();
}

absl::Status DecodeList(std::string_view bytes, const std::string& path, Watermark* watermark) {
  if (bytes.size() < sizeof(std::uint64_t))
    return Damaged("watermark is cut short, expected a whole one", path);
  const std::string_view body = bytes.substr(0, bytes.size() - sizeof(std::uint64_t));
  ByteReader sum(bytes.substr(body.size()));
  ByteReader reader(body);
  if (sum.Read<std::uint64_t>() != Checksum(body) || reader.ReadBytes(kMagic.size()) != kMagic) {
    return Damaged("checksum of the watermark differs, expected an undamaged one", path);
  }
  const auto version = reader.Read<std::uint32_t>();
  if (version != kFormatVersion) {
    return absl::FailedPreconditionError(
        absl::StrFormat("format version: %d, expected at most %d (%s)", version, kFormatVersion, path));
  }
  watermark->state = reader.Read<WatermarkState>();
  watermark->generation = reader.Read<std::uint64_t>();
  watermark->manifest.name = std::string(reader.ReadString());
  watermark->manifest.bytes = reader.Read<std::uint64_t>();
  watermark->manifest.checksum = reader.Read<std::uint64_t>();
  const auto count = reader.Read<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    TableClaim table;
    table.name = std::string(reader.ReadString());
    table.bytes = reader.Read<std::uint64_t>();
    watermark->tables.push_back(std::move(table));
  }
  const bool names_are_plain =
      watermark->manifest.name.find('/') == std::string::npos &&
      std::all_of(watermark->tables.begin(), watermark->tables.end(),
                  [](const TableClaim& table) { return table.name.find('/') == std::string::npos; });
  if (!reader.AtEnd() || watermark->state > WatermarkState::kClosed || !names_are_plain) {
    return Damaged("watermark makes no sense, expected claims about files", path);
  }
  return absl::OkStatus();
}

// Checksum of the first `bytes` of a file that must exist and be that long.
absl::StatusOr<std::uint64_t> PrefixChecksum(const std::string& path, std::uint64_t bytes) {
  absl::StatusOr<FileDescriptor> file = OpenFile(path, O_RDONLY);
  if (absl::IsNotFound(file.status())) {
    return Damaged(absl::StrFormat("missing, expected at least %d bytes", bytes), path);
  }
  if (!file.ok()) return file.status();
  TRIVIUM_ASSIGN_OR_RETURN(const std::uint64_t size, FileSize(*file, path));
  if (size < bytes) return Damaged(absl::StrFormat("%d bytes, expected at least %d", size, bytes), path);
  ChecksumStream checksum;
  std::vector<std::byte> buffer(std::min<std::uint64_t>(bytes, std::uint64_t{1} << 20));
  for (std::uint64_t offset = 0; offset < bytes;) {
    const absl::Span<std::byte> piece(buffer.data(), std::min<std::uint64_t>(buffer.size(), bytes - offset));
    TRIVIUM_RETURN_IF_ERROR(ReadExactAt(*file, offset, piece, path));
    checksum.Update(piece);
    offset += piece.size();
  }
  return checksum.Digest();
}

absl::Status CheckPrefix(const std::string& path, std::uint64_t bytes, std::uint64_t checksum) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::uint64_t found, PrefixChecksum(path, bytes));
  if (found == checksum) return absl::OkStatus();
  return Damaged(absl::StrFormat("checksum of the first %d bytes differs, expected them undamaged", bytes),
                 path);
}

absl::Status CheckTable(const std::string& path, std::uint64_t bytes) {
  const absl::StatusOr<std::uint64_t> size = FileSize(path);
  if (absl::IsNotFound(size.status())) {
    return Damaged(absl::StrFormat("missing, expected %d bytes", bytes), path);
  }
  if (!size.ok()) return size.status();
  if (*size != bytes) return Damaged(absl::StrFormat("%d bytes, expected %d", *size, bytes), path);
  return absl::OkStatus();
}

// Of "MANIFEST-000007": 7.
std::optional<std::uint64_t> ManifestNumber(std::string_view name) {
  if (name.substr(0, kManifestPrefix.size()) != kManifestPrefix) return std::nullopt;
  name.remove_prefix(kManifestPrefix.size());
  std::uint64_t number = 0;
  if (name.find_first_not_of("0123456789") != std::string_view::npos ||
      !absl::SimpleAtoi(absl::string_view(name.data(), name.size()), &number)) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

std::string LogFileName(std::uint64_t number) { return absl::StrFormat("%06d.log", number); }

absl::StatusOr<Watermark> ReadWatermark(const std::string& directory) {
  const std::string path = directory + "/" + kWatermarkName;
  TRIVIUM_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMaxFileBytes));
  if (bytes.size() < 2 * kSlotBytes) return Damaged("watermark is cut short, expected a whole one", path);
  Watermark watermark;
  TRIVIUM_RETURN_IF_ERROR(DecodeList(std::string_view(bytes).substr(2 * kSlotBytes), path, &watermark));
  std::optional<Slot> in_force;
  for (std::size_t offset : {std::size_t{0}, kSlotBytes}) {
    std::optional<Slot> slot = DecodeSlot(std::string_view(bytes).substr(offset, kSlotBytes));
    if (!slot || slot->generation != watermark.generation) continue;
    if (!in_force || slot->step > in_force->step) in_force = std::move(slot);
  }
  if (!in_force) return Damaged("both slots of the watermark are damaged, expected one whole", path);
  watermark.sequence = in_force->sequence;
  watermark.logs = std::move(in_force->logs);
  return watermark;
}

absl::StatusOr<std::string> ReadCurrent(const std::string& directory) {
  const std::string path = directory + "/CURRENT";
  absl::StatusOr<std::string> text = ReadFile(path, 4096);
  if (absl::IsNotFound(text.status())) return Damaged("missing, expected the name of a manifest", path);
  if (!text.ok() && !absl::IsResourceExhausted(text.status())) return text.status();
  if (text.ok() && !text->empty() && text->back() == '\n') {
    text->pop_back();
    if (ManifestNumber(*text)) return text;
  }
  return Damaged(
      absl::StrFormat("%s, expected the name of a manifest", text.ok() ? Quoted(*text) : "too long"), path);
}

absl::StatusOr<ManifestClaim> ClaimManifest(const std::string& directory, const std::string& name,
                                            std::uint64_t bytes) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::uint64_t checksum, PrefixChecksum(directory + "/" + name, bytes));
  return ManifestClaim{.name = name, .bytes = bytes, .checksum = checksum};
}

absl::Status CheckClaims(const std::string& directory, const Watermark& watermark) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::string manifest, ReadCurrent(directory));
  if (!PathExists(directory + "/" + manifest)) {
    return Damaged(absl::StrFormat("missing, expected because CURRENT names it"), directory + "/" + manifest);
  }
  if (manifest == watermark.manifest.name) {
    TRIVIUM_RETURN_IF_ERROR(
        CheckPrefix(directory + "/" + manifest, watermark.manifest.bytes, watermark.manifest.checksum));
  } else {
    // A running database may begin a new manifest; going back to an older one would undo what it did.
    if (watermark.state == WatermarkState::kClosed ||
        ManifestNumber(manifest) < ManifestNumber(watermark.manifest.name)) {
      return Damaged(absl::StrFormat("'%s', expected '%s'", manifest, watermark.manifest.name),
                     directory + "/CURRENT");
    }
    if (watermark.state == WatermarkState::kOpening) return absl::OkStatus();
  }
  for (const TableClaim& table : watermark.tables) {
    TRIVIUM_RETURN_IF_ERROR(CheckTable(directory + "/" + table.name, table.bytes));
  }
  for (const LogClaim& log : watermark.logs) {
    TRIVIUM_RETURN_IF_ERROR(CheckPrefix(directory + "/" + LogFileName(log.number), log.bytes, log.checksum));
  }
  return absl::OkStatus();
}

void WatermarkFile::Reset(const std::string& directory, std::uint64_t generation) {
  directory_ = directory;
  generation_ = generation;
  file_ = FileDescriptor();
}

absl::Status WatermarkFile::Replace(const Watermark& watermark) {
  if (watermark.logs.size() > kMaxLogs) {
    return absl::ResourceExhaustedError(absl::StrFormat("live logs: %d, expected at most %d (%s)",
                                                        watermark.logs.size(), kMaxLogs, directory_));
  }
  const std::string path = directory_ + "/" + kWatermarkName;
  const std::string temporary = TemporaryName(path);
  const std::uint64_t generation = generation_ + 1;
  const std::string slot =
      EncodeSlot({.generation = generation, .sequence = watermark.sequence, .logs = watermark.logs});
  const auto write = [&]() -> absl::StatusOr<FileDescriptor> {
    TRIVIUM_ASSIGN_OR_RETURN(FileDescriptor file, OpenFile(temporary, O_RDWR | O_CREAT | O_TRUNC));
    TRIVIUM_RETURN_IF_ERROR(
        WriteAll(file, AsBytes(slot + slot + EncodeList(watermark, generation)), temporary));
    TRIVIUM_RETURN_IF_ERROR(SyncFile(file, temporary));
    if (::rename(temporary.c_str(), path.c_str()) != 0) return ErrnoStatus(errno, "rename", path);
    return file;
  };
  absl::StatusOr<FileDescriptor> file = write();
  if (!file.ok()) {
    ::unlink(temporary.c_str());
    return file.status();
  }
  file_ = *std::move(file);
  generation_ = generation;
  step_ = 0;
  return SyncDirectory(directory_);
}

absl::Status WatermarkFile::Advance(std::uint64_t sequence, const std::vector<LogClaim>& logs) {
  const std::string path = directory_ + "/" + kWatermarkName;
  if (!file_.is_open()) {
    return absl::FailedPreconditionError(
        absl::StrFormat("watermark: not open, expected Replace first (%s)", path));
  }
  if (logs.size() > kMaxLogs) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("live logs: %d, expected at most %d (%s)", logs.size(), kMaxLogs, directory_));
  }
  ++step_;
  const std::string slot =
      EncodeSlot({.generation = generation_, .step = step_, .sequence = sequence, .logs = logs});
  TRIVIUM_RETURN_IF_ERROR(WriteAllAt(file_, step_ % 2 * kSlotBytes, AsBytes(slot), path));
  return SyncFileData(file_, path);
}

}  // namespace trivium::storage
