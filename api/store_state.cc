// SPDX-License-Identifier: Apache-2.0
#include "api/store_state.h"

#include <algorithm>

namespace trivium {
namespace {

// -1 where it is not among them.
int PlaceOf(std::uint32_t id, const std::vector<std::uint32_t>& ids) {
  const auto found = std::find(ids.begin(), ids.end(), id);
  return found == ids.end() ? -1 : static_cast<int>(found - ids.begin());
}

}  // namespace

bool StoreState::UsesFile(std::string_view name) const {
  const std::vector<std::string> files = schema.files();
  return std::find(files.begin(), files.end(), name) != files.end();
}

void StoreState::ResolveExperts() {
  experts.clear();
  costs.clear();
  columns.clear();
  lexical_experts.clear();
  std::sort(sets.begin(), sets.end(), [](const auto& a, const auto& b) {
    return a->space() != b->space() ? a->space() < b->space() : a->partition() < b->partition();
  });
  std::sort(text_sets.begin(), text_sets.end(),
            [](const auto& a, const auto& b) { return a->partition() < b->partition(); });
  const auto add = [&](ExpertView view, std::optional<std::uint32_t> partition, double cost, int column) {
    view.every_partition = !partition.has_value();
    for (std::uint32_t i = 0; view.lexical && i < text_sets.size(); ++i) {
      if (!partition || text_sets[i]->partition() == *partition) view.text_sets.push_back(i);
    }
    for (std::uint32_t i = 0; i < sets.size(); ++i) {
      if (!view.lexical && sets[i]->space() == view.space &&
          (!partition || sets[i]->partition() == *partition)) {
        view.sets.push_back(i);
      }
    }
    if (view.lexical) lexical_experts.push_back(static_cast<std::uint32_t>(experts.size()));
    experts.push_back(std::move(view));
    costs.push_back(static_cast<float>(cost));
    columns.push_back(column);
  };
  for (const ExpertRecord& record : schema.experts) {
    ExpertView view;
    view.id = record.id;
    view.name = record.name;
    view.space = record.space;
    view.lexical = record.kind == ExpertKind::kLexical;
    if (view.lexical) view.bm25 = {static_cast<float>(record.k1), static_cast<float>(record.b)};
    if (record.adapter) {
      view.adapter = adapters.at(record.id);
      view.adapter_enabled = record.adapter->enabled;
    }
    const int column = schema.dispatch ? PlaceOf(record.id, schema.dispatch->expert_ids) : -1;
    if (feedback != nullptr) view.feedback_column = PlaceOf(record.id, feedback->expert_ids());
    view.quarantine = record.quarantine;
    add(std::move(view), record.partition, record.cost, column);
  }
  const bool declared =
      std::any_of(schema.experts.begin(), schema.experts.end(),
                  [](const ExpertRecord& expert) { return expert.kind == ExpertKind::kDense; });
  for (std::size_t i = 0; !declared && i < schema.spaces.size(); ++i) {
    const SpaceRecord& space = schema.spaces[i];
    ExpertView view;
    view.name = space.name;
    view.space = space.id;
    add(std::move(view), std::nullopt, /*cost=*/1, /*column=*/-1);
  }
  sound.reset();
  base::Bitmap bits(experts.size(), true);
  for (std::size_t i = 0; i < experts.size(); ++i) {
    if (!experts[i].quarantine.empty()) bits.Clear(i);
  }
  const std::size_t count = bits.CountSet();
  if (count > 0 && count < experts.size()) sound = std::move(bits);
}

bool StoreState::TextsAreCovered(absl::Span<const std::uint32_t> chosen, std::size_t i) const {
  const std::vector<std::uint32_t>& mine = experts[chosen[i]].text_sets;
  for (std::size_t j = 0; j < chosen.size(); ++j) {
    const std::vector<std::uint32_t>& other = experts[chosen[j]].text_sets;
    if (j != i && (other.size() > mine.size() || (other.size() == mine.size() && j < i)) &&
        std::includes(other.begin(), other.end(), mine.begin(), mine.end())) {
      return true;
    }
  }
  return false;
}

}  // namespace trivium
