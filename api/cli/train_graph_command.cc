// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>

#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"
#include "api/cli/command.h"
#include "api/cli/corpus_check.h"
#include "api/cli/interrupt.h"
#include "api/cli/output.h"
#include "api/cli/progress_bar.h"
#include "api/cli/query_files.h"
#include "api/cli/status_macros.h"
#include "trivium/files.h"

namespace trivium::cli {
namespace {

struct TrainGraphArguments : CommonArguments {
  QueryArguments queries{.judged = false};
  std::string expert;
  bool no_entries = false;
  bool no_edges = false;
  bool ignore_gate = false;
  double recall = GraphTrainingOptions().recall;
  std::uint64_t seed = 0;
  int threads = 0;
  std::string checkpoint;
};

// All queries of all files, one after the other; vectors by space.
struct PlainQueries {
  std::vector<std::string> texts;
  struct Rows {
    std::string space;
    std::size_t count = 0, columns = 0;
    std::vector<float> values;
  };
  std::vector<Rows> vectors;
};

// Whether vectors of the space, "" the only one, are directions.
bool IsCosine(const StoreInfo& info, const std::string& space) {
  return std::any_of(info.spaces.begin(), info.spaces.end(), [&](const SpaceInfo& each) {
    return (space.empty() || each.name == space) && each.metric == Metric::kCosine;
  });
}

absl::Status AppendVectors(const std::string& space, const std::string& path, std::size_t before,
                           std::size_t count, bool directions, PlainQueries* queries) {
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<VectorReader> reader, VectorReader::Open(path));
  if (reader->rows() != count) {
    return absl::InvalidArgumentError(absl::StrFormat("query vectors: %d rows, expected %d, one a query (%s)",
                                                      reader->rows(), count, path));
  }
  auto rows = std::find_if(queries->vectors.begin(), queries->vectors.end(),
                           [&](const PlainQueries::Rows& each) { return each.space == space; });
  if (rows == queries->vectors.end()) rows = queries->vectors.insert(rows, {space, 0, reader->columns(), {}});
  if (rows->columns != reader->columns() || rows->count != before) {
    return absl::InvalidArgumentError(
        absl::StrFormat("query vectors: %d columns after %d rows of %d, expected vectors of one dimension "
                        "for all queries (%s)",
                        reader->columns(), rows->count, rows->columns, path));
  }
  rows->count += count;
  rows->values.resize(rows->count * rows->columns);
  float* own = rows->values.data() + before * rows->columns;
  TRIVIUM_CLI_RETURN_IF_ERROR(reader->Read(0, count, own));
  return CheckRows({own, count, rows->columns}, 0, directions, path);
}

absl::StatusOr<PlainQueries> ReadQueries(const std::vector<QuerySetFiles>& files, const StoreInfo& info) {
  PlainQueries queries;
  for (const QuerySetFiles& set : files) {
    const std::size_t before = queries.texts.size();
    TRIVIUM_CLI_RETURN_IF_ERROR(ReadCorpus(set.queries, [&](CorpusRecord record) {
      queries.texts.push_back(std::move(record.text));
      return absl::OkStatus();
    }));
    for (const auto& [space, path] : set.vectors) {
      TRIVIUM_CLI_RETURN_IF_ERROR(
          AppendVectors(space, path, before, queries.texts.size() - before, IsCosine(info, space), &queries));
    }
  }
  if (!files.empty() && queries.texts.empty()) {  // none at all would mean the documents' own
    return absl::InvalidArgumentError(
        absl::StrFormat("training queries: 0, expected at least 100 (%s)", files.front().queries));
  }
  for (const PlainQueries::Rows& rows : queries.vectors) {
    if (rows.count == queries.texts.size()) continue;
    return absl::InvalidArgumentError(absl::StrFormat("query vectors: for %d queries, expected for all %d",
                                                      rows.count, queries.texts.size()));
  }
  return queries;
}

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
                              {"hops_before", training.hops_before},
                              {"hops_after", training.hops_after},
                              {"hop_ratio", training.hop_ratio},
                              {"hop_ratio_interval", {training.hop_ratio_low, training.hop_ratio_high}},
                              {"row_hop_ratio", training.row_hop_ratio},
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
  TRIVIUM_CLI_ASSIGN_OR_RETURN(PlainQueries queries, ReadQueries(files, info));
  options.texts = std::move(queries.texts);
  for (const PlainQueries::Rows& rows : queries.vectors) {
    options.vectors.push_back({rows.space, {rows.values.data(), options.texts.size(), rows.columns}});
  }
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
