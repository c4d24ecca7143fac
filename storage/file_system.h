// SPDX-License-Identifier: Apache-2.0
// The few POSIX calls the store needs, with errors as statuses that name the call and the path:
//   ENOENT -> kNotFound, EEXIST -> kAlreadyExists, EACCES / EPERM / EROFS -> kPermissionDenied,
//   ENOSPC / EDQUOT / EFBIG / ENOMEM / EMFILE / ENFILE -> kResourceExhausted, ENOTDIR / EISDIR / ENAMETOOLONG
//   -> kInvalidArgument, everything else -> kInternal.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace trivium::storage {

// `<call>: <text of the error> (<path>)`.
absl::Status ErrnoStatus(int error, std::string_view call, std::string_view path);

// Owns an open file.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor();

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// open(2) with O_CLOEXEC added.
absl::StatusOr<FileDescriptor> OpenFile(const std::string& path, int flags, mode_t mode = 0644);

// Whole or an error; `path` is for messages.
absl::Status WriteAll(const FileDescriptor& file, absl::Span<const std::byte> bytes, const std::string& path);
absl::Status WriteAllAt(const FileDescriptor& file, std::uint64_t offset, absl::Span<const std::byte> bytes,
                        const std::string& path);
// kDataLoss where the file ends before `out` is full.
absl::Status ReadExactAt(const FileDescriptor& file, std::uint64_t offset, absl::Span<std::byte> out,
                         const std::string& path);
absl::StatusOr<std::uint64_t> FileSize(const FileDescriptor& file, const std::string& path);
absl::StatusOr<std::uint64_t> FileSize(const std::string& path);

// Durable once OK. After an error nothing may be assumed about the file's contents.
absl::Status SyncFile(const FileDescriptor& file, const std::string& path);
absl::Status SyncFileData(const FileDescriptor& file, const std::string& path);  // fdatasync
absl::Status SyncDirectory(const std::string& directory);

bool PathExists(const std::string& path);
// Names without "." and "..", sorted.
absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& directory);
absl::Status CreateDirectory(const std::string& directory);  // kAlreadyExists where the name is taken
absl::Status RemoveFile(const std::string& path);            // OK where there is none

// kResourceExhausted where the file is larger than `limit_bytes`.
absl::StatusOr<std::string> ReadFile(const std::string& path, std::uint64_t limit_bytes);

// A name beside `path` that nobody else uses; what bears such a name was left by a crash and may be removed.
std::string TemporaryName(const std::string& path);
bool IsTemporaryName(std::string_view name);

// Renames durably (fsyncs the directory). kAlreadyExists where `to` is taken.
absl::Status RenameToFreeName(const std::string& from, const std::string& to);

// The file has either its old contents or, durably once OK, the new ones.
absl::Status ReplaceFile(const std::string& path, std::string_view contents);

// Copies a regular file to a free name and makes its contents durable (not its name). kAlreadyExists.
absl::Status CopyFile(const std::string& from, const std::string& to);

// Copies the regular files and directories under `from` into the new directory `to`, each made durable.
// Temporary names are left out. kInvalidArgument at a symbolic link or device: a store has none.
absl::Status CopyTree(const std::string& from, const std::string& to);

}  // namespace trivium::storage
