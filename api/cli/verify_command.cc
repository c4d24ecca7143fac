// SPDX-License-Identifier: Apache-2.0
#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"
#include "api/cli/command.h"
#include "api/cli/output.h"
#include "api/cli/status_macros.h"

namespace trivium::cli {
namespace {

absl::Status RunVerify(const CommonArguments& arguments) {
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenReader(arguments.store));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const VerifyReport report, store->Verify());
  if (arguments.json) {
    return PrintJson({{"ok", true},
                      {"files", report.files},
                      {"bytes", report.bytes},
                      {"documents", report.documents},
                      {"vectors", report.vectors}});
  }
  return Print(absl::StrFormat("whole: %s files (%s), %s documents, %s vectors\n", Grouped(report.files),
                               Bytes(report.bytes), Grouped(report.documents), Grouped(report.vectors)));
}

}  // namespace

void AddVerifyCommand(CLI::App& app, Run* run) {
  CLI::App* command = app.add_subcommand("verify", "Check every checksum and invariant of a store");
  auto arguments = std::make_shared<CommonArguments>();
  AddStoreArgument(*command, arguments.get());
  command->callback([=] { *run = [=] { return RunVerify(*arguments); }; });
}

}  // namespace trivium::cli
