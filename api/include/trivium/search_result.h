// SPDX-License-Identifier: Apache-2.0
// What the engine answers: hits, the route that led to them, and what it cost.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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
};

struct Route {
  std::string mode;     // "auto", "all" or "named"
  std::string router;   // the router that chose; empty where none did
  std::string reading;  // "plain", "adapted" by an adapter, or "mixed" out of several
  std::string fusion;   // "single", "score", "score+prior", "rrf", "convex", or "none" without a search
  std::vector<ExpertConsidered> experts;  // chosen first, then by probability
  bool rejected = false;                  // the guard took the query for one that no expert serves
  std::optional<double> in_domain;        // probability that one does, by the guard; none: it was not asked
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
