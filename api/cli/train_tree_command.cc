// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>

#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"
#include "api/cli/command.h"
#include "api/cli/interrupt.h"
#include "api/cli/output.h"
#include "api/cli/progress_bar.h"
#include "api/cli/query_files.h"
#include "api/cli/status_macros.h"
#include "api/cli/tree_output.h"

namespace trivium::cli {
namespace {

struct TrainTreeArguments : CommonArguments {
  QueryArguments queries{.judged = false};
  std::vector<std::string> drop_self;
  std::string use = std::string(TreeUseName(TreeUse::kRepresentation));
  std::string space;
  bool given = false;
  TreeTrainingOptions training;
};

Json ToJson(const CellReport& cells) {
  Json json = {{"cells", cells.cells},
               {"used_cells", cells.used_cells},
               {"largest_cell", cells.largest_cell},
               {"mean_cell", cells.mean_cell},
               {"validation_queries", cells.validation_queries},
               {"router", cells.router},
               {"routers", Json::array()}};
  for (const CellRouterReport& router : cells.routers) {
    json["routers"].push_back({{"router", router.router},
                               {"scanned", router.scanned},
                               {"products", router.products},
                               {"ratio", router.ratio},
                               {"ratio_interval", {router.ratio_low, router.ratio_high}},
                               {"rows_ratio", router.rows_ratio}});
  }
  return json;
}

Json ToJson(const TrainTreeReport& report) {
  Json json = {{"use", std::string(TreeUseName(report.use))},
               {"spaces", Json::array()},
               {"unknown_judgements", report.unknown_judgements},
               {"seconds", report.seconds}};
  for (const TrainedSpaceTree& space : report.spaces) {
    json["spaces"].push_back({{"space", space.space},
                              {"documents", space.documents},
                              {"queries", space.queries},
                              {"judged", space.judged},
                              {"depth", space.depth},
                              {"steps", space.steps},
                              {"levels", LevelsJson(space.levels)},
                              {"cells", space.cells ? ToJson(*space.cells) : Json()},
                              {"enabled", space.enabled},
                              {"reason", space.reason},
                              {"seconds", space.seconds}});
  }
  return json;
}

std::string CellsText(const CellReport& cells) {
  std::string text =
      absl::StrFormat("%s cells, %s used, %.1f documents each, %s at most\n", Grouped(cells.cells),
                      Grouped(cells.used_cells), cells.mean_cell, Grouped(cells.largest_cell));
  if (cells.routers.empty()) return text;
  Table table({"router", ">vectors read", ">products", ">ratio", "95 % interval", ">on documents", "used"});
  for (const CellRouterReport& router : cells.routers) {
    table.Add({router.router, absl::StrFormat("%.2f %%", 100 * router.scanned), Fixed(router.products, 0),
               Fixed(router.ratio, 3), absl::StrFormat("%.3f to %.3f", router.ratio_low, router.ratio_high),
               Fixed(router.rows_ratio, 3), router.router == cells.router ? "yes" : "no"});
  }
  return text + table.ToString() + "at recall 0.95 of the ten nearest; ratio: vectors read and products\n";
}

std::string ToText(const TrainTreeReport& report) {
  std::string text;
  for (const TrainedSpaceTree& space : report.spaces) {
    if (space.depth == 0) {
      text += absl::StrFormat("%s: nothing learned (%s)\n", space.space, OneLine(space.reason, 100));
      continue;
    }
    text += absl::StrFormat("space %s: from %s documents and %s queries%s\n", space.space,
                            Grouped(space.documents), Grouped(space.queries),
                            space.cells ? "" : absl::StrFormat(", %s of them judged", Grouped(space.judged)));
    text += space.cells ? CellsText(*space.cells) : LevelsText(space.levels);
    text += absl::StrFormat("%s: %s (%.1f s)\n\n", space.enabled ? "kept" : "not kept", space.reason,
                            space.seconds);
  }
  if (report.unknown_judgements > 0) {
    text += absl::StrFormat("judgements of documents that the store does not hold: %s\n",
                            Grouped(report.unknown_judgements));
  }
  return text;
}

// In the words of a build that is interrupted.
absl::Status Stopped(const TreeTrainingOptions& training) {
  std::error_code ignored;
  return absl::CancelledError(!training.checkpoint.empty() &&
                                      std::filesystem::exists(training.checkpoint, ignored)
                                  ? "interrupted; the same command takes it from there"
                                  : "interrupted");
}

absl::Status RunGiven(const TrainTreeArguments& arguments) {
  SetTreeOptions options;
  options.space = arguments.space;
  options.threads = arguments.training.threads;
  TRIVIUM_CLI_RETURN_IF_ERROR(options.Validate());
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenWriter(arguments.store));
  TRIVIUM_CLI_RETURN_IF_ERROR(store->SetTree(options));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const StoreInfo info, store->Inspect());
  TRIVIUM_CLI_RETURN_IF_ERROR(store->Close());
  const SpaceInfo& space = *std::find_if(info.spaces.begin(), info.spaces.end(), [&](const SpaceInfo& one) {
    return options.space.empty() || one.name == options.space;
  });
  if (arguments.json) {
    return PrintJson({{"space", space.name},
                      {"depth", space.tree.depth},
                      {"documents", space.tree.documents},
                      {"reason", space.tree.reason}});
  }
  return Print(absl::StrFormat("space %s: tree of depth %d over %s documents, used from now on (%s)\n",
                               space.name, space.tree.depth, Grouped(space.tree.documents),
                               space.tree.reason));
}

absl::Status RunTrainTree(const TrainTreeArguments& arguments) {
  if (arguments.given) return RunGiven(arguments);
  TrainTreeOptions options;
  options.space = arguments.space;
  options.training = arguments.training;
  TRIVIUM_CLI_ASSIGN_OR_RETURN(options.training.use, ParseTreeUse(arguments.use));
  options.training.cancelled = &Interrupted();
  TRIVIUM_CLI_RETURN_IF_ERROR(options.training.Validate());
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const auto files, PairQueryFiles(arguments.queries));
  TRIVIUM_CLI_RETURN_IF_ERROR(CheckDropSelf(arguments.drop_self, files));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(EncoderRegistry encoders, EncoderRegistry::Load(arguments.encoder_commands));
  CatchInterrupts();
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenWriter(arguments.store, &encoders));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const StoreInfo info, store->Inspect());
  TRIVIUM_CLI_RETURN_IF_ERROR(CheckPartitions(files, info));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(LoadedQueries loaded,
                               LoadQueries(files, arguments.drop_self, /*keep_unjudged=*/true));
  options.queries = std::move(loaded.sets);
  ProgressBar bar;
  options.training.progress = bar.Callback();
  const absl::StatusOr<TrainTreeReport> trained = store->TrainTree(options);
  if (absl::IsCancelled(trained.status())) return Stopped(options.training);
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const TrainTreeReport report, trained);
  TRIVIUM_CLI_RETURN_IF_ERROR(store->Close());
  bar.Clear();
  return arguments.json ? PrintJson(ToJson(report)) : Print(ToText(report));
}

}  // namespace

void AddTrainTreeCommand(CLI::App& train, Run* run) {
  CLI::App* command = train.add_subcommand(
      "tree", "Learn a tree that stands for the vectors, or cells to read; kept only where it pays");
  auto arguments = std::make_shared<TrainTreeArguments>();
  TreeTrainingOptions& training = arguments->training;
  AddStoreArgument(*command, arguments.get());
  command
      ->add_option("--use", arguments->use,
                   "What for: --index tree, ranking by the tree itself, or --index cells, reading a part of "
                   "the vectors")
      ->type_name("representation|partition")
      ->capture_default_str();
  AddQueryOptions(*command, &arguments->queries, /*required=*/false);
  command->get_option("--qrels")->description(
      "Judgements, TSV with header query-id corpus-id score; need not be given");
  command
      ->add_option("--drop-self", arguments->drop_self,
                   "Sets whose queries ignore the document that has the query's own id (repeatable)")
      ->type_name("NAME");
  command->add_option("--space", arguments->space, "Only this space (default: all of the cosine metric)")
      ->type_name("NAME");
  command->add_option("--depth", training.depth, "Levels (default: by the number of documents)")
      ->type_name("N");
  command->add_flag("--mlp", training.mlp,
                    "Splits that are perceptrons of one hidden layer (default: linear)");
  command->add_option("--steps", training.steps, "At most this many")->type_name("N")->capture_default_str();
  command
      ->add_option("--entropy-weight", training.entropy_weight,
                   "How much a document is urged to lie in few nodes; costs quality")
      ->type_name("W")
      ->capture_default_str();
  command->add_option("--seed", training.seed, "Seed of everything random")->capture_default_str();
  command->add_option("--threads", training.threads, "Threads to use (default: all)")->type_name("N");
  command
      ->add_option(
          "--checkpoint", training.checkpoint,
          "Keep in this file how far training is; after an interrupt the same command goes on from it")
      ->type_name("FILE");
  command->add_flag("--ignore-gate", training.ignore_gate,
                    "Keep what was learned even where it does not pay");
  CLI::Option* given = command->add_flag("--given", arguments->given,
                                         "Instead of learning: the vectors of --space are distributions over "
                                         "the leaves of a tree made elsewhere");
  for (const char* of_training :
       {"--use", "--queries", "--qrels", "--query-vectors", "--drop-self", "--depth", "--mlp", "--steps",
        "--entropy-weight", "--seed", "--checkpoint", "--ignore-gate"}) {
    given->excludes(of_training);
  }
  AddEncoderCommandOption(*command, arguments.get());
  command->callback([=] { *run = [=] { return RunTrainTree(*arguments); }; });
}

}  // namespace trivium::cli
