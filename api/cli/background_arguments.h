// SPDX-License-Identifier: Apache-2.0
// Background queries, which no expert serves, from the files that --background and --background-vectors name.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/cli/plain_queries.h"
#include "trivium/report.h"

namespace CLI {
class App;
}

namespace trivium::cli {

struct BackgroundArguments {
  std::vector<std::string> queries, vectors;  // as of QueryArguments
  double acceptance = 0.95;
};

void AddBackgroundOptions(CLI::App& command, BackgroundArguments* arguments);

// None where no file is named. kInvalidArgument names the flag, or the file.
absl::StatusOr<PlainQueries> ReadBackground(const BackgroundArguments& arguments, const StoreInfo& info);

}  // namespace trivium::cli
