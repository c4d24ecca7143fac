// SPDX-License-Identifier: Apache-2.0
// Queries without judgements, from the files that --queries and --query-vectors name.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/cli/query_files.h"
#include "trivium/options.h"
#include "trivium/report.h"

namespace trivium::cli {

// All queries of all files, one after the other; vectors by space.
struct PlainQueries {
  std::vector<std::string> texts;
  struct Rows {
    std::string space;
    std::size_t count = 0, columns = 0;
    std::vector<float> values;
  };
  std::vector<Rows> vectors;

  std::vector<SpaceVectors> Views() const;
};

absl::StatusOr<PlainQueries> ReadPlainQueries(const std::vector<QuerySetFiles>& files, const StoreInfo& info);

}  // namespace trivium::cli
