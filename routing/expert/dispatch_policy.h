// SPDX-License-Identifier: Apache-2.0
// From expected utilities to a choice: the smallest set of experts worth its cost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/bitmap.h"

namespace trivium::routing {

// A probability counts as at least this where its logarithm is taken.
inline constexpr float kSmallestProbability = 1e-6f;

// Defaults: cross-validated as those of RouterOptions, which names the figures.
struct DispatchOptions {
  float temperature = 0.7f;     // > 0; below 1 trusts the best experts more: p ~ worth ^ (1 / temperature)
  float top_p = 0.98f;          // (0, 1]: experts are added until their probabilities sum to this
  std::size_t max_experts = 3;  // cap on experts whose utility is known; 0: none
  float cost_weight = 0.0f;     // >= 0: lambda, utility given up for one unit of cost
  bool ask_unknown = true;      // ask experts without a known utility too, beyond the cap: a new expert would
                                // otherwise stay invisible until the next training

  absl::Status Validate() const;  // kInvalidArgument names the field
};

enum class ChoiceReason : std::uint8_t {
  kTopP,           // chosen: needed to reach top_p
  kRequested,      // chosen: the caller named it, or asked for all
  kNothingKnown,   // chosen: no expert has a known worth above zero, so every allowed one is asked
  kUnknownAsked,   // chosen: nothing is known about it yet
  kUnknown,        // not chosen: nothing is known about it yet
  kEnoughAlready,  // not chosen: more probable experts reach top_p
  kOverCap,        // not chosen: more probable experts fill the cap
  kNotWorthCost,   // not chosen: its expected utility does not exceed its cost
  kNotAllowed,     // not chosen: excluded by the caller
  kNotRequested,   // not chosen: the caller named others
  kWithinLimit,    // chosen: what it costs was left to spend
  kOverLimit,      // not chosen: more probable experts spent what there was
  kNoText,         // not chosen: it reads texts, and the query has none
  kJoins,          // chosen: its share of the answer was learned, whoever else is chosen
  kNoShare,        // not chosen: no share of this answer was learned for it
  kQuarantined,    // not chosen: taken out of service
};
std::string_view ReasonText(ChoiceReason reason);  // a few words for a route's explanation

struct ExpertChoice {
  float utility = 0;      // expected; NaN where unknown
  float uncertainty = 0;  // one standard deviation; NaN where unknown
  float probability = 0;  // share of the tempered worth of all allowed experts
  float revised =
      std::numeric_limits<float>::quiet_NaN();  // likewise after a second look; NaN: there was none
  float cost = 0;
  bool chosen = false;
  ChoiceReason reason = ChoiceReason::kNotAllowed;
};

struct Dispatch {
  std::vector<ExpertChoice> experts;  // one per expert
  std::vector<std::uint32_t> chosen;  // most probable first, ties by index
  bool fell_back = false;             // nothing was known: every allowed expert is asked

  // Working space of ChooseExperts.
  std::vector<std::uint32_t> order;
};

// Overwrites `dispatch`, reusing its capacity.
//   utility, uncertainty  E floats each, as predicted by a router; NaN = unknown
//   cost                  E floats in the caller's unit, or empty: all free
//   allowed               null: every expert. Where none is allowed, none is chosen
// worth = max(0, utility - cost_weight * cost); an unknown expert counts as worth the mean of the known ones;
// probability ~ worth ^ (1 / temperature), normalised over the allowed experts. top_p is reached by known
// experts among known experts, so a new unknown expert never changes the choice among the others. Raising
// top_p or the cap never removes an expert; raising an expert's cost never adds that expert.
// Cost: O(E) where the 16 most probable experts reach top_p, else O(E log E).
void ChooseExperts(absl::Span<const float> utility, absl::Span<const float> uncertainty,
                   absl::Span<const float> cost, const base::Bitmap* allowed, const DispatchOptions& options,
                   Dispatch* dispatch);

// How many experts, from the front of `order`, cost at most `limit` together; at least one where there is
// any.
//   prices  by expert, >= 0
// A limit below 0 leaves one even where all are free. A larger limit never gives fewer. O(order).
std::size_t AffordableCount(absl::Span<const std::uint32_t> order, absl::Span<const float> prices,
                            double limit);

// Chooses anew by what may be spent instead of top_p and cap: of the allowed experts, unknown ones included,
// the most probable ones (ties by index) that are affordable together. Probabilities stay as they are.
// REQUIRES: `dispatch` is as ChooseExperts left it for the same `allowed`, and did not fall back. O(E log E).
void ChooseAffordable(absl::Span<const float> prices, double limit, const base::Bitmap* allowed,
                      Dispatch* dispatch);

// A choice made by the caller: exactly `requested` (indices below `expert_count`, distinct), equally
// probable.
void RequestExperts(std::size_t expert_count, absl::Span<const std::uint32_t> requested, Dispatch* dispatch);

// Adds experts that were not chosen, behind those that were. `share` of the answer, in [0, 1], is said as
// the probability of each.
void JoinExperts(absl::Span<const std::uint32_t> joining, float share, Dispatch* dispatch);

}  // namespace trivium::routing
