// SPDX-License-Identifier: Apache-2.0
#include "api/adapter_queries.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"

namespace trivium {
namespace {

constexpr std::size_t kEvaluatedDepth = 10;  // by nDCG@10
constexpr std::size_t kMinedDepth = 50;      // documents near a query that may teach it what is not relevant

bool Contains(const std::vector<std::uint64_t>& sorted, std::uint64_t key) {
  return std::binary_search(sorted.begin(), sorted.end(), key);
}

// One scratch a thread, for calls that come from wherever the trainer runs.
VectorSetScratch& ThreadScratch() {
  static thread_local VectorSetScratch scratch;
  return scratch;
}

}  // namespace

AdapterQueries::AdapterQueries(const StoreState* state, EncoderSet* encoders, std::uint32_t space)
    : state_(state),
      encoders_(encoders),
      space_(space),
      rows_(state->schema.SpaceById(space)->dimension),
      documents_(state->schema.SpaceById(space)->dimension) {
  for (std::uint32_t i = 0; i < state->sets.size(); ++i) {
    if (state->sets[i]->space() == space) all_sets_.push_back(i);
  }
}

bool AdapterQueries::CopyDocument(std::uint64_t document, float* out) const {
  const DocumentDirectory::Entry* entry = state_->documents.Find(document);
  if (entry == nullptr) return false;
  const VectorSet* set = state_->FindSet(space_, entry->partition);
  return set != nullptr && set->CopyRow(document, out);
}

absl::Status AdapterQueries::Load(const std::vector<QuerySet>& sets) {
  const SpaceRecord& space = *state_->schema.SpaceById(space_);
  std::vector<float> row(space.dimension);
  std::uint32_t set_number = 0;
  for (const QuerySet& set : sets) {
    TRIVIUM_ASSIGN_OR_RETURN(JudgedSet judged, ResolveJudgements(*state_, set));
    unknown_judgements_ += judged.unknown_judgements;
    TRIVIUM_ASSIGN_OR_RETURN(const PreparedQueries prepared, PrepareJudged(*state_, encoders_, judged));
    const base::AlignedMatrix* rows = prepared.Find(space_);
    if (rows == nullptr) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "queries '%s': no vectors of space '%s' and no encoder for it, expected one of them", set.name,
          space.name));
    }
    for (std::size_t i = 0; i < judged.queries.size(); ++i) {
      const auto documents = judged.queries[i].judgements.documents();
      const bool learnable = std::any_of(documents.begin(), documents.end(), [&](const auto& document) {
        return document.grade > 0 && !Contains(judged.queries[i].own, document.key) &&
               CopyDocument(document.key, row.data());
      });
      if (!learnable) continue;
      Query query;
      query.set = &set;
      query.set_number = set_number;
      query.judged = std::move(judged.queries[i]);
      queries_.push_back(std::move(query));
      rows_.Append(rows->row(i));
    }
    ++set_number;
  }
  return absl::OkStatus();
}

std::vector<routing::ScoredDocument> AdapterQueries::Search(const float* vector,
                                                            const std::vector<std::uint32_t>& sets,
                                                            std::size_t depth) const {
  index::SearchParameters parameters;
  parameters.k = depth;
  parameters.beam_width = state_->schema.SpaceById(space_)->beam_width;
  std::vector<routing::ScoredDocument> all, found;
  for (const std::uint32_t set : sets) {
    state_->sets[set]->Search(vector, parameters, /*filter=*/nullptr, &ThreadScratch(), &found, nullptr);
    all.insert(all.end(), found.begin(), found.end());
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a.score != b.score ? a.score > b.score : a.key < b.key;
  });
  if (all.size() > depth) all.resize(depth);
  return all;
}

absl::Status AdapterQueries::Mine(int thread_count, const ProgressCallback& progress,
                                  const std::atomic<bool>* cancelled) {
  constexpr std::size_t kStep = 512;  // queries between two progress reports
  std::vector<std::vector<std::uint64_t>> near(queries_.size());
  for (std::size_t begin = 0; begin < queries_.size(); begin += kStep) {
    if (cancelled != nullptr && cancelled->load()) return absl::CancelledError("train adapter: cancelled");
    const std::size_t end = std::min(queries_.size(), begin + kStep);
    base::ParallelFor(end - begin, thread_count, 8, [&](std::size_t offset, int) {
      const std::size_t i = begin + offset;
      for (const auto& hit : Search(rows_.row(i), all_sets_, kMinedDepth)) near[i].push_back(hit.key);
    });
    if (progress) progress("mine", end, queries_.size());
  }
  std::unordered_map<std::uint64_t, std::uint32_t> row_of;
  std::vector<float> values(documents_.columns());
  // The row of a document, its vector copied when it first comes; none where it has no vector.
  const auto find = [&](std::uint64_t key, std::vector<std::uint32_t>* rows) {
    auto entry = row_of.find(key);
    if (entry == row_of.end()) {
      if (!CopyDocument(key, values.data())) return;
      entry = row_of.emplace(key, static_cast<std::uint32_t>(document_keys_.size())).first;
      documents_.Append(values.data());
      document_keys_.push_back(key);
    }
    rows->push_back(entry->second);
  };
  for (std::size_t i = 0; i < queries_.size(); ++i) {
    Query& query = queries_[i];
    for (const routing::JudgedDocument& document : query.judged.judgements.documents()) {
      if (document.grade > 0 && !Contains(query.judged.own, document.key))
        find(document.key, &query.relevant);
    }
    for (std::uint64_t key : query.judged.own) find(key, &query.ignored);
    for (std::uint64_t key : near[i]) {
      if (query.judged.judgements.GradeOf(key) > 0 || Contains(query.judged.own, key)) continue;
      find(key, &query.negatives);
    }
  }
  return absl::OkStatus();
}

bool AdapterQueries::HasRelevant(std::size_t query, std::uint32_t partition) const {
  const auto& relevant = queries_[query].relevant;
  return std::any_of(relevant.begin(), relevant.end(), [&](std::uint32_t row) {
    return state_->documents.Find(document_keys_[row])->partition == partition;
  });
}

routing::AdapterQueries AdapterQueries::View(const std::vector<std::uint32_t>& chosen, int thread_count,
                                             base::AlignedMatrix* rows) const {
  routing::AdapterQueries view;
  std::vector<const JudgedQuery*> judged;
  std::vector<const float*> pointers;
  *rows = base::AlignedMatrix(chosen.size(), rows_.columns());
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const Query& query = queries_[chosen[i]];
    std::copy_n(rows_.row(chosen[i]), rows_.columns(), rows->row(i));
    judged.push_back(&query.judged);
    pointers.push_back(rows->row(i));
    view.judgements.push_back(&query.judged.judgements);
    view.relevant.push_back(query.relevant);
    view.negatives.push_back(query.negatives);
    view.ignored.push_back(query.ignored);
    view.sets.push_back(query.set_number);
  }
  view.queries = rows->view();
  view.documents = documents_.view();
  view.document_keys = document_keys_;
  QueryGroups groups = GroupQueries(judged, pointers, rows_.columns(), thread_count);
  view.groups = std::move(groups.related);
  view.twins = std::move(groups.twins);
  return view;
}

double AdapterQueries::Evaluate(std::size_t query, const float* vector,
                                const std::vector<std::uint32_t>& sets) const {
  const JudgedQuery& judged = queries_[query].judged;
  std::vector<std::uint64_t> keys;
  for (const auto& hit : Search(vector, sets, kEvaluatedDepth + judged.own.size())) {
    if (keys.size() < kEvaluatedDepth && !Contains(judged.own, hit.key)) keys.push_back(hit.key);
  }
  return routing::NdcgAt(kEvaluatedDepth, keys, judged.judgements);
}

}  // namespace trivium
