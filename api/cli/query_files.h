// SPDX-License-Identifier: Apache-2.0
// Judged queries from the files that --queries, --qrels and --query-vectors name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "trivium/engine.h"

namespace CLI {
class App;
}

namespace trivium::cli {

// [NAME=]FILE each (vectors: also SPACE:NAME=FILE, SPACE:=FILE). Files of one NAME belong together, and so do
// the files without a name in the order given.
struct QueryArguments {
  std::string prefix;  // of the flags: "" or "validation-"
  bool judged = true;  // each set needs judgements; else they are not looked at
  std::vector<std::string> queries = {}, qrels = {}, vectors = {};
  // What messages call the flags of `queries` and `vectors`; empty: --PREFIXqueries, --PREFIXquery-vectors.
  std::string queries_flag = {}, vectors_flag = {};
};
void AddQueryOptions(CLI::App& command, QueryArguments* arguments, bool required);

// The files of one set.
struct QuerySetFiles {
  std::string label;                     // NAME, else the file's name without endings; distinct
  std::optional<std::string> partition;  // NAME: where its judged documents are
  std::string queries, qrels;
  std::vector<std::pair<std::string, std::string>> vectors;  // space ("": the only one), file
};

// Pairs the flags' files; reads none. kInvalidArgument names the flag.
absl::StatusOr<std::vector<QuerySetFiles>> PairQueryFiles(const QueryArguments& arguments);

// Says for which sets a query's own document is ignored (--drop-self); kInvalidArgument for an unknown set.
absl::Status CheckDropSelf(const std::vector<std::string>& labels, const std::vector<QuerySetFiles>& sets);

// kNotFound where a set names a partition that the store does not have.
absl::Status CheckPartitions(const std::vector<QuerySetFiles>& sets, const StoreInfo& info);

// Query sets with the vectors they borrow. Queries without a judgement are left out: the files often hold the
// queries of several splits. Or all are kept, and a set needs no judgements.
struct LoadedQueries {
  std::vector<QuerySet> sets;
  std::vector<std::uint64_t> unjudged;      // a set: queries left out
  std::vector<std::vector<float>> storage;  // what the sets' vectors point to
};
absl::StatusOr<LoadedQueries> LoadQueries(const std::vector<QuerySetFiles>& files,
                                          const std::vector<std::string>& drop_self,
                                          bool keep_unjudged = false);

}  // namespace trivium::cli
