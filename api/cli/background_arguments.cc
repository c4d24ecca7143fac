// SPDX-License-Identifier: Apache-2.0
#include "api/cli/background_arguments.h"

#include "CLI/CLI.hpp"
#include "api/cli/query_files.h"
#include "api/cli/status_macros.h"

namespace trivium::cli {

void AddBackgroundOptions(CLI::App& command, BackgroundArguments* arguments) {
  command
      .add_option("--background", arguments->queries,
                  "Queries that no expert serves, JSON lines {\"_id\",\"text\"}: a guard learns to tell them "
                  "from the others (repeatable)")
      ->type_name("[NAME=]FILE");
  command
      .add_option("--background-vectors", arguments->vectors,
                  "Their vectors in the order of their file; for one of several spaces SPACE:NAME=FILE")
      ->type_name("[NAME=]FILE");
  command
      .add_option("--guard-acceptance", arguments->acceptance,
                  "Share of the queries served that the guard must accept; 0: what balances acceptance and "
                  "rejection best")
      ->type_name("SHARE")
      ->capture_default_str();
}

absl::StatusOr<PlainQueries> ReadBackground(const BackgroundArguments& arguments, const StoreInfo& info) {
  QueryArguments files{.judged = false};
  files.queries_flag = "--background";
  files.vectors_flag = "--background-vectors";
  files.queries = arguments.queries;
  files.vectors = arguments.vectors;
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const auto sets, PairQueryFiles(files));
  return ReadPlainQueries(sets, info);
}

}  // namespace trivium::cli
