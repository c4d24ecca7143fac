// SPDX-License-Identifier: Apache-2.0
// The trained routers of a store, as they were saved: immutable, shared by all searches.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "api/schema.h"
#include "routing/expert/expert_router.h"
#include "storage/key_value_store.h"
#include "trivium/report.h"

namespace trivium {
namespace routing {
class AnswerMemory;
class QueryGuard;
}  // namespace routing

// Over the experts; none where none was learned.
std::optional<double> MeanLexicalWeight(const routing::DispatchSettings& settings);

// None where none was learned.
std::optional<SecondLookInfo> DescribeSecondLook(const routing::DispatchSettings& settings);

// None where none was learned. Of `memory` its size, which is 0 where that is null.
std::optional<MemoryInfo> DescribeMemory(const routing::DispatchSettings& settings,
                                         const routing::AnswerMemory* memory);

class Dispatcher {
 public:
  struct Entry {
    routing::DispatchSettings settings;
    std::unique_ptr<routing::ExpertRouter> router;
  };

  // Reads every router that `record` names: bytes from `db`, index files from `segments_directory`.
  // kDataLoss.
  static absl::StatusOr<std::shared_ptr<const Dispatcher>> Load(const DispatchRecord& record,
                                                                const storage::KeyValueStore& db,
                                                                const std::string& segments_directory);

  Dispatcher() = default;
  Dispatcher(std::uint32_t space, std::vector<Entry> entries) : space_(space), entries_(std::move(entries)) {}

  // A router as `bytes` and, where it needs one, the index file at `index_path` describe it. kDataLoss.
  static absl::StatusOr<Entry> LoadEntry(const routing::DispatchSettings& settings, const std::string& bytes,
                                         const std::string& index_path);

  // Likewise the guard that `record` describes.
  static absl::StatusOr<std::shared_ptr<const routing::QueryGuard>> LoadGuard(
      const GuardRecord& record, const std::string& bytes, const std::string& segments_directory);

  // Likewise what is remembered.
  static absl::StatusOr<std::shared_ptr<const routing::AnswerMemory>> LoadMemory(
      const std::string& bytes, const std::string& index_path);

  // Null where there is no such router.
  const Entry* Find(std::string_view router) const;
  const std::vector<Entry>& entries() const { return entries_; }
  // Null where there is none. Whether it may reject, the schema says.
  const routing::QueryGuard* guard() const { return guard_.get(); }
  void SetGuard(std::shared_ptr<const routing::QueryGuard> guard) { guard_ = std::move(guard); }
  // Null where no router raises what is remembered.
  const routing::AnswerMemory* memory() const { return memory_.get(); }
  void SetMemory(std::shared_ptr<const routing::AnswerMemory> memory) { memory_ = std::move(memory); }
  std::uint32_t space() const { return space_; }

 private:
  std::uint32_t space_ = 0;
  std::vector<Entry> entries_;
  std::shared_ptr<const routing::QueryGuard> guard_;
  std::shared_ptr<const routing::AnswerMemory> memory_;
};

}  // namespace trivium
