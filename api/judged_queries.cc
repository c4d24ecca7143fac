// SPDX-License-Identifier: Apache-2.0
#include "api/judged_queries.h"

#include <algorithm>
#include <mutex>
#include <numeric>
#include <unordered_map>

#include "absl/strings/str_format.h"
#include "api/keys.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "kernels/distance_table.h"

namespace trivium {
namespace {

using NumbersById = std::unordered_map<std::string, std::vector<std::uint64_t>>;

// Adds the numbers of `ids` in one partition.
absl::Status LookUp(const StoreState& state, std::uint32_t partition, const std::vector<std::string>& ids,
                    NumbersById* numbers) {
  std::vector<std::string> keys;
  keys.reserve(ids.size());
  for (const std::string& id : ids) keys.push_back(IdKey(partition, id));
  TRIVIUM_ASSIGN_OR_RETURN(const auto found, state.db->MultiGet(storage::Table::kIds, keys));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (found[i]) (*numbers)[ids[i]].push_back(ReadBigEndian(*found[i]));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::uint32_t> FindPartition(const StoreState& state, const std::string& name) {
  const PartitionRecord* partition = state.schema.FindPartition(name);
  if (partition != nullptr) return partition->id;
  return absl::NotFoundError(
      absl::StrFormat("partition: '%s', expected one of the store's", name.substr(0, 80)));
}

absl::Status CheckSet(const QuerySet& set) {
  const auto check = [&](std::string_view what, std::size_t seen) {
    return seen == 0 || seen == set.size()
               ? absl::OkStatus()
               : absl::InvalidArgumentError(absl::StrFormat("queries '%s': %d %s, expected %d, one a query",
                                                            set.name, seen, what, set.size()));
  };
  TRIVIUM_RETURN_IF_ERROR(check("ids", set.ids.size()));
  TRIVIUM_RETURN_IF_ERROR(check("texts", set.texts.size()));
  for (const SpaceVectors& vectors : set.vectors) {
    if (vectors.vectors.rows != set.size()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("queries '%s': %d vector rows, expected %d, one a query", set.name,
                          vectors.vectors.rows, set.size()));
    }
  }
  if (set.drop_self && set.ids.empty()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("queries '%s': no ids, expected them for drop_self", set.name));
  }
  return absl::OkStatus();
}

class DisjointSets {
 public:
  explicit DisjointSets(std::size_t size) : parents_(size) { std::iota(parents_.begin(), parents_.end(), 0); }
  std::size_t Find(std::size_t i) {
    while (parents_[i] != i) i = parents_[i] = parents_[parents_[i]];
    return i;
  }
  void Join(std::size_t a, std::size_t b) {
    a = Find(a), b = Find(b);
    parents_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<std::size_t> parents_;
};

}  // namespace

absl::StatusOr<bool> CanReadQueries(const StoreState& state, const EncoderSet& encoders,
                                    const SpaceRecord& space, const std::vector<QuerySet>& sets) {
  for (const QuerySet& set : sets) {
    bool given = !set.texts.empty() && encoders.Find(space.encoder) != nullptr;
    for (const SpaceVectors& vectors : set.vectors) {
      TRIVIUM_ASSIGN_OR_RETURN(const SpaceRecord* named, ResolveSpace(state.schema, vectors.space));
      given = given || named->id == space.id;
    }
    if (!given) return false;
  }
  return true;
}

std::size_t CountQueries(const QuerySet& set) {
  if (set.size() > 0) return set.size();
  return !set.texts.empty() || set.vectors.empty() ? set.texts.size() : set.vectors.front().vectors.rows;
}

absl::StatusOr<JudgedSet> ResolveJudgements(const StoreState& state, const QuerySet& set,
                                            bool keep_unjudged) {
  TRIVIUM_RETURN_IF_ERROR(CheckSet(set));
  JudgedSet judged;
  judged.set = &set;

  // One look-up a partition for all judgements that may lie in it.
  std::map<std::string, std::vector<std::string>> ids_by_partition;  // "": any
  for (std::size_t q = 0; q < set.size(); ++q) {
    for (const Judgement& judgement : set.judgements[q]) {
      const std::optional<std::string>& partition = judgement.partition ? judgement.partition : set.partition;
      ids_by_partition[partition.value_or("")].push_back(judgement.id);
    }
    if (set.drop_self) ids_by_partition[set.partition.value_or("")].push_back(set.ids[q]);
  }
  std::map<std::string, NumbersById> numbers;
  for (const auto& [partition, ids] : ids_by_partition) {
    NumbersById& found = numbers[partition];
    if (!partition.empty()) {
      TRIVIUM_ASSIGN_OR_RETURN(const std::uint32_t id, FindPartition(state, partition));
      TRIVIUM_RETURN_IF_ERROR(LookUp(state, id, ids, &found));
      continue;
    }
    for (const PartitionRecord& record : state.schema.partitions) {
      TRIVIUM_RETURN_IF_ERROR(LookUp(state, record.id, ids, &found));
    }
  }

  std::uint64_t next_unknown = kFirstUnknownKey;
  for (std::size_t q = 0; q < set.size(); ++q) {
    JudgedQuery query;
    query.row = q;
    std::vector<routing::JudgedDocument> documents;
    for (const Judgement& judgement : set.judgements[q]) {
      if (!(judgement.grade > 0)) continue;
      const std::optional<std::string>& partition = judgement.partition ? judgement.partition : set.partition;
      const NumbersById& known = numbers[partition.value_or("")];
      const auto found = known.find(judgement.id);
      if (found == known.end()) {
        ++judged.unknown_judgements;
        documents.push_back({next_unknown++, judgement.grade});
        continue;
      }
      for (std::uint64_t number : found->second) documents.push_back({number, judgement.grade});
    }
    if (documents.empty() && !keep_unjudged) {
      ++judged.skipped_queries;
      continue;
    }
    query.judgements = routing::Judgements(std::move(documents));
    if (set.drop_self) {
      const NumbersById& known = numbers[set.partition.value_or("")];
      if (const auto own = known.find(set.ids[q]); own != known.end()) query.own = own->second;
      std::sort(query.own.begin(), query.own.end());
      query.own.erase(std::unique(query.own.begin(), query.own.end()), query.own.end());
    }
    judged.queries.push_back(std::move(query));
  }
  return judged;
}

absl::StatusOr<PreparedQueries> PrepareJudged(const StoreState& state, EncoderSet* encoders,
                                              const JudgedSet& judged) {
  const QuerySet& set = *judged.set;
  std::vector<std::string> texts;
  std::vector<std::vector<float>> values(set.vectors.size());
  for (const JudgedQuery& query : judged.queries) {
    if (!set.texts.empty()) texts.push_back(set.texts[query.row]);
    for (std::size_t v = 0; v < set.vectors.size(); ++v) {
      const MatrixView& all = set.vectors[v].vectors;
      values[v].insert(values[v].end(), all.data + query.row * all.columns,
                       all.data + (query.row + 1) * all.columns);
    }
  }
  std::vector<SpaceVectors> vectors;
  for (std::size_t v = 0; v < set.vectors.size(); ++v) {
    vectors.push_back(
        {set.vectors[v].space, {values[v].data(), judged.queries.size(), set.vectors[v].vectors.columns}});
  }
  std::vector<std::uint32_t> spaces;
  for (const SpaceRecord& space : state.schema.spaces) spaces.push_back(space.id);
  return PrepareQueries(state, encoders, judged.queries.size(), vectors, texts, spaces);
}

QueryVectors JudgedVectors(const StoreState& state, EncoderSet* encoders, const JudgedSet& judged,
                           std::size_t i, const PreparedQueries& prepared) {
  static const std::string no_text;
  QueryVectors vectors(&state, encoders,
                       judged.set->texts.empty() ? &no_text : &judged.set->texts[judged.queries[i].row]);
  for (const auto& entry : prepared.entries) vectors.Set(entry.space, entry.rows.row(i));
  vectors.Ignore(judged.queries[i].own);
  return vectors;
}

void RankedKeys(const std::vector<routing::FusedHit>& hits, const JudgedQuery& query, std::size_t depth,
                std::vector<std::uint64_t>* keys) {
  keys->clear();
  for (const routing::FusedHit& hit : hits) {
    if (keys->size() == depth) break;
    if (std::find(query.own.begin(), query.own.end(), hit.key) == query.own.end()) keys->push_back(hit.key);
  }
}

double RelevantGain(const StoreState& state, const JudgedQuery& query, const ExpertView& expert) {
  const auto searches = [&](std::uint32_t partition) {
    return std::any_of(expert.sets.begin(), expert.sets.end(),
                       [&](std::uint32_t set) { return state.sets[set]->partition() == partition; }) ||
           std::any_of(expert.text_sets.begin(), expert.text_sets.end(),
                       [&](std::uint32_t set) { return state.text_sets[set]->partition() == partition; });
  };
  double gain = 0;
  for (const routing::JudgedDocument& document : query.judgements.documents()) {
    if (document.grade <= 0) continue;
    const DocumentDirectory::Entry* entry = state.documents.Find(document.key);
    if (entry != nullptr && searches(entry->partition)) gain += document.grade;
  }
  return gain;
}

QueryGroups GroupQueries(const std::vector<const JudgedQuery*>& queries,
                         const std::vector<const float*>& rows, std::size_t dimension, int thread_count) {
  DisjointSets sets(queries.size());
  const auto numbers = [&] {
    std::vector<std::uint64_t> groups(queries.size());
    for (std::size_t q = 0; q < queries.size(); ++q) groups[q] = sets.Find(q);
    return groups;
  };
  const auto inner_product = kernels::ActiveDistances().inner_product_f32;
  std::mutex mutex;
  base::ParallelFor(queries.size(), thread_count, 16, [&](std::size_t i, int) {
    for (std::size_t j = i + 1; j < queries.size(); ++j) {
      if (inner_product(rows[i], rows[j], dimension) < kTwinCosine) continue;
      const std::lock_guard<std::mutex> lock(mutex);
      sets.Join(i, j);
    }
  });
  QueryGroups groups{numbers(), {}};
  std::unordered_map<std::uint64_t, std::size_t> first_with;
  for (std::size_t q = 0; q < queries.size(); ++q) {
    for (const routing::JudgedDocument& document : queries[q]->judgements.documents()) {
      if (document.key >= kFirstUnknownKey) continue;
      const auto [entry, fresh] = first_with.try_emplace(document.key, q);
      if (!fresh) sets.Join(entry->second, q);
    }
  }
  groups.related = numbers();
  return groups;
}

}  // namespace trivium
