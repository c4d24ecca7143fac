// SPDX-License-Identifier: Apache-2.0
#include "api/cli/inspect_graphs.h"

#include <map>
#include <memory>

#include "absl/strings/str_format.h"
#include "api/cli/interrupt.h"
#include "api/cli/output.h"
#include "api/cli/plain_queries.h"
#include "api/cli/search_arguments.h"
#include "api/cli/status_macros.h"

namespace trivium::cli {
namespace {

using Ids = std::map<std::uint64_t, std::string>;

// Null for a document that was deleted since.
Json IdOf(const Ids& ids, std::uint64_t number) {
  const auto id = ids.find(number);
  return id == ids.end() ? Json() : Json(id->second);
}

Json ToJson(const std::vector<RowUse>& uses, const Ids& ids) {
  Json json = Json::array();
  for (const RowUse& use : uses) {
    json.push_back({{"id", IdOf(ids, use.label)}, {"expanded", use.expanded}, {"led", use.led}});
  }
  return json;
}

Json ToJson(const SegmentDrift& graph) {
  const GraphDriftReport& drift = graph.drift;
  return {{"space", graph.space},
          {"partition", graph.partition},
          {"rows", drift.rows},
          {"rows_then", drift.rows_then},
          {"queries", drift.queries},
          {"edges_kept", drift.edges_kept},
          {"hops", drift.hops},
          {"hops_untaught", drift.hops_untaught},
          {"hop_ratio", drift.hop_ratio},
          {"hop_ratio_interval", {drift.hop_ratio_low, drift.hop_ratio_high}},
          {"hop_ratio_then", drift.hop_ratio_then},
          {"train_again", drift.train_again},
          {"reason", drift.reason},
          {"helpful", ToJson(drift.helpful, graph.ids)},
          {"harmful", ToJson(drift.harmful, graph.ids)}};
}

std::string UsesText(std::string_view heading, const std::vector<RowUse>& uses, const Ids& ids) {
  if (uses.empty()) return "";
  Table table({std::string(heading), ">expanded", ">led to results"});
  for (const RowUse& use : uses) {
    const auto id = ids.find(use.label);
    table.Add(
        {id == ids.end() ? "(deleted)" : OneLine(id->second, 60), Grouped(use.expanded), Grouped(use.led)});
  }
  return table.ToString() + "\n";
}

std::string ToText(const SegmentDrift& graph) {
  const GraphDriftReport& drift = graph.drift;
  return absl::StrFormat("%s, space %s: %s (%s canary queries): %s\n\n", graph.partition, graph.space,
                         drift.train_again ? "train again" : "as it should be", Grouped(drift.queries),
                         drift.reason) +
         UsesText("most helpful", drift.helpful, graph.ids) +
         UsesText("most harmful", drift.harmful, graph.ids);
}

Json ToJson(const GraphWalk& walk, const Ids& ids) {
  Json json = {{"hops", walk.steps.size()},
               {"distance_computations", walk.distance_computations},
               {"recall", walk.recall},
               {"found", Json::array()},
               {"vertices", Json::array()}};
  for (const std::uint64_t found : walk.found) json["found"].push_back(IdOf(ids, found));
  for (const WalkStep& step : walk.steps) {
    json["vertices"].push_back({{"id", IdOf(ids, step.label)},
                                {"score", step.score},
                                {"origin", step.origin},
                                {"learned", step.learned},
                                {"led", step.led}});
  }
  return json;
}

Json ToJson(const SegmentWalk& graph) {
  return {{"space", graph.space},
          {"partition", graph.partition},
          {"rows", graph.rows},
          {"walk", ToJson(graph.trace.walk, graph.ids)},
          {"untaught", graph.trace.untaught ? ToJson(*graph.trace.untaught, graph.ids) : Json()}};
}

std::string WalkLine(std::string_view name, const GraphWalk& walk) {
  std::size_t learned = 0, led = 0;
  for (const WalkStep& step : walk.steps) {
    learned += step.learned;
    led += step.led;
  }
  return absl::StrFormat(
      "  %-9s %4d hops, %5s distances, recall %.2f, %d led to results, %d by what was learned\n", name,
      walk.steps.size(), Grouped(walk.distance_computations), walk.recall, led, learned);
}

std::string ToText(const SegmentWalk& graph) {
  std::string text =
      absl::StrFormat("%s, space %s, %s vectors\n", graph.partition, graph.space, Grouped(graph.rows)) +
      WalkLine("walk", graph.trace.walk);
  if (graph.trace.untaught) text += WalkLine("untaught", *graph.trace.untaught);
  Table table({">hop", ">score", ">from", "learned", "led", "document"});
  for (std::size_t i = 0; i < graph.trace.walk.steps.size(); ++i) {
    const WalkStep& step = graph.trace.walk.steps[i];
    const auto id = graph.ids.find(step.label);
    table.Add({std::to_string(i), Fixed(step.score, 4), step.origin < 0 ? "-" : std::to_string(step.origin),
               step.learned ? "yes" : "", step.led ? "yes" : "",
               id == graph.ids.end() ? "(deleted)" : OneLine(id->second, 60)});
  }
  return text + table.ToString() + "\n";
}

template <class Graphs>
absl::Status PrintGraphs(const Graphs& graphs, bool json) {
  Json all = Json::array();
  std::string text;
  for (const auto& graph : graphs) {
    if (json) {
      all.push_back(ToJson(graph));
    } else {
      text += ToText(graph);
    }
  }
  return json ? PrintJson({{"graphs", std::move(all)}}) : Print(text);
}

}  // namespace

absl::Status RunInspectDrift(const InspectArguments& arguments) {
  StoreDriftOptions options;
  options.expert = arguments.expert;
  options.drift = arguments.drift_options;
  options.drift.cancelled = &Interrupted();
  TRIVIUM_CLI_RETURN_IF_ERROR(options.drift.Validate());
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const auto files, PairQueryFiles(arguments.queries));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(EncoderRegistry encoders, EncoderRegistry::Load(arguments.encoder_commands));
  CatchInterrupts();
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenReader(arguments.store, &encoders));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const StoreInfo info, store->Inspect());
  TRIVIUM_CLI_ASSIGN_OR_RETURN(PlainQueries queries, ReadPlainQueries(files, info));
  options.texts = std::move(queries.texts);
  options.vectors = queries.Views();
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::vector<SegmentDrift> graphs, store->GraphDrift(options));
  return PrintGraphs(graphs, arguments.json);
}

absl::Status RunInspectWalk(const InspectArguments& arguments) {
  StoreWalkOptions options;
  options.text = arguments.walk;
  options.expert = arguments.expert;
  options.walk = arguments.walk_options;
  TRIVIUM_CLI_RETURN_IF_ERROR(options.walk.Validate());
  TRIVIUM_CLI_ASSIGN_OR_RETURN(EncoderRegistry encoders, EncoderRegistry::Load(arguments.encoder_commands));
  std::vector<std::vector<float>> storage;
  TRIVIUM_CLI_ASSIGN_OR_RETURN(options.vectors, ReadQuestionVectors(arguments.vectors, &storage));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenReader(arguments.store, &encoders));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::vector<SegmentWalk> graphs, store->TraceWalks(options));
  return PrintGraphs(graphs, arguments.json);
}

}  // namespace trivium::cli
