// SPDX-License-Identifier: Apache-2.0
// Answering queries.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <optional>

#include "absl/strings/str_format.h"
#include "api/route_description.h"
#include "api/store_impl.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"

namespace trivium {
namespace {

constexpr std::size_t kIdleScratch = 64;         // kept between searches
constexpr std::size_t kMostQueriesOfChunk = 64;  // of a batch, that a thread answers together

double MicrosSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

void DescribeCost(const Answer& answer, Trace* trace) {
  index::SearchCounters counters;
  for (const ExpertList& list : answer.lists) {
    counters.Add(list.counters);
    trace->vector_sets += list.vector_sets;
    trace->searches += list.searches;
  }
  trace->hops = counters.hops;
  trace->distances["graph"] = counters.graph_distances;
  trace->distances["scan"] = counters.scan_distances;
  trace->distances["code"] = counters.code_distances;
  trace->distance_computations = counters.distances();
  trace->bytes_read = counters.bytes_read;
}

// Large enough for their searches to take turns, small enough to keep all threads busy and memory bounded.
std::size_t QueriesOfChunk(std::size_t count, int threads) {
  if (threads == 1) return kMostQueriesOfChunk;
  return std::clamp<std::size_t>(count / (4 * static_cast<std::size_t>(threads)), 1, kMostQueriesOfChunk);
}

void LowerTo(std::size_t value, std::atomic<std::size_t>* least) {
  std::size_t seen = least->load();
  while (value < seen && !least->compare_exchange_weak(seen, value)) {
  }
}

void WriteHits(const StoreState& state, const Answer& answer, std::size_t query, BatchResult* batch) {
  for (std::size_t h = 0; h < answer.hits.size(); ++h) {
    const DocumentDirectory::Entry& entry = *state.documents.Find(answer.hits[h].key);
    batch->ids[query].push_back(entry.id);
    batch->partitions[query].push_back(state.schema.PartitionById(entry.partition)->name);
    batch->scores[query * batch->k + h] = answer.hits[h].score;
  }
}

}  // namespace

std::unique_ptr<SearcherScratch> Store::Impl::TakeScratch() {
  const std::lock_guard<std::mutex> lock(scratch_mutex);
  if (idle_scratch.empty()) return std::make_unique<SearcherScratch>();
  std::unique_ptr<SearcherScratch> scratch = std::move(idle_scratch.back());
  idle_scratch.pop_back();
  return scratch;
}

void Store::Impl::ReturnScratch(std::unique_ptr<SearcherScratch> scratch) {
  const std::lock_guard<std::mutex> lock(scratch_mutex);
  if (idle_scratch.size() < kIdleScratch) idle_scratch.push_back(std::move(scratch));
}

absl::StatusOr<Searcher> Store::Impl::MakeSearcher(std::shared_ptr<const StoreState> state,
                                                   const SearchOptions& search) const {
  TRIVIUM_RETURN_IF_ERROR(search.Validate());
  if (state->experts.empty()) {
    return absl::FailedPreconditionError("store: no space, expected at least one to search in");
  }
  TRIVIUM_ASSIGN_OR_RETURN(auto documents, MatchDocuments(*state, search.filter, std::nullopt));
  return Searcher::Create(std::move(state), search, std::move(documents));
}

absl::StatusOr<SearchResult> Store::Search(const Query& query, const SearchOptions& options) const {
  const auto start = std::chrono::steady_clock::now();
  TRIVIUM_ASSIGN_OR_RETURN(const std::shared_ptr<const StoreState> state, impl_->Read());
  TRIVIUM_RETURN_IF_ERROR(CheckQueryText(query.text));
  if (query.text.find_first_not_of(" \t\r\n") == std::string::npos && query.vectors.empty()) {
    return absl::InvalidArgumentError("query: empty, expected a text or a vector");
  }
  TRIVIUM_ASSIGN_OR_RETURN(const Searcher searcher, impl_->MakeSearcher(state, options));
  TRIVIUM_ASSIGN_OR_RETURN(const PreparedQueries prepared,
                           PrepareQueries(*state, &impl_->encoders, 1, query.vectors, {}, {}));
  QueryVectors vectors(state.get(), &impl_->encoders, &query.text);
  for (const auto& entry : prepared.entries) vectors.Set(entry.space, entry.rows.row(0));
  SearchResult result;
  result.trace.stages_us.emplace_back("prepare", MicrosSince(start));

  std::unique_ptr<SearcherScratch> scratch = impl_->TakeScratch();
  Answer answer;
  std::optional<RouteExplanation> explanation;
  absl::Status status = searcher.Run(&vectors, scratch.get(), &answer);
  if (status.ok() && options.explain) {
    absl::StatusOr<RouteExplanation> explained = ExplainRoute(searcher, answer, &vectors, &scratch->planner);
    status = explained.status();
    if (status.ok()) explanation = *std::move(explained);
  }
  impl_->ReturnScratch(std::move(scratch));
  TRIVIUM_RETURN_IF_ERROR(status);

  const auto loading = std::chrono::steady_clock::now();
  for (const routing::FusedHit& fused : answer.hits) {
    const DocumentDirectory::Entry& entry = *state->documents.Find(fused.key);
    const ExpertView& expert = state->experts[fused.expert];
    Hit hit;
    hit.id = entry.id;
    hit.partition = state->schema.PartitionById(entry.partition)->name;
    hit.score = fused.score;
    hit.similarity = fused.expert_score;
    if (const SpaceRecord* space = state->schema.SpaceById(expert.space)) {  // a lexical expert has none
      hit.similarity = base::SimilarityFromScore(BaseMetric(space->metric), fused.expert_score);
    }
    hit.expert = expert.name;
    if (options.load_documents) {
      Document document;
      TRIVIUM_RETURN_IF_ERROR(impl_->LoadDocument(*state, fused.key, &document));
      hit.text = std::move(document.text);
      hit.metadata = std::move(document.metadata);
    }
    for (const SpaceRecord& space : state->schema.spaces) {
      if (!options.load_vectors) break;
      const VectorSet* set = state->FindSet(space.id, entry.partition);
      std::vector<float> row(space.dimension);
      if (set != nullptr && set->CopyRow(fused.key, row.data())) {
        hit.vectors.emplace_back(space.name, std::move(row));
      }
    }
    result.hits.push_back(std::move(hit));
  }
  result.route = DescribeRoute(searcher, answer);
  result.route.explanation = std::move(explanation);
  DescribeCost(answer, &result.trace);
  result.trace.encoder_calls = vectors.encoder_calls();
  auto& stages = result.trace.stages_us;
  stages.emplace_back("encode", vectors.encode_us());
  stages.emplace_back("dispatch", answer.dispatch_us);
  stages.emplace_back("search", answer.search_us);
  stages.emplace_back("fuse", answer.fuse_us);
  stages.emplace_back("load", MicrosSince(loading));
  result.trace.total_us = MicrosSince(start);
  return result;
}

absl::StatusOr<BatchResult> Store::SearchBatch(const std::vector<SpaceVectors>& vectors,
                                               absl::Span<const std::string> texts,
                                               const SearchOptions& options, int threads) const {
  TRIVIUM_ASSIGN_OR_RETURN(const std::shared_ptr<const StoreState> state, impl_->Read());
  if (threads < 0) {
    return absl::InvalidArgumentError(absl::StrFormat("threads: %d, expected 0 (all) or more", threads));
  }
  if (vectors.empty() && texts.empty()) {
    return absl::InvalidArgumentError("queries: none, expected vectors or texts");
  }
  const std::size_t count = texts.empty() ? vectors.front().vectors.rows : texts.size();
  TRIVIUM_ASSIGN_OR_RETURN(const Searcher searcher, impl_->MakeSearcher(state, options));
  // Texts are encoded in one go for the router space, or the only one; other spaces when an expert needs
  // them.
  std::vector<std::uint32_t> spaces;
  if (state->dispatcher != nullptr) spaces.push_back(state->dispatcher->space());
  if (state->schema.spaces.size() == 1) spaces.push_back(state->schema.spaces.front().id);
  if (searcher.planner().AsksOnlyLexical()) spaces.clear();
  TRIVIUM_ASSIGN_OR_RETURN(const PreparedQueries prepared,
                           PrepareQueries(*state, &impl_->encoders, count, vectors, texts, spaces));

  BatchResult batch;
  batch.k = options.k;
  batch.ids.resize(count);
  batch.partitions.resize(count);
  batch.scores.assign(count * options.k, -std::numeric_limits<float>::infinity());
  const int thread_count = base::ResolveThreadCount(threads);
  std::vector<std::unique_ptr<SearcherScratch>> scratch;
  for (int i = 0; i < thread_count; ++i) scratch.push_back(impl_->TakeScratch());
  const std::size_t chunk = QueriesOfChunk(count, thread_count), chunks = (count + chunk - 1) / chunk;
  std::vector<absl::Status> failures(chunks);
  std::atomic<std::size_t> first_failed{chunks};
  const std::string no_text;
  base::ParallelFor(chunks, thread_count, 1, [&](std::size_t item, int thread) {
    if (item > first_failed.load(std::memory_order_relaxed)) return;
    const std::size_t first = item * chunk, size = std::min(chunk, count - first);
    std::vector<QueryVectors> queries;
    for (std::size_t i = first; i < first + size; ++i) {
      queries.emplace_back(state.get(), &impl_->encoders, texts.empty() ? &no_text : &texts[i]);
      for (const auto& entry : prepared.entries) queries.back().Set(entry.space, entry.rows.row(i));
    }
    std::vector<Answer> answers(size);
    failures[item] =
        searcher.RunMany(absl::MakeSpan(queries), scratch[thread].get(), absl::MakeSpan(answers));
    if (!failures[item].ok()) return LowerTo(item, &first_failed);
    for (std::size_t i = 0; i < size; ++i) WriteHits(*state, answers[i], first + i, &batch);
  });
  for (auto& buffers : scratch) impl_->ReturnScratch(std::move(buffers));
  for (const absl::Status& failure : failures) TRIVIUM_RETURN_IF_ERROR(failure);
  return batch;
}

}  // namespace trivium
