// SPDX-License-Identifier: Apache-2.0
// The feedback in use: pilots with who gave them, what the router had predicted for them, and what follows
// from both for searches. Immutable once published; a write changes a copy.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "api/dispatcher.h"
#include "api/schema.h"
#include "routing/expert/expert_monitor.h"
#include "routing/expert/feedback_correction.h"
#include "routing/expert/pilot_set.h"
#include "storage/key_value_store.h"

namespace trivium {

class FeedbackLog {
 public:
  static constexpr std::size_t kMost = 2048;  // the newest are kept; about 2 KB each at 384 dimensions

  // `expert_ids`: lasting ids, one for each column from now on.
  FeedbackLog(std::size_t dimension, std::vector<std::uint32_t> expert_ids);

  // To change, instead of one that is published.
  FeedbackLog Copy() const;

  std::size_t size() const { return pilots_.size(); }
  std::uint64_t next_sequence() const { return first_sequence_ + size(); }
  const std::vector<std::uint32_t>& expert_ids() const { return expert_ids_; }

  // How much a feedback for this query counts beside those that are there; see routing::RepetitionWeight.
  float RepetitionWeight(absl::Span<const float> vector) const;

  // Adds the newest, and puts it into `batch`. `source`: 0 = unknown. `call`: the same for all that came in
  // one call. KeepNewest and Settle afterwards.
  absl::Status Append(const routing::PilotView& pilot, std::uint64_t source, std::uint64_t call,
                      storage::WriteBatch* batch);

  // Lets go of the oldest above kMost, in the tables too.
  void KeepNewest(storage::WriteBatch* batch);

  // As stored, oldest first. kDataLoss: malformed.
  absl::Status AddStored(std::string_view key, std::string_view value);

  // Columns for these experts: what is said of others is dropped, new ones are unknown. Settle afterwards.
  absl::Status SetExperts(std::vector<std::uint32_t> expert_ids);
  // Another router predicts. Settle afterwards.
  void ForgetPredictions() { predicted_.clear(); }

  // Works out what follows, by the predictions of the router that is the default of `record`.
  absl::Status Settle(const Dispatcher& dispatcher, const DispatchRecord& record);

  // Null before Settle.
  const routing::FeedbackCorrection* correction() const { return correction_.get(); }
  // Of the expert in this column, by the feedback from sequence number `from` on.
  routing::ExpertMonitor MonitorOf(std::size_t column, std::uint64_t from) const;
  // How many from this sequence number on count less because their source says much.
  std::size_t limited_since(std::uint64_t sequence) const;

 private:
  struct Note {
    std::uint64_t source = 0;
    std::uint64_t call = 0;
  };

  void Predict(const routing::ExpertRouter& router, absl::Span<const std::uint32_t> router_ids);

  routing::PilotSet pilots_;
  std::vector<Note> notes_;
  std::vector<std::uint32_t> expert_ids_;
  std::uint64_t first_sequence_ = 0;
  std::vector<float> predicted_;        // of the first pilots: rows of one float an expert
  std::vector<unsigned char> limited_;  // see routing::InfluenceWeights
  std::shared_ptr<const routing::FeedbackCorrection> correction_;
};

}  // namespace trivium
