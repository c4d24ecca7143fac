// SPDX-License-Identifier: Apache-2.0
#include "storage/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace trivium::storage {
namespace {

constexpr std::string_view kTemporaryMark = ".tmp-";

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case ENOENT:
      return absl::StatusCode::kNotFound;
    case EEXIST:
      return absl::StatusCode::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
      return absl::StatusCode::kResourceExhausted;
    case ENOTDIR:
    case EISDIR:
    case ENAMETOOLONG:
      return absl::StatusCode::kInvalidArgument;
    default:
      return absl::StatusCode::kInternal;
  }
}

// Calls `write_some(bytes)` until all are written; it returns as write(2) does.
template <class WriteSome>
absl::Status WriteLoop(absl::Span<const std::byte> bytes, const std::string& path, WriteSome write_some) {
  while (!bytes.empty()) {
    const ssize_t written = write_some(bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoStatus(errno, "write", path);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return absl::OkStatus();
}

std::string ParentDirectory(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

}  // namespace

absl::Status ErrnoStatus(int error, std::string_view call, std::string_view path) {
  return absl::Status(CodeOf(error),
                      absl::StrFormat("%s: %s (%s)", call, std::generic_category().message(error), path));
}

FileDescriptor::~FileDescriptor() {
  if (is_open()) ::close(fd_);
}

absl::StatusOr<FileDescriptor> OpenFile(const std::string& path, int flags, mode_t mode) {
  int fd;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return ErrnoStatus(errno, "open", path);
  return FileDescriptor(fd);
}

absl::Status WriteAll(const FileDescriptor& file, absl::Span<const std::byte> bytes,
                      const std::string& path) {
  return WriteLoop(bytes, path, [&](absl::Span<const std::byte> rest) {
    return ::write(file.get(), rest.data(), rest.size());
  });
}

absl::Status WriteAllAt(const FileDescriptor& file, std::uint64_t offset, absl::Span<const std::byte> bytes,
                        const std::string& path) {
  return WriteLoop(bytes, path, [&](absl::Span<const std::byte> rest) {
    const std::uint64_t done = bytes.size() - rest.size();
    return ::pwrite(file.get(), rest.data(), rest.size(), static_cast<off_t>(offset + done));
  });
}

absl::Status ReadExactAt(const FileDescriptor& file, std::uint64_t offset, absl::Span<std::byte> out,
                         const std::string& path) {
  while (!out.empty()) {
    const ssize_t size = ::pread(file.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return ErrnoStatus(errno, "read", path);
    if (size == 0) {
      return absl::DataLossError(
          absl::StrFormat("file length: ends at %d, expected %d bytes more (%s)", offset, out.size(), path));
    }
    out.remove_prefix(static_cast<std::size_t>(size));
    offset += static_cast<std::uint64_t>(size);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::uint64_t> FileSize(const FileDescriptor& file, const std::string& path) {
  struct stat info;
  if (::fstat(file.get(), &info) != 0) return ErrnoStatus(errno, "stat", path);
  if (S_ISDIR(info.st_mode)) return ErrnoStatus(EISDIR, "open", path);
  return static_cast<std::uint64_t>(info.st_size);
}

absl::StatusOr<std::uint64_t> FileSize(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, "stat", path);
  if (S_ISDIR(info.st_mode)) return ErrnoStatus(EISDIR, "open", path);
  return static_cast<std::uint64_t>(info.st_size);
}

absl::Status SyncFile(const FileDescriptor& file, const std::string& path) {
  if (::fsync(file.get()) != 0) return ErrnoStatus(errno, "fsync", path);
  return absl::OkStatus();
}

absl::Status SyncFileData(const FileDescriptor& file, const std::string& path) {
  if (::fdatasync(file.get()) != 0) return ErrnoStatus(errno, "fdatasync", path);
  return absl::OkStatus();
}

absl::Status SyncDirectory(const std::string& directory) {
  TRIVIUM_ASSIGN_OR_RETURN(const FileDescriptor file, OpenFile(directory, O_RDONLY | O_DIRECTORY));
  return SyncFile(file, directory);
}

bool PathExists(const std::string& path) {
  struct stat info;
  return ::lstat(path.c_str(), &info) == 0;
}

absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& directory) {
  std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(directory.c_str()), ::closedir);
  if (listing == nullptr) return ErrnoStatus(errno, "open directory", directory);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(listing.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  if (errno != 0) return ErrnoStatus(errno, "read directory", directory);
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status CreateDirectory(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0755) != 0) return ErrnoStatus(errno, "create directory", directory);
  return SyncDirectory(ParentDirectory(directory));
}

absl::Status RemoveFile(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, "remove", path);
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadFile(const std::string& path, std::uint64_t limit_bytes) {
  TRIVIUM_ASSIGN_OR_RETURN(const FileDescriptor file, OpenFile(path, O_RDONLY));
  TRIVIUM_ASSIGN_OR_RETURN(const std::uint64_t size, FileSize(file, path));
  if (size > limit_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("file length: %d bytes, expected at most %d (%s)", size, limit_bytes, path));
  }
  std::string contents(size, '\0');
  TRIVIUM_RETURN_IF_ERROR(
      ReadExactAt(file, 0, {reinterpret_cast<std::byte*>(contents.data()), contents.size()}, path));
  return contents;
}

std::string TemporaryName(const std::string& path) {
  static std::atomic<std::uint64_t> counter{0};
  return absl::StrFormat("%s%s%d-%d", path, kTemporaryMark, ::getpid(), counter.fetch_add(1));
}

bool IsTemporaryName(std::string_view name) { return name.find(kTemporaryMark) != std::string_view::npos; }

absl::Status RenameToFreeName(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) != 0) {
    if (errno != EINVAL && errno != ENOSYS) return ErrnoStatus(errno, "rename", to);
    // File systems without RENAME_NOREPLACE: link(2) does not replace either.
    if (::link(from.c_str(), to.c_str()) != 0) return ErrnoStatus(errno, "link", to);
    TRIVIUM_RETURN_IF_ERROR(RemoveFile(from));
  }
  return SyncDirectory(ParentDirectory(to));
}

absl::Status ReplaceFile(const std::string& path, std::string_view contents) {
  const std::string temporary = TemporaryName(path);
  const auto write = [&]() -> absl::Status {
    TRIVIUM_ASSIGN_OR_RETURN(const FileDescriptor file, OpenFile(temporary, O_WRONLY | O_CREAT | O_TRUNC));
    TRIVIUM_RETURN_IF_ERROR(
        WriteAll(file, {reinterpret_cast<const std::byte*>(contents.data()), contents.size()}, temporary));
    TRIVIUM_RETURN_IF_ERROR(SyncFile(file, temporary));
    if (::rename(temporary.c_str(), path.c_str()) != 0) return ErrnoStatus(errno, "rename", path);
    return absl::OkStatus();
  };
  if (absl::Status status = write(); !status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  return SyncDirectory(ParentDirectory(path));
}

absl::Status CopyFile(const std::string& from, const std::string& to) {
  TRIVIUM_ASSIGN_OR_RETURN(const FileDescriptor in, OpenFile(from, O_RDONLY | O_NOFOLLOW));
  TRIVIUM_ASSIGN_OR_RETURN(const FileDescriptor out, OpenFile(to, O_WRONLY | O_CREAT | O_EXCL));
  std::vector<std::byte> buffer(std::size_t{1} << 20);
  for (;;) {
    const ssize_t size = ::read(in.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return ErrnoStatus(errno, "read", from);
    if (size == 0) break;
    TRIVIUM_RETURN_IF_ERROR(WriteAll(out, {buffer.data(), static_cast<std::size_t>(size)}, to));
  }
  return SyncFile(out, to);
}

absl::Status CopyTree(const std::string& from, const std::string& to) {
  TRIVIUM_RETURN_IF_ERROR(CreateDirectory(to));
  TRIVIUM_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(from));
  for (const std::string& name : names) {
    if (IsTemporaryName(name)) continue;
    const std::string source = from + "/" + name;
    const std::string target = to + "/" + name;
    struct stat info;
    if (::lstat(source.c_str(), &info) != 0) return ErrnoStatus(errno, "stat", source);
    if (S_ISDIR(info.st_mode)) {
      TRIVIUM_RETURN_IF_ERROR(CopyTree(source, target));
    } else if (S_ISREG(info.st_mode)) {
      TRIVIUM_RETURN_IF_ERROR(CopyFile(source, target));
    } else {
      return absl::InvalidArgumentError(
          absl::StrFormat("copy: neither file nor directory, expected one of them (%s)", source));
    }
  }
  return SyncDirectory(to);
}

}  // namespace trivium::storage
