// SPDX-License-Identifier: Apache-2.0
#include "api/store_state.h"

#include <algorithm>

namespace trivium {

bool StoreState::UsesFile(std::string_view name) const {
  const auto is_segment = [&](const SegmentRecord& segment) { return segment.file == name; };
  const auto is_index = [&](const RouterRecord& router) { return router.index_file == name; };
  return std::any_of(schema.segments.begin(), schema.segments.end(), is_segment) ||
         (schema.dispatch &&
          std::any_of(schema.dispatch->routers.begin(), schema.dispatch->routers.end(), is_index));
}

void StoreState::ResolveExperts() {
  experts.clear();
  std::sort(sets.begin(), sets.end(), [](const auto& a, const auto& b) {
    return a->space() != b->space() ? a->space() < b->space() : a->partition() < b->partition();
  });
  const auto add = [&](ExpertView view, std::optional<std::uint32_t> partition) {
    view.every_partition = !partition.has_value();
    for (std::uint32_t i = 0; i < sets.size(); ++i) {
      if (sets[i]->space() == view.space && (!partition || sets[i]->partition() == *partition)) {
        view.sets.push_back(i);
      }
    }
    experts.push_back(std::move(view));
  };
  for (const ExpertRecord& record : schema.experts) {
    ExpertView view;
    view.id = record.id;
    view.name = record.name;
    view.space = record.space;
    view.cost = static_cast<float>(record.cost);
    if (record.adapter) {
      view.adapter = adapters.at(record.id);
      view.adapter_enabled = record.adapter->enabled;
    }
    if (schema.dispatch) {
      const std::vector<std::uint32_t>& columns = schema.dispatch->expert_ids;
      const auto column = std::find(columns.begin(), columns.end(), record.id);
      if (column != columns.end()) view.column = static_cast<int>(column - columns.begin());
    }
    add(std::move(view), record.partition);
  }
  if (!schema.experts.empty()) return;
  for (const SpaceRecord& space : schema.spaces) {
    ExpertView view;
    view.name = space.name;
    view.space = space.id;
    add(std::move(view), std::nullopt);
  }
}

}  // namespace trivium
