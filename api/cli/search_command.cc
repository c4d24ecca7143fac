// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"
#include "api/cli/command.h"
#include "api/cli/interrupt.h"
#include "api/cli/output.h"
#include "api/cli/search_arguments.h"
#include "api/cli/status_macros.h"

namespace trivium::cli {
namespace {

constexpr std::size_t kSnippetColumns = 100;

struct SearchCommandArguments : CommonArguments {
  std::string text;
  std::size_t k = 10;
  SearchArguments search;
  std::vector<std::string> vectors;
  std::string route_file;
  bool explain = false;
};

absl::StatusOr<std::optional<Route>> ReadRoute(const std::string& file) {
  if (file.empty()) return std::optional<Route>();
  std::ifstream in(file, std::ios::binary);
  std::error_code ignored;
  if (!in.is_open() || std::filesystem::is_directory(file, ignored)) {
    return absl::NotFoundError(absl::StrFormat("--route: no file to read, expected one (%s)", file));
  }
  const std::string text(std::istreambuf_iterator<char>(in), {});
  absl::StatusOr<Route> route = Route::FromJson(text);
  if (route.ok()) return std::optional<Route>(*std::move(route));
  return absl::Status(route.status().code(), absl::StrFormat("%s (%s)", route.status().message(), file));
}

Json ToJson(const Trace& trace) {
  Json json = {{"hops", trace.hops},
               {"distances", trace.distances},
               {"distance_computations", trace.distance_computations},
               {"bytes_read", trace.bytes_read},
               {"vector_sets", trace.vector_sets},
               {"searches", trace.searches},
               {"encoder_calls", trace.encoder_calls},
               {"stages_us", Json::object()},
               {"total_us", trace.total_us}};
  for (const auto& [stage, us] : trace.stages_us) json["stages_us"][stage] = us;
  return json;
}

Json ToJson(const SearchResult& result) {
  Json hits = Json::array();
  for (std::size_t i = 0; i < result.hits.size(); ++i) {
    const Hit& hit = result.hits[i];
    hits.push_back({{"rank", i + 1},
                    {"id", hit.id},
                    {"partition", hit.partition},
                    {"score", hit.score},
                    {"similarity", hit.similarity},
                    {"expert", hit.expert},
                    {"text", hit.text},
                    {"metadata", ParseMetadata(hit.metadata)}});
  }
  return {{"hits", std::move(hits)},
          {"route", Json::parse(result.route.ToJson())},
          {"trace", ToJson(result.trace)}};
}

std::string HitsText(const SearchResult& result) {
  if (result.hits.empty()) return "no hits\n";
  Table table({">rank", ">score", "expert", "document", "text"});
  for (std::size_t i = 0; i < result.hits.size(); ++i) {
    const Hit& hit = result.hits[i];
    table.Add({std::to_string(i + 1), Fixed(hit.score, 4), hit.expert,
               hit.partition + "/" + OneLine(hit.id, 40), OneLine(hit.text, kSnippetColumns)});
  }
  return table.ToString();
}

std::string RouteLine(const Route& route) {
  std::string chosen;
  for (const ExpertConsidered& expert : route.experts) {
    if (expert.chosen) chosen += (chosen.empty() ? "" : ", ") + expert.expert;
  }
  return absl::StrFormat("route: %s%s%s -> %s; %sfusion: %s\n", route.mode,
                         route.router.empty() ? "" : " (" + route.router + ")",
                         route.rejected ? ", rejected as out of domain" : "",
                         chosen.empty() ? "none" : chosen,
                         route.reading == "plain" ? "" : "query " + route.reading + "; ", route.fusion);
}

std::string Optional(const std::optional<double>& value) { return value ? Fixed(*value, 4) : "-"; }

// Nothing where no router chose.
std::string PilotsText(const RouteExplanation& explanation) {
  if (explanation.expert.empty()) return "";
  Table pilots(
      {"near pilot", ">cosine", "source", "of", "best", ">nDCG@10", ">weight", ">adds", ">share of votes"});
  for (const NearPilot& pilot : explanation.pilots) {
    pilots.Add({std::to_string(pilot.number), Fixed(pilot.cosine, 3), pilot.source,
                pilot.owner.empty() ? "-" : pilot.owner, pilot.best.empty() ? "-" : pilot.best,
                Fixed(pilot.best_utility, 3), absl::StrFormat("%g", pilot.weight),
                Optional(pilot.contribution), Optional(pilot.share)});
  }
  if (explanation.prior_contribution) {
    pilots.Add({"others that voted", "", "", "", "", "", "", Optional(explanation.other_contribution)});
    pilots.Add({"prior", "", "", "", "", "", "", Optional(explanation.prior_contribution)});
  }
  std::string text = pilots.ToString();
  if (explanation.prior_contribution) {
    text += "what is added up: the utility of " + explanation.expert + "\n";
  }
  if (const auto& margin = explanation.left_out) {
    text += absl::StrFormat("left out first: %s, utility %.3f, asked from %.3f on\n", margin->expert,
                            margin->utility, margin->needed);
  }
  if (const auto& margin = explanation.last_chosen) {
    text += absl::StrFormat("asked last: %s, utility %.3f, asked down to %.3f\n", margin->expert,
                            margin->utility, margin->needed);
  }
  return text + "\n";
}

std::string Explanation(const SearchResult& result) {
  Table experts({"expert", "chosen", ">probability", ">revised", ">utility", ">+-", ">cost", "reason"});
  for (const ExpertConsidered& expert : result.route.experts) {
    experts.Add({expert.expert, expert.chosen ? "yes" : "no", Fixed(expert.probability, 3),
                 Fixed(expert.revised, 3), Fixed(expert.utility, 3), Fixed(expert.uncertainty, 3),
                 absl::StrFormat("%g", expert.cost), OneLine(expert.reason, 80)});
  }
  const Trace& trace = result.trace;
  std::string text = "\n" + experts.ToString() + "\n";
  if (result.route.explanation) text += PilotsText(*result.route.explanation);
  if (result.route.remembered > 0) {
    text += absl::StrFormat("remembered from queries like this one: %s documents\n",
                            Grouped(result.route.remembered));
  }
  if (result.route.widened) text += "first results left the route unsure, so more experts were asked\n";
  if (result.route.in_domain) {
    text += absl::StrFormat("in domain with probability %.3f, by the guard: %s\n", *result.route.in_domain,
                            result.route.rejected ? "rejected" : "accepted");
  }
  text += absl::StrFormat("searched %s vector sets in %s searches, %s hops, %s distances",
                          Grouped(trace.vector_sets), Grouped(trace.searches), Grouped(trace.hops),
                          Grouped(trace.distance_computations));
  for (const auto& [kind, count] : trace.distances) text += absl::StrFormat(", %s %s", kind, Grouped(count));
  text += absl::StrFormat("; %s bytes read; %s encoder calls\ntime: %.0f us", Grouped(trace.bytes_read),
                          Grouped(trace.encoder_calls), trace.total_us);
  for (const auto& [stage, us] : trace.stages_us) text += absl::StrFormat(", %s %.0f", stage, us);
  return text + "\n";
}

absl::Status RunSearch(const SearchCommandArguments& arguments) {
  if (arguments.text.empty() && arguments.vectors.empty()) {
    return absl::InvalidArgumentError("query: empty, expected a text or --vector");
  }
  TRIVIUM_CLI_ASSIGN_OR_RETURN(SearchOptions options, ToSearchOptions(arguments.search, arguments.k));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(options.route, ReadRoute(arguments.route_file));
  TRIVIUM_CLI_RETURN_IF_ERROR(options.Validate());
  options.explain = arguments.explain;
  TRIVIUM_CLI_ASSIGN_OR_RETURN(EncoderRegistry encoders, EncoderRegistry::Load(arguments.encoder_commands));
  Query query;
  query.text = arguments.text;
  std::vector<std::vector<float>> storage;
  TRIVIUM_CLI_ASSIGN_OR_RETURN(query.vectors, ReadQuestionVectors(arguments.vectors, &storage));
  CatchInterrupts();
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenReader(arguments.store, &encoders));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const SearchResult result, store->Search(query, options));
  if (arguments.json) return PrintJson(ToJson(result));
  return Print(HitsText(result) + RouteLine(result.route) + (arguments.explain ? Explanation(result) : ""));
}

}  // namespace

void AddSearchCommand(CLI::App& app, Run* run) {
  CLI::App* command = app.add_subcommand("search", "Answer a question, with the route that led to the hits");
  auto arguments = std::make_shared<SearchCommandArguments>();
  AddStoreArgument(*command, arguments.get());
  command->add_option("TEXT", arguments->text, "The question (may be left out with --vector)")->type_name("");
  command->add_option("-k", arguments->k, "Hits wanted")->type_name("N")->capture_default_str();
  AddSearchOptions(*command, &arguments->search);
  AddVectorOption(*command, &arguments->vectors);
  command
      ->add_option("--route", arguments->route_file,
                   "Ask as in this answer, which search --json printed, or in its route")
      ->type_name("FILE");
  command->add_flag("--explain", arguments->explain,
                    "Also print what dispatch thought of each expert and why, and the cost");
  AddEncoderCommandOption(*command, arguments.get());
  command->callback([=] { *run = [=] { return RunSearch(*arguments); }; });
}

}  // namespace trivium::cli
