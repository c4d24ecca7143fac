// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"
#include "api/cli/command.h"
#include "api/cli/interrupt.h"
#include "api/cli/output.h"
#include "api/cli/plain_queries.h"
#include "api/cli/progress_bar.h"
#include "api/cli/query_files.h"
#include "api/cli/status_macros.h"

namespace trivium::cli {
namespace {

struct TrainGraphArguments : CommonArguments {
  QueryArguments queries{.judged = false};
  std::string expert;
  bool no_entries = false;
  bool no_edges = false;
  bool no_codes = false;
  bool fine_tune = false;
  bool ignore_gate = false;
  double recall = GraphTrainingOptions().recall;
  std::uint64_t seed = 0;
  int threads = 0;
  std::string checkpoint;
};

Json ToJson(const TrainGraphReport& report) {
  Json json = {{"graphs", Json::array()}, {"too_small", report.too_small}, {"seconds", report.seconds}};
  for (const TrainedSegment& graph : report.graphs) {
    const GraphTrainingReport& training = graph.training;
    json["graphs"].push_back({{"space", graph.space},
                              {"partition", graph.partition},
                              {"rows", graph.rows},
                              {"enabled", training.enabled},
                              {"reason", training.reason},
                              {"training_queries", training.training_queries},
                              {"generated", training.generated},
                              {"validation_queries", training.validation_queries},
                              {"entries", training.entries},
                              {"edges_added", training.edges_added},
                              {"edges_replaced", training.edges_replaced},
                              {"codes", training.codes},
                              {"hops_before", training.hops_before},
                              {"hops_after", training.hops_after},
                              {"hop_ratio", training.hop_ratio},
                              {"hop_ratio_interval", {training.hop_ratio_low, training.hop_ratio_high}},
                              {"row_hop_ratio", training.row_hop_ratio},
                              {"former_hop_ratio", training.former_hop_ratio},
                              {"round_hop_ratios", training.round_hop_ratios}});
  }
  return json;
}

std::string ToText(const TrainGraphReport& report) {
  Table table({"graph", "space", ">vectors", ">hops before", ">after", ">ratio", ">on vectors", "used"});
  for (const TrainedSegment& graph : report.graphs) {
    const GraphTrainingReport& training = graph.training;
    table.Add({graph.partition, graph.space, Grouped(graph.rows), Fixed(training.hops_before, 1),
               Fixed(training.hops_after, 1), Fixed(training.hop_ratio, 3), Fixed(training.row_hop_ratio, 3),
               training.enabled ? "yes" : "no"});
  }
  std::string text = table.ToString();
  for (const TrainedSegment& graph : report.graphs) {
    text += absl::StrFormat("%s: %s\n", graph.partition, graph.training.reason);
    if (graph.training.round_hop_ratios.empty()) continue;
    text += absl::StrFormat("%s: ratio after each round", graph.partition);
    for (const double ratio : graph.training.round_hop_ratios) text += " " + Fixed(ratio, 3);
    text += "\n";
  }
  if (!report.graphs.empty() && report.graphs.front().training.generated) {
    text += "queries: made from the documents, of their titles or how their texts begin\n";
  }
  if (report.too_small > 0) {
    text += absl::StrFormat("too small to need it: %s\n", Grouped(report.too_small));
  }
  return text + absl::StrFormat("hops at equal recall on queries held out (%.1f s)\n", report.seconds);
}

// In the words of a build that is interrupted.
absl::Status Stopped(const TrainGraphArguments& arguments) {
  return absl::CancelledError(!arguments.checkpoint.empty() && std::filesystem::exists(arguments.checkpoint)
                                  ? "interrupted; the same command takes it from there"
                                  : "interrupted");
}

absl::Status RunTrainGraph(const TrainGraphArguments& arguments) {
  TrainGraphOptions options;
  options.expert = arguments.expert;
  GraphTrainingOptions& training = options.training;
  training.entries = !arguments.no_entries;
  training.edges = !arguments.no_edges;
  training.codes = !arguments.no_codes;
  training.fine_tune = arguments.fine_tune;
  training.ignore_gate = arguments.ignore_gate;
  training.recall = arguments.recall;
  training.seed = arguments.seed;
  training.threads = arguments.threads;
  training.checkpoint = arguments.checkpoint;
  training.cancelled = &Interrupted();
  TRIVIUM_CLI_RETURN_IF_ERROR(training.Validate());
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const auto files, PairQueryFiles(arguments.queries));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(EncoderRegistry encoders, EncoderRegistry::Load(arguments.encoder_commands));
  CatchInterrupts();
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenWriter(arguments.store, &encoders));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const StoreInfo info, store->Inspect());
  TRIVIUM_CLI_ASSIGN_OR_RETURN(PlainQueries queries, ReadPlainQueries(files, info));
  options.texts = std::move(queries.texts);
  options.vectors = queries.Views();
  ProgressBar bar;
  training.progress = bar.Callback();
  const absl::StatusOr<TrainGraphReport> trained = store->TrainGraph(options);
  if (absl::IsCancelled(trained.status())) return Stopped(arguments);
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const TrainGraphReport report, trained);
  TRIVIUM_CLI_RETURN_IF_ERROR(store->Close());
  bar.Clear();
  return arguments.json ? PrintJson(ToJson(report)) : Print(ToText(report));
}

}  // namespace

void AddTrainGraphCommand(CLI::App& train, Run* run) {
  CLI::App* command = train.add_subcommand(
      "graph",
      "Teach graphs where walks should start and which edges they miss; used only where it saves hops");
  auto arguments = std::make_shared<TrainGraphArguments>();
  AddStoreArgument(*command, arguments.get());
  AddQueryOptions(*command, &arguments->queries, /*required=*/false);
  command->add_option("--expert", arguments->expert, "Train what this expert searches (default: all)")
      ->type_name("NAME");
  command->add_flag("--no-entries", arguments->no_entries, "Keep the starting points as they are");
  command->add_flag("--no-edges", arguments->no_edges, "Keep the edges as they are");
  command->add_flag("--no-codes", arguments->no_codes, "Keep the codes of edges as they are");
  command->add_flag("--fine-tune", arguments->fine_tune,
                    "Ask the queries that taught the graphs before again, with the new ones");
  command->add_flag("--ignore-gate", arguments->ignore_gate,
                    "Use what was learned even where it does not pay");
  command->add_option("--recall", arguments->recall, "Recall@10 at which hops are compared")
      ->type_name("R")
      ->capture_default_str();
  command->add_option("--seed", arguments->seed, "Seed of everything random")->capture_default_str();
  command->add_option("--threads", arguments->threads, "Threads to use (default: all)")->type_name("N");
  command
      ->add_option(
          "--checkpoint", arguments->checkpoint,
          "Keep in this file how far training is; after an interrupt the same command goes on from it")
      ->type_name("FILE");
  AddEncoderCommandOption(*command, arguments.get());
  command->callback([=] { *run = [=] { return RunTrainGraph(*arguments); }; });
}

}  // namespace trivium::cli
