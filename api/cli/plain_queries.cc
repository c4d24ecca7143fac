// SPDX-License-Identifier: Apache-2.0
#include "api/cli/plain_queries.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_format.h"
#include "api/cli/corpus_check.h"
#include "api/cli/status_macros.h"
#include "trivium/files.h"

namespace trivium::cli {
namespace {

// Whether vectors of the space, "" the only one, are directions.
bool IsCosine(const StoreInfo& info, const std::string& space) {
  return std::any_of(info.spaces.begin(), info.spaces.end(), [&](const SpaceInfo& each) {
    return (space.empty() || each.name == space) && each.metric == Metric::kCosine;
  });
}

absl::Status AppendVectors(const std::string& space, const std::string& path, std::size_t before,
                           std::size_t count, bool directions, PlainQueries* queries) {
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<VectorReader> reader, VectorReader::Open(path));
  if (reader->rows() != count) {
    return absl::InvalidArgumentError(absl::StrFormat("query vectors: %d rows, expected %d, one a query (%s)",
                                                      reader->rows(), count, path));
  }
  auto rows = std::find_if(queries->vectors.begin(), queries->vectors.end(),
                           [&](const PlainQueries::Rows& each) { return each.space == space; });
  if (rows == queries->vectors.end()) rows = queries->vectors.insert(rows, {space, 0, reader->columns(), {}});
  if (rows->columns != reader->columns() || rows->count != before) {
    return absl::InvalidArgumentError(
        absl::StrFormat("query vectors: %d columns after %d rows of %d, expected vectors of one dimension "
                        "for all queries (%s)",
                        reader->columns(), rows->count, rows->columns, path));
  }
  rows->count += count;
  rows->values.resize(rows->count * rows->columns);
  float* own = rows->values.data() + before * rows->columns;
  TRIVIUM_CLI_RETURN_IF_ERROR(reader->Read(0, count, own));
  return CheckRows({own, count, rows->columns}, 0, directions, path);
}

}  // namespace

std::vector<SpaceVectors> PlainQueries::Views() const {
  std::vector<SpaceVectors> views;
  for (const Rows& rows : vectors) {
    views.push_back({rows.space, {rows.values.data(), rows.count, rows.columns}});
  }
  return views;
}

absl::StatusOr<PlainQueries> ReadPlainQueries(const std::vector<QuerySetFiles>& files,
                                              const StoreInfo& info) {
  PlainQueries queries;
  for (const QuerySetFiles& set : files) {
    const std::size_t before = queries.texts.size();
    TRIVIUM_CLI_RETURN_IF_ERROR(ReadCorpus(set.queries, [&](CorpusRecord record) {
      queries.texts.push_back(std::move(record.text));
      return absl::OkStatus();
    }));
    for (const auto& [space, path] : set.vectors) {
      TRIVIUM_CLI_RETURN_IF_ERROR(
          AppendVectors(space, path, before, queries.texts.size() - before, IsCosine(info, space), &queries));
    }
  }
  if (!files.empty() && queries.texts.empty()) {  // none at all would mean others
    return absl::InvalidArgumentError(
        absl::StrFormat("queries: 0, expected at least one (%s)", files.front().queries));
  }
  for (const PlainQueries::Rows& rows : queries.vectors) {
    if (rows.count == queries.texts.size()) continue;
    return absl::InvalidArgumentError(absl::StrFormat("query vectors: for %d queries, expected for all %d",
                                                      rows.count, queries.texts.size()));
  }
  return queries;
}

}  // namespace trivium::cli
