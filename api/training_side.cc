// SPDX-License-Identifier: Apache-2.0
#include "api/training_side.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "absl/strings/str_format.h"
#include "api/answer_fusion.h"
#include "api/held_out_readings.h"
#include "api/vector_rules.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "routing/expert/answer_agreement.h"
#include "routing/expert/lexical_share.h"

namespace trivium {
namespace {

constexpr std::size_t kUtilityDepth = 10;  // utilities are nDCG@10

// One scratch a thread, for calls that come from wherever the trainer runs.
SearcherScratch& ThreadScratch() {
  static thread_local SearcherScratch scratch;
  return scratch;
}

}  // namespace

absl::Status TrainingSide::Load(const std::vector<QuerySet>& sets, std::uint32_t space, bool keep_unjudged) {
  const StoreState& state = searcher_->state();
  const SpaceRecord& record = *state.schema.SpaceById(space);
  dimension_ = record.dimension;
  std::uint32_t set_number = 0;
  for (const QuerySet& set : sets) {
    TRIVIUM_ASSIGN_OR_RETURN(JudgedSet judged, ResolveJudgements(state, set, keep_unjudged));
    unknown_judgements_ += judged.unknown_judgements;
    TRIVIUM_ASSIGN_OR_RETURN(PreparedQueries prepared, PrepareJudged(state, encoders_, judged));
    prepared_.push_back(std::make_unique<PreparedQueries>(std::move(prepared)));
    const base::AlignedMatrix* rows = prepared_.back()->Find(space);
    if (rows == nullptr) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "queries '%s': no vectors of space '%s' and no encoder for it, expected one of them", set.name,
          record.name));
    }
    for (std::size_t i = 0; i < judged.queries.size(); ++i) {
      auto item = std::make_unique<Item>();
      item->set = &set;
      item->prepared = prepared_.back().get();
      item->local = i;
      item->query = std::move(judged.queries[i]);
      item->set_number = set_number;
      item->row = rows->row(i);
      if (record.metric != Metric::kCosine) {
        if (!UnitCopy(item->row, dimension_, &item->unit_row)) {
          return absl::InvalidArgumentError(absl::StrFormat(
              "queries '%s', row %d: zero, expected a direction to route by", set.name, item->query.row));
        }
        item->row = item->unit_row.data();
      }
      queries_.push_back(std::move(item));
    }
    ++set_number;
  }
  return absl::OkStatus();
}

QueryVectors TrainingSide::Vectors(const Item& item) const {
  static const std::string no_text;
  QueryVectors vectors(&searcher_->state(), encoders_,
                       item.set->texts.empty() ? &no_text : &item.set->texts[item.query.row]);
  for (const auto& entry : item.prepared->entries) vectors.Set(entry.space, entry.rows.row(item.local));
  return vectors;
}

// A query belongs to the experts whose partition holds its relevant documents, by their grades; where experts
// share all documents, to the one that its set is named after. Experts of all partitions own nothing beside
// others.
std::vector<float> TrainingSide::OwnersOf(const Item& item) const {
  const std::vector<ExpertView>& experts = searcher_->state().experts;
  std::vector<float> owners(experts.size(), 0.0f);
  for (std::size_t e = 0; e < experts.size(); ++e) {
    if (experts[e].name == item.set->name && !item.set->name.empty()) owners[e] = 1;
  }
  if (std::all_of(experts.begin(), experts.end(), [&](const ExpertView& expert) {
        return expert.sets == experts.front().sets && expert.text_sets == experts.front().text_sets;
      })) {
    return owners;
  }
  for (std::size_t e = 0; e < experts.size(); ++e) {
    owners[e] = experts[e].every_partition
                    ? 0.0f
                    : static_cast<float>(RelevantGain(searcher_->state(), item.query, experts[e]));
  }
  return owners;
}

// Utilities and agreements of every expert; both NaN where nothing can be said.
absl::Status TrainingSide::MeasureQuery(const Item& item, const std::vector<bool>& compared,
                                        absl::Span<float> utilities, absl::Span<float> agreement) const {
  const std::vector<ExpertView>& experts = searcher_->state().experts;
  SearcherScratch& scratch = ThreadScratch();
  std::vector<ExpertList> lists;
  std::vector<routing::FusedHit> hits;
  std::vector<std::vector<std::uint64_t>> answers(experts.size());
  QueryVectors vectors = Vectors(item);
  for (std::uint32_t e = 0; e < experts.size(); ++e) {
    if (experts[e].lexical && vectors.text().empty()) {
      utilities[e] = std::numeric_limits<float>::quiet_NaN();
      continue;
    }
    // Its nDCG is 0 whatever it finds.
    if (!compared[e] && RelevantGain(searcher_->state(), item.query, experts[e]) == 0) continue;
    const Plan plan = searcher_->planner().PlanNamed({&e, 1});
    TRIVIUM_RETURN_IF_ERROR(searcher_->SearchExperts(plan, Wanted(item), &vectors, &scratch, &lists));
    searcher_->Fuse(plan, {&lists.front()}, Wanted(item), routing::FusionMethod::kAuto, &scratch, &hits);
    RankedKeys(hits, item.query, kUtilityDepth, &answers[e]);
    utilities[e] = static_cast<float>(routing::NdcgAt(kUtilityDepth, answers[e], item.query.judgements));
    if (!compared[e]) answers[e].clear();
  }
  if (!agreement.empty()) routing::MeasureAgreement(answers, agreement);
  return absl::OkStatus();
}

absl::Status TrainingSide::MeasureUtilities(absl::Span<const std::uint32_t> comparable, int thread_count,
                                            const ProgressCallback& progress,
                                            const std::atomic<bool>* cancelled) {
  const std::size_t expert_count = searcher_->state().experts.size();
  std::vector<bool> compared(expert_count, false);
  for (const std::uint32_t expert : comparable) compared[expert] = true;
  std::vector<float> utilities(queries_.size() * expert_count, 0.0f);
  std::vector<float> agreements(comparable.empty() ? 0 : utilities.size());
  const auto row_of = [&](std::vector<float>& values, std::size_t i) {
    return values.empty() ? absl::Span<float>()
                          : absl::MakeSpan(values).subspan(i * expert_count, expert_count);
  };
  std::vector<absl::Status> failures(thread_count);
  constexpr std::size_t kStep = 512;  // queries between two progress reports
  for (std::size_t begin = 0; begin < queries_.size(); begin += kStep) {
    if (cancelled != nullptr && cancelled->load()) return absl::CancelledError("train dispatch: cancelled");
    const std::size_t end = std::min(queries_.size(), begin + kStep);
    base::ParallelFor(end - begin, thread_count, 8, [&](std::size_t offset, int thread) {
      const std::size_t i = begin + offset;
      if (!failures[thread].ok()) return;
      failures[thread] = MeasureQuery(*queries_[i], compared, row_of(utilities, i), row_of(agreements, i));
    });
    for (const absl::Status& failure : failures) TRIVIUM_RETURN_IF_ERROR(failure);
    if (progress) progress("utilities", end, queries_.size());
  }
  pilots_ = routing::PilotSet(dimension_, expert_count);
  agreement_ = routing::PilotSet(dimension_, expert_count);
  const std::int64_t now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  for (std::size_t i = 0; i < queries_.size(); ++i) {
    routing::PilotView pilot;
    pilot.vector = absl::MakeConstSpan(queries_[i]->row, dimension_);
    pilot.utilities = row_of(utilities, i);
    const std::vector<float> owners = OwnersOf(*queries_[i]);
    pilot.owners = owners;
    pilot.time = now;
    TRIVIUM_RETURN_IF_ERROR(pilots_.Add(pilot));
    if (agreements.empty()) continue;
    pilot.utilities = row_of(agreements, i);
    pilot.owners = {};
    TRIVIUM_RETURN_IF_ERROR(agreement_.Add(pilot));
  }
  return absl::OkStatus();
}

bool TrainingSide::has_texts() const {
  return std::all_of(queries_.begin(), queries_.end(), [](const std::unique_ptr<Item>& item) {
    return !item->set->texts.empty() && !item->set->texts[item->query.row].empty();
  });
}

routing::DispatchQueries TrainingSide::View(int thread_count) const {
  routing::DispatchQueries view;
  view.pilots = &pilots_;
  std::vector<const JudgedQuery*> queries;
  std::vector<const float*> rows;
  for (const auto& item : queries_) {
    queries.push_back(&item->query);
    rows.push_back(item->row);
    view.sets.push_back(item->set_number);
  }
  view.groups = GroupQueries(queries, rows, dimension_, thread_count).related;
  return view;
}

// Hits of which kUtilityDepth are left without those that do not count.
std::size_t TrainingSide::Wanted(const Item& item) const { return kUtilityDepth + item.query.own.size(); }

std::size_t TrainingSide::Depth(const Item& item, const Plan& plan) const {
  return searcher_->SearchDepth(plan, Wanted(item));
}

void TrainingSide::Search(const Item& item, const Plan& plan, std::size_t depth,
                          std::vector<ExpertList>* lists) const {
  QueryVectors vectors = Vectors(item);
  const absl::Status status = searcher_->SearchExperts(plan, depth, &vectors, &ThreadScratch(), lists);
  if (status.ok()) return;
  lists->clear();
  Fail(status);
}

void TrainingSide::Fail(const absl::Status& status) const {
  const std::lock_guard<std::mutex> lock(failure_mutex_);
  if (failure_.ok()) failure_ = status;
}

absl::Status TrainingSide::failure() const {
  const std::lock_guard<std::mutex> lock(failure_mutex_);
  return failure_;
}

const std::vector<ExpertList>& TrainingSide::Lists(const Item& item) const {
  std::call_once(item.searched, [&] {
    std::vector<std::uint32_t> everyone(searcher_->state().experts.size());
    for (std::uint32_t e = 0; e < everyone.size(); ++e) everyone[e] = e;
    const Plan plan = searcher_->planner().PlanNamed(everyone);
    Search(item, plan, Depth(item, plan), &item.lists);
  });
  return item.lists;
}

const std::vector<ExpertList>& TrainingSide::UnroutedLists(const Item& item) const {
  // Without adapters that answer merges the very lists that the experts return.
  const std::vector<ExpertView>& experts = searcher_->state().experts;
  const AdapterUse use = searcher_->options().adapters;
  if (std::none_of(experts.begin(), experts.end(), [&](const ExpertView& expert) {
        return AdapterInUse(expert, use) != nullptr ||
               searcher_->state().SpaceAdapterInUse(expert.space, use) != nullptr;
      })) {
    return Lists(item);
  }
  std::call_once(item.searched_unrouted, [&] {
    QueryVectors vectors = Vectors(item);
    Plan plan;
    const absl::Status status = searcher_->planner().PlanUnrouted(&vectors, &plan);
    status.ok() ? Search(item, plan, Depth(item, plan), &item.unrouted_lists) : Fail(status);
  });
  return item.unrouted_lists;
}

// Whether nobody was chosen: the trainer's "all", or a router that knew nothing.
bool AsksEverybody(const routing::Dispatch& choice) {
  return choice.fell_back ||
         (choice.chosen.size() == choice.experts.size() && !choice.chosen.empty() &&
          choice.experts[choice.chosen.front()].reason == routing::ChoiceReason::kRequested);
}

const std::vector<ExpertList>& TrainingSide::AskedLists(const Item& item,
                                                        const std::optional<routing::QueryMixture>& mixture,
                                                        Plan* plan) const {
  std::vector<float> probabilities;
  if (mixture) {
    for (const routing::ExpertChoice& choice : plan->dispatch.experts) {
      probabilities.push_back(choice.probability);
    }
  }
  const std::size_t depth = Depth(item, *plan);
  const bool as_mixed =
      mixture.has_value() == item.mixture.has_value() &&
      (!mixture || (item.mixture->own == mixture->own && item.mixture->plain == mixture->plain));
  if (!as_mixed || item.asked_depth != depth || item.probabilities != probabilities) {
    item.asked_lists.clear();
    item.mixture = mixture;
    item.asked_depth = depth;
    item.probabilities = std::move(probabilities);
  }
  std::vector<std::uint32_t> missing = plan->dispatch.chosen;
  std::erase_if(missing, [&](std::uint32_t e) {  // lexical ones do not depend on how the query is read
    return searcher_->state().experts[e].lexical ||
           std::any_of(item.asked_lists.begin(), item.asked_lists.end(),
                       [&](const ExpertList& list) { return list.expert == e; });
  });
  if (missing.empty()) return item.asked_lists;
  QueryVectors vectors = Vectors(item);
  const absl::Status status =
      mixture ? searcher_->planner().MixReadings(*mixture, &vectors, plan) : absl::OkStatus();
  std::vector<ExpertList> found;
  if (status.ok()) {
    plan->dispatch.chosen.swap(missing);
    Search(item, *plan, depth, &found);
    plan->dispatch.chosen.swap(missing);
  } else {
    Fail(status);
  }
  for (ExpertList& list : found) item.asked_lists.push_back(std::move(list));
  return item.asked_lists;
}

absl::Status TrainingSide::Remember(const TrainingSide& earlier) {
  TRIVIUM_ASSIGN_OR_RETURN(memory_, RememberAnswers({&earlier}, std::numeric_limits<std::size_t>::max()));
  remembers_itself_ = &earlier == this;
  return absl::OkStatus();
}

void TrainingSide::Recall(const Item& item, const routing::MemorySettings& memory, Plan* plan) const {
  std::call_once(item.compared, [&] {
    static thread_local routing::MemoryScratch scratch;
    memory_.Nearest(item.row, 4 * routing::kMemoryNeighbors, &scratch, &item.similar);
    if (remembers_itself_) {
      const bool is_new = StandsForNewQueries(item.row, dimension_);
      std::erase_if(item.similar, [&](const base::Neighbor& query) {
        const absl::Span<const std::uint64_t> relevant = memory_.relevant(query.row);
        return -query.distance >= kTwinCosine ||
               (is_new && std::any_of(relevant.begin(), relevant.end(), [&](std::uint64_t key) {
                  return item.query.judgements.GradeOf(key) > 0;
                }));
      });
    }
    if (item.similar.size() > routing::kMemoryNeighbors) item.similar.resize(routing::kMemoryNeighbors);
    item.similar.shrink_to_fit();
  });
  memory_.Remember(item.similar, memory.threshold, &plan->remembered);
  if (!plan->remembered.empty()) plan->memory_weights = memory.weights;
}

void TrainingSide::FirstScores(std::size_t query, const routing::Dispatch& choice,
                               const routing::AnswerSettings& settings, absl::Span<float> scores) const {
  const Item& item = *queries_[query];
  std::fill(scores.begin(), scores.end(), std::numeric_limits<float>::quiet_NaN());
  Plan plan;
  plan.dispatch = choice;
  for (const ExpertList& list : settings.mixture ? AskedLists(item, settings.mixture, &plan) : Lists(item)) {
    if (!choice.experts[list.expert].chosen) continue;
    scores[list.expert] = FirstScore(searcher_->state(), list, item.query.own);
  }
}

double TrainingSide::EvaluateChoice(std::size_t query, const routing::Dispatch& choice,
                                    const routing::AnswerSettings& settings) const {
  const Item& item = *queries_[query];
  Plan plan;
  plan.dispatch = choice;
  const bool everybody = AsksEverybody(choice);
  if (!everybody) plan.prior_weight = settings.prior_weight;
  if (!settings.lexical_weights.empty()) {
    plan.lexical_weight = routing::LexicalShare(settings.lexical_weights, choice.experts);
  }
  if (settings.second_look && !everybody) plan.second_look = &*settings.second_look;
  if (settings.memory && !everybody) Recall(item, *settings.memory, &plan);
  const bool asked_anew = !everybody && (settings.mixture || !plan.memory_weights.empty());
  std::vector<const ExpertList*> chosen;
  if (asked_anew) {
    for (const ExpertList& list : AskedLists(item, settings.mixture, &plan)) {
      if (choice.experts[list.expert].chosen) chosen.push_back(&list);
    }
  }
  for (const ExpertList& list : everybody ? UnroutedLists(item) : Lists(item)) {
    const bool found_above = asked_anew && !searcher_->state().experts[list.expert].lexical;
    if (choice.experts[list.expert].chosen && !found_above) chosen.push_back(&list);
  }
  LookAgain(searcher_->state(), chosen, {}, item.query.own, &plan);
  std::vector<routing::FusedHit> hits;
  std::vector<std::uint64_t> keys;
  searcher_->Fuse(plan, chosen, Wanted(item), routing::FusionMethod::kAuto, &ThreadScratch(), &hits);
  RankedKeys(hits, item.query, kUtilityDepth, &keys);
  return routing::NdcgAt(kUtilityDepth, keys, item.query.judgements);
}

absl::StatusOr<routing::AnswerMemory> TrainingSide::RememberAnswers(
    absl::Span<const TrainingSide* const> sides, std::size_t graph_threshold) {
  std::size_t count = 0;
  for (const TrainingSide* side : sides) count += side->queries_.size();
  base::AlignedMatrix rows(count, sides.front()->dimension_);
  std::vector<std::vector<std::uint64_t>> relevant(count);
  std::size_t row = 0;
  for (const TrainingSide* side : sides) {
    for (const auto& item : side->queries_) {
      std::copy_n(item->row, rows.columns(), rows.row(row));
      for (const routing::JudgedDocument& judged : item->query.judgements.documents()) {
        if (judged.grade > 0 && judged.key < kFirstUnknownKey) relevant[row].push_back(judged.key);
      }
      ++row;
    }
  }
  routing::AnswerMemory memory;
  TRIVIUM_RETURN_IF_ERROR(memory.Build(rows.view(), relevant, graph_threshold));
  return memory;
}

}  // namespace trivium
