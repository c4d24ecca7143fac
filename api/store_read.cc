// SPDX-License-Identifier: Apache-2.0
// Get, count, scan, and the evaluation of filters.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "api/filter.h"
#include "api/keys.h"
#include "api/store_impl.h"
#include "base/status_macros.h"
#include "storage/utf8.h"

namespace trivium {

using storage::Table;

absl::StatusOr<std::vector<std::uint64_t>> Store::Impl::ResolveIds(
    const StoreState& state, absl::Span<const std::string> ids,
    const std::optional<std::string>& partition) const {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (storage::IsValidUtf8(ids[i])) continue;
    return absl::InvalidArgumentError(absl::StrFormat("id, row %d: invalid UTF-8, expected UTF-8", i));
  }
  std::vector<std::uint64_t> numbers(ids.size(), 0);
  std::vector<const PartitionRecord*> candidates;
  if (partition) {
    const PartitionRecord* found = state.schema.FindPartition(*partition);
    if (found == nullptr) {
      return absl::NotFoundError(
          absl::StrFormat("partition: '%s', expected one of the store's", partition->substr(0, 80)));
    }
    candidates.push_back(found);
  } else {
    for (const PartitionRecord& record : state.schema.partitions) candidates.push_back(&record);
  }
  std::vector<std::vector<std::string>> holders(ids.size());
  for (const PartitionRecord* candidate : candidates) {
    std::vector<std::string> keys;
    for (const std::string& id : ids) keys.push_back(IdKey(candidate->id, id));
    TRIVIUM_ASSIGN_OR_RETURN(const auto found, state.db->MultiGet(Table::kIds, keys));
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (!found[i]) continue;
      numbers[i] = ReadBigEndian(*found[i]);
      holders[i].push_back(candidate->name);
    }
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (holders[i].size() <= 1) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("id: '%s' is in partitions %s, expected a partition to be named", ids[i],
                        absl::StrJoin(holders[i], ", ")));
  }
  return numbers;
}

absl::Status Store::Impl::LoadDocument(const StoreState& state, std::uint64_t number,
                                       Document* document) const {
  TRIVIUM_ASSIGN_OR_RETURN(const auto bytes, state.db->Get(Table::kDocuments, U64Key(number)));
  document->metadata = "{}";
  if (!bytes) return absl::OkStatus();
  const std::optional<DocumentRecord> record = DecodeDocument(*bytes);
  if (!record) {
    return absl::DataLossError(
        absl::StrFormat("document %d: a malformed record, expected partition, id and text (db)", number));
  }
  document->text = std::string(record->text);
  TRIVIUM_ASSIGN_OR_RETURN(auto metadata, state.db->Get(Table::kMetadata, U64Key(number)));
  if (metadata) document->metadata = *std::move(metadata);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const base::Bitmap>> Store::Impl::MatchDocuments(
    const StoreState& state, const std::string& filter, const std::optional<std::string>& partition) const {
  if (filter.empty() && !partition) return std::shared_ptr<const base::Bitmap>();
  std::uint32_t partition_id = 0;
  if (partition) {
    const PartitionRecord* record = state.schema.FindPartition(*partition);
    if (record == nullptr) {
      return absl::NotFoundError(
          absl::StrFormat("partition: '%s', expected one of the store's", partition->substr(0, 80)));
    }
    partition_id = record->id;
  }
  const std::string key = U64Key(partition_id) + filter;
  {
    const std::lock_guard<std::mutex> lock(filter_cache_mutex);
    for (const CachedFilter& cached : filter_cache) {
      if (cached.version == state.version && cached.documents != nullptr && cached.key == key) {
        return cached.documents;
      }
    }
  }
  const std::size_t bound = state.documents.number_bound();
  auto documents = std::make_shared<base::Bitmap>(bound, false);
  if (filter.empty()) {
    state.documents.ForEach([&](std::uint64_t number, const auto&) { documents->Set(number); });
  } else {
    TRIVIUM_ASSIGN_OR_RETURN(const Filter condition, Filter::Parse(filter));
    if (condition.Matches(nlohmann::json::object())) {
      state.documents.ForEach([&](std::uint64_t number, const auto&) { documents->Set(number); });
    }
    TRIVIUM_RETURN_IF_ERROR(
        state.db->ForEach(Table::kMetadata, "", [&](std::string_view number_key, std::string_view value) {
          const std::uint64_t number = ReadBigEndian(number_key);
          if (number >= bound || state.documents.Find(number) == nullptr) return true;
          const nlohmann::json metadata = nlohmann::json::parse(value.begin(), value.end(), nullptr, false);
          if (condition.Matches(metadata)) {
            documents->Set(number);
          } else {
            documents->Clear(number);
          }
          return true;
        }));
  }
  if (partition) {
    state.documents.ForEach([&](std::uint64_t number, const DocumentDirectory::Entry& entry) {
      if (entry.partition != partition_id) documents->Clear(number);
    });
  }
  const std::lock_guard<std::mutex> lock(filter_cache_mutex);
  filter_cache[filter_cache_next++ % filter_cache.size()] = {state.version, key, documents};
  return std::shared_ptr<const base::Bitmap>(std::move(documents));
}

absl::StatusOr<std::vector<std::optional<Document>>> Store::Get(
    absl::Span<const std::string> ids, const std::optional<std::string>& partition) const {
  // Ids are looked up in the database, which may be one write ahead of the published version: then once more,
  // with writers held back.
  std::unique_lock<std::mutex> writing(impl_->writer, std::defer_lock);
  for (;;) {
    TRIVIUM_ASSIGN_OR_RETURN(const auto state, impl_->Read());
    TRIVIUM_ASSIGN_OR_RETURN(const std::vector<std::uint64_t> numbers,
                             impl_->ResolveIds(*state, ids, partition));
    const bool ahead = std::any_of(numbers.begin(), numbers.end(), [&](std::uint64_t number) {
      return number != 0 && state->documents.Find(number) == nullptr;
    });
    if (ahead && !writing.owns_lock()) {
      writing.lock();
      continue;
    }
    std::vector<std::optional<Document>> documents(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const DocumentDirectory::Entry* entry = numbers[i] == 0 ? nullptr : state->documents.Find(numbers[i]);
      if (entry == nullptr) continue;
      Document document;
      document.id = entry->id;
      document.partition = state->schema.PartitionById(entry->partition)->name;
      TRIVIUM_RETURN_IF_ERROR(impl_->LoadDocument(*state, numbers[i], &document));
      documents[i] = std::move(document);
    }
    return documents;
  }
}

absl::StatusOr<std::uint64_t> Store::Count(const std::string& filter,
                                           const std::optional<std::string>& partition) const {
  TRIVIUM_ASSIGN_OR_RETURN(const auto state, impl_->Read());
  TRIVIUM_ASSIGN_OR_RETURN(const auto matching, impl_->MatchDocuments(*state, filter, partition));
  return matching == nullptr ? state->documents.live_count() : matching->CountSet();
}

absl::Status Store::Scan(const std::string& filter, const std::optional<std::string>& partition,
                         const std::function<bool(const Document&)>& visit) const {
  TRIVIUM_ASSIGN_OR_RETURN(const auto state, impl_->Read());
  TRIVIUM_ASSIGN_OR_RETURN(const auto matching, impl_->MatchDocuments(*state, filter, partition));
  absl::Status status;
  bool more = true;
  state->documents.ForEach([&](std::uint64_t number, const DocumentDirectory::Entry& entry) {
    if (!more || (matching != nullptr && !matching->Test(number))) return;
    Document document;
    document.id = entry.id;
    document.partition = state->schema.PartitionById(entry.partition)->name;
    status = impl_->LoadDocument(*state, number, &document);
    more = status.ok() && visit(document);
  });
  return status;
}

}  // namespace trivium
