// SPDX-License-Identifier: Apache-2.0
#include "api/expert_searches.h"

#include <algorithm>
#include <atomic>
#include <chrono>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace trivium {
namespace {

void SortBestFirst(std::size_t depth, std::vector<routing::ScoredDocument>* hits) {
  std::sort(hits->begin(), hits->end(), [](const auto& a, const auto& b) {
    return a.score != b.score ? a.score > b.score : a.key < b.key;
  });
  if (hits->size() > depth) hits->resize(depth);
}

}  // namespace

index::SearchParameters ParametersFor(const VectorSet& set, std::size_t depth, const StoreState& state,
                                      const SearchOptions& options) {
  index::SearchParameters parameters;
  parameters.k = depth;
  parameters.beam_width =
      options.beam_width > 0 ? options.beam_width : state.schema.SpaceById(set.space())->beam_width;
  if (options.index == IndexChoice::kGraph) parameters.method = index::SearchMethod::kGraph;
  // A tree compares every row at its coarsest level; cells are known to take no more than that.
  if (options.index == IndexChoice::kExact || options.index == IndexChoice::kTree ||
      options.index == IndexChoice::kCells) {
    parameters.method = index::SearchMethod::kExact;
  }
  return parameters;
}

absl::Status ExpertSearches::CheckTree(std::uint32_t space) const {
  if (options_.index != IndexChoice::kTree && options_.index != IndexChoice::kCells) return absl::OkStatus();
  const SpaceRecord& searched = *state_.schema.SpaceById(space);
  if (options_.index == IndexChoice::kCells) {
    if (!searched.cells) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "index: cells, expected trained cells in space '%s'; train them first", searched.name));
    }
    if (options_.probes > searched.cells->info.cells) {
      return absl::InvalidArgumentError(
          absl::StrFormat("probes: %d, expected 1 to %d, the cells of space '%s'", options_.probes,
                          searched.cells->info.cells, searched.name));
    }
    return absl::OkStatus();
  }
  if (!searched.tree) {
    return absl::FailedPreconditionError(
        absl::StrFormat("index: tree, expected a trained tree in space '%s'; train it first", searched.name));
  }
  if (options_.level > searched.tree->info.depth) {
    return absl::InvalidArgumentError(
        absl::StrFormat("level: %d, expected 1 to %d, the depth of the tree of space '%s'", options_.level,
                        searched.tree->info.depth, searched.name));
  }
  return absl::OkStatus();
}

absl::Status ExpertSearches::CheckStop() const {
  if (options_.cancelled != nullptr && options_.cancelled->load(std::memory_order_relaxed)) {
    return absl::CancelledError("search: cancelled by the caller");
  }
  if (options_.deadline && std::chrono::steady_clock::now() > *options_.deadline) {
    return absl::DeadlineExceededError("search: the deadline has passed");
  }
  return absl::OkStatus();
}

absl::Status ExpertSearches::Add(absl::Span<const std::uint32_t> chosen, bool plain,
                                 const QueryReadings& readings, std::size_t depth, QueryVectors* query,
                                 std::vector<ExpertList>* lists) {
  // By vector set and adapter: experts that share both share the search.
  std::map<std::pair<std::uint32_t, const std::vector<float>*>, Search> added;
  std::vector<bool> set_seen(state_.sets.size(), false);
  lists->assign(chosen.size(), {});
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    TRIVIUM_RETURN_IF_ERROR(CheckStop());
    const ExpertView& expert = state_.experts[chosen[i]];
    ExpertList& list = (*lists)[i];
    list.expert = chosen[i];
    if (expert.lexical && !query->text().empty() && !(plain && state_.TextsAreCovered(chosen, i))) {
      text_searches_.push_back({&list, &expert, &query->text(), depth});
    }
    if (!expert.lexical) TRIVIUM_RETURN_IF_ERROR(CheckTree(expert.space));
    if (expert.sets.empty()) continue;
    TRIVIUM_ASSIGN_OR_RETURN(const float* vector, query->Get(expert.space));
    const std::vector<float>* adapter = plain ? nullptr : AdapterInUse(expert, options_.adapters);
    if (const auto reading = readings.find(expert.space); reading != readings.end()) {
      vector = reading->second.data();
      adapter = nullptr;
    } else if (adapter != nullptr) {
      TRIVIUM_RETURN_IF_ERROR(reader_.ReadAs(expert, vector, &adapted_));
      vector = adapted_.data();
    }
    for (std::uint32_t set : expert.sets) {
      if (!scope_.AllowsSet(set)) continue;
      const auto [entry, fresh] = added.try_emplace({set, adapter});
      if (fresh) {
        entry->second = AddSearch(set, depth, vector);
        ++list.searches;
        if (!set_seen[set]) ++list.vector_sets;
        set_seen[set] = true;
      } else if (plain) {
        continue;  // another expert's hits already hold these
      }
      uses_.push_back({&list, entry->second, set, fresh});
    }
    if (expert.sets.size() > 1) merged_.emplace_back(&list, depth);
  }
  return absl::OkStatus();
}

ExpertSearches::Search ExpertSearches::AddSearch(std::uint32_t set, std::size_t depth, const float* query) {
  const auto [entry, fresh] = groups_.try_emplace({set, depth});
  Group& group = entry->second;
  if (fresh) {
    group.queries = base::AlignedMatrix(state_.sets[set]->dimension());
    group.queries.Reserve(query_count_);
  }
  group.queries.Append(query);
  return {&group, group.queries.rows() - 1};
}

void ExpertSearches::RunGroup(const GroupKey& key, VectorSetScratch* scratch, Group* group) const {
  const VectorSet& set = *state_.sets[key.set];
  group->found.resize(group->queries.rows());
  group->counters.resize(group->queries.rows());
  if (options_.index == IndexChoice::kTree) {
    const std::size_t level = options_.level > 0 ? options_.level : set.trees().tree->depth;
    set.SearchTree(group->queries.view(), level, key.depth, filter_, scratch, group->found.data(),
                   group->counters.data());
    return;
  }
  if (options_.index == IndexChoice::kCells) {
    set.SearchCells(group->queries.view(), options_.probes, key.depth, filter_, scratch, group->found.data(),
                    group->counters.data());
    return;
  }
  set.SearchMany(group->queries.view(), ParametersFor(set, key.depth, state_, options_), filter_, scratch,
                 group->found.data(), group->counters.data());
}

// Whether another lexical expert among those chosen searches all that expert i does, and more; or as much and
// comes before.
void ExpertSearches::RunTextSearch(const TextSearch& search, VectorSetScratch* scratch) const {
  std::vector<index::LexicalPart> parts;
  for (const std::uint32_t set : search.expert->text_sets) {
    if (scope_.AllowsTexts(set)) state_.text_sets[set]->AppendTo(&parts);
  }
  index::SearchLexical(parts, *search.text, search.expert->bm25,
                       filter_ == nullptr ? nullptr : filter_->documents(), search.depth, &scratch->lexical,
                       &scratch->labels, &search.list->counters);
  for (const index::ScoredLabel& hit : scratch->labels) search.list->hits.push_back({hit.label, hit.score});
  ++search.list->searches;
}

absl::Status ExpertSearches::Run(VectorSetScratch* scratch) {
  for (const TextSearch& search : text_searches_) {
    TRIVIUM_RETURN_IF_ERROR(CheckStop());
    RunTextSearch(search, scratch);
  }
  for (auto& [key, group] : groups_) {
    TRIVIUM_RETURN_IF_ERROR(CheckStop());
    RunGroup(key, scratch, &group);
  }
  for (const Use& use : uses_) {
    const auto& found = use.search.group->found[use.search.row];
    use.list->hits.insert(use.list->hits.end(), found.begin(), found.end());
    if (!use.pays) continue;
    const index::SearchCounters& counters = use.search.group->counters[use.search.row];
    use.list->counters.Add(counters);
    use.list->by_set.emplace_back(use.set, counters.distances());
  }
  for (const auto& [list, depth] : merged_) SortBestFirst(depth, &list->hits);
  return absl::OkStatus();
}

}  // namespace trivium
