// SPDX-License-Identifier: Apache-2.0
// A stored feedback: key "feedback/" sequence (u64, big-endian); value, little-endian:
//
//   u8 version | u64 source | u64 call | a pilot, see routing/expert/pilot_set.cc
#include "api/feedback_log.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_format.h"
#include "api/keys.h"
#include "base/status_macros.h"
#include "routing/expert/feedback_weights.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"

namespace trivium {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
// Bets on what one call says of one expert: what was answered before the store could react says that an
// expert fails, not that it keeps failing.
constexpr std::size_t kMostBetsACall = 10;

// Where each of `to` is among `from`; -1: nowhere.
std::vector<int> ColumnsOf(absl::Span<const std::uint32_t> from, absl::Span<const std::uint32_t> to) {
  std::vector<int> columns;
  for (const std::uint32_t id : to) {
    const auto found = std::find(from.begin(), from.end(), id);
    columns.push_back(found == from.end() ? -1 : static_cast<int>(found - from.begin()));
  }
  return columns;
}

std::vector<float> Rearranged(absl::Span<const float> row, absl::Span<const int> columns) {
  std::vector<float> values;
  for (const int column : columns) values.push_back(column < 0 ? kUnknown : row[column]);
  return values;
}

}  // namespace

FeedbackLog::FeedbackLog(std::size_t dimension, std::vector<std::uint32_t> expert_ids)
    : pilots_(dimension, expert_ids.size()), expert_ids_(std::move(expert_ids)) {}

FeedbackLog FeedbackLog::Copy() const {
  std::vector<std::uint32_t> rows(size());
  std::iota(rows.begin(), rows.end(), 0u);
  FeedbackLog copy(pilots_.dimension(), expert_ids_);
  copy.pilots_ = pilots_.Subset(rows);
  copy.notes_ = notes_;
  copy.first_sequence_ = first_sequence_;
  copy.predicted_ = predicted_;
  copy.limited_ = limited_;
  copy.correction_ = correction_;
  return copy;
}

float FeedbackLog::RepetitionWeight(absl::Span<const float> vector) const {
  return routing::RepetitionWeight(pilots_.vectors(), vector);
}

absl::Status FeedbackLog::Append(const routing::PilotView& pilot, std::uint64_t source, std::uint64_t call,
                                 storage::WriteBatch* batch) {
  TRIVIUM_RETURN_IF_ERROR(pilots_.Add(pilot));
  notes_.push_back({source, call});
  storage::ByteWriter writer;
  writer.Put(kVersion);
  writer.Put(source);
  writer.Put(call);
  batch->Put(storage::Table::kPilots, FeedbackKey(next_sequence() - 1),
             writer.Take() + pilots_.EncodePilot(size() - 1, expert_ids_));
  return absl::OkStatus();
}

void FeedbackLog::KeepNewest(storage::WriteBatch* batch) {
  if (size() <= kMost) return;
  const std::size_t gone = size() - kMost;
  for (std::size_t i = 0; i < gone; ++i) {
    batch->Delete(storage::Table::kPilots, FeedbackKey(first_sequence_ + i));
  }
  std::vector<std::uint32_t> rows(kMost);
  for (std::size_t i = 0; i < kMost; ++i) rows[i] = static_cast<std::uint32_t>(gone + i);
  pilots_ = pilots_.Subset(rows);
  notes_.erase(notes_.begin(), notes_.begin() + static_cast<std::ptrdiff_t>(gone));
  const std::size_t predicted = std::min(predicted_.size(), gone * expert_ids_.size());
  predicted_.erase(predicted_.begin(), predicted_.begin() + static_cast<std::ptrdiff_t>(predicted));
  first_sequence_ += gone;
}

absl::Status FeedbackLog::AddStored(std::string_view key, std::string_view value) {
  const auto malformed = [&] {
    return absl::DataLossError(absl::StrFormat(
        "feedback: a malformed entry of %d bytes, expected version %d (db)", value.size(), kVersion));
  };
  if (key.size() != FeedbackKey(0).size()) return malformed();
  const std::uint64_t sequence = ReadBigEndian(key.substr(kFeedbackPrefix.size()));
  if (size() == 0) first_sequence_ = sequence;
  storage::ByteReader reader(value);
  const auto version = reader.Read<std::uint8_t>();
  const auto source = reader.Read<std::uint64_t>();
  const auto call = reader.Read<std::uint64_t>();
  if (!reader.ok() || version != kVersion || sequence != next_sequence() || size() == kMost) {
    return malformed();
  }
  TRIVIUM_RETURN_IF_ERROR(pilots_.AddEncoded(value.substr(value.size() - reader.remaining()), expert_ids_));
  notes_.push_back({source, call});
  return absl::OkStatus();
}

absl::Status FeedbackLog::SetExperts(std::vector<std::uint32_t> expert_ids) {
  const std::vector<int> columns = ColumnsOf(expert_ids_, expert_ids);
  routing::PilotSet pilots(pilots_.dimension(), expert_ids.size());
  std::vector<float> predicted;
  for (std::size_t i = 0; i < size(); ++i) {
    routing::PilotView pilot = pilots_.pilot(i);
    const std::vector<float> utilities = Rearranged(pilot.utilities, columns);
    pilot.utilities = utilities;
    pilot.owners = {};
    TRIVIUM_RETURN_IF_ERROR(pilots.Add(pilot));
    if ((i + 1) * expert_ids_.size() > predicted_.size()) continue;
    const std::vector<float> row = Rearranged(
        absl::MakeConstSpan(predicted_).subspan(i * expert_ids_.size(), expert_ids_.size()), columns);
    predicted.insert(predicted.end(), row.begin(), row.end());
  }
  pilots_ = std::move(pilots);
  predicted_ = std::move(predicted);
  expert_ids_ = std::move(expert_ids);
  return absl::OkStatus();
}

void FeedbackLog::Predict(const routing::ExpertRouter& router, absl::Span<const std::uint32_t> router_ids) {
  const std::vector<int> columns = ColumnsOf(router_ids, expert_ids_);
  routing::RouterScratch scratch;
  std::vector<float> utility(router.expert_count()), uncertainty(router.expert_count());
  const std::size_t width = expert_ids_.size();
  for (std::size_t i = width > 0 ? predicted_.size() / width : size(); i < size(); ++i) {
    router.Predict(pilots_.pilot(i).vector, &scratch, absl::MakeSpan(utility), absl::MakeSpan(uncertainty));
    const std::vector<float> row = Rearranged(utility, columns);
    predicted_.insert(predicted_.end(), row.begin(), row.end());
  }
}

absl::Status FeedbackLog::Settle(const Dispatcher& dispatcher, const DispatchRecord& record) {
  const Dispatcher::Entry* entry = dispatcher.Find(record.router);
  if (entry == nullptr || entry->router->dimension() != pilots_.dimension()) {
    return absl::DataLossError(
        absl::StrFormat("feedback: no router '%s' of dimension %d, expected the one in use (db)",
                        record.router, pilots_.dimension()));
  }
  Predict(*entry->router, record.expert_ids);
  std::vector<float> given;
  std::vector<std::uint64_t> sources;
  for (std::size_t i = 0; i < size(); ++i) {
    given.push_back(pilots_.weight(i));
    sources.push_back(notes_[i].source);
  }
  const std::vector<float> weights = routing::InfluenceWeights(given, sources, &limited_);
  TRIVIUM_ASSIGN_OR_RETURN(correction_, routing::FeedbackCorrection::Build(pilots_, predicted_, weights));
  return absl::OkStatus();
}

std::size_t FeedbackLog::limited_since(std::uint64_t sequence) const {
  std::size_t count = 0;
  for (std::size_t i = 0; i < limited_.size(); ++i) count += first_sequence_ + i >= sequence && limited_[i];
  return count;
}

routing::ExpertMonitor FeedbackLog::MonitorOf(std::size_t column, std::uint64_t from) const {
  routing::ExpertMonitor monitor;
  std::size_t bets = 0;
  for (std::size_t i = 0; i < size(); ++i) {
    if (i > 0 && notes_[i].call != notes_[i - 1].call) bets = 0;
    if (first_sequence_ + i < from) continue;
    const float predicted = predicted_[i * expert_ids_.size() + column];
    const float observed = pilots_.utilities(i)[column];
    if (std::isnan(predicted) || std::isnan(observed) || bets == kMostBetsACall) continue;
    monitor.Observe(predicted, observed);
    ++bets;
  }
  return monitor;
}

}  // namespace trivium
