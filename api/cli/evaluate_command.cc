// SPDX-License-Identifier: Apache-2.0
#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"
#include "api/cli/command.h"
#include "api/cli/evaluation_export.h"
#include "api/cli/evaluation_text.h"
#include "api/cli/interrupt.h"
#include "api/cli/output.h"
#include "api/cli/progress_bar.h"
#include "api/cli/query_files.h"
#include "api/cli/search_arguments.h"
#include "api/cli/status_macros.h"

namespace trivium::cli {
namespace {

struct EvaluateArguments : CommonArguments {
  QueryArguments queries;
  QueryArguments training{.prefix = "train-"};
  SearchArguments search;
  std::vector<std::string> drop_self;
  std::string run_file, per_query_file;
  bool compare = false;
  std::size_t typos = EvaluateOptions().typos;
};

absl::StatusOr<std::optional<OutputFile>> CreateIfNamed(const std::string& path) {
  if (path.empty()) return std::optional<OutputFile>();
  TRIVIUM_CLI_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(path));
  return std::optional<OutputFile>(std::move(file));
}

absl::Status RunEvaluate(const EvaluateArguments& arguments) {
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const auto files, PairQueryFiles(arguments.queries));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const auto training_files, PairQueryFiles(arguments.training));
  TRIVIUM_CLI_RETURN_IF_ERROR(CheckDropSelf(arguments.drop_self, files));
  EvaluateOptions options;
  TRIVIUM_CLI_ASSIGN_OR_RETURN(options.search, ToSearchOptions(arguments.search, options.depth));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(EncoderRegistry encoders, EncoderRegistry::Load(arguments.encoder_commands));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(std::optional<OutputFile> run, CreateIfNamed(arguments.run_file));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(std::optional<OutputFile> per_query, CreateIfNamed(arguments.per_query_file));
  CatchInterrupts();
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenReader(arguments.store, &encoders));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const StoreInfo info, store->Inspect());
  TRIVIUM_CLI_RETURN_IF_ERROR(CheckPartitions(files, info));
  TRIVIUM_CLI_RETURN_IF_ERROR(CheckPartitions(training_files, info));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(LoadedQueries queries, LoadQueries(files, arguments.drop_self));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(LoadedQueries training, LoadQueries(training_files, {}));

  ProgressBar bar;
  options.sets = std::move(queries.sets);
  options.training = std::move(training.sets);
  options.compare = arguments.compare;
  options.typos = arguments.typos;
  options.keep_runs = run || per_query;
  options.progress = bar.Callback();
  TRIVIUM_CLI_ASSIGN_OR_RETURN(EvaluationReport report, store->Evaluate(options));
  bar.Clear();
  for (std::size_t i = 0; i < report.sets.size(); ++i) {
    report.sets[i].skipped_queries += queries.unjudged[i];
    report.macro.skipped_queries += queries.unjudged[i];
  }
  if (run) {
    std::vector<std::optional<std::string>> partitions;
    for (const QuerySetFiles& file : files) partitions.push_back(file.partition);
    WriteRun(report, partitions, &*run);
    TRIVIUM_CLI_RETURN_IF_ERROR(run->Commit());
  }
  if (per_query) {
    WritePerQuery(report, &*per_query);
    TRIVIUM_CLI_RETURN_IF_ERROR(per_query->Commit());
  }
  if (!arguments.json) return Print(EvaluationText(report));
  return PrintJson(EvaluationJson(report, arguments.compare));
}

}  // namespace

void AddEvaluateCommand(CLI::App& app, Run* run) {
  CLI::App* command = app.add_subcommand("evaluate", "Measure answers against judgements");
  auto arguments = std::make_shared<EvaluateArguments>();
  AddStoreArgument(*command, arguments.get());
  AddQueryOptions(*command, &arguments->queries, /*required=*/true);
  AddSearchOptions(*command, &arguments->search);
  AddQueryOptions(*command, &arguments->training, /*required=*/false);
  command->get_option("--train-queries")
      ->description(
          "What the store learned from: also metrics without queries that are near one of these, "
          "or share a relevant document");
  command->add_flag("--compare", arguments->compare, "Also a row per router, combination and oracle");
  command
      ->add_option(
          "--typos", arguments->typos,
          "With --compare and encoded texts: typing errors a query, to see whose routes change; 0: none")
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("--drop-self", arguments->drop_self,
                   "Sets whose queries ignore the hit that has the query's own id (repeatable)")
      ->type_name("NAME");
  command
      ->add_option("--run", arguments->run_file,
                   "Write a TREC run. Hits outside the set's partition are PARTITION/ID; with several sets "
                   "queries are "
                   "SET/ID")
      ->type_name("FILE");
  command
      ->add_option("--per-query", arguments->per_query_file,
                   "Write metrics, experts and hits of each query, JSON lines")
      ->type_name("FILE");
  AddEncoderCommandOption(*command, arguments.get());
  command->callback([=] { *run = [=] { return RunEvaluate(*arguments); }; });
}

}  // namespace trivium::cli
