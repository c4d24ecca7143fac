// SPDX-License-Identifier: Apache-2.0
// The texts that lexical experts search: indexed in memory when they are written or the store is opened,
// sealed into segments by build and compact. Unsealed ones need no table of their own: the documents' records
// have them.
#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_format.h"
#include "api/keys.h"
#include "api/part_merging.h"
#include "api/store_impl.h"
#include "base/status_macros.h"
#include "index/lexical/lexical_builder.h"
#include "storage/file_system.h"

namespace trivium {
namespace {

constexpr std::size_t kTextsAtOnce = 1024;  // read from the database

}  // namespace

absl::Status IndexTexts(std::uint32_t partition, std::uint64_t through, StoreState* state) {
  std::vector<std::uint64_t> numbers;
  state->documents.ForEach([&](std::uint64_t number, const DocumentDirectory::Entry& entry) {
    if (entry.partition == partition && number > through) numbers.push_back(number);
  });
  index::LexicalBuilder builder;
  std::vector<std::string> keys;
  for (std::size_t begin = 0; begin < numbers.size(); begin += kTextsAtOnce) {
    const std::size_t end = std::min(numbers.size(), begin + kTextsAtOnce);
    keys.clear();
    for (std::size_t i = begin; i < end; ++i) keys.push_back(U64Key(numbers[i]));
    TRIVIUM_ASSIGN_OR_RETURN(const auto records, state->db->MultiGet(storage::Table::kDocuments, keys));
    for (std::size_t i = begin; i < end; ++i) {
      const std::optional<std::string>& bytes = records[i - begin];
      const std::optional<DocumentRecord> record = bytes ? DecodeDocument(*bytes) : std::nullopt;
      if (!record) {
        return absl::DataLossError(absl::StrFormat(
            "document %d: no record or a malformed one, expected partition, id and text (db)", numbers[i]));
      }
      if (!record->text.empty()) builder.Add(numbers[i], record->text);
    }
  }
  TextSet set = state->CopyTexts(partition);
  set.AddUnsealed(builder.Finish());
  state->ReplaceTexts(std::move(set));
  return absl::OkStatus();
}

void WriteTexts(std::uint32_t partition, absl::Span<const std::uint64_t> replaced,
                absl::Span<const std::uint64_t> numbers, absl::Span<const std::string> texts,
                StoreState* state) {
  if (!state->schema.IndexesTexts(partition)) return;
  index::LexicalBuilder builder;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (!texts[i].empty()) builder.Add(numbers[i], texts[i]);
  }
  TextSet set = state->CopyTexts(partition);
  for (const std::uint64_t number : replaced) set.RemoveDocument(number);
  set.AddUnsealed(builder.Finish());
  state->ReplaceTexts(std::move(set));
}

std::vector<std::string> DropUnsearchedTexts(StoreState* state) {
  std::vector<std::string> files;
  std::erase_if(state->schema.text_segments, [&](const TextSegmentRecord& record) {
    if (state->schema.IndexesTexts(record.partition)) return false;
    files.push_back(record.file);
    return true;
  });
  std::erase_if(state->text_sets,
                [&](const auto& set) { return !state->schema.IndexesTexts(set->partition()); });
  return files;
}

absl::Status Store::Impl::LoadTexts(StoreState* state) const {
  std::map<std::uint32_t, std::uint64_t> through;
  for (const TextSegmentRecord& record : state->schema.text_segments) {
    const std::string file = SegmentsDirectory() + "/" + record.file;
    absl::StatusOr<std::shared_ptr<const index::LexicalIndex>> index =
        index::LexicalIndex::Open(file, /*verify=*/false);
    TRIVIUM_RETURN_IF_ERROR(MissingIsDataLoss(index.status()));
    TextSet set = state->CopyTexts(record.partition);
    const absl::Span<const std::uint64_t> labels = (*index)->labels();
    const bool follows = labels.empty() || through[record.partition] < labels.front();
    if (!follows || (!labels.empty() && labels.back() > record.through)) {
      return absl::DataLossError(
          absl::StrFormat("text segment: documents out of order, expected increasing ones (%s)", file));
    }
    set.AddSegment(*std::move(index), record.file, [&](std::uint64_t number) {
      const DocumentDirectory::Entry* entry = state->documents.Find(number);
      return entry != nullptr && entry->partition == record.partition;
    });
    state->ReplaceTexts(std::move(set));
    through[record.partition] = record.through;
  }
  for (const PartitionRecord& partition : state->schema.partitions) {
    if (!state->schema.IndexesTexts(partition.id)) continue;
    TRIVIUM_RETURN_IF_ERROR(IndexTexts(partition.id, through[partition.id], state));
  }
  return absl::OkStatus();
}

absl::Status Store::Impl::SealTextSet(std::uint32_t partition, std::size_t first) {
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> state, BeginWrite());
  TextSet set = state->CopyTexts(partition);
  std::vector<std::string> obsolete;
  for (std::size_t p = first; p < set.parts().size(); ++p) {
    if (!set.parts()[p].file.empty()) obsolete.push_back(set.parts()[p].file);
  }
  set.MergeParts(first);
  TextPart merged;
  if (set.parts().size() > first) merged = set.parts().back();
  set.Truncate(first);
  std::erase_if(state->schema.text_segments, [&](const TextSegmentRecord& record) {
    return std::find(obsolete.begin(), obsolete.end(), record.file) != obsolete.end();
  });
  if (merged.live_count > 0) {
    const std::string file = absl::StrFormat("%06d.terms", state->schema.next_file++);
    const std::string file_path = SegmentsDirectory() + "/" + file;
    TRIVIUM_RETURN_IF_ERROR(storage::RemoveFile(file_path));  // left by a build that failed
    TRIVIUM_RETURN_IF_ERROR(merged.index->Write(file_path));
    TRIVIUM_ASSIGN_OR_RETURN(auto index, index::LexicalIndex::Open(file_path, /*verify=*/false));
    set.AddSegment(std::move(index), file, [](std::uint64_t) { return true; });
    state->schema.text_segments.push_back({file, partition, state->next_document - 1});
  }
  state->ReplaceTexts(std::move(set));
  TRIVIUM_RETURN_IF_ERROR(Commit(std::move(state), {}, /*schema_changed=*/true));
  return RemoveObsolete(obsolete);
}

absl::StatusOr<std::uint64_t> Store::Impl::SealTexts(bool whole, const std::atomic<bool>* cancelled) {
  std::uint64_t sealed = 0;
  const std::vector<std::shared_ptr<const TextSet>> sets = published.load()->text_sets;
  for (const auto& set : sets) {
    if (cancelled != nullptr && cancelled->load())
      return absl::CancelledError("build: cancelled by the caller");
    const std::vector<TextPart>& parts = set->parts();
    const std::size_t unsealed = FirstUnsealed(*set);
    for (std::size_t p = unsealed; p < parts.size(); ++p) sealed += parts[p].live_count;
    const bool dead =
        std::any_of(parts.begin(), parts.end(), [](const auto& part) { return part.live != nullptr; });
    if (whole ? parts.size() > 1 || dead || unsealed == 0 : unsealed < parts.size()) {
      TRIVIUM_RETURN_IF_ERROR(SealTextSet(set->partition(), whole ? 0 : FirstToMerge(*set)));
    }
  }
  return sealed;
}

}  // namespace trivium
