// SPDX-License-Identifier: Apache-2.0
// An endless, reproducible stream of operations on a store, and the obvious model of what they leave behind.
// Operation `number` of stream `seed` is always the same, so a process that was killed can be resumed, and
// the model of any prefix computed, by anybody.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "trivium/engine.h"

namespace trivium::testing_support {

inline constexpr std::size_t kOperationDimension = 8;
inline constexpr char kOperationSpace[] = "space";
inline constexpr char kOperationWords[] = "words";  // a lexical expert over all partitions

struct StoreOperation {
  enum class Kind { kUpsert, kDelete, kBuild, kCompact } kind = Kind::kUpsert;
  std::string partition;
  std::vector<std::string> ids;
  std::vector<std::string> texts;     // upsert
  std::vector<std::string> metadata;  // upsert
  std::vector<float> vectors;         // upsert: ids.size() x kOperationDimension, unit rows not required
};

inline StoreOperation MakeOperation(std::uint64_t seed, std::uint64_t number) {
  base::Random random(seed * 1000003 + number);
  StoreOperation operation;
  const std::uint64_t kind = random.Below(100);
  operation.kind = kind < 70   ? StoreOperation::Kind::kUpsert
                   : kind < 85 ? StoreOperation::Kind::kDelete
                   : kind < 95 ? StoreOperation::Kind::kBuild
                               : StoreOperation::Kind::kCompact;
  operation.partition = "p" + std::to_string(random.Below(2));
  const std::uint64_t first = random.Below(60), count = 1 + random.Below(6);
  for (std::uint64_t i = 0; i < count; ++i) {
    operation.ids.push_back("d" + std::to_string(first + i));
    operation.texts.push_back("operation " + std::to_string(number) + " document " + std::to_string(i));
    operation.metadata.push_back("{\"number\":" + std::to_string(number) + "}");
    for (std::size_t j = 0; j < kOperationDimension; ++j) {
      operation.vectors.push_back(static_cast<float>(random.Normal()));
    }
  }
  return operation;
}

inline absl::Status Apply(const StoreOperation& operation, Store* store) {
  switch (operation.kind) {
    case StoreOperation::Kind::kUpsert: {
      UpsertBatch batch;
      batch.ids = operation.ids;
      batch.texts = operation.texts;
      batch.metadata = operation.metadata;
      batch.vectors = {
          {kOperationSpace, {operation.vectors.data(), operation.ids.size(), kOperationDimension}}};
      batch.partition = operation.partition;
      return store->Upsert(batch).status();
    }
    case StoreOperation::Kind::kDelete: {
      const absl::Status status = store->Delete(operation.ids, operation.partition, "").status();
      return absl::IsNotFound(status) ? absl::OkStatus() : status;  // the partition does not exist yet
    }
    case StoreOperation::Kind::kBuild:
      return store->Build().status();
    case StoreOperation::Kind::kCompact:
      return store->Compact().status();
  }
  return absl::OkStatus();
}

struct ModelDocument {
  std::string text;
  std::string metadata;
  std::vector<float> vector;
};
using StoreModel = std::map<std::pair<std::string, std::string>, ModelDocument>;  // by partition and id

inline void Apply(const StoreOperation& operation, StoreModel* model) {
  for (std::size_t i = 0; i < operation.ids.size(); ++i) {
    const auto key = std::make_pair(operation.partition, operation.ids[i]);
    if (operation.kind == StoreOperation::Kind::kDelete) model->erase(key);
    if (operation.kind != StoreOperation::Kind::kUpsert) continue;
    const float* row = operation.vectors.data() + i * kOperationDimension;
    (*model)[key] = {operation.texts[i], operation.metadata[i], {row, row + kOperationDimension}};
  }
}

// The space and experts that the operations need; nothing where they exist.
inline absl::Status PrepareStore(Store* store) {
  if (!store->HasSpace(kOperationSpace)) {
    SpaceOptions space;
    space.name = kOperationSpace;
    space.dimension = kOperationDimension;
    space.metric = Metric::kSquaredL2;
    if (absl::Status status = store->AddSpace(space); !status.ok()) return status;
  }
  for (const char* partition : {"p0", "p1"}) {
    if (store->HasExpert(partition)) continue;
    ExpertOptions expert;
    expert.name = partition;
    expert.space = kOperationSpace;
    expert.partition = partition;
    if (absl::Status status = store->AddExpert(expert); !status.ok()) return status;
  }
  if (!store->HasExpert(kOperationWords)) {
    ExpertOptions words;
    words.name = kOperationWords;
    words.kind = ExpertKind::kLexical;
    return store->AddExpert(words);
  }
  return absl::OkStatus();
}

// Partition and id of all documents that hold a word of `text`, as the lexical expert finds them.
inline absl::StatusOr<std::set<std::pair<std::string, std::string>>> FindByWords(const Store& store,
                                                                                 const std::string& text) {
  SearchOptions options;
  options.k = 1000;
  options.experts = ExpertSelection::Parse(kOperationWords);
  Query query;
  query.text = text;
  absl::StatusOr<SearchResult> found = store.Search(query, options);
  if (!found.ok()) return found.status();
  std::set<std::pair<std::string, std::string>> documents;
  for (const Hit& hit : found->hits) documents.emplace(hit.partition, hit.id);
  return documents;
}

// What the store holds, in the model's form (without vectors).
inline absl::StatusOr<StoreModel> ReadBack(const Store& store) {
  StoreModel model;
  const absl::Status status = store.Scan("", std::nullopt, [&](const Document& document) {
    model[{document.partition, document.id}] = {document.text, document.metadata, {}};
    return true;
  });
  if (!status.ok()) return status;
  return model;
}

// Equal but for vectors.
inline bool SameDocuments(const StoreModel& a, const StoreModel& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [key, document] : a) {
    const auto found = b.find(key);
    if (found == b.end() || found->second.text != document.text ||
        found->second.metadata != document.metadata) {
      return false;
    }
  }
  return true;
}

}  // namespace trivium::testing_support
