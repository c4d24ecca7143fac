// SPDX-License-Identifier: Apache-2.0
#include "storage/store_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace trivium::storage {

StoreLock::StoreLock(FileDescriptor file) : file_(std::move(file)), owner_(::getpid()) {}

StoreLock::~StoreLock() {
  if (file_.is_open() && owner_ == ::getpid()) ::flock(file_.get(), LOCK_UN);
}

absl::StatusOr<StoreLock> StoreLock::Acquire(const std::string& store_directory) {
  const std::string path = store_directory + "/LOCK";
  TRIVIUM_ASSIGN_OR_RETURN(FileDescriptor file, OpenFile(path, O_RDWR | O_CREAT));
  int result;
  do {
    result = ::flock(file.get(), LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return StoreLock(std::move(file));
  if (errno != EWOULDBLOCK) return ErrnoStatus(errno, "lock", path);
  return absl::UnavailableError(
      absl::StrFormat("store: in use by another process, expected one writer (%s)", store_directory));
}

}  // namespace trivium::storage
