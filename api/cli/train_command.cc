// SPDX-License-Identifier: Apache-2.0
#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"
#include "api/cli/background_arguments.h"
#include "api/cli/command.h"
#include "api/cli/guard_output.h"
#include "api/cli/interrupt.h"
#include "api/cli/output.h"
#include "api/cli/progress_bar.h"
#include "api/cli/query_files.h"
#include "api/cli/status_macros.h"

namespace trivium::cli {
namespace {

struct TrainArguments : CommonArguments {
  QueryArguments train;
  QueryArguments validation{.prefix = "validation-"};
  BackgroundArguments background;
  std::vector<std::string> drop_self;
  std::vector<std::string> routers;
  bool label_free = false;
  std::uint64_t seed = 0;
  int threads = 0;
};

Json ToJson(const DispatchReport& report) {
  Json json = {{"queries", report.queries},
               {"validation_queries", report.validation_queries},
               {"unknown_judgements", report.unknown_judgements},
               {"router", report.router},
               {"enabled", report.enabled},
               {"reason", report.reason},
               {"top_p", report.top_p},
               {"max_experts", report.max_experts},
               {"prior_weight", report.prior_weight},
               {"lexical_weight", report.lexical_weight ? Json(*report.lexical_weight) : Json(nullptr)},
               {"mixture", MixtureJson(report.mixture)},
               {"second_look", SecondLookJson(report.second_look)},
               {"memory", MemoryJson(report.memory)},
               {"gain", report.gain},
               {"gain_interval", {report.gain_low, report.gain_high}},
               {"guard", GuardToJson(report.guard)},
               {"first_expert_changed",
                report.first_expert_changed ? Json(*report.first_expert_changed) : Json(nullptr)},
               {"compare", Json::array()},
               {"seconds", report.seconds}};
  for (const ComparisonRow& row : report.rows) {
    json["compare"].push_back({{"name", row.name},
                               {"ndcg@10", row.ndcg_at_10},
                               {"experts_per_query", row.experts_per_query},
                               {"distance_computations_per_query", row.distance_computations_per_query}});
  }
  return json;
}

std::string ToText(const DispatchReport& report) {
  Table table({"on validation", ">ndcg@10", ">experts/query", ">distances/query"});
  for (const ComparisonRow& row : report.rows) {
    table.Add({row.name, Fixed(row.ndcg_at_10, 4), Fixed(row.experts_per_query, 2),
               Fixed(row.distance_computations_per_query, 0)});
  }
  std::string text = report.rows.empty() ? "" : table.ToString() + "\n";
  text += absl::StrFormat("dispatch: %s, %s by default: %s\n", report.router, report.enabled ? "on" : "off",
                          report.reason);
  if (report.rows.empty()) return text;  // label-free: nothing was judged
  text += absl::StrFormat("gain over all experts: %+.4f, 95 %% interval %+.4f to %+.4f\n", report.gain,
                          report.gain_low, report.gain_high);
  if (report.lexical_weight) {
    text += absl::StrFormat("lexical experts: %.2f of the answer in the mean, as was best\n",
                            *report.lexical_weight);
  }
  if (const auto& look = report.second_look) {
    text += "first results revise the route";
    text += look->widen_below > 0
                ? absl::StrFormat("; more experts are asked where that is less than %.2f sure\n",
                                  look->widen_below)
                : "\n";
  }
  if (const auto& memory = report.memory) {
    text +=
        absl::StrFormat("what was judged relevant is remembered for queries like it, by %s of the experts\n",
                        Grouped(memory->experts));
  }
  text += absl::StrFormat("%s judged queries, %s of them validation (%.1f s)\n", Grouped(report.queries),
                          Grouped(report.validation_queries), report.seconds);
  if (report.first_expert_changed) {
    text += absl::StrFormat("first expert of %.1f %% of the queries is another than before this training\n",
                            100 * *report.first_expert_changed);
  }
  text += GuardText(report.guard);
  if (report.unknown_judgements > 0) {
    text += absl::StrFormat("judgements of documents that the store does not hold: %s\n",
                            Grouped(report.unknown_judgements));
  }
  return text;
}

// Judged queries, or --label-free, whose queries are not judged.
absl::Status CheckJudgements(const TrainArguments& arguments) {
  if (!arguments.label_free) {
    return !arguments.train.queries.empty()
               ? absl::OkStatus()
               : absl::InvalidArgumentError("--queries: 0 files, expected one or more, or --label-free");
  }
  for (const auto& [flag, files] : {std::pair("--qrels", &arguments.train.qrels),
                                    std::pair("--validation-queries", &arguments.validation.queries)}) {
    if (files->empty()) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: %d files, expected none beside --label-free", flag, files->size()));
  }
  return absl::OkStatus();
}

absl::Status RunTrainDispatch(const TrainArguments& arguments) {
  TRIVIUM_CLI_RETURN_IF_ERROR(CheckJudgements(arguments));
  QueryArguments asked = arguments.train;
  asked.judged = !arguments.label_free;
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const auto train_files, PairQueryFiles(asked));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const auto validation_files, PairQueryFiles(arguments.validation));
  TRIVIUM_CLI_RETURN_IF_ERROR(CheckDropSelf(arguments.drop_self, train_files));
  if (arguments.threads < 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("--threads: %d, expected 0 (all) or more", arguments.threads));
  }
  TRIVIUM_CLI_ASSIGN_OR_RETURN(EncoderRegistry encoders, EncoderRegistry::Load(arguments.encoder_commands));
  CatchInterrupts();
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenWriter(arguments.store, &encoders));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const StoreInfo info, store->Inspect());
  TRIVIUM_CLI_RETURN_IF_ERROR(CheckPartitions(train_files, info));
  TRIVIUM_CLI_RETURN_IF_ERROR(CheckPartitions(validation_files, info));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(LoadedQueries train,
                               LoadQueries(train_files, arguments.drop_self, arguments.label_free));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(LoadedQueries validation, LoadQueries(validation_files, arguments.drop_self));

  TRIVIUM_CLI_ASSIGN_OR_RETURN(PlainQueries background, ReadBackground(arguments.background, info));

  ProgressBar bar;
  TrainDispatchOptions options;
  options.background.vectors = background.Views();
  options.background.texts = std::move(background.texts);
  options.guard_acceptance = arguments.background.acceptance;
  options.train = std::move(train.sets);
  options.validation = std::move(validation.sets);
  options.routers = arguments.routers;
  options.label_free = arguments.label_free;
  options.seed = arguments.seed;
  options.threads = arguments.threads;
  options.progress = bar.Callback();
  options.cancelled = &Interrupted();
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const DispatchReport report, store->TrainDispatch(options));
  TRIVIUM_CLI_RETURN_IF_ERROR(store->Close());
  bar.Clear();
  return arguments.json ? PrintJson(ToJson(report)) : Print(ToText(report));
}

}  // namespace

void AddTrainCommand(CLI::App& app, Run* run) {
  CLI::App* train = app.add_subcommand("train", "Learn from queries");
  train->require_subcommand(1);
  AddTrainAdapterCommand(*train, run);
  AddTrainGraphCommand(*train, run);
  AddTrainTreeCommand(*train, run);
  CLI::App* command = train->add_subcommand(
      "dispatch", "Learn which experts answer what; on by default only where it gains on held-out queries");
  auto arguments = std::make_shared<TrainArguments>();
  AddStoreArgument(*command, arguments.get());
  AddQueryOptions(*command, &arguments->train, /*required=*/false);
  AddQueryOptions(*command, &arguments->validation, /*required=*/false);
  AddBackgroundOptions(*command, &arguments->background);
  command
      ->add_option("--drop-self", arguments->drop_self,
                   "Sets whose queries ignore the hit that has the query's own id (repeatable)")
      ->type_name("NAME");
  command->add_option("--routers", arguments->routers, "Routers to try (default: all)")
      ->type_name("A,B")
      ->delimiter(',');
  command->add_flag(
      "--label-free", arguments->label_free,
      "Without judgements: routers learn from what experts hold, how they are described and, with "
      "--queries, how much their answers agree; they answer only where --router names one");
  command->add_option("--seed", arguments->seed, "Seed of everything random")->capture_default_str();
  command->add_option("--threads", arguments->threads, "Threads to use (default: all)")->type_name("N");
  AddEncoderCommandOption(*command, arguments.get());
  command->callback([=] { *run = [=] { return RunTrainDispatch(*arguments); }; });
}

}  // namespace trivium::cli
