// SPDX-License-Identifier: Apache-2.0
// Layout (little-endian); later versions keep the frame, so that an older program can name them:
//
//    0  +------------------------------------+
//       | "TRIVIUM\0"                        |
//    8  | format version        u32          |
//   12  | content size          u32          |
//   16  | content: finished u8, uuid 16 bytes|
//   ..  | checksum              u64          |  of all before
//       +------------------------------------+
#include "storage/store_identity.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"
#include "storage/checksum.h"
#include "storage/file_system.h"
#include "storage/utf8.h"
#include "storage/watermark.h"

namespace trivium::storage {
namespace {

constexpr std::string_view kMagic("TRIVIUM\0", 8);
constexpr std::size_t kUuidBytes = 16;
constexpr std::uint64_t kMaxFileBytes = 1 << 16;

struct IdentityFile {
  StoreIdentity identity;
  bool finished = false;
};

absl::Status Damaged(std::string_view what, const std::string& path) {
  return absl::DataLossError(absl::StrFormat("store: %s (%s)", what, path));
}

std::string FormatUuid(std::string_view bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += absl::StrFormat("%02x", static_cast<unsigned char>(bytes[i]));
  }
  return text;
}

// The 16 bytes of a text made by FormatUuid().
std::string ParseUuid(std::string_view text) {
  std::string bytes;
  int high = -1;
  for (char c : text) {
    if (c == '-') continue;
    const int digit = c <= '9' ? c - '0' : c - 'a' + 10;
    if (high >= 0) bytes += static_cast<char>(high * 16 + digit);
    high = high >= 0 ? -1 : digit;
  }
  bytes.resize(kUuidBytes, '\0');
  return bytes;
}

absl::StatusOr<std::string> NewUuid() {
  std::array<char, kUuidBytes> bytes;
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return ErrnoStatus(errno, "getrandom", "uuid");
  }
  bytes[6] = static_cast<char>((bytes[6] & 0x0F) | 0x40);  // version 4
  bytes[8] = static_cast<char>((bytes[8] & 0x3F) | 0x80);  // variant 1
  return FormatUuid({bytes.data(), bytes.size()});
}

absl::Status WriteIdentity(const std::string& store_directory, const IdentityFile& file) {
  ByteWriter writer;
  writer.PutBytes(kMagic);
  writer.Put(file.identity.format_version);
  writer.Put(static_cast<std::uint32_t>(1 + kUuidBytes));
  writer.Put(static_cast<std::uint8_t>(file.finished));
  writer.PutBytes(ParseUuid(file.identity.uuid));
  writer.Put(Checksum(writer.bytes()));
  return ReplaceFile(store_directory + "/" + kIdentityName, writer.bytes());
}

absl::StatusOr<IdentityFile> ParseIdentity(std::string_view bytes, const std::string& path) {
  if (bytes.empty()) return Damaged("identity file is empty, expected a whole one", path);
  constexpr std::size_t kSumBytes = sizeof(std::uint64_t);
  const std::string_view body = bytes.substr(0, bytes.size() - std::min(bytes.size(), kSumBytes));
  ByteReader sum(bytes.substr(body.size()));
  ByteReader reader(body);
  if (sum.Read<std::uint64_t>() != Checksum(body) || !sum.ok() || reader.ReadBytes(kMagic.size()) != kMagic) {
    return Damaged("identity file is damaged, expected a whole one", path);
  }
  IdentityFile file;
  file.identity.format_version = reader.Read<std::uint32_t>();
  if (file.identity.format_version > kStoreFormatVersion) {
    return absl::FailedPreconditionError(absl::StrFormat("format version: %d, expected at most %d (%s)",
                                                         file.identity.format_version, kStoreFormatVersion,
                                                         path));
  }
  const auto content_bytes = reader.Read<std::uint32_t>();
  file.finished = reader.Read<std::uint8_t>() != 0;
  file.identity.uuid = FormatUuid(reader.ReadBytes(kUuidBytes));
  if (!reader.AtEnd() || content_bytes != 1 + kUuidBytes) {
    return Damaged("identity file makes no sense, expected a uuid", path);
  }
  return file;
}

absl::Status Absent(const std::string& store_directory) {
  return absl::NotFoundError(absl::StrFormat("store: none, expected one (%s)", store_directory));
}

absl::Status RemoveFolder(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return ErrnoStatus(error.value(), "remove", path);
  return absl::OkStatus();
}

// Whether TRIVIUM is there, or, where it is not, whether that is an error.
absl::StatusOr<bool> HasIdentityFile(const std::string& store_directory) {
  if (!PathExists(store_directory)) return false;
  TRIVIUM_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(store_directory));
  const auto has = [&](const char* name) { return std::binary_search(names.begin(), names.end(), name); };
  if (has(kIdentityName)) return true;
  for (const char* name : {kDatabaseFolder, kSegmentsFolder}) {
    if (has(name)) {
      return Damaged(absl::StrFormat("identity file is missing, expected because '%s' is there", name),
                     store_directory + "/" + kIdentityName);
    }
  }
  return false;
}

}  // namespace

absl::StatusOr<StoreIdentity> ReadStoreIdentity(const std::string& store_directory) {
  TRIVIUM_ASSIGN_OR_RETURN(const bool found, HasIdentityFile(store_directory));
  if (!found) return Absent(store_directory);
  const std::string path = store_directory + "/" + kIdentityName;
  absl::StatusOr<std::string> bytes = ReadFile(path, kMaxFileBytes);
  if (absl::IsResourceExhausted(bytes.status())) {
    return Damaged("identity file is too long, expected a whole one", path);
  }
  if (!bytes.ok()) return bytes.status();
  TRIVIUM_ASSIGN_OR_RETURN(const IdentityFile file, ParseIdentity(*bytes, path));
  if (!file.finished) return Absent(store_directory);
  const std::string database = store_directory + "/" + kDatabaseFolder;
  for (const std::string& needed : {database, database + "/" + kWatermarkName}) {
    if (!PathExists(needed)) return Damaged("part of it is missing, expected the whole", needed);
  }
  return file.identity;
}

absl::StatusOr<StoreIdentity> BeginStore(const std::string& store_directory) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(store_directory));
  for (const std::string& name : names) {
    if (name == "LOCK" || name == kIdentityName || name == kDatabaseFolder || name == kSegmentsFolder ||
        IsTemporaryName(name)) {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrFormat("store: directory holds %s, expected an empty one (%s)",
                                                      Quoted(name), store_directory));
  }
  if (const absl::Status status = ReadStoreIdentity(store_directory).status(); !absl::IsNotFound(status)) {
    if (!status.ok()) return status;
    return absl::AlreadyExistsError(absl::StrFormat("store: exists, expected none (%s)", store_directory));
  }
  IdentityFile file;
  TRIVIUM_ASSIGN_OR_RETURN(file.identity.uuid, NewUuid());
  TRIVIUM_RETURN_IF_ERROR(WriteIdentity(store_directory, file));
  for (const std::string& name : names) {
    if (name == kDatabaseFolder || name == kSegmentsFolder || IsTemporaryName(name)) {
      TRIVIUM_RETURN_IF_ERROR(RemoveFolder(store_directory + "/" + name));
    }
  }
  return file.identity;
}

absl::Status FinishStore(const std::string& store_directory, const StoreIdentity& identity) {
  return WriteIdentity(store_directory, {.identity = identity, .finished = true});
}

}  // namespace trivium::storage
