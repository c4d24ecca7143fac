// SPDX-License-Identifier: Apache-2.0
#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"
#include "api/cli/command.h"
#include "api/cli/output.h"
#include "api/cli/status_macros.h"

namespace trivium::cli {
namespace {

struct CopyArguments {
  std::string source, destination;
  bool json = false;
};

absl::Status Report(const CopyArguments& arguments) {
  if (arguments.json) {
    return PrintJson({{"source", arguments.source}, {"destination", arguments.destination}});
  }
  return Print(absl::StrFormat("%s -> %s\n", arguments.source, arguments.destination));
}

absl::Status RunSnapshot(const CopyArguments& arguments) {
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenReader(arguments.source));
  TRIVIUM_CLI_RETURN_IF_ERROR(store->Snapshot(arguments.destination));
  return Report(arguments);
}

absl::Status RunRestore(const CopyArguments& arguments) {
  TRIVIUM_CLI_RETURN_IF_ERROR(Store::Restore(arguments.source, arguments.destination));
  return Report(arguments);
}

void AddCopyCommand(CLI::App& app, Run* run, const char* name, const char* description, const char* source,
                    const char* destination, absl::Status (*copy)(const CopyArguments&)) {
  CLI::App* command = app.add_subcommand(name, description);
  auto arguments = std::make_shared<CopyArguments>();
  command->add_option(source, arguments->source, "Directory to copy")->required()->type_name("");
  command->add_option(destination, arguments->destination, "New directory")->required()->type_name("");
  command->add_flag("--json", arguments->json, "Print one JSON document");
  command->callback([=] { *run = [=] { return copy(*arguments); }; });
}

}  // namespace

void AddSnapshotCommands(CLI::App& app, Run* run) {
  AddCopyCommand(app, run, "snapshot", "Copy a store that no other process writes", "STORE", "DEST",
                 RunSnapshot);
  AddCopyCommand(app, run, "restore", "Make a store from a snapshot, verified first", "SRC", "STORE",
                 RunRestore);
}

}  // namespace trivium::cli
