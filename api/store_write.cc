// SPDX-License-Identifier: Apache-2.0
// Upsert, delete and metadata updates.
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "absl/strings/str_format.h"
#include "api/keys.h"
#include "api/profile_range.h"
#include "api/store_impl.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "storage/utf8.h"

namespace trivium {
namespace {

using storage::Table;

constexpr std::size_t kMaxIdBytes = 512;
constexpr std::size_t kEncodeBatch = 512;  // texts between two progress reports

std::string Shown(const std::string& text) {
  std::string shown;
  for (char c : text.substr(0, 60)) shown += static_cast<unsigned char>(c) < 32 ? '?' : c;
  return storage::IsValidUtf8(shown) ? shown : std::string("(invalid UTF-8)");
}

absl::Status CheckMetadata(const std::string& metadata, std::size_t row) {
  if (metadata.empty()) return absl::OkStatus();
  const nlohmann::json json = nlohmann::json::parse(metadata, nullptr, false);
  if (json.is_object()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("metadata, row %d: '%s', expected a JSON object", row, Shown(metadata)));
}

absl::Status CheckAligned(std::string_view what, std::size_t seen, std::size_t expected) {
  if (seen == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s: %d rows, expected %d, one for each id", what, seen, expected));
}

// Everything about a batch that can be said without the store.
absl::Status CheckBatch(const UpsertBatch& batch) {
  TRIVIUM_RETURN_IF_ERROR(ValidateName("partition", batch.partition));
  if (!batch.texts.empty())
    TRIVIUM_RETURN_IF_ERROR(CheckAligned("texts", batch.texts.size(), batch.ids.size()));
  if (!batch.metadata.empty()) {
    TRIVIUM_RETURN_IF_ERROR(CheckAligned("metadata", batch.metadata.size(), batch.ids.size()));
  }
  std::unordered_set<std::string_view> seen;
  for (std::size_t i = 0; i < batch.ids.size(); ++i) {
    const std::string& id = batch.ids[i];
    if (id.empty() || id.size() > kMaxIdBytes || !storage::IsValidUtf8(id)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("id, row %d: '%s', expected 1 to %d bytes of UTF-8", i, Shown(id), kMaxIdBytes));
    }
    if (!seen.insert(id).second) {
      return absl::InvalidArgumentError(
          absl::StrFormat("id, row %d: '%s' occurs twice, expected distinct ids in a batch", i, Shown(id)));
    }
    if (!batch.texts.empty() && !storage::IsValidUtf8(batch.texts[i])) {
      return absl::InvalidArgumentError(
          absl::StrFormat("text, row %d (id '%s'): invalid UTF-8, expected UTF-8", i, Shown(id)));
    }
    if (!batch.metadata.empty()) TRIVIUM_RETURN_IF_ERROR(CheckMetadata(batch.metadata[i], i));
  }
  return absl::OkStatus();
}

// Rows of a cosine space are remembered at unit length, the others as they came.
std::string EncodingKey(const std::string& fingerprint, Metric metric, const std::string& text) {
  std::string key = U64Key(XXH3_64bits(fingerprint.data(), fingerprint.size()));
  key.push_back(static_cast<char>(TextKind::kDocument));
  key.push_back(metric == Metric::kCosine ? 1 : 0);
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  AppendU64(&key, hash.high64);
  AppendU64(&key, hash.low64);
  return key;
}

}  // namespace

absl::StatusOr<base::AlignedMatrix> Store::Impl::EncodeDocuments(
    const StoreState& state, const SpaceRecord& space, absl::Span<const std::string> texts,
    const ProgressCallback& progress, storage::WriteBatch* batch, UpsertReport* report) {
  const TextEncoder* encoder = encoders.Find(space.encoder);
  base::AlignedMatrix rows(texts.size(), space.dimension);
  std::vector<std::string> keys;
  std::vector<std::size_t> missing;
  const std::string fingerprint = encoder == nullptr ? "" : encoder->fingerprint();
  if (!fingerprint.empty()) {
    for (const std::string& text : texts) keys.push_back(EncodingKey(fingerprint, space.metric, text));
    TRIVIUM_ASSIGN_OR_RETURN(const auto cached, state.db->MultiGet(Table::kEncodings, keys));
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (cached[i] && cached[i]->size() == space.dimension * sizeof(float)) {
        std::memcpy(rows.row(i), cached[i]->data(), cached[i]->size());
        TRIVIUM_RETURN_IF_ERROR(CheckDistribution(
            space, rows.row(i), absl::StrFormat("encoder '%s': text, row %d", space.encoder, i)));
        ++report->encoded_from_cache;
      } else {
        missing.push_back(i);
      }
    }
  } else {
    for (std::size_t i = 0; i < texts.size(); ++i) missing.push_back(i);
  }
  std::vector<std::string> chunk;
  for (std::size_t start = 0; start < missing.size(); start += kEncodeBatch) {
    const std::size_t end = std::min(missing.size(), start + kEncodeBatch);
    chunk.clear();
    for (std::size_t i = start; i < end; ++i) chunk.push_back(texts[missing[i]]);
    TRIVIUM_ASSIGN_OR_RETURN(const base::AlignedMatrix encoded,
                             encoders.Encode(space, chunk, TextKind::kDocument));
    for (std::size_t i = start; i < end; ++i) {
      const float* row = encoded.row(i - start);
      std::memcpy(rows.row(missing[i]), row, space.dimension * sizeof(float));
      if (fingerprint.empty()) continue;
      batch->Put(Table::kEncodings, keys[missing[i]],
                 {reinterpret_cast<const char*>(row), space.dimension * sizeof(float)});
    }
    report->encoded += end - start;
    if (progress) progress("encode", end, missing.size());
  }
  return rows;
}

void Store::Impl::DeleteDocument(std::uint64_t number, StoreState* state, storage::WriteBatch* batch) const {
  const DocumentDirectory::Entry entry = *state->documents.Find(number);
  batch->Delete(Table::kIds, IdKey(entry.partition, entry.id));
  batch->Delete(Table::kDocuments, U64Key(number));
  batch->Delete(Table::kMetadata, U64Key(number));
  for (const SpaceRecord& space : state->schema.spaces) {
    if (state->FindSet(space.id, entry.partition) == nullptr) continue;
    batch->Delete(Table::kVectors, VectorKey(space.id, entry.partition, number));
  }
  state->documents.Remove(number);
}

absl::StatusOr<UpsertReport> Store::Upsert(const UpsertBatch& batch) {
  UpsertReport report;
  TRIVIUM_RETURN_IF_ERROR(CheckBatch(batch));
  const std::lock_guard<std::mutex> writing(impl_->writer);
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> state, impl_->BeginWrite());
  if (batch.ids.empty()) return report;
  bool schema_changed = false;
  TRIVIUM_ASSIGN_OR_RETURN(const std::uint32_t partition,
                           impl_->PartitionId(batch.partition, &state->schema, &schema_changed));

  // Vectors first: nothing is written unless all of them are right.
  storage::WriteBatch writes;
  std::vector<std::pair<const SpaceRecord*, base::AlignedMatrix>> rows;
  const auto has = [&](const SpaceRecord* space) {
    return std::any_of(rows.begin(), rows.end(), [&](const auto& entry) { return entry.first == space; });
  };
  for (const SpaceVectors& given : batch.vectors) {
    TRIVIUM_ASSIGN_OR_RETURN(const SpaceRecord* space, ResolveSpace(state->schema, given.space));
    TRIVIUM_RETURN_IF_ERROR(
        CheckAligned("vectors of space '" + space->name + "'", given.vectors.rows, batch.ids.size()));
    if (has(space)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("vectors of space '%s': given twice, expected once", space->name));
    }
    TRIVIUM_ASSIGN_OR_RETURN(base::AlignedMatrix prepared, PrepareVectors(*space, given.vectors));
    rows.emplace_back(space, std::move(prepared));
  }
  for (SpaceRecord& space : state->schema.spaces) {
    if (!batch.encode || batch.texts.empty() || space.encoder.empty() || has(&space)) continue;
    if (const TextEncoder* encoder = impl_->encoders.Find(space.encoder)) {
      TRIVIUM_RETURN_IF_ERROR(CheckFingerprint(space, *encoder));
      if (space.encoder_fingerprint.empty() && !encoder->fingerprint().empty()) {
        space.encoder_fingerprint = encoder->fingerprint();
        schema_changed = true;
      }
    }
    TRIVIUM_ASSIGN_OR_RETURN(
        base::AlignedMatrix encoded,
        impl_->EncodeDocuments(*state, space, batch.texts, batch.progress, &writes, &report));
    rows.emplace_back(&space, std::move(encoded));
  }
  for (const auto& [space, matrix] : rows) {
    for (std::size_t i = 0; HasRange(*space, space->profile) && i < matrix.rows(); ++i) {
      TRIVIUM_RETURN_IF_ERROR(CheckRange(matrix.row(i), *space, batch.partition, Shown(batch.ids[i])));
    }
  }

  std::vector<std::string> keys;
  for (const std::string& id : batch.ids) keys.push_back(IdKey(partition, id));
  TRIVIUM_ASSIGN_OR_RETURN(const auto existing, state->db->MultiGet(Table::kIds, keys));
  std::vector<std::uint64_t> replaced;
  for (std::size_t i = 0; i < existing.size(); ++i) {
    if (!existing[i]) continue;
    if (batch.on_conflict == OnConflict::kError) {
      return absl::AlreadyExistsError(
          absl::StrFormat("id, row %d: '%s' exists in partition '%s', expected new ids (on_conflict=error)",
                          i, Shown(batch.ids[i]), batch.partition));
    }
    replaced.push_back(ReadBigEndian(*existing[i]));
    impl_->DeleteDocument(replaced.back(), state.get(), &writes);
  }
  report.replaced = replaced.size();

  std::vector<std::uint64_t> numbers(batch.ids.size());
  for (std::size_t i = 0; i < batch.ids.size(); ++i) {
    const std::uint64_t number = numbers[i] = state->next_document++;
    state->documents.Add(number, partition, batch.ids[i]);
    writes.Put(Table::kIds, keys[i], U64Key(number));
    writes.Put(Table::kDocuments, U64Key(number),
               EncodeDocument({partition, batch.ids[i],
                               batch.texts.empty() ? std::string_view() : std::string_view(batch.texts[i])}));
    if (!batch.metadata.empty() && !batch.metadata[i].empty()) {
      writes.Put(Table::kMetadata, U64Key(number), batch.metadata[i]);
    }
  }
  for (const auto& [space, matrix] : rows) {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      writes.Put(Table::kVectors, VectorKey(space->id, partition, numbers[i]),
                 {reinterpret_cast<const char*>(matrix.row(i)), space->dimension * sizeof(float)});
    }
  }
  for (const SpaceRecord& space : state->schema.spaces) {
    const auto fresh =
        std::find_if(rows.begin(), rows.end(), [&](auto& entry) { return entry.first == &space; });
    if (fresh == rows.end() && (replaced.empty() || state->FindSet(space.id, partition) == nullptr)) continue;
    VectorSet set = state->CopySet(space, partition);
    for (std::uint64_t number : replaced) set.RemoveDocument(number);
    if (fresh != rows.end()) set.AddUnsealed(std::move(fresh->second), numbers);
    state->ReplaceSet(std::move(set));
  }
  WriteTexts(partition, replaced, numbers, batch.texts, state.get());
  report.written = numbers.size();
  TRIVIUM_RETURN_IF_ERROR(impl_->Commit(std::move(state), std::move(writes), schema_changed));
  if (batch.progress) batch.progress("write", numbers.size(), numbers.size());
  return report;
}

absl::StatusOr<std::uint64_t> Store::Delete(const std::optional<std::vector<std::string>>& ids,
                                            const std::optional<std::string>& partition,
                                            const std::string& filter) {
  if (!ids && !partition && filter.empty()) {
    return absl::InvalidArgumentError("delete: no condition, expected ids, a partition or a filter");
  }
  const std::lock_guard<std::mutex> writing(impl_->writer);
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> state, impl_->BeginWrite());
  // Asked of the published version: what is found is remembered under its number.
  TRIVIUM_ASSIGN_OR_RETURN(const std::shared_ptr<const StoreState> current, impl_->Read());
  TRIVIUM_ASSIGN_OR_RETURN(const auto matching, impl_->MatchDocuments(*current, filter, partition));
  std::vector<std::uint64_t> numbers;
  const auto matches = [&](std::uint64_t number) { return matching == nullptr || matching->Test(number); };
  if (ids) {
    TRIVIUM_ASSIGN_OR_RETURN(numbers, impl_->ResolveIds(*state, *ids, partition));
    std::erase_if(numbers, [&](std::uint64_t number) { return number == 0 || !matches(number); });
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  } else {
    state->documents.ForEach([&](std::uint64_t number, const auto&) {
      if (matches(number)) numbers.push_back(number);
    });
  }
  if (numbers.empty()) return 0;
  storage::WriteBatch writes;
  std::map<std::uint32_t, std::vector<std::uint64_t>> by_partition;
  for (std::uint64_t number : numbers) {
    by_partition[state->documents.Find(number)->partition].push_back(number);
    impl_->DeleteDocument(number, state.get(), &writes);
  }
  for (const auto& [id, gone] : by_partition) {
    WriteTexts(id, gone, {}, {}, state.get());
    for (const SpaceRecord& space : state->schema.spaces) {
      if (state->FindSet(space.id, id) == nullptr) continue;
      VectorSet set = state->CopySet(space, id);
      for (std::uint64_t number : gone) set.RemoveDocument(number);
      state->ReplaceSet(std::move(set));
    }
  }
  TRIVIUM_RETURN_IF_ERROR(impl_->Commit(std::move(state), std::move(writes), false));
  return numbers.size();
}

absl::Status Store::UpdateMetadata(absl::Span<const std::string> ids, absl::Span<const std::string> metadata,
                                   const std::optional<std::string>& partition) {
  TRIVIUM_RETURN_IF_ERROR(CheckAligned("metadata", metadata.size(), ids.size()));
  for (std::size_t i = 0; i < metadata.size(); ++i) TRIVIUM_RETURN_IF_ERROR(CheckMetadata(metadata[i], i));
  const std::lock_guard<std::mutex> writing(impl_->writer);
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> state, impl_->BeginWrite());
  TRIVIUM_ASSIGN_OR_RETURN(const std::vector<std::uint64_t> numbers,
                           impl_->ResolveIds(*state, ids, partition));
  storage::WriteBatch writes;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] == 0) {
      return absl::NotFoundError(
          absl::StrFormat("id, row %d: '%s', expected an existing document", i, Shown(ids[i])));
    }
    if (metadata[i].empty()) {
      writes.Delete(Table::kMetadata, U64Key(numbers[i]));
    } else {
      writes.Put(Table::kMetadata, U64Key(numbers[i]), metadata[i]);
    }
  }
  return impl_->Commit(std::move(state), std::move(writes), false);
}

}  // namespace trivium
