// SPDX-License-Identifier: Apache-2.0
// What the benches of cells share: how they read rows, and how they give up.
#pragma once

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/aligned_matrix.h"

namespace trivium::routing {

[[noreturn]] inline void Fail(const std::string& what) {
  std::cerr << program_invocation_short_name << ": " << what << "\n";
  std::exit(1);
}

template <class T>
T OrFail(absl::StatusOr<T> value) {
  if (!value.ok()) Fail(std::string(value.status().message()));
  return *std::move(value);
}

inline void OrFail(const absl::Status& status) {
  if (!status.ok()) Fail(std::string(status.message()));
}

// Of a file of raw float32.
inline base::AlignedMatrix ReadRows(const std::string& path, std::size_t dimension) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) Fail(path + ": cannot be read");
  base::AlignedMatrix rows(dimension);
  rows.Resize(static_cast<std::size_t>(file.tellg()) / (dimension * sizeof(float)));
  file.seekg(0);
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    file.read(reinterpret_cast<char*>(rows.row(i)), static_cast<std::streamsize>(dimension * sizeof(float)));
  }
  return rows;
}

}  // namespace trivium::routing
