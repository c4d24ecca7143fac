// SPDX-License-Identifier: Apache-2.0
// Reads the text formats of retrieval collections, line by line; `.gz` is unpacked on the way.
//   corpus   JSON lines {"_id", "title", "text", "metadata"}: _id (a string or an integer) and one of title,
//   text are required queries  JSON lines {"_id", "text"} qrels    TSV with the header line
//   `query-id<TAB>corpus-id<TAB>score`
// Errors name the file and the line: `<what>: <value seen>, expected <...> (<file>:<line>)`.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace trivium::storage {

struct CorpusRecord {
  std::string id;
  std::string text;      // "title. text", or the one of the two that is there
  std::string metadata;  // a JSON object as text; empty where there is none
};
struct QueryRecord {
  std::string id;
  std::string text;
};
struct Judgement {
  std::string query_id;
  std::string document_id;
  double grade = 0;
};

// Calls `visit` for each record; stops with its first error.
absl::Status ReadCorpus(const std::string& path, const std::function<absl::Status(CorpusRecord)>& visit);
absl::StatusOr<std::vector<QueryRecord>> ReadQueries(const std::string& path);
absl::StatusOr<std::vector<Judgement>> ReadJudgements(const std::string& path);

}  // namespace trivium::storage
