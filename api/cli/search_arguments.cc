// SPDX-License-Identifier: Apache-2.0
#include "api/cli/search_arguments.h"

#include <algorithm>
#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"
#include "api/cli/arguments.h"
#include "api/cli/interrupt.h"
#include "api/cli/status_macros.h"
#include "trivium/files.h"

namespace trivium::cli {

namespace {

// Names between commas. kInvalidArgument where the flag is given and names nothing: nobody would be left.
absl::StatusOr<std::vector<std::string>> ParseNames(const char* flag,
                                                    const std::optional<std::string>& text) {
  if (!text) return std::vector<std::string>();
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin <= text->size();) {
    const std::size_t end = std::min(text->find(',', begin), text->size());
    if (end > begin) names.push_back(text->substr(begin, end - begin));
    begin = end + 1;
  }
  if (!names.empty()) return names;
  return absl::InvalidArgumentError(absl::StrFormat("%s: %s, expected names A,B", flag, Quoted(*text)));
}

// "on" or "off"; where nothing is given, `*is_on` stays.
absl::Status ParseSwitch(std::string_view name, const std::string& text, bool* is_on) {
  if (text.empty()) return absl::OkStatus();
  if (text != "on" && text != "off") {
    return absl::InvalidArgumentError(absl::StrFormat("%s: %s, expected on or off", name, Quoted(text)));
  }
  *is_on = text == "on";
  return absl::OkStatus();
}

}  // namespace

void AddVectorOption(CLI::App& command, std::vector<std::string>* files) {
  command
      .add_option(
          "--vector", *files,
          "The question as a vector: a file of one row; SPACE=FILE for one of several spaces (repeatable)")
      ->type_name("[SPACE=]FILE")
      ->allow_extra_args(false);
}

absl::StatusOr<std::vector<SpaceVectors>> ReadQuestionVectors(const std::vector<std::string>& files,
                                                              std::vector<std::vector<float>>* storage) {
  std::vector<NamedFile> named;
  for (const std::string& text : files) {
    TRIVIUM_CLI_ASSIGN_OR_RETURN(named.emplace_back(), ParseOptionallyNamedFile("--vector", text, false));
  }
  std::vector<SpaceVectors> vectors;
  for (const NamedFile& file : named) {
    TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<VectorReader> reader, VectorReader::Open(file.file));
    if (reader->rows() != 1) {
      return absl::InvalidArgumentError(
          absl::StrFormat("--vector: %d rows, expected 1 (%s)", reader->rows(), file.file));
    }
    storage->emplace_back(reader->columns());
    TRIVIUM_CLI_RETURN_IF_ERROR(reader->Read(0, 1, storage->back().data()));
    vectors.push_back({file.name, {storage->back().data(), 1, reader->columns()}});
  }
  return vectors;
}

void AddSearchOptions(CLI::App& command, SearchArguments* arguments) {
  command
      .add_option("--experts", arguments->experts, "Who answers: auto (learned dispatch), all, or names A,B")
      ->type_name("auto|all|A,B")
      ->capture_default_str();
  command
      .add_option(
          "--adapters", arguments->adapters,
          "Read queries by query adapters: also by those that the gate left off, or by none (default: by "
          "those it let pass)")
      ->type_name("on|off");
  command
      .add_option(
          "--second-look", arguments->second_look,
          "Let what the chosen experts find revise the route, as trained dispatch learned to (default: on)")
      ->type_name("on|off");
  command
      .add_option("--memory", arguments->memory,
                  "Raise hits that were judged relevant for queries like this one, where trained dispatch "
                  "learned to (default: on)")
      ->type_name("on|off");
  command
      .add_option(
          "--fusion", arguments->fusion,
          "How lists of several spaces, or of dense and lexical experts, are merged: by rank (default, but "
          "for what training found) or by scaled scores")
      ->type_name("rrf|convex");
  command
      .add_option("--lexical-weight", arguments->lexical_weight,
                  "Share of lexical experts with --fusion convex (default 0.3, but for what training found)")
      ->type_name("W");
  command
      .add_option("--index", arguments->index,
                  "Use the graph, scan all vectors (default: by size), rank by a trained tree, at its last "
                  "level or another, or read only trained cells, as many as were calibrated or others")
      ->type_name("graph|exact|tree[:LEVEL]|cells[:PROBES]");
  command.add_option("--beam-width", arguments->beam_width, "Candidates kept while walking the graph")
      ->type_name("N");
  command
      .add_option("--filter", arguments->filter,
                  "Condition on metadata, as {\"field\":\"year\",\"op\":\">=\",\"value\":2020}")
      ->type_name("JSON");
  command
      .add_option("--router", arguments->router,
                  "Dispatch: by this trained router, even where the gate left dispatch off")
      ->type_name("NAME");
  command
      .add_option("--top-p", arguments->top_p,
                  "Dispatch: share of the probability that the experts must cover")
      ->type_name("P");
  command.add_option("--max-experts", arguments->max_experts, "Dispatch: at most this many experts")
      ->type_name("N");
  // Functions, because the parser takes an empty text for an optional that is not given: everybody.
  const auto keep = [](std::optional<std::string>* names) {
    return [names](const std::string& text) { *names = text; };
  };
  command
      .add_option_function<std::string>("--allowed", keep(&arguments->allowed),
                                        "Experts that may be asked (default: all)")
      ->type_name("A,B");
  command
      .add_option_function<std::string>("--partitions", keep(&arguments->partitions),
                                        "Partitions whose documents may be found (default: all)")
      ->type_name("A,B");
  command
      .add_option("--cost", arguments->cost,
                  "Dispatch: share of what all experts cost that may be spent, instead of what was trained: "
                  "0 asks one, 1 all")
      ->type_name("C");
  command
      .add_option("--budget", arguments->budget,
                  "Dispatch: likewise, distances that the searches may compute, as estimated")
      ->type_name("N");
  command
      .add_option("--on-reject", arguments->on_reject,
                  "What answers a query that the guard takes for out of domain: all experts, all of them "
                  "untrained (plain), or nothing")
      ->type_name("all|plain|nothing")
      ->capture_default_str();
}

absl::StatusOr<SearchOptions> ToSearchOptions(const SearchArguments& arguments, std::size_t k) {
  SearchOptions options;
  options.k = k;
  options.experts = ExpertSelection::Parse(arguments.experts);
  options.filter = arguments.filter;
  options.router = arguments.router;
  TRIVIUM_CLI_ASSIGN_OR_RETURN(options.adapters, ParseAdapterUse(arguments.adapters));
  TRIVIUM_CLI_RETURN_IF_ERROR(ParseSwitch("--second-look", arguments.second_look, &options.second_look));
  TRIVIUM_CLI_RETURN_IF_ERROR(ParseSwitch("--memory", arguments.memory, &options.memory));
  TRIVIUM_CLI_RETURN_IF_ERROR(ParseIndexChoice(arguments.index, &options));
  if (!arguments.fusion.empty()) {
    TRIVIUM_CLI_ASSIGN_OR_RETURN(options.fusion, ParseFusion(arguments.fusion));
  }
  options.lexical_weight = arguments.lexical_weight;
  options.beam_width = arguments.beam_width;
  options.top_p = arguments.top_p;
  options.max_experts = arguments.max_experts;
  TRIVIUM_CLI_ASSIGN_OR_RETURN(options.on_reject, ParseOnReject(arguments.on_reject));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(options.allowed_experts, ParseNames("--allowed", arguments.allowed));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(options.partitions, ParseNames("--partitions", arguments.partitions));
  options.cost = arguments.cost;
  options.budget = arguments.budget;
  options.cancelled = &Interrupted();
  TRIVIUM_CLI_RETURN_IF_ERROR(options.Validate());
  return options;
}

}  // namespace trivium::cli
