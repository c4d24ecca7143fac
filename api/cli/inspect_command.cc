// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"
#include "api/cli/command.h"
#include "api/cli/guard_output.h"
#include "api/cli/inspect_graphs.h"
#include "api/cli/output.h"
#include "api/cli/search_arguments.h"
#include "api/cli/status_macros.h"
#include "api/cli/tree_output.h"

namespace trivium::cli {
namespace {

Json ToJson(const AdapterInfo& adapter) {
  if (!adapter.present) return nullptr;
  return {{"enabled", adapter.enabled}, {"queries", adapter.queries}, {"reason", adapter.reason}};
}

Json ToJson(const TreeInfo& tree) {
  if (!tree.present) return nullptr;
  return {{"enabled", tree.enabled},
          {"depth", tree.depth},
          {"documents", tree.documents},
          {"queries", tree.queries},
          {"levels", LevelsJson(tree.levels)},
          {"reason", tree.reason},
          {"given", tree.given}};
}

Json ToJson(const CellsInfo& cells) {
  if (!cells.present) return nullptr;
  return {{"enabled", cells.enabled}, {"cells", cells.cells},   {"documents", cells.documents},
          {"queries", cells.queries}, {"router", cells.router}, {"reason", cells.reason}};
}

std::string TreeText(const SpaceInfo& space) {
  std::string text;
  if (space.tree.present) {
    text = absl::StrFormat("%stree of depth %d", space.tree.given ? "given " : "", space.tree.depth);
  }
  if (space.cells.present)
    text += absl::StrFormat("%s%s cells", text.empty() ? "" : ", ", Grouped(space.cells.cells));
  return text.empty() ? "no" : text;
}

std::string AdapterText(const AdapterInfo& adapter) {
  if (!adapter.present) return "no";
  return absl::StrFormat("%s, %s", adapter.queries == 0 ? "given" : "learned",
                         adapter.enabled ? "on" : "off");
}

Json ToJson(const StoreInfo& info) {
  Json json = {{"path", info.path},
               {"uuid", info.uuid},
               {"format_version", info.format_version},
               {"version", info.version},
               {"kernels", info.kernels},
               {"documents", info.documents},
               {"partitions", Json::array()},
               {"spaces", Json::array()},
               {"experts", Json::array()},
               {"vector_sets", Json::array()},
               {"text_sets", Json::array()}};
  for (const auto& [name, documents] : info.partitions) {
    json["partitions"].push_back({{"name", name}, {"documents", documents}});
  }
  for (const SpaceInfo& space : info.spaces) {
    json["spaces"].push_back({{"name", space.name},
                              {"dimension", space.dimension},
                              {"metric", std::string(MetricName(space.metric))},
                              {"encoder", space.encoder},
                              {"encoder_fingerprint", space.encoder_fingerprint},
                              {"beam_width", space.beam_width},
                              {"target_recall", space.target_recall},
                              {"profile", std::string(ProfileName(space.profile))},
                              {"adapter", ToJson(space.adapter)},
                              {"tree", ToJson(space.tree)},
                              {"cells", ToJson(space.cells)}});
  }
  for (const ExpertInfo& expert : info.experts) {
    json["experts"].push_back(
        {{"name", expert.name},
         {"kind", std::string(ExpertKindName(expert.kind))},
         {"space", expert.space.empty() ? Json(nullptr) : Json(expert.space)},
         {"partition", expert.partition ? Json(*expert.partition) : Json(nullptr)},
         {"description", expert.description},
         {"cost", expert.cost},
         {"adapter", ToJson(expert.adapter)},
         {"quarantine", expert.quarantine.empty() ? Json(nullptr) : Json(expert.quarantine)},
         {"feedback",
          {{"answers", expert.feedback.answers},
           {"predicted", expert.feedback.predicted},
           {"observed", expert.feedback.observed},
           {"evidence", expert.feedback.evidence}}}});
    if (expert.kind == ExpertKind::kLexical) {
      json["experts"].back()["k1"] = expert.k1;
      json["experts"].back()["b"] = expert.b;
    }
  }
  for (const TextSetInfo& set : info.text_sets) {
    json["text_sets"].push_back({{"partition", set.partition},
                                 {"documents", set.documents},
                                 {"unsealed", set.unsealed},
                                 {"deleted", set.deleted},
                                 {"segments", set.segments},
                                 {"bytes", set.bytes}});
  }
  for (const VectorSetInfo& set : info.vector_sets) {
    json["vector_sets"].push_back({{"space", set.space},
                                   {"partition", set.partition},
                                   {"rows", set.rows},
                                   {"unsealed", set.unsealed},
                                   {"deleted", set.deleted},
                                   {"segments", set.segments},
                                   {"bytes", set.bytes},
                                   {"tree_bytes", set.tree_bytes},
                                   {"training", Json::array()}});
    for (const std::string& training : set.training) {
      Json& all = json["vector_sets"].back()["training"];
      all.push_back(training.empty() ? Json() : Json::parse(training, nullptr, /*allow_exceptions=*/false));
    }
  }
  json["dispatch"] = {
      {"trained", info.dispatch.trained},
      {"enabled", info.dispatch.enabled},
      {"router", info.dispatch.router},
      {"reason", info.dispatch.reason},
      {"pilots", info.dispatch.pilots},
      {"feedback", info.dispatch.feedback},
      {"top_p", info.dispatch.top_p},
      {"max_experts", info.dispatch.max_experts},
      {"prior_weight", info.dispatch.prior_weight},
      {"lexical_weight", info.dispatch.lexical_weight ? Json(*info.dispatch.lexical_weight) : Json(nullptr)},
      {"mixture", MixtureJson(info.dispatch.mixture)},
      {"second_look", SecondLookJson(info.dispatch.second_look)},
      {"memory", MemoryJson(info.dispatch.memory)},
      {"guard", GuardToJson(info.dispatch.guard)}};
  return json;
}

std::string DispatchText(const DispatchInfo& dispatch) {
  if (!dispatch.trained) return "dispatch: not trained; every expert answers\n";
  return absl::StrFormat("dispatch: %s, %s by default, %s pilots, %s feedbacks (%s)\n", dispatch.router,
                         dispatch.enabled ? "on" : "off", Grouped(dispatch.pilots),
                         Grouped(dispatch.feedback), OneLine(dispatch.reason, 200)) +
         GuardText(dispatch.guard);
}

std::string ToText(const StoreInfo& info) {
  std::string text =
      absl::StrFormat("%s: %s documents, format %d, trivium %s, %s kernels\n", info.path,
                      Grouped(info.documents), info.format_version, info.version, info.kernels);
  Table spaces({"space", ">dimension", "metric", "encoder", "beam width", "profile", "adapter", "tree"});
  for (const SpaceInfo& space : info.spaces) {
    spaces.Add({space.name, Grouped(space.dimension), std::string(MetricName(space.metric)),
                space.encoder.empty() ? "-" : OneLine(space.encoder, 40),
                space.beam_width == 0
                    ? "default"
                    : absl::StrFormat("%d, for recall %g", space.beam_width, space.target_recall),
                std::string(ProfileName(space.profile)), AdapterText(space.adapter), TreeText(space)});
  }
  Table experts({"expert", "space", "partition", "adapter", ">cost", "description"});
  for (const ExpertInfo& expert : info.experts) {
    const std::string ranks_by = expert.kind == ExpertKind::kDense
                                     ? expert.space
                                     : absl::StrFormat("(texts, k1 %g, b %g)", expert.k1, expert.b);
    experts.Add({expert.name, ranks_by, expert.partition.value_or("(all)"), AdapterText(expert.adapter),
                 absl::StrFormat("%g", expert.cost), OneLine(expert.description, 60)});
  }
  Table sets({"vector set", "space", ">vectors", ">unsealed", ">deleted", ">segments", ">trained", ">size"});
  for (const VectorSetInfo& set : info.vector_sets) {
    sets.Add({set.partition, set.space, Grouped(set.rows), Grouped(set.unsealed), Grouped(set.deleted),
              Grouped(set.segments),
              Grouped(std::count_if(set.training.begin(), set.training.end(),
                                    [](const auto& text) { return !text.empty(); })),
              Bytes(set.bytes + set.tree_bytes)});
  }
  if (!info.spaces.empty()) text += "\n" + spaces.ToString();
  if (!info.experts.empty()) text += "\n" + experts.ToString();
  for (const ExpertInfo& expert : info.experts) {
    if (!expert.quarantine.empty()) {
      text += absl::StrFormat("%s is in quarantine: %s\n", expert.name, OneLine(expert.quarantine, 200));
    }
  }
  if (!info.vector_sets.empty()) text += "\n" + sets.ToString();
  Table texts({"text set", ">documents", ">unsealed", ">deleted", ">segments", ">size"});
  for (const TextSetInfo& set : info.text_sets) {
    texts.Add({set.partition, Grouped(set.documents), Grouped(set.unsealed), Grouped(set.deleted),
               Grouped(set.segments), Bytes(set.bytes)});
  }
  if (!info.text_sets.empty()) text += "\n" + texts.ToString();
  return text + "\n" + DispatchText(info.dispatch);
}

absl::Status RunInspect(const InspectArguments& arguments) {
  if (arguments.tree && (arguments.drift || !arguments.walk.empty())) {
    return absl::InvalidArgumentError("--tree and --drift or --walk, expected one of them");
  }
  if (arguments.tree) return RunInspectTree(arguments);
  const InspectTreeOptions none;
  const InspectTreeOptions& tree = arguments.tree_options;
  if (!arguments.path.empty() || !tree.space.empty() || tree.node != none.node ||
      tree.levels != none.levels || !tree.document.empty()) {
    return absl::InvalidArgumentError("--space, --node, --levels, --path, --document: expected with --tree");
  }
  if (arguments.drift && arguments.walks()) {
    return absl::InvalidArgumentError("--drift and --walk or --vector, expected one of them");
  }
  if (arguments.drift) return RunInspectDrift(arguments);
  if (arguments.walks()) return RunInspectWalk(arguments);
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenReader(arguments.store));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const StoreInfo info, store->Inspect());
  return arguments.json ? PrintJson(ToJson(info)) : Print(ToText(info));
}

}  // namespace

void AddInspectCommand(CLI::App& app, Run* run) {
  CLI::App* command = app.add_subcommand("inspect", "Show what a store holds");
  auto arguments = std::make_shared<InspectArguments>();
  AddStoreArgument(*command, arguments.get());
  command->add_flag(
      "--drift", arguments->drift,
      "What training the graphs is still worth, on the queries held out for it or on --queries");
  AddQueryOptions(*command, &arguments->queries, /*required=*/false);
  command->add_option("--recall", arguments->drift_options.recall, "Recall@10 at which --drift compares hops")
      ->type_name("R")
      ->capture_default_str();
  command->add_option("--vertices", arguments->drift_options.vertices, "Documents that --drift lists")
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("--walk", arguments->walk,
                   "Where the walks for this question go, and would without training")
      ->type_name("TEXT");
  AddVectorOption(*command, &arguments->vectors);
  command->add_flag(
      "--tree", arguments->tree,
      "What the nodes of a trained tree hold: documents, balance, entropy, partitions and terms");
  command->add_option("--space", arguments->tree_options.space, "With --tree: whose (default: the only one)")
      ->type_name("NAME");
  command->add_option("--node", arguments->tree_options.node, "With --tree: only this node, in detail")
      ->type_name("N");
  command->add_option("--levels", arguments->tree_options.levels, "With --tree: of nodes told of")
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("--path", arguments->path,
                   "With --tree: the way of this question, or of --vector, and its probabilities")
      ->type_name("TEXT");
  command
      ->add_option("--document", arguments->tree_options.document,
                   "With --path: where this document leaves that way")
      ->type_name("ID");
  command
      ->add_option("--partition", arguments->tree_options.partition, "Of --document, where several have one")
      ->type_name("NAME");
  command->add_option("-k", arguments->walk_options.k, "Results of --walk")
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("--beam-width", arguments->walk_options.beam_width,
                   "Candidates kept while walking (default: as searches)")
      ->type_name("N");
  command->add_option("--expert", arguments->expert, "Look at what this expert searches (default: all)")
      ->type_name("NAME");
  AddEncoderCommandOption(*command, arguments.get());
  command->callback([=] { *run = [=] { return RunInspect(*arguments); }; });
}

}  // namespace trivium::cli
