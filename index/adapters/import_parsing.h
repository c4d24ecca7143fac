// SPDX-License-Identifier: Apache-2.0
// What the parsers of foreign index files share.
#pragma once

#include <cstdint>
#include <limits>
#include <new>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "index/adapters/import_index_file.h"
#include "storage/file_system.h"

namespace trivium::index {

// kDataLoss: `<what>: <seen>, expected <expected>`.
absl::Status Damaged(const char* what, std::uint64_t seen, const std::string& expected);

// kDataLoss: the file ends inside `what`.
absl::Status Truncated(const char* what);

// `floats` holds the bytes of one row, at any alignment. kInvalidArgument where one is not finite.
absl::Status AppendRow(std::string_view floats, std::uint64_t label, ImportedVectors* vectors);

// Reads the file, parses it, names it in errors.
template <class Parse>
absl::StatusOr<ImportedVectors> ReadIndexFile(const std::string& path, Parse parse) {
  try {
    TRIVIUM_ASSIGN_OR_RETURN(const std::string bytes,
                             storage::ReadFile(path, std::numeric_limits<std::uint64_t>::max()));
    absl::StatusOr<ImportedVectors> vectors = parse(bytes);
    if (vectors.ok()) return vectors;
    return absl::Status(vectors.status().code(), absl::StrCat(vectors.status().message(), " (", path, ")"));
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        absl::StrCat("index file: larger than memory, expected it to fit (", path, ")"));
  }
}

}  // namespace trivium::index
