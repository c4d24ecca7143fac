// SPDX-License-Identifier: Apache-2.0
// What the engine answers: hits, the route that led to them, and what it cost.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "trivium/export.h"

namespace trivium {

struct Document {
  std::string id;
  std::string partition;
  std::string text;
  std::string metadata;  // a JSON object as text; "{}" where there is none
};

struct Hit {
  std::string id;
  std::string partition;
  float score = 0;       // final, larger is better; comparable within one result only
  float similarity = 0;  // the metric's own figure for the plain (or adapted) query of `expert`; of a lexical
                         // one its BM25 score
  std::string expert;    // whose list ranked it highest
  std::string text;
  std::string metadata;
  std::vector<std::pair<std::string, std::vector<float>>> vectors;  // space, values; when asked for
};

// What dispatch thought of one expert.
struct ExpertConsidered {
  std::string expert;
  bool chosen = false;
  float utility = 0;      // expected nDCG@10 if it alone answered; NaN: unknown
  float uncertainty = 0;  // standard deviation of that expectation
  float probability = 0;  // its share among the experts that were allowed
  double cost = 0;
  std::string reason;  // why chosen or not, in words
  // The probability after a second look, at what was found; NaN: not asked, or there was none.
  float revised = std::numeric_limits<float>::quiet_NaN();
};

// One query out of several readings: own x (each expert's reading, by the route's probabilities) + (1 - own)
// x (plain x the query as it is + (1 - plain) x the reading of all domains).
struct ReadingMixture {
  double own = 0, plain = 0;  // 0 to 1
};

// A remembered query near the one asked.
struct NearPilot {
  std::uint64_t number = 0;  // in the order in which the store remembers them
  double cosine = 0;         // to the query, in the space that routes
  std::string source;        // "trained", "feedback" or "background"
  std::string owner;         // the expert whose query it is; empty: unknown
  std::string best;          // the expert that answered it best; empty: none did, or unknown
  double best_utility = 0;   // nDCG@10 of that answer
  double weight = 1;         // how much it counts beside other pilots
  // knn_utility: what its vote adds to the utility of RouteExplanation::expert, and its share of all votes.
  std::optional<double> contribution, share;
};

// How far an expert is from being chosen or left out, the others' utilities being what they are.
struct RouteMargin {
  std::string expert;
  double utility = 0;
  double needed = 0;  // the least utility with which it would be chosen
};

// Why a trained router chose as it did.
struct RouteExplanation {
  std::vector<NearPilot> pilots;  // nearest first, at most 10
  std::string expert;             // first chosen; empty: no router chose
  // knn_utility: its utility is the sum of the contributions of `pilots`, of the other pilots that voted, and
  // of the prior, its mean over all pilots.
  std::optional<double> other_contribution, prior_contribution;
  // The most useful expert that was left out, and the least useful one that was chosen, of those with a known
  // utility. Cheaper to change than any other.
  std::optional<RouteMargin> left_out, last_chosen;
};

// How a query was answered; with SearchOptions::route, how another one is to be.
struct Route {
  std::string mode;     // "auto", "all" or "named"
  std::string router;   // the router that chose; empty where none did
  std::string reading;  // "plain", "adapted" by an adapter, or "mixed" out of several
  std::string fusion;   // "single", "score", "score+prior", "rrf", "convex", or "none" without a search
  std::vector<ExpertConsidered> experts;  // all: the chosen ones in the order of asking, then by probability
  bool rejected = false;                  // the guard took the query for one that no expert serves
  std::optional<double> in_domain = {};   // probability that one does, by the guard; none: it was not asked
  bool untrained = false;   // asked as without a router: no adapter but that of all domains, and
                            // what several experts search is searched once
  double prior_weight = 0;  // of log probabilities, revised ones where there are, added to scores
  bool widened = false;     // a second look was not sure, so more experts were asked
  std::uint64_t remembered =
      0;  // documents that were judged relevant for queries like this one, and so raised
  std::optional<ReadingMixture> mixture = {};        // where the reading is "mixed"
  std::optional<double> lexical_weight = {};         // learned share of lexical experts in the answer
  std::optional<RouteExplanation> explanation = {};  // with SearchOptions::explain

  // One JSON object; a NaN is null.
  TRIVIUM_EXPORT std::string ToJson() const;
  // What ToJson made, or an object that has it under "route", as `trivium search --json` prints; of the
  // experts, name, chosen and probability suffice. kInvalidArgument names what is wrong.
  TRIVIUM_EXPORT static absl::StatusOr<Route> FromJson(std::string_view json);
  // Whether it can be asked again. kInvalidArgument names the field.
  TRIVIUM_EXPORT absl::Status Validate() const;
};

// Deterministic counters and times of one query.
struct Trace {
  std::uint64_t hops = 0;  // graph vertices expanded
  // By kind: "graph" exact ones while walking or ranking, "scan" exact ones of rows scanned, "code" estimates
  // from codes (about 33 a hop, 32 of them in one go), "dispatch".
  std::map<std::string, std::uint64_t> distances;
  std::uint64_t distance_computations = 0;  // sum over graph, scan and code: what index search cost
  std::uint64_t bytes_read = 0;             // of the index: blocks, neighbour lists, codes and rows
  std::uint64_t vector_sets = 0;            // distinct ones searched
  std::uint64_t searches = 0;               // searches of a vector set (more than vector_sets with adapters)
  std::uint64_t encoder_calls = 0;
  std::vector<std::pair<std::string, double>>
      stages_us;  // "encode", "dispatch", "filter", "search", "fuse", "load"
  double total_us = 0;
};

struct SearchResult {
  std::vector<Hit> hits;  // best first
  Route route;
  Trace trace;
};

// Aligned with the batch's queries. Texts and routes are left out.
struct BatchResult {
  std::size_t k = 0;
  std::vector<std::vector<std::string>> ids;         // up to k each
  std::vector<std::vector<std::string>> partitions;  // aligned with ids
  std::vector<float> scores;                         // n x k, row-major; -inf where there is no hit
};

}  // namespace trivium
