// SPDX-License-Identifier: Apache-2.0
// The file STORE/TRIVIUM: that a directory is a store, of which format version, and which store it is.
//
// A store is made in steps, under its lock: BeginStore(), the database and the folders, FinishStore(). Where
// a crash comes between, the directory counts as empty and BeginStore() clears it.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace trivium::storage {

inline constexpr std::uint32_t kStoreFormatVersion = 1;
inline constexpr char kIdentityName[] = "TRIVIUM";
inline constexpr char kDatabaseFolder[] = "db";
inline constexpr char kSegmentsFolder[] = "segments";

struct StoreIdentity {
  std::uint32_t format_version = kStoreFormatVersion;
  std::string uuid;  // 36 characters, RFC 4122 version 4
};

// kNotFound: no store there (directory absent, empty, without any file of a store, or never finished).
// kDataLoss: a store of which TRIVIUM or the database is missing, empty or damaged; names the file.
// kFailedPrecondition: a newer format version.
absl::StatusOr<StoreIdentity> ReadStoreIdentity(const std::string& store_directory);

// The caller found no store there, created the directory where it was absent, and holds its lock.
// kInvalidArgument: the directory holds something that is not ours.
absl::StatusOr<StoreIdentity> BeginStore(const std::string& store_directory);
absl::Status FinishStore(const std::string& store_directory, const StoreIdentity& identity);

}  // namespace trivium::storage
