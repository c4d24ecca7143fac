// SPDX-License-Identifier: Apache-2.0
// What users made of an answer, and what the engine did with it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "trivium/export.h"
#include "trivium/options.h"
#include "trivium/search_result.h"

namespace trivium {

// A document of an answer.
struct DocumentName {
  std::string id;
  std::string partition;  // empty: whichever the answer holds it from; an error where that is several
};

// An expert that was asked for an answer.
struct AskedExpert {
  std::string expert;
  double probability = 1;  // that the route gave it, 0 to 1: the propensity of having seen its documents
};

// One answer, and what was made of it. `relevant` and `clicked` name documents among the hits; at least one
// is given, and empty where the answer was seen but nothing in it was of use.
struct AnswerFeedback {
  Query query;                     // as it was asked: its vector of the space that routes, or its text
  std::vector<DocumentName> hits;  // best first, with their partitions; the first 10 count
  std::vector<AskedExpert> asked;  // by the route; at least one
  std::optional<std::vector<DocumentName>> relevant;
  std::optional<std::vector<DocumentName>> clicked;  // weaker, counts half; no click at all a quarter
  // Who says so (a user, a session), to bound what one voice can do: all feedback of one source together
  // counts at most a twentieth. Empty: not known, each stands for itself.
  std::string source;

  // Of an answer of Store::Search; what was relevant or clicked is still to be said.
  TRIVIUM_EXPORT static AnswerFeedback Of(Query query, const SearchResult& answer);
};

struct FeedbackReport {
  std::uint64_t kept = 0;                // in use from now on, and durable
  std::uint64_t ignored = 0;             // by experts that the store no longer has, so that they say nothing
  std::uint64_t reduced = 0;             // kept, but counting less: repetitions, or one source among many
  std::uint64_t in_use = 0;              // in all; the newest 2,048
  std::vector<std::string> quarantined;  // experts that this feedback brought into quarantine
};

}  // namespace trivium
