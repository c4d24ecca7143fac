// SPDX-License-Identifier: Apache-2.0
// The command-line tool. Reads the arguments, runs one command, and says what went wrong in one line.
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "api/cli/command.h"
#include "api/cli/exit_code.h"
#include "api/cli/output.h"
#include "trivium/types.h"

namespace trivium::cli {
namespace {

constexpr std::size_t kMessageColumns = 600;

int Fail(int exit_code, std::string_view message) {
  absl::FPrintF(stderr, "trivium: %s\n", OneLine(message, kMessageColumns));
  return exit_code;
}

// "trivium", or "trivium build" where that command's arguments are wrong.
std::string CommandPath(const CLI::App& app) {
  std::string path = "trivium";
  for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
    at = at->get_subcommands().front();
    path += " " + at->get_name();
  }
  return path;
}

int FailUsage(const CLI::App& app, const CLI::ParseError& error) {
  Fail(kExitBadInput, error.what());
  absl::FPrintF(stderr, "See '%s --help'.\n", CommandPath(app));
  return kExitBadInput;
}

int RunCommand(const Run& run) {
  try {
    const absl::Status status = run();
    return status.ok() ? kExitDone : Fail(ExitCode(status), std::string(status.message()));
  } catch (const std::bad_alloc&) {
    return Fail(kExitExhausted, "memory: none left, expected more");
  } catch (const std::exception& error) {
    return Fail(kExitFailed, error.what());
  }
}

int Main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);  // an encoder or reader that goes away is an error to report, not the end
  CLI::App app("Retrieval that learns where to look: which expert, which branch, which neighbour.",
               "trivium");
  app.set_version_flag("--version", "trivium " + std::string(Version()), "Print the version and exit");
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  Run run;
  AddBuildCommand(app, &run);
  AddTrainCommand(app, &run);
  AddSearchCommand(app, &run);
  AddEvaluateCommand(app, &run);
  AddFeedbackCommand(app, &run);
  AddQuarantineCommand(app, &run);
  AddDeleteCommand(app, &run);
  AddInspectCommand(app, &run);
  AddVerifyCommand(app, &run);
  AddCompactCommand(app, &run);
  AddSnapshotCommands(app, &run);
  app.footer(
      "Exit codes: 0 done, 1 failed, 2 bad arguments or input, 3 not found, 4 corrupt data,\n"
      "5 out of space or memory, 6 store locked, 130 interrupted.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& wanted) {  // --help or --version: prints it
    return app.exit(wanted);
  } catch (const CLI::ParseError& error) {
    return FailUsage(app, error);
  }
  return RunCommand(run);
}

}  // namespace
}  // namespace trivium::cli

int main(int argc, char** argv) { return trivium::cli::Main(argc, argv); }
