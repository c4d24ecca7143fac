// SPDX-License-Identifier: Apache-2.0
#include "index/adapters/import_parsing.h"

#include <cmath>
#include <cstring>

namespace trivium::index {

absl::Status Damaged(const char* what, std::uint64_t seen, const std::string& expected) {
  return absl::DataLossError(absl::StrCat(what, ": ", seen, ", expected ", expected));
}

absl::Status Truncated(const char* what) {
  return absl::DataLossError(absl::StrCat(what, ": end of file, expected more bytes"));
}

// `floats` holds the bytes of one row.
absl::Status AppendRow(std::string_view floats, std::uint64_t label, ImportedVectors* vectors) {
  vectors->rows.Resize(vectors->rows.rows() + 1);
  float* row = vectors->rows.row(vectors->rows.rows() - 1);
  std::memcpy(row, floats.data(), floats.size());
  for (std::size_t i = 0; i < vectors->rows.columns(); ++i) {
    if (!std::isfinite(row[i])) {
      return absl::InvalidArgumentError(absl::StrCat(
          "vector component: ", row[i], ", expected a finite number (row ", vectors->labels.size(), ")"));
    }
  }
  vectors->labels.push_back(label);
  return absl::OkStatus();
}

}  // namespace trivium::index
