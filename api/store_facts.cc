// SPDX-License-Identifier: Apache-2.0
#include "api/store_facts.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "api/cell_facts.h"
#include "api/set_sample.h"
#include "api/vector_rules.h"
#include "base/status_macros.h"
#include "routing/expert/answer_agreement.h"
#include "routing/expert/grouped_moments.h"

namespace trivium {
namespace {

constexpr std::size_t kRowsRead = 10'000;  // of a set; moments change little with more
constexpr std::size_t kGroups = 16;        // of a set, and
constexpr std::size_t kAllGroups = 2'048;  // of all together, where there are many: each costs a route time

bool Searches(const ExpertView& expert, const SpaceRecord& space) {
  return !expert.lexical && expert.space == space.id;
}

// The sets of the space that hold rows and are searched by an expert, as indexes into state.sets.
std::vector<std::uint32_t> SearchedSets(const StoreState& state, const SpaceRecord& space) {
  std::set<std::uint32_t> searched;
  for (const ExpertView& expert : state.experts) {
    if (!Searches(expert, space)) continue;
    for (const std::uint32_t s : expert.sets) {
      if (state.sets[s]->live_count() > 0) searched.insert(s);
    }
  }
  return {searched.begin(), searched.end()};
}

// What each expert searches, of what there is of each set.
void TellExperts(const StoreState& state, const SpaceRecord& space,
                 const std::map<std::uint32_t, std::vector<std::uint32_t>>& groups_of,
                 std::vector<std::uint32_t> routing::ExpertFacts::Expert::*told,
                 routing::ExpertFacts* facts) {
  for (std::size_t e = 0; e < state.experts.size(); ++e) {
    if (!Searches(state.experts[e], space)) continue;
    for (const std::uint32_t s : state.experts[e].sets) {
      const auto found = groups_of.find(s);
      if (found == groups_of.end()) continue;
      std::vector<std::uint32_t>& groups = facts->experts[e].*told;
      groups.insert(groups.end(), found->second.begin(), found->second.end());
    }
  }
}

void FillMoments(const StoreState& state, const SpaceRecord& space, const std::vector<std::uint32_t>& sets,
                 routing::ExpertFacts* facts) {
  std::map<std::uint32_t, std::vector<std::uint32_t>> groups_of;
  for (const std::uint32_t s : sets) {
    const VectorSet& set = *state.sets[s];
    const std::size_t group_count = std::clamp<std::size_t>(kAllGroups / sets.size(), 1, kGroups);
    const base::AlignedMatrix sample = SampleRows(set, kRowsRead);
    for (routing::VectorMoments& moments :
         routing::GroupedMoments(sample.view(), static_cast<double>(set.live_count()), group_count)) {
      groups_of[s].push_back(static_cast<std::uint32_t>(facts->sets.size()));
      facts->sets.push_back(std::move(moments));
    }
  }
  TellExperts(state, space, groups_of, &routing::ExpertFacts::Expert::sets, facts);
}

absl::Status FillDescriptions(const StoreState& state, const SpaceRecord& space, EncoderSet* encoders,
                              routing::ExpertFacts* facts) {
  if (space.encoder.empty() || encoders->Find(space.encoder) == nullptr) return absl::OkStatus();
  std::vector<std::string> texts;
  std::vector<std::size_t> speakers;  // of each text
  for (std::size_t e = 0; e < state.experts.size(); ++e) {
    for (const ExpertRecord& record : state.schema.experts) {
      if (record.id != state.experts[e].id) continue;
      for (const absl::string_view line : absl::StrSplit(record.description, '\n', absl::SkipWhitespace())) {
        texts.emplace_back(line);
        speakers.push_back(e);
      }
    }
  }
  if (texts.empty()) return absl::OkStatus();
  TRIVIUM_ASSIGN_OR_RETURN(const base::AlignedMatrix rows,
                           encoders->Encode(space, texts, TextKind::kDocument));
  std::vector<float> unit;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    base::AlignedMatrix& description = facts->experts[speakers[i]].description;
    if (description.columns() == 0) description = base::AlignedMatrix(space.dimension);
    if (UnitCopy(rows.row(i), space.dimension, &unit)) description.Append(unit.data());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<routing::ExpertFacts> GatherFacts(const StoreState& state, EncoderSet* encoders,
                                                 std::uint32_t space, int threads) {
  const SpaceRecord& record = *state.schema.SpaceById(space);
  routing::ExpertFacts facts;
  facts.dimension = record.dimension;
  facts.experts.resize(state.experts.size());
  const std::vector<std::uint32_t> sets = SearchedSets(state, record);
  if (record.metric != Metric::kSquaredL2) FillMoments(state, record, sets, &facts);
  GroupsOfSets cells;
  facts.cells_are_nodes = state.FindTrees(space).cells != nullptr;
  if (facts.cells_are_nodes) {
    TRIVIUM_ASSIGN_OR_RETURN(cells, GroupByCells(state, record, sets, kRowsRead, threads, &facts.cells));
  } else {
    cells = GroupByClusters(state, record, sets, kRowsRead, threads, &facts.cells);
  }
  TellExperts(state, record, cells, &routing::ExpertFacts::Expert::cells, &facts);
  TRIVIUM_RETURN_IF_ERROR(FillDescriptions(state, record, encoders, &facts));
  return facts;
}

bool WantsAgreement(const std::vector<std::string>& routers) {
  return routers.empty() || std::count(routers.begin(), routers.end(), "agreement") > 0;
}

std::vector<std::uint32_t> ComparableExperts(const StoreState& state) {
  std::map<std::set<std::uint32_t>, std::vector<std::uint32_t>> groups;  // by partitions
  for (std::uint32_t e = 0; e < state.experts.size(); ++e) {
    std::set<std::uint32_t> partitions;
    for (const std::uint32_t s : state.experts[e].sets) partitions.insert(state.sets[s]->partition());
    for (const std::uint32_t s : state.experts[e].text_sets)
      partitions.insert(state.text_sets[s]->partition());
    if (!partitions.empty()) groups[std::move(partitions)].push_back(e);
  }
  std::vector<std::uint32_t> largest;
  for (const auto& [partitions, experts] : groups) {
    if (experts.size() > largest.size()) largest = experts;
  }
  return largest.size() < routing::kFewestAnswers ? std::vector<std::uint32_t>() : largest;
}

}  // namespace trivium
