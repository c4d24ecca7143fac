// SPDX-License-Identifier: Apache-2.0
// One published version of a store: everything a search reads. Immutable once published; a reader that holds
// it sees the store as it was, whatever writers do.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "api/dispatcher.h"
#include "api/document_directory.h"
#include "api/feedback_log.h"
#include "api/schema.h"
#include "api/text_set.h"
#include "api/vector_rules.h"
#include "api/vector_set.h"
#include "base/bitmap.h"
#include "storage/key_value_store.h"
#include "trivium/options.h"
#include "trivium/types.h"

namespace trivium {

// An expert with its names resolved.
struct ExpertView {
  std::uint32_t id = 0;  // 0: implied, because the store declares none
  std::string name;
  std::uint32_t space = 0;
  bool lexical = false;  // searches text sets by BM25 and has no space
  index::Bm25Options bm25;
  bool every_partition = false;
  std::vector<std::uint32_t> sets;                    // indexes into StoreState::sets
  std::vector<std::uint32_t> text_sets;               // lexical only: indexes into StoreState::text_sets
  std::shared_ptr<const std::vector<float>> adapter;  // dimension x dimension; null: none
  bool adapter_enabled = false;                       // what searches use that do not say
  int feedback_column = -1;                           // in the feedback in use; -1: unknown to it
  std::string quarantine;                             // why "auto" does not ask it; empty: it does
};

// The adapter by which the expert reads queries; null: as they are.
inline const std::vector<float>* AdapterInUse(const ExpertView& expert, AdapterUse use) {
  const bool in_use = use == AdapterUse::kAlways || (use == AdapterUse::kStore && expert.adapter_enabled);
  return in_use ? expert.adapter.get() : nullptr;
}

struct StoreState {
  std::uint64_t version = 0;  // counts published versions
  std::shared_ptr<storage::KeyValueStore> db;
  Schema schema;
  std::uint64_t next_document = 1;
  DocumentDirectory documents;
  std::vector<std::shared_ptr<const VectorSet>> sets;                           // only those that hold rows
  std::vector<std::shared_ptr<const TextSet>> text_sets;                        // likewise
  std::map<std::uint32_t, std::shared_ptr<const std::vector<float>>> adapters;  // by expert or space
  std::map<std::uint32_t, SpaceTrees> trees;                                    // by space
  std::shared_ptr<const Dispatcher> dispatcher;                                 // null: not trained
  std::shared_ptr<const FeedbackLog> feedback;  // null: none, or dispatch is not trained
  std::vector<ExpertView> experts;              // derived, see ResolveExperts
  // Likewise, one per expert, apart because a route reads those of all.
  std::vector<float> costs;
  std::vector<int> columns;                    // in the dispatcher's routers; -1: unknown to them
  std::vector<std::uint32_t> lexical_experts;  // indexes into `experts`
  // Experts that "auto" may ask, a bit each; empty: all. Where all are in quarantine, none is.
  std::optional<base::Bitmap> sound;

  // Whether another one of the `chosen` experts searches all the texts that the i-th searches.
  bool TextsAreCovered(absl::Span<const std::uint32_t> chosen, std::size_t i) const;

  const VectorSet* FindSet(std::uint32_t space, std::uint32_t partition) const {
    for (const auto& set : sets) {
      if (set->space() == space && set->partition() == partition) return set.get();
    }
    return nullptr;
  }

  // Likewise, of all domains.
  const std::vector<float>* SpaceAdapterInUse(std::uint32_t space, AdapterUse use) const {
    const SpaceRecord* owner = schema.SpaceById(space);
    if (owner == nullptr) return nullptr;  // of a lexical expert
    const std::optional<AdapterRecord>& record = owner->adapter;
    const bool in_use =
        record && (use == AdapterUse::kAlways || (use == AdapterUse::kStore && record->enabled));
    return in_use ? adapters.at(space).get() : nullptr;
  }

  SpaceTrees FindTrees(std::uint32_t space) const {
    const auto found = trees.find(space);
    return found == trees.end() ? SpaceTrees() : found->second;
  }

  // A copy of the set to change, to be put back with ReplaceSet; made empty where there is none.
  VectorSet CopySet(const SpaceRecord& space, std::uint32_t partition) const {
    const VectorSet* set = FindSet(space.id, partition);
    return set != nullptr ? *set
                          : VectorSet(space.id, partition, space.dimension, BaseMetric(space.metric),
                                      FindTrees(space.id));
  }
  void ReplaceSet(VectorSet set) {
    const std::uint32_t space = set.space(), partition = set.partition();
    std::erase_if(sets,
                  [&](const auto& old) { return old->space() == space && old->partition() == partition; });
    if (!set.parts().empty()) sets.push_back(std::make_shared<const VectorSet>(std::move(set)));
  }

  const TextSet* FindTexts(std::uint32_t partition) const {
    for (const auto& set : text_sets) {
      if (set->partition() == partition) return set.get();
    }
    return nullptr;
  }
  TextSet CopyTexts(std::uint32_t partition) const {
    const TextSet* set = FindTexts(partition);
    return set != nullptr ? *set : TextSet(partition);
  }
  void ReplaceTexts(TextSet set) {
    const std::uint32_t partition = set.partition();
    std::erase_if(text_sets, [&](const auto& old) { return old->partition() == partition; });
    if (!set.parts().empty()) text_sets.push_back(std::make_shared<const TextSet>(std::move(set)));
  }

  // Whether the schema names this file under segments/.
  bool UsesFile(std::string_view name) const;

  // Fills `experts` from the schema. Where it declares no dense one, every space is an expert over all
  // partitions, after those declared.
  void ResolveExperts();
};

}  // namespace trivium
