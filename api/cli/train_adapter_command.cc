// SPDX-License-Identifier: Apache-2.0
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

struct TrainAdapterArguments : CommonArguments {
  QueryArguments queries;
  std::vector<std::string> drop_self;
  std::string expert;
  std::string import_file;
  std::size_t rank = 0;
  std::uint64_t seed = 0;
  int threads = 0;
};

std::string Whose(const TrainedAdapter& adapter) {
  return adapter.expert.empty() ? "(all domains)" : adapter.expert;
}

Json ToJson(const AdapterReport& report) {
  Json json = {{"adapters", Json::array()},
               {"unknown_judgements", report.unknown_judgements},
               {"seconds", report.seconds}};
  for (const TrainedAdapter& adapter : report.adapters) {
    json["adapters"].push_back({{"expert", adapter.expert.empty() ? Json(nullptr) : Json(adapter.expert)},
                                {"space", adapter.space},
                                {"queries", adapter.queries},
                                {"steps", adapter.steps},
                                {"plain", adapter.plain},
                                {"adapted", adapter.adapted},
                                {"gain", adapter.gain},
                                {"gain_interval", {adapter.gain_low, adapter.gain_high}},
                                {"enabled", adapter.enabled},
                                {"reason", adapter.reason}});
  }
  return json;
}

std::string ToText(const AdapterReport& report) {
  Table table(
      {"expert", "space", ">queries", ">steps", ">plain", ">adapted", ">gain", "95 % interval", "used"});
  std::string left_out;
  for (const TrainedAdapter& adapter : report.adapters) {
    if (adapter.queries == 0) {
      left_out += absl::StrFormat("%s: nothing learned (%s)\n", Whose(adapter), OneLine(adapter.reason, 100));
      continue;
    }
    table.Add({Whose(adapter), adapter.space, Grouped(adapter.queries), Grouped(adapter.steps),
               Fixed(adapter.plain, 4), Fixed(adapter.adapted, 4), absl::StrFormat("%+.4f", adapter.gain),
               absl::StrFormat("%+.4f to %+.4f", adapter.gain_low, adapter.gain_high),
               adapter.enabled ? "yes" : "no"});
  }
  std::string text = table.ToString() + "\n" + left_out;
  text += absl::StrFormat("nDCG@10 of queries that an adapter did not learn from (%.1f s)\n", report.seconds);
  if (report.unknown_judgements > 0) {
    text += absl::StrFormat("judgements of documents that the store does not hold: %s\n",
                            Grouped(report.unknown_judgements));
  }
  return text;
}

absl::Status RunImport(const TrainAdapterArguments& arguments) {
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<VectorReader> reader,
                               VectorReader::Open(arguments.import_file));
  if (reader->rows() != reader->columns()) {
    return absl::InvalidArgumentError(absl::StrFormat("adapter: %d x %d, expected a square matrix (%s)",
                                                      reader->rows(), reader->columns(),
                                                      arguments.import_file));
  }
  SetAdapterOptions options;
  options.expert = arguments.expert;
  options.matrix.resize(reader->rows() * reader->columns());
  TRIVIUM_CLI_RETURN_IF_ERROR(reader->Read(0, reader->rows(), options.matrix.data()));
  TRIVIUM_CLI_RETURN_IF_ERROR(CheckRows({options.matrix.data(), reader->rows(), reader->columns()}, 0,
                                        /*directions=*/false, arguments.import_file));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenWriter(arguments.store));
  TRIVIUM_CLI_RETURN_IF_ERROR(store->SetAdapter(options));
  TRIVIUM_CLI_RETURN_IF_ERROR(store->Close());
  if (arguments.json) {
    return PrintJson({{"expert", arguments.expert.empty() ? Json(nullptr) : Json(arguments.expert)},
                      {"dimension", reader->columns()}});
  }
  return Print(absl::StrFormat("adapter of %s: %d x %d, used from now on\n",
                               arguments.expert.empty() ? "all domains" : arguments.expert, reader->rows(),
                               reader->columns()));
}

absl::Status RunTrainAdapter(const TrainAdapterArguments& arguments) {
  if (!arguments.import_file.empty()) {
    if (!arguments.queries.queries.empty() || !arguments.queries.qrels.empty()) {
      return absl::InvalidArgumentError("--import: beside --queries, expected one of them");
    }
    return RunImport(arguments);
  }
  if (arguments.queries.queries.empty()) {
    return absl::InvalidArgumentError("--queries: none, expected judged queries, or --import FILE.npy");
  }
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const auto files, PairQueryFiles(arguments.queries));
  TRIVIUM_CLI_RETURN_IF_ERROR(CheckDropSelf(arguments.drop_self, files));
  TrainAdapterOptions options;
  options.expert = arguments.expert;
  options.rank = arguments.rank;
  options.seed = arguments.seed;
  options.threads = arguments.threads;
  TRIVIUM_CLI_ASSIGN_OR_RETURN(EncoderRegistry encoders, EncoderRegistry::Load(arguments.encoder_commands));
  CatchInterrupts();
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenWriter(arguments.store, &encoders));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const StoreInfo info, store->Inspect());
  TRIVIUM_CLI_RETURN_IF_ERROR(CheckPartitions(files, info));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(LoadedQueries loaded, LoadQueries(files, arguments.drop_self));
  ProgressBar bar;
  options.train = std::move(loaded.sets);
  options.progress = bar.Callback();
  options.cancelled = &Interrupted();
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const AdapterReport report, store->TrainAdapter(options));
  TRIVIUM_CLI_RETURN_IF_ERROR(store->Close());
  bar.Clear();
  return arguments.json ? PrintJson(ToJson(report)) : Print(ToText(report));
}

}  // namespace

void AddTrainAdapterCommand(CLI::App& train, Run* run) {
  CLI::App* command = train.add_subcommand(
      "adapter", "Learn how experts should read queries; used only where it gains on held-out queries");
  auto arguments = std::make_shared<TrainAdapterArguments>();
  AddStoreArgument(*command, arguments.get());
  AddQueryOptions(*command, &arguments->queries, /*required=*/false);
  command
      ->add_option("--drop-self", arguments->drop_self,
                   "Sets whose queries ignore the hit that has the query's own id (repeatable)")
      ->type_name("NAME");
  command
      ->add_option("--expert", arguments->expert,
                   "Only the adapter of this expert (default: of each that has queries, and of all domains)")
      ->type_name("NAME");
  command
      ->add_option("--import", arguments->import_file,
                   "Instead of learning: a matrix made elsewhere, for --expert, else for all domains")
      ->type_name("FILE.npy");
  command->add_option("--rank", arguments->rank, "Rank of what is learned (default: the full matrix)")
      ->type_name("R");
  command->add_option("--seed", arguments->seed, "Seed of everything random")->capture_default_str();
  command->add_option("--threads", arguments->threads, "Threads to use (default: all)")->type_name("N");
  AddEncoderCommandOption(*command, arguments.get());
  command->callback([=] { *run = [=] { return RunTrainAdapter(*arguments); }; });
}

}  // namespace trivium::cli
