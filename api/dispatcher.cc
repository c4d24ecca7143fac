// SPDX-License-Identifier: Apache-2.0
#include "api/dispatcher.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "api/keys.h"
#include "base/status_macros.h"
#include "routing/expert/answer_memory.h"
#include "routing/expert/query_guard.h"

namespace trivium {

std::optional<double> MeanLexicalWeight(const routing::DispatchSettings& settings) {
  const std::vector<float>& weights = settings.answer.lexical_weights;
  if (weights.empty()) return std::nullopt;
  return std::accumulate(weights.begin(), weights.end(), 0.0) / static_cast<double>(weights.size());
}

std::optional<SecondLookInfo> DescribeSecondLook(const routing::DispatchSettings& settings) {
  const std::optional<routing::SecondLook>& look = settings.answer.second_look;
  if (!look) return std::nullopt;
  return SecondLookInfo{look->route_weight, look->score_weight, look->prior_weight, look->widen_below,
                        static_cast<int>(look->wider_max_experts)};
}

std::optional<MemoryInfo> DescribeMemory(const routing::DispatchSettings& settings,
                                         const routing::AnswerMemory* memory) {
  const std::optional<routing::MemorySettings>& learned = settings.answer.memory;
  if (!learned) return std::nullopt;
  const std::vector<float>& weights = learned->weights;
  return MemoryInfo{
      learned->threshold,
      std::accumulate(weights.begin(), weights.end(), 0.0) / static_cast<double>(weights.size()),
      static_cast<std::uint64_t>(
          std::count_if(weights.begin(), weights.end(), [](float w) { return w > 0; })),
      memory == nullptr ? 0 : memory->size()};
}

absl::StatusOr<Dispatcher::Entry> Dispatcher::LoadEntry(const routing::DispatchSettings& settings,
                                                        const std::string& bytes,
                                                        const std::string& index_path) {
  TRIVIUM_ASSIGN_OR_RETURN(std::unique_ptr<routing::ExpertRouter> router,
                           routing::MakeRouter(settings.router));
  TRIVIUM_RETURN_IF_ERROR(router->Load(bytes));
  if (router->NeedsIndex()) TRIVIUM_RETURN_IF_ERROR(router->OpenIndex(index_path));
  return Entry{settings, std::move(router)};
}

absl::StatusOr<std::shared_ptr<const Dispatcher>> Dispatcher::Load(const DispatchRecord& record,
                                                                   const storage::KeyValueStore& db,
                                                                   const std::string& segments_directory) {
  auto dispatcher = std::make_shared<Dispatcher>();
  dispatcher->space_ = record.space;
  for (const RouterRecord& saved : record.routers) {
    const std::string& name = saved.settings.router;
    TRIVIUM_ASSIGN_OR_RETURN(const std::optional<std::string> bytes,
                             db.Get(storage::Table::kManifest, RouterKey(name)));
    if (!bytes) {
      return absl::DataLossError(absl::StrFormat("router '%s': missing, expected its weights (db)", name));
    }
    TRIVIUM_ASSIGN_OR_RETURN(Entry entry,
                             LoadEntry(saved.settings, *bytes, segments_directory + "/" + saved.index_file));
    if (entry.router->expert_count() != record.expert_ids.size()) {
      return absl::DataLossError(absl::StrFormat("router '%s': %d experts, expected %d (db)", name,
                                                 entry.router->expert_count(), record.expert_ids.size()));
    }
    const std::size_t weights = saved.settings.answer.lexical_weights.size();
    if (weights != 0 && weights != record.expert_ids.size()) {
      return absl::DataLossError(absl::StrFormat("router '%s': %d lexical weights, expected %d (db)", name,
                                                 weights, record.expert_ids.size()));
    }
    const std::optional<routing::SecondLook>& look = saved.settings.answer.second_look;
    if (look && look->bias.size() != record.expert_ids.size()) {
      return absl::DataLossError(absl::StrFormat("router '%s': second look at %d experts, expected %d (db)",
                                                 name, look->bias.size(), record.expert_ids.size()));
    }
    const std::optional<routing::MemorySettings>& memory = saved.settings.answer.memory;
    if (memory && memory->weights.size() != record.expert_ids.size()) {
      return absl::DataLossError(absl::StrFormat("router '%s': %d weights of memory, expected %d (db)", name,
                                                 memory->weights.size(), record.expert_ids.size()));
    }
    if (memory && record.memory_file.empty()) {
      return absl::DataLossError(
          absl::StrFormat("router '%s': nothing remembered, expected a file of it (db)", name));
    }
    dispatcher->entries_.push_back(std::move(entry));
  }
  if (record.guard) {
    TRIVIUM_ASSIGN_OR_RETURN(const std::optional<std::string> bytes,
                             db.Get(storage::Table::kManifest, RouterKey(kGuardName)));
    if (!bytes) return absl::DataLossError("guard: missing, expected its weights (db)");
    TRIVIUM_ASSIGN_OR_RETURN(dispatcher->guard_, LoadGuard(*record.guard, *bytes, segments_directory));
  }
  if (!record.memory_file.empty()) {
    TRIVIUM_ASSIGN_OR_RETURN(const std::optional<std::string> bytes,
                             db.Get(storage::Table::kManifest, RouterKey(kMemoryName)));
    if (!bytes) return absl::DataLossError("memory: missing, expected its documents (db)");
    TRIVIUM_ASSIGN_OR_RETURN(dispatcher->memory_,
                             LoadMemory(*bytes, segments_directory + "/" + record.memory_file));
  }
  return dispatcher;
}

absl::StatusOr<std::shared_ptr<const routing::AnswerMemory>> Dispatcher::LoadMemory(
    const std::string& bytes, const std::string& index_path) {
  auto memory = std::make_shared<routing::AnswerMemory>();
  TRIVIUM_RETURN_IF_ERROR(memory->Load(bytes));
  TRIVIUM_RETURN_IF_ERROR(memory->OpenIndex(index_path));
  return memory;
}

absl::StatusOr<std::shared_ptr<const routing::QueryGuard>> Dispatcher::LoadGuard(
    const GuardRecord& record, const std::string& bytes, const std::string& segments_directory) {
  auto guard = std::make_shared<routing::QueryGuard>();
  TRIVIUM_RETURN_IF_ERROR(guard->Load(bytes));
  TRIVIUM_RETURN_IF_ERROR(guard->OpenIndexes(segments_directory + "/" + record.pilots_file,
                                             segments_directory + "/" + record.background_file));
  return guard;
}

const Dispatcher::Entry* Dispatcher::Find(std::string_view router) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.settings.router == router; });
  return found == entries_.end() ? nullptr : &*found;
}

}  // namespace trivium
