// SPDX-License-Identifier: Apache-2.0
// Every way in which a store could answer a judged query: what it finds and what it costs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/judged_queries.h"
#include "api/query_vectors.h"
#include "api/searcher.h"

namespace trivium {

// What one way of answering did for one query.
struct AnswerOutcome {
  double ndcg = 0;     // at 10
  double experts = 0;  // distinct vector sets searched
  double distances = 0;
};

// How a router's first expert did for one query.
struct FirstExpert {
  bool chosen = false;  // else the router knew nothing, and everybody was asked
  double probability = 0;
  bool holds_relevant = false;
  bool best = false;        // by itself it answers best of all experts; ties are best
  bool answerable = false;  // some expert alone has an nDCG@10 above 0
};

// All ways of answering, of one query.
struct ComparedQuery {
  std::vector<AnswerOutcome> ways;     // as ComparedWays::names
  std::vector<AnswerOutcome> budgets;  // of the first router as ComparedWays::budgets, of the second, ...
  std::vector<FirstExpert> first;      // a router
};

// What is compared, in the order of the report's rows.
struct ComparedWays {
  std::vector<std::string> names;    // routers first; the last two are the oracles
  std::vector<std::string> routers;  // trained
  std::vector<std::string> budgets;  // that every router is given
  std::size_t all = 0;               // its place among `names`
};
ComparedWays WaysToCompare(const Searcher& searcher);

// One for each judged query. "domain_oracle" is the one expert that is best for the set, "instance_oracle"
// the best (and of equally good ones the cheapest) for each query. On `thread_count` threads. Every expert is
// asked once a query, routers and oracles are read off those lists; a few more searches for ways that read
// queries otherwise.
absl::StatusOr<std::vector<ComparedQuery>> CompareAnswers(const Searcher& searcher, EncoderSet* encoders,
                                                          const JudgedSet& judged,
                                                          const PreparedQueries& prepared, int thread_count);

}  // namespace trivium
