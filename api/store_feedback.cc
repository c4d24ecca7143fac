// SPDX-License-Identifier: Apache-2.0
// What users made of answers, kept as pilots and in use at once; and experts that are no longer asked for it.
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "absl/strings/str_format.h"
#include "api/feedback_log.h"
#include "api/keys.h"
#include "api/store_impl.h"
#include "base/status_macros.h"
#include "routing/expert/observed_utility.h"

namespace trivium {
namespace {

// A judgement counts most; a click says less, and no click least: an answer may have been read without one.
constexpr float kClickWeight = 0.5f;
constexpr float kNoClickWeight = 0.25f;
constexpr std::size_t kMostReasonBytes = 500;  // of a quarantine

absl::Status OfFeedback(std::size_t row, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrFormat("feedback, row %d: %s", row, status.message()));
}

std::uint64_t SourceKey(const std::string& source) {
  if (source.empty()) return 0;
  return std::max<std::uint64_t>(1, XXH3_64bits(source.data(), source.size()));
}

bool Searches(const StoreState& state, const ExpertView& expert, std::uint32_t partition) {
  return std::any_of(expert.sets.begin(), expert.sets.end(),
                     [&](std::uint32_t i) { return state.sets[i]->partition() == partition; }) ||
         std::any_of(expert.text_sets.begin(), expert.text_sets.end(),
                     [&](std::uint32_t i) { return state.text_sets[i]->partition() == partition; });
}

// The hits, without gains. kInvalidArgument: a probability, a hit without a partition; kNotFound: a
// partition.
absl::StatusOr<std::vector<routing::ShownDocument>> ShownDocuments(const StoreState& state,
                                                                   const AnswerFeedback& feedback,
                                                                   absl::Span<const std::uint32_t> asked) {
  std::vector<routing::ShownDocument> shown;
  for (const DocumentName& hit : feedback.hits) {
    const PartitionRecord* partition = state.schema.FindPartition(hit.partition);
    if (partition == nullptr) {
      return absl::NotFoundError(absl::StrFormat("hit '%s': partition '%s', expected one of the store's",
                                                 hit.id.substr(0, 80), hit.partition.substr(0, 80)));
    }
    routing::ShownDocument document;
    for (const std::uint32_t e : asked) {
      if (Searches(state, state.experts[e], partition->id)) document.finders.push_back(e);
    }
    shown.push_back(std::move(document));
  }
  return shown;
}

// Gives the hit that `name` means a gain.
absl::Status Mark(const AnswerFeedback& feedback, const DocumentName& name, std::string_view what,
                  std::vector<routing::ShownDocument>* shown) {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < feedback.hits.size(); ++i) {
    const DocumentName& hit = feedback.hits[i];
    if (hit.id != name.id || (!name.partition.empty() && hit.partition != name.partition)) continue;
    if (found) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s: '%s' is a hit of partitions %s and %s, expected a partition to be named", what,
                          name.id.substr(0, 80), feedback.hits[*found].partition, hit.partition));
    }
    found = i;
  }
  if (!found) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: '%s', expected one of the %d hits", what, name.id.substr(0, 80), shown->size()));
  }
  (*shown)[*found].gain = 1;
  return absl::OkStatus();
}

struct Reaction {
  std::vector<float> utilities;  // by expert of the state; all NaN: nobody asked is known
  float weight = 1;
  bool says_nothing = true;
};

absl::StatusOr<Reaction> ReadReaction(const StoreState& state, const AnswerFeedback& feedback) {
  if (feedback.asked.empty())
    return absl::InvalidArgumentError("asked: none, expected the experts of the route");
  if (!feedback.relevant && !feedback.clicked) {
    return absl::InvalidArgumentError("relevant, clicked: neither given, expected one of them");
  }
  std::vector<std::uint32_t> asked;
  double probability = 0;
  for (const AskedExpert& each : feedback.asked) {
    if (!(each.probability >= 0 && each.probability <= 1 + 1e-6)) {
      return absl::InvalidArgumentError(absl::StrFormat("probability of '%s': %g, expected 0 to 1",
                                                        each.expert.substr(0, 80), each.probability));
    }
    const auto found = std::find_if(state.experts.begin(), state.experts.end(),
                                    [&](const ExpertView& expert) { return expert.name == each.expert; });
    if (found == state.experts.end()) continue;  // removed since
    asked.push_back(static_cast<std::uint32_t>(found - state.experts.begin()));
    probability += each.probability;
  }
  TRIVIUM_ASSIGN_OR_RETURN(std::vector<routing::ShownDocument> shown, ShownDocuments(state, feedback, asked));
  for (const DocumentName& name : feedback.relevant.value_or(std::vector<DocumentName>())) {
    TRIVIUM_RETURN_IF_ERROR(Mark(feedback, name, "relevant", &shown));
  }
  for (const DocumentName& name : feedback.clicked.value_or(std::vector<DocumentName>())) {
    TRIVIUM_RETURN_IF_ERROR(Mark(feedback, name, "clicked", &shown));
  }
  Reaction reaction;
  reaction.utilities = routing::ObservedUtilities(shown, asked, state.experts.size());
  reaction.says_nothing = asked.empty();
  reaction.weight = routing::PropensityWeight(probability);
  if (!feedback.relevant) reaction.weight *= feedback.clicked->empty() ? kNoClickWeight : kClickWeight;
  return reaction;
}

// Vectors of the space that routes, as routers read them: unit rows. Texts are encoded in one go.
absl::StatusOr<base::AlignedMatrix> Directions(const StoreState& state, EncoderSet* encoders,
                                               absl::Span<const AnswerFeedback> feedback) {
  const SpaceRecord& space = *state.schema.SpaceById(state.dispatcher->space());
  base::AlignedMatrix rows(feedback.size(), space.dimension);
  std::vector<std::string> texts;
  std::vector<std::size_t> encoded;
  const auto keep = [&](std::size_t i, const float* row) -> absl::Status {
    std::vector<float> unit;
    if (!UnitCopy(row, space.dimension, &unit)) {
      return absl::InvalidArgumentError("query: zero, expected a direction to route by");
    }
    std::copy_n(unit.data(), space.dimension, rows.row(i));
    return absl::OkStatus();
  };
  for (std::size_t i = 0; i < feedback.size(); ++i) {
    bool given = false;
    for (const SpaceVectors& vectors : feedback[i].query.vectors) {
      const absl::StatusOr<const SpaceRecord*> named = ResolveSpace(state.schema, vectors.space);
      if (!named.ok()) return OfFeedback(i, named.status());
      if ((*named)->id != space.id) continue;
      if (vectors.vectors.rows != 1) {
        return OfFeedback(i, absl::InvalidArgumentError(
                                 absl::StrFormat("query: %d vectors, expected one", vectors.vectors.rows)));
      }
      const absl::StatusOr<base::AlignedMatrix> prepared = PrepareVectors(space, vectors.vectors);
      if (!prepared.ok()) return OfFeedback(i, prepared.status());
      if (absl::Status kept = keep(i, prepared->row(0)); !kept.ok()) return OfFeedback(i, kept);
      given = true;
    }
    if (given) continue;
    if (feedback[i].query.text.find_first_not_of(" \t\r\n") == std::string::npos) {
      return OfFeedback(
          i, absl::InvalidArgumentError(absl::StrFormat(
                 "query: neither a vector of space '%s' nor a text, expected one of them", space.name)));
    }
    if (absl::Status good = CheckQueryText(feedback[i].query.text); !good.ok()) return OfFeedback(i, good);
    texts.push_back(feedback[i].query.text);
    encoded.push_back(i);
  }
  if (texts.empty()) return rows;
  TRIVIUM_ASSIGN_OR_RETURN(const base::AlignedMatrix matrix,
                           encoders->Encode(space, texts, TextKind::kQuery));
  for (std::size_t t = 0; t < texts.size(); ++t) {
    if (absl::Status kept = keep(encoded[t], matrix.row(t)); !kept.ok()) return OfFeedback(encoded[t], kept);
  }
  return rows;
}

// Puts experts that keep failing into quarantine; returns their names. The last one that may be asked stays.
std::vector<std::string> QuarantineFailing(const FeedbackLog& log, Schema* schema) {
  std::vector<std::string> names;
  for (std::size_t column = 0; column < log.expert_ids().size(); ++column) {
    for (ExpertRecord& expert : schema->experts) {
      if (expert.id != log.expert_ids()[column] || !expert.quarantine.empty()) continue;
      const routing::ExpertMonitor monitor = log.MonitorOf(column, expert.monitored_from);
      if (!monitor.failing()) continue;
      const auto asked = std::count_if(schema->experts.begin(), schema->experts.end(),
                                       [](const ExpertRecord& each) { return each.quarantine.empty(); });
      if (asked == 1) continue;
      expert.quarantine = absl::StrFormat(
          "feedback: worth %.2f where %.2f was expected, over %d answers (evidence %.0f, from %.0f on)",
          monitor.mean_observed(), monitor.mean_predicted(), monitor.count(), monitor.capital(),
          routing::ExpertMonitor::kAlarmCapital);
      names.push_back(expert.name);
    }
  }
  return names;
}

}  // namespace

AnswerFeedback AnswerFeedback::Of(Query query, const SearchResult& answer) {
  AnswerFeedback feedback;
  feedback.query = std::move(query);
  for (const Hit& hit : answer.hits) feedback.hits.push_back({hit.id, hit.partition});
  for (const ExpertConsidered& expert : answer.route.experts) {
    if (expert.chosen) feedback.asked.push_back({expert.expert, expert.probability});
  }
  return feedback;
}

absl::StatusOr<FeedbackReport> Store::Feedback(absl::Span<const AnswerFeedback> feedback) {
  const std::lock_guard<std::mutex> writing(impl_->writer);
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> state, impl_->BeginWrite());
  if (state->dispatcher == nullptr) {
    return absl::FailedPreconditionError("feedback: dispatch is not trained, expected a router to correct");
  }
  FeedbackReport report;
  report.in_use = state->feedback == nullptr ? 0 : state->feedback->size();
  if (feedback.empty()) return report;
  std::vector<Reaction> reactions;
  for (std::size_t i = 0; i < feedback.size(); ++i) {
    absl::StatusOr<Reaction> reaction = ReadReaction(*state, feedback[i]);
    if (!reaction.ok()) return OfFeedback(i, reaction.status());
    reactions.push_back(*std::move(reaction));
  }
  TRIVIUM_ASSIGN_OR_RETURN(const base::AlignedMatrix rows, Directions(*state, &impl_->encoders, feedback));

  std::vector<std::uint32_t> ids;
  for (const ExpertView& expert : state->experts) ids.push_back(expert.id);
  std::shared_ptr<FeedbackLog> log;
  if (state->feedback == nullptr) {
    log = std::make_shared<FeedbackLog>(rows.columns(), ids);
  } else {
    log = std::make_shared<FeedbackLog>(state->feedback->Copy());
    if (log->expert_ids() != ids) TRIVIUM_RETURN_IF_ERROR(log->SetExperts(ids));
  }
  storage::WriteBatch batch;
  const std::uint64_t call = log->next_sequence();
  const std::int64_t now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  for (std::size_t i = 0; i < feedback.size(); ++i) {
    if (reactions[i].says_nothing) {
      ++report.ignored;
      continue;
    }
    routing::PilotView pilot;
    pilot.vector = absl::MakeConstSpan(rows.row(i), rows.columns());
    pilot.utilities = reactions[i].utilities;
    const float repetition = log->RepetitionWeight(pilot.vector);
    if (repetition < 1) ++report.reduced;
    pilot.weight = reactions[i].weight * repetition;
    pilot.time = now;
    pilot.source = routing::PilotSource::kFeedback;
    TRIVIUM_RETURN_IF_ERROR(log->Append(pilot, SourceKey(feedback[i].source), call, &batch));
    ++report.kept;
  }
  if (report.kept == 0) return report;
  log->KeepNewest(&batch);
  TRIVIUM_RETURN_IF_ERROR(log->Settle(*state->dispatcher, *state->schema.dispatch));
  report.in_use = log->size();
  report.reduced += log->limited_since(call);
  report.quarantined = QuarantineFailing(*log, &state->schema);
  state->feedback = std::move(log);
  TRIVIUM_RETURN_IF_ERROR(impl_->Commit(std::move(state), std::move(batch), !report.quarantined.empty()));
  for (const std::string& name : report.quarantined) {
    if (impl_->options.log) impl_->options.log("expert '" + name + "': quarantined, by feedback");
  }
  return report;
}

absl::Status Store::Quarantine(const std::string& expert, const std::string& reason) {
  return impl_->SetQuarantine(expert, reason.empty() ? "by the operator" : reason);
}

absl::Status Store::LiftQuarantine(const std::string& expert) { return impl_->SetQuarantine(expert, ""); }

absl::Status Store::Impl::SetQuarantine(const std::string& name, const std::string& reason) {
  TRIVIUM_RETURN_IF_ERROR(CheckQueryText(reason));  // UTF-8
  if (reason.size() > kMostReasonBytes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("reason: %d bytes, expected at most %d", reason.size(), kMostReasonBytes));
  }
  const std::lock_guard<std::mutex> writing(writer);
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> state, BeginWrite());
  for (ExpertRecord& expert : state->schema.experts) {
    if (expert.name != name) continue;
    expert.quarantine = reason;
    // What was held against it is forgiven.
    if (reason.empty())
      expert.monitored_from = state->feedback == nullptr ? 0 : state->feedback->next_sequence();
    return Commit(std::move(state), {}, true);
  }
  return absl::NotFoundError(
      absl::StrFormat("expert: '%s', expected one of the store's", name.substr(0, 80)));
}

absl::Status Store::Impl::LoadFeedback(StoreState* state) const {
  if (state->dispatcher == nullptr) return absl::OkStatus();
  std::vector<std::uint32_t> ids;
  for (const ExpertRecord& expert : state->schema.experts) ids.push_back(expert.id);
  auto log = std::make_shared<FeedbackLog>(state->schema.SpaceById(state->dispatcher->space())->dimension,
                                           std::move(ids));
  absl::Status bad;
  TRIVIUM_RETURN_IF_ERROR(state->db->ForEach(storage::Table::kPilots, kFeedbackPrefix,
                                             [&](std::string_view key, std::string_view value) {
                                               bad = log->AddStored(key, value);
                                               return bad.ok();
                                             }));
  TRIVIUM_RETURN_IF_ERROR(bad);
  if (log->size() == 0) return absl::OkStatus();
  TRIVIUM_RETURN_IF_ERROR(log->Settle(*state->dispatcher, *state->schema.dispatch));
  state->feedback = std::move(log);
  return absl::OkStatus();
}

absl::Status Store::Impl::CarryFeedback(std::uint32_t old_space, StoreState* state,
                                        storage::WriteBatch* batch) const {
  if (state->feedback == nullptr) return absl::OkStatus();
  if (state->dispatcher->space() != old_space) {  // queries of another space say nothing to these routers
    batch->DeletePrefix(storage::Table::kPilots, kFeedbackPrefix);
    for (ExpertRecord& expert : state->schema.experts) expert.monitored_from = 0;
    state->feedback = nullptr;
    return absl::OkStatus();
  }
  auto log = std::make_shared<FeedbackLog>(state->feedback->Copy());
  log->ForgetPredictions();
  TRIVIUM_RETURN_IF_ERROR(log->Settle(*state->dispatcher, *state->schema.dispatch));
  state->feedback = std::move(log);
  return absl::OkStatus();
}

}  // namespace trivium
