// SPDX-License-Identifier: Apache-2.0
// Looking at the tree of a space.
#include <algorithm>
#include <functional>

#include "absl/strings/str_format.h"
#include "api/store_impl.h"
#include "api/tree_inspection.h"
#include "base/status_macros.h"
#include "index/lexical/tokenizer.h"

namespace trivium {
namespace {

// Of more documents with a text every second, third ... is read.
constexpr std::uint64_t kMostTexts = 32768;
constexpr std::size_t kMostListed = 1000;

absl::StatusOr<const SpaceRecord*> SpaceWithTree(const Schema& schema, const std::string& name) {
  const SpaceRecord* only = nullptr;
  if (!name.empty()) {
    TRIVIUM_ASSIGN_OR_RETURN(only, ResolveSpace(schema, name));
  }
  for (const SpaceRecord& space : schema.spaces) {
    if (!name.empty() || !space.tree) continue;
    if (only != nullptr) {
      return absl::InvalidArgumentError(
          absl::StrFormat("space: not given, expected one of those with a tree, such as '%s' or '%s'",
                          only->name, space.name));
    }
    only = &space;
  }
  if (only == nullptr || !only->tree) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "inspect tree: none in %s, expected a trained one; train it first",
        only == nullptr ? std::string("any space") : absl::StrFormat("space '%s'", only->name)));
  }
  return only;
}

// Calls visit(number, partition, probabilities, vector) for every document with a vector in the space.
using Visit =
    std::function<absl::Status(std::uint64_t, std::uint32_t, const std::vector<float>&, const float*)>;
absl::Status ForEachDocument(const StoreState& state, const SpaceRecord& space, const Visit& visit) {
  const routing::SplitTree& tree = *state.FindTrees(space.id).tree;
  std::vector<float> probabilities(tree.nodes()), row(space.dimension);
  for (const auto& set : state.sets) {
    if (set->space() != space.id) continue;
    for (const VectorPart& part : set->parts()) {
      for (std::size_t i = 0; i < part.rows->size(); ++i) {
        if (part.live != nullptr && !part.live->Test(i)) continue;
        part.rows->CopyRow(i, row.data());
        if (tree.given()) {  // rounding may have dropped much of one that spreads
          tree.Assign(row.data(), nullptr, probabilities.data());
        } else {
          NodeProbabilities(part.trees.leaves->masses(i, tree.depth), tree.depth, &probabilities);
        }
        TRIVIUM_RETURN_IF_ERROR(
            visit(part.rows->documents()[i], set->partition(), probabilities, row.data()));
      }
    }
  }
  return absl::OkStatus();
}

// Without what the nodes hold.
std::vector<TreeStep> FollowPath(const routing::SplitTree& tree, const float* question,
                                 const float* document) {
  const auto assign = [&](const float* vector) {
    std::vector<float> features(tree.features()), probabilities(tree.nodes());
    tree.Assign(vector, features.data(), probabilities.data());
    return probabilities;
  };
  const std::vector<float> asked = assign(question);
  std::vector<float> wanted;
  std::vector<std::uint32_t> own_path;
  if (document != nullptr) {
    wanted = assign(document);
    own_path = GreedyPath(wanted, tree.depth);
  }
  std::vector<TreeStep> path;
  bool together = true;
  for (const std::uint32_t node : GreedyPath(asked, tree.depth)) {
    TreeStep step{node, asked[node]};
    if (document != nullptr) {
      step.document = wanted[node];
      step.left = together && own_path[path.size()] != node;
      together = together && !step.left;
    }
    path.push_back(step);
  }
  return path;
}

}  // namespace

absl::Status InspectTreeOptions::Validate() const {
  const auto wrong = [](std::string_view what, std::uint64_t seen, const std::string& expected) {
    return absl::InvalidArgumentError(absl::StrFormat("%s: %d, expected %s", what, seen, expected));
  };
  if (terms > kMostListed) return wrong("terms", terms, absl::StrFormat("0 to %d", kMostListed));
  if (typical > kMostListed) return wrong("typical", typical, absl::StrFormat("0 to %d", kMostListed));
  const bool asked = !question.text.empty() || !question.vectors.empty();
  if (!document.empty() && !asked) {
    return absl::InvalidArgumentError("document: given without a question, expected one");
  }
  if (node > 0 && asked) return wrong("node", node, "0 (all of its way) with a question");
  return absl::OkStatus();
}

absl::StatusOr<std::vector<TreeStep>> Store::Impl::TracePath(const StoreState& state,
                                                             const SpaceRecord& space,
                                                             const InspectTreeOptions& options) const {
  if (options.question.text.empty() && options.question.vectors.empty()) return std::vector<TreeStep>();
  TRIVIUM_RETURN_IF_ERROR(CheckQueryText(options.question.text));
  std::vector<std::string> texts;
  if (!options.question.text.empty()) texts.push_back(options.question.text);
  TRIVIUM_ASSIGN_OR_RETURN(
      const PreparedQueries prepared,
      PrepareForSpaces(state, "inspect tree", 1, options.question.vectors, texts, {space.id}));
  std::vector<float> document;
  if (!options.document.empty()) {
    std::optional<std::string> partition;
    if (!options.partition.empty()) partition = options.partition;
    TRIVIUM_ASSIGN_OR_RETURN(const std::vector<std::uint64_t> numbers,
                             ResolveIds(state, {&options.document, 1}, partition));
    document.resize(space.dimension);
    const DocumentDirectory::Entry* entry = state.documents.Find(numbers.front());
    const VectorSet* set = entry == nullptr ? nullptr : state.FindSet(space.id, entry->partition);
    if (set == nullptr || !set->CopyRow(numbers.front(), document.data())) {
      return absl::NotFoundError(absl::StrFormat("document: '%s', expected one with a vector in space '%s'",
                                                 options.document.substr(0, 80), space.name));
    }
  }
  return FollowPath(*state.FindTrees(space.id).tree, prepared.Find(space.id)->row(0),
                    document.empty() ? nullptr : document.data());
}

absl::StatusOr<TreeInspection> Store::InspectTree(const InspectTreeOptions& options) const {
  TRIVIUM_RETURN_IF_ERROR(options.Validate());
  TRIVIUM_ASSIGN_OR_RETURN(const std::shared_ptr<const StoreState> state, impl_->Read());
  TRIVIUM_ASSIGN_OR_RETURN(const SpaceRecord* space, SpaceWithTree(state->schema, options.space));
  const routing::SplitTree& tree = *state->FindTrees(space->id).tree;
  TreeInspection told;
  told.space = space->name;
  told.depth = tree.depth;
  if (options.node >= tree.nodes()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("node: %d, expected 1 to %d", options.node, tree.nodes() - 1));
  }
  TRIVIUM_ASSIGN_OR_RETURN(told.path, impl_->TracePath(*state, *space, options));
  std::vector<std::uint32_t> nodes;
  if (options.node > 0) nodes.push_back(static_cast<std::uint32_t>(options.node));
  for (const TreeStep& step : told.path) nodes.push_back(static_cast<std::uint32_t>(step.node));
  if (nodes.empty()) {
    const std::size_t levels = std::min(options.levels, tree.depth);
    for (std::uint32_t node = 1; node < (std::uint32_t{2} << levels); ++node) nodes.push_back(node);
  }

  NodeSummaries summaries(nodes, tree.depth, space->dimension);
  for (const auto& set : state->sets) told.documents += set->space() == space->id ? set->live_count() : 0;
  const std::uint64_t stride = (told.documents + kMostTexts - 1) / kMostTexts;
  std::uint64_t seen = 0;
  std::vector<std::string> terms;
  TRIVIUM_RETURN_IF_ERROR(ForEachDocument(
      *state, *space,
      [&](std::uint64_t number, std::uint32_t partition, const std::vector<float>& probabilities,
          const float* vector) -> absl::Status {
        const std::vector<std::uint32_t> path = GreedyPath(probabilities, tree.depth);
        summaries.Add(probabilities, path, state->schema.PartitionById(partition)->name, vector);
        if (options.terms == 0 || seen++ % stride != 0) return absl::OkStatus();
        Document document;
        TRIVIUM_RETURN_IF_ERROR(impl_->LoadDocument(*state, number, &document));
        index::Tokenize(document.text, &terms);
        summaries.AddTerms(path, terms);
        return absl::OkStatus();
      }));
  if (options.typical > 0) {
    TRIVIUM_RETURN_IF_ERROR(
        ForEachDocument(*state, *space,
                        [&](std::uint64_t number, std::uint32_t, const std::vector<float>& probabilities,
                            const float* vector) {
                          summaries.Compare(probabilities, GreedyPath(probabilities, tree.depth), number,
                                            vector, options.typical);
                          return absl::OkStatus();
                        }));
  }
  for (const std::uint32_t node : nodes) {
    TreeNode view = summaries.Describe(node, options.terms);
    for (const NodeSummaries::Typical& document : summaries.typical(node)) {
      const DocumentDirectory::Entry& entry = *state->documents.Find(document.key);
      view.typical.push_back(
          {entry.id, state->schema.PartitionById(entry.partition)->name, document.probability});
    }
    told.nodes.push_back(std::move(view));
  }
  return told;
}

}  // namespace trivium
