// SPDX-License-Identifier: Apache-2.0
// One writer a store: an advisory lock on STORE/LOCK, gone with the process however it ends.
#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "storage/file_system.h"

namespace trivium::storage {

class StoreLock {
 public:
  // `store_directory` exists. kUnavailable where somebody, here or in another process, holds the lock;
  // kPermissionDenied where LOCK cannot be written.
  static absl::StatusOr<StoreLock> Acquire(const std::string& store_directory);

  StoreLock(StoreLock&&) noexcept = default;
  StoreLock& operator=(StoreLock&&) noexcept = default;
  ~StoreLock();

 private:
  explicit StoreLock(FileDescriptor file);
  FileDescriptor file_;
  pid_t owner_ = 0;  // a fork shares the lock but must not release it
};

}  // namespace trivium::storage
