// SPDX-License-Identifier: Apache-2.0
#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"
#include "api/cli/command.h"
#include "api/cli/interrupt.h"
#include "api/cli/output.h"
#include "api/cli/progress_bar.h"
#include "api/cli/status_macros.h"

namespace trivium::cli {
namespace {

struct CompactArguments : CommonArguments {
  int threads = 0;
  std::string profile;
};

absl::Status RunCompact(const CompactArguments& arguments) {
  ProgressBar bar;
  BuildOptions options;
  options.threads = arguments.threads;
  options.progress = bar.Callback();
  options.cancelled = &Interrupted();
  TRIVIUM_CLI_RETURN_IF_ERROR(options.Validate());
  if (!arguments.profile.empty()) {
    TRIVIUM_CLI_ASSIGN_OR_RETURN(options.profile, ParseProfile(arguments.profile));
  }
  CatchInterrupts();
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenWriter(arguments.store));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const CompactReport report, store->Compact(options));
  TRIVIUM_CLI_RETURN_IF_ERROR(store->Close());
  bar.Clear();
  nlohmann::json cells = nlohmann::json::array();
  std::string about_cells;
  for (const CellDriftReport& space : report.cells) {
    cells.push_back({{"space", space.space}, {"overfull", space.overfull}, {"rebuilt", space.rebuilt}});
    absl::StrAppendFormat(&about_cells,
                          "cells of %s: %.1f %% of the documents in overfull ones, %s rebuilt\n", space.space,
                          100 * space.overfull, Grouped(space.rebuilt));
  }
  if (arguments.json) {
    return PrintJson({{"segments_before", report.segments_before},
                      {"segments_after", report.segments_after},
                      {"rows_dropped", report.rows_dropped},
                      {"graphs_taught", report.graphs.taught},
                      {"graphs_left_untaught", report.graphs.left_untaught},
                      {"cells", cells},
                      {"seconds", report.seconds}});
  }
  return Print(absl::StrFormat("segments: %s -> %s; %s deleted rows dropped (%.1f s)\n",
                               Grouped(report.segments_before), Grouped(report.segments_after),
                               Grouped(report.rows_dropped), report.seconds) +
               TaughtText(report.graphs) + about_cells);
}

}  // namespace

void AddCompactCommand(CLI::App& app, Run* run) {
  CLI::App* command = app.add_subcommand("compact", "Merge segments and drop what was deleted");
  auto arguments = std::make_shared<CompactArguments>();
  AddStoreArgument(*command, arguments.get());
  command
      ->add_option("--profile", arguments->profile,
                   "How vectors are stored: speed, balanced or small (default: as before, first speed)")
      ->type_name("NAME");
  command->add_option("--threads", arguments->threads, "Threads to use (default: all)")->type_name("N");
  command->callback([=] { *run = [=] { return RunCompact(*arguments); }; });
}

}  // namespace trivium::cli
