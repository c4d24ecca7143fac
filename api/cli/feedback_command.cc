// SPDX-License-Identifier: Apache-2.0
#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"
#include "api/cli/command.h"
#include "api/cli/feedback_file.h"
#include "api/cli/output.h"
#include "api/cli/status_macros.h"

namespace trivium::cli {
namespace {

struct FeedbackArguments : CommonArguments {
  std::string file;
};

absl::Status RunFeedback(const FeedbackArguments& arguments) {
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const FeedbackFile file, ReadFeedback(arguments.file));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(EncoderRegistry encoders, EncoderRegistry::Load(arguments.encoder_commands));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenWriter(arguments.store, &encoders));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const FeedbackReport report, store->Feedback(file.items));
  TRIVIUM_CLI_RETURN_IF_ERROR(store->Close());
  if (arguments.json) {
    return PrintJson({{"kept", report.kept},
                      {"ignored", report.ignored},
                      {"reduced", report.reduced},
                      {"in_use", report.in_use},
                      {"quarantined", report.quarantined}});
  }
  std::string text = absl::StrFormat("%s feedbacks kept, %s of them counting less; %s ignored; %s in use\n",
                                     Grouped(report.kept), Grouped(report.reduced), Grouped(report.ignored),
                                     Grouped(report.in_use));
  for (const std::string& expert : report.quarantined) text += "quarantined: " + expert + "\n";
  return Print(text);
}

struct QuarantineArguments : CommonArguments {
  std::string expert, reason;
  bool lift = false;
};

absl::Status RunQuarantine(const QuarantineArguments& arguments) {
  if (arguments.lift && !arguments.reason.empty()) {
    return absl::InvalidArgumentError("--reason: given with --lift, expected one of them");
  }
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenWriter(arguments.store));
  TRIVIUM_CLI_RETURN_IF_ERROR(arguments.lift ? store->LiftQuarantine(arguments.expert)
                                             : store->Quarantine(arguments.expert, arguments.reason));
  TRIVIUM_CLI_RETURN_IF_ERROR(store->Close());
  if (arguments.json) {
    return PrintJson({{"expert", arguments.expert}, {"quarantined", !arguments.lift}});
  }
  return Print(absl::StrFormat("%s: %s\n", arguments.expert,
                               arguments.lift ? "asked by auto again" : "no longer asked by auto"));
}

}  // namespace

void AddFeedbackCommand(CLI::App& app, Run* run) {
  CLI::App* command = app.add_subcommand("feedback", "Tell the store what users made of its answers");
  auto arguments = std::make_shared<FeedbackArguments>();
  AddStoreArgument(*command, arguments.get());
  command
      ->add_option(
          "--file", arguments->file,
          "JSON lines: what search --json printed, with \"query\" or \"vector\", and \"relevant\" or "
          "\"clicked\" ids")
      ->type_name("FILE")
      ->required();
  AddEncoderCommandOption(*command, arguments.get());
  command->callback([=] { *run = [=] { return RunFeedback(*arguments); }; });
}

void AddQuarantineCommand(CLI::App& app, Run* run) {
  CLI::App* command = app.add_subcommand("quarantine", "Stop \"auto\" from asking an expert, or end that");
  auto arguments = std::make_shared<QuarantineArguments>();
  AddStoreArgument(*command, arguments.get());
  command->add_option("EXPERT", arguments->expert, "The expert")->type_name("")->required();
  command->add_option("--reason", arguments->reason, "Why, shown by inspect and in routes")
      ->type_name("TEXT");
  command->add_flag("--lift", arguments->lift, "Ask it again; feedback so far is not held against it");
  command->callback([=] { *run = [=] { return RunQuarantine(*arguments); }; });
}

}  // namespace trivium::cli
