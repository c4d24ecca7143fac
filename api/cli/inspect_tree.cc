// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "absl/strings/str_format.h"
#include "api/cli/inspect_graphs.h"
#include "api/cli/output.h"
#include "api/cli/search_arguments.h"
#include "api/cli/status_macros.h"

namespace trivium::cli {
namespace {

constexpr std::size_t kTermColumns = 70;

Json ToJson(const TreeNode& node) {
  Json json = {{"node", node.node},           {"level", node.level},
               {"documents", node.documents}, {"greedy", node.greedy},
               {"balance", node.balance},     {"split_entropy", node.split_entropy},
               {"partition", node.partition}, {"purity", node.purity},
               {"terms", Json::array()},      {"typical", Json::array()}};
  for (const TreeTerm& term : node.terms)
    json["terms"].push_back({{"term", term.term}, {"score", term.score}});
  for (const TreeDocument& document : node.typical) {
    json["typical"].push_back(
        {{"id", document.id}, {"partition", document.partition}, {"probability", document.probability}});
  }
  return json;
}

Json ToJson(const TreeInspection& tree, bool with_document) {
  Json json = {{"space", tree.space},
               {"depth", tree.depth},
               {"documents", tree.documents},
               {"nodes", Json::array()},
               {"path", Json::array()}};
  for (const TreeNode& node : tree.nodes) json["nodes"].push_back(ToJson(node));
  for (const TreeStep& step : tree.path) {
    Json told = {{"node", step.node}, {"probability", step.probability}};
    told["document"] = with_document ? Json(step.document) : Json();
    told["left"] = step.left;
    json["path"].push_back(std::move(told));
  }
  return json;
}

std::string TermsText(const TreeNode& node) {
  std::string text;
  for (const TreeTerm& term : node.terms) text += (text.empty() ? "" : " ") + term.term;
  return OneLine(text, kTermColumns);
}

std::string NodeText(const TreeNode& node) {
  std::string text = absl::StrFormat(
      "node %d, level %d: %.1f documents, %s of them greedily\nsplit: %.2f go to node %d, entropy %.2f bits\n"
      "partition: %s, %.0f %%\n",
      node.node, node.level, node.documents, Grouped(node.greedy), node.balance, 2 * node.node + 1,
      node.split_entropy, node.partition.empty() ? "-" : node.partition, 100 * node.purity);
  Table terms({"term", ">score against the sibling"});
  for (const TreeTerm& term : node.terms) terms.Add({OneLine(term.term, 40), Fixed(term.score, 2)});
  Table typical({"typical document", ">probability"});
  for (const TreeDocument& document : node.typical) {
    typical.Add({document.partition + "/" + OneLine(document.id, 60), Fixed(document.probability, 3)});
  }
  if (!node.terms.empty()) text += terms.ToString();
  if (!node.typical.empty()) text += typical.ToString();
  return text;
}

std::string ToText(const TreeInspection& tree, bool with_document) {
  std::string text = absl::StrFormat("space %s: a tree of depth %d over %s documents\n\n", tree.space,
                                     tree.depth, Grouped(tree.documents));
  if (tree.path.empty() && tree.nodes.size() == 1) return text + NodeText(tree.nodes.front());
  std::vector<std::string> headings = {">node", ">level"};
  if (!tree.path.empty()) headings.push_back(">question");
  if (with_document) headings.insert(headings.end(), {">document", "leaves"});
  const std::vector<std::string> of_node = {">documents", ">greedy", ">balance", ">entropy",
                                            "partition",  ">purity", "terms"};
  headings.insert(headings.end(), of_node.begin(), of_node.end());
  Table table(headings);
  for (std::size_t i = 0; i < tree.nodes.size(); ++i) {
    const TreeNode& node = tree.nodes[i];
    std::vector<std::string> cells = {std::to_string(node.node), std::to_string(node.level)};
    if (!tree.path.empty()) cells.push_back(Fixed(tree.path[i].probability, 3));
    if (with_document) {
      cells.push_back(Fixed(tree.path[i].document, 3));
      cells.push_back(tree.path[i].left ? "here" : "");
    }
    const std::vector<std::string> more = {Fixed(node.documents, 1),
                                           Grouped(node.greedy),
                                           Fixed(node.balance, 2),
                                           Fixed(node.split_entropy, 2),
                                           OneLine(node.partition, 20),
                                           Fixed(node.purity, 2),
                                           TermsText(node)};
    cells.insert(cells.end(), more.begin(), more.end());
    table.Add(std::move(cells));
  }
  return text + table.ToString();
}

}  // namespace

absl::Status RunInspectTree(const InspectArguments& arguments) {
  InspectTreeOptions options = arguments.tree_options;
  options.question.text = arguments.path;
  TRIVIUM_CLI_ASSIGN_OR_RETURN(EncoderRegistry encoders, EncoderRegistry::Load(arguments.encoder_commands));
  std::vector<std::vector<float>> storage;
  TRIVIUM_CLI_ASSIGN_OR_RETURN(options.question.vectors, ReadQuestionVectors(arguments.vectors, &storage));
  TRIVIUM_CLI_RETURN_IF_ERROR(options.Validate());
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenReader(arguments.store, &encoders));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const TreeInspection tree, store->InspectTree(options));
  const bool with_document = !options.document.empty();
  return arguments.json ? PrintJson(ToJson(tree, with_document)) : Print(ToText(tree, with_document));
}

}  // namespace trivium::cli
