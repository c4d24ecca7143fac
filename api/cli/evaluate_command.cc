// SPDX-License-Identifier: Apache-2.0
#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"
#include "api/cli/command.h"
#include "api/cli/evaluation_export.h"
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
  SearchArguments search;
  std::vector<std::string> drop_self;
  std::string run_file, per_query_file;
  bool compare = false;
};

Json ToJson(const SetMetrics& metrics, bool compare) {
  Json json = {
      {"name", metrics.name},
      {"queries", metrics.queries},
      {"skipped_queries", metrics.skipped_queries},
      {"unknown_judgements", metrics.unknown_judgements},
      {"ndcg@10", metrics.ndcg_at_10},
      {"recall@10", metrics.recall_at_10},
      {"recall@100", metrics.recall_at_100},
      {"mrr@10", metrics.mrr_at_10},
      {"experts_per_query", metrics.experts_per_query},
      {"distance_computations_per_query", metrics.distance_computations_per_query},
      {"distances", metrics.distances},
      {"bytes_read_per_query", metrics.bytes_read_per_query},
      {"searches_per_query", metrics.searches_per_query},
      {"encoder_calls_per_query", metrics.encoder_calls_per_query},
      {"latency_us",
       {{"p50", metrics.latency_p50_us}, {"p95", metrics.latency_p95_us}, {"p99", metrics.latency_p99_us}}}};
  if (!compare) return json;
  json["compare"] = Json::array();
  for (const ComparisonRow& row : metrics.compare) {
    json["compare"].push_back({{"name", row.name},
                               {"ndcg@10", row.ndcg_at_10},
                               {"experts_per_query", row.experts_per_query},
                               {"distance_computations_per_query", row.distance_computations_per_query}});
  }
  return json;
}

void AddRow(const SetMetrics& metrics, const std::string& name, Table* table) {
  table->Add({name, Grouped(metrics.queries), Fixed(metrics.ndcg_at_10, 4), Fixed(metrics.recall_at_10, 4),
              Fixed(metrics.recall_at_100, 4), Fixed(metrics.mrr_at_10, 4),
              Fixed(metrics.experts_per_query, 2), Fixed(metrics.distance_computations_per_query, 0),
              Fixed(metrics.latency_p50_us, 0), Fixed(metrics.latency_p95_us, 0),
              Fixed(metrics.latency_p99_us, 0)});
}

std::string ToText(const EvaluationReport& report) {
  Table table({"set", ">queries", ">ndcg@10", ">recall@10", ">recall@100", ">mrr@10", ">experts/query",
               ">distances/query", ">p50 us", ">p95 us", ">p99 us"});
  for (const SetMetrics& set : report.sets) AddRow(set, set.name, &table);
  if (report.sets.size() > 1) AddRow(report.macro, "(macro average)", &table);
  std::string text = table.ToString();
  if (!report.macro.compare.empty()) {
    Table compare({"compared", ">ndcg@10", ">experts/query", ">distances/query"});
    for (const ComparisonRow& row : report.macro.compare) {
      compare.Add({row.name, Fixed(row.ndcg_at_10, 4), Fixed(row.experts_per_query, 2),
                   Fixed(row.distance_computations_per_query, 0)});
    }
    text += "\n" + compare.ToString();
  }
  if (report.macro.unknown_judgements > 0) {
    text += absl::StrFormat("\njudgements of documents that the store does not hold: %s\n",
                            Grouped(report.macro.unknown_judgements));
  }
  return text;
}

absl::StatusOr<std::optional<OutputFile>> CreateIfNamed(const std::string& path) {
  if (path.empty()) return std::optional<OutputFile>();
  TRIVIUM_CLI_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(path));
  return std::optional<OutputFile>(std::move(file));
}

absl::Status RunEvaluate(const EvaluateArguments& arguments) {
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const auto files, PairQueryFiles(arguments.queries));
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
  TRIVIUM_CLI_ASSIGN_OR_RETURN(LoadedQueries queries, LoadQueries(files, arguments.drop_self));

  ProgressBar bar;
  options.sets = std::move(queries.sets);
  options.compare = arguments.compare;
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
  if (!arguments.json) return Print(ToText(report));
  Json json = {{"sets", Json::array()}, {"macro", ToJson(report.macro, arguments.compare)}};
  for (const SetMetrics& set : report.sets) json["sets"].push_back(ToJson(set, arguments.compare));
  return PrintJson(json);
}

}  // namespace

void AddEvaluateCommand(CLI::App& app, Run* run) {
  CLI::App* command = app.add_subcommand("evaluate", "Measure answers against judgements");
  auto arguments = std::make_shared<EvaluateArguments>();
  AddStoreArgument(*command, arguments.get());
  AddQueryOptions(*command, &arguments->queries, /*required=*/true);
  AddSearchOptions(*command, &arguments->search);
  command->add_flag("--compare", arguments->compare, "Also a row per router, combination and oracle");
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
                   "Write metrics and hits of each query, JSON lines")
      ->type_name("FILE");
  AddEncoderCommandOption(*command, arguments.get());
  command->callback([=] { *run = [=] { return RunEvaluate(*arguments); }; });
}

}  // namespace trivium::cli
