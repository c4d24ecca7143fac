// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/answer_memory.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "routing/expert/router_bytes.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"

namespace trivium::routing {
namespace {

constexpr std::string_view kName = "memory";

bool ByKey(const ScoredDocument& a, const ScoredDocument& b) { return a.key < b.key; }

}  // namespace

absl::Status AnswerMemory::Build(base::MatrixView queries,
                                 const std::vector<std::vector<std::uint64_t>>& relevant,
                                 std::size_t graph_threshold) {
  if (relevant.size() != queries.rows) {
    return absl::InvalidArgumentError(
        absl::StrFormat("relevant documents: of %d queries, expected %d", relevant.size(), queries.rows));
  }
  AnswerMemory fresh;
  TRIVIUM_RETURN_IF_ERROR(fresh.index_.Build(queries, graph_threshold));
  fresh.fingerprint_ = fresh.index_.fingerprint();
  fresh.dimension_ = queries.columns;
  for (const std::vector<std::uint64_t>& keys : relevant) {
    fresh.keys_.insert(fresh.keys_.end(), keys.begin(), keys.end());
    fresh.begin_.push_back(fresh.keys_.size());
  }
  *this = std::move(fresh);
  return absl::OkStatus();
}

void AnswerMemory::Remember(absl::Span<const base::Neighbor> similar, float threshold,
                            std::vector<ScoredDocument>* remembered) const {
  remembered->clear();
  for (const base::Neighbor& query : similar) {
    const float above = -query.distance - threshold;
    if (!(above > 0)) continue;
    for (const std::uint64_t key : relevant(query.row)) remembered->push_back({key, above * above});
  }
  std::sort(remembered->begin(), remembered->end(), ByKey);
  std::size_t kept = 0;
  for (const ScoredDocument& document : *remembered) {
    if (kept > 0 && (*remembered)[kept - 1].key == document.key) {
      (*remembered)[kept - 1].score += document.score;
    } else {
      (*remembered)[kept++] = document;
    }
  }
  remembered->resize(kept);
  for (ScoredDocument& document : *remembered) document.score = std::sqrt(document.score);
}

void AnswerMemory::Recall(const float* query, float threshold, MemoryScratch* scratch,
                          std::vector<ScoredDocument>* remembered) const {
  Nearest(query, kMemoryNeighbors, scratch, &scratch->found);
  Remember(scratch->found, threshold, remembered);
}

// u64 d | u64 n | u64 m | u64 fingerprint | u64[n + 1] begin | u64[m] keys
std::string AnswerMemory::Save() const {
  storage::ByteWriter writer;
  writer.Put(dimension_);
  writer.Put<std::uint64_t>(begin_.size() - 1);
  writer.Put<std::uint64_t>(keys_.size());
  writer.Put(fingerprint_);
  writer.PutArray(begin_.data(), begin_.size());
  writer.PutArray(keys_.data(), keys_.size());
  return SealRouterBytes(kName, writer.bytes());
}

absl::Status AnswerMemory::Load(std::string_view bytes) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::string_view payload, OpenRouterBytes(kName, bytes));
  storage::ByteReader reader(payload);
  AnswerMemory fresh;
  fresh.dimension_ = reader.Read<std::uint64_t>();
  const auto query_count = reader.Read<std::uint64_t>();
  const auto key_count = reader.Read<std::uint64_t>();
  fresh.fingerprint_ = reader.Read<std::uint64_t>();
  fresh.begin_ = reader.ReadArray<std::uint64_t>(query_count + 1);
  fresh.keys_ = reader.ReadArray<std::uint64_t>(key_count);
  if (!reader.AtEnd() || fresh.begin_.empty() || fresh.begin_.front() != 0 ||
      fresh.begin_.back() != fresh.keys_.size() ||
      !std::is_sorted(fresh.begin_.begin(), fresh.begin_.end())) {
    return MalformedRouter(kName);
  }
  *this = std::move(fresh);
  return absl::OkStatus();
}

absl::Status AnswerMemory::OpenIndex(const std::string& path) {
  return OpenMatchingIndex(path, fingerprint_, begin_.size() - 1, dimension_, &index_);
}

void RaiseRemembered(absl::Span<const ScoredDocument> remembered, float weight,
                     std::vector<ScoredDocument>* hits) {
  for (ScoredDocument& hit : *hits) {
    const auto found = std::lower_bound(remembered.begin(), remembered.end(), hit, ByKey);
    if (found != remembered.end() && found->key == hit.key) hit.raised = weight * found->score;
  }
  std::sort(hits->begin(), hits->end(), [](const ScoredDocument& a, const ScoredDocument& b) {
    const float of_a = a.score + a.raised, of_b = b.score + b.raised;
    return of_a != of_b ? of_a > of_b : a.key < b.key;
  });
}

}  // namespace trivium::routing
