// SPDX-License-Identifier: Apache-2.0
// Readers for the files that retrieval collections come in. Errors name the file and the line or row.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "trivium/export.h"
#include "trivium/options.h"

namespace trivium {

// One line of a corpus: JSON {"_id", "title", "text", "metadata"}; `.gz` is unpacked on the way.
struct CorpusRecord {
  std::string id;
  std::string text;      // "title. text", or the one of the two that is there
  std::string metadata;  // a JSON object as text; empty where there is none
};
TRIVIUM_EXPORT absl::Status ReadCorpus(const std::string& path,
                                       const std::function<absl::Status(CorpusRecord)>& visit);

// A matrix of vectors in a `.npy` (float32 or float16, n x d), `.fvecs` or `.fbin` file, read range by range.
class TRIVIUM_EXPORT VectorReader {
 public:
  static absl::StatusOr<std::unique_ptr<VectorReader>> Open(const std::string& path);
  ~VectorReader();
  std::size_t rows() const;
  std::size_t columns() const;
  // Rows [first, first + count) as float32 to `out`, count x columns.
  absl::Status Read(std::size_t first, std::size_t count, float* out);

 private:
  struct Impl;
  explicit VectorReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Queries (JSON lines {"_id", "text"}) with their judgements (TSV, header `query-id corpus-id score`), in the
// order of the queries file. With `partition` the judged documents are that partition's.
TRIVIUM_EXPORT absl::StatusOr<QuerySet> ReadQuerySet(const std::string& queries_path,
                                                     const std::string& qrels_path,
                                                     const std::optional<std::string>& partition);

}  // namespace trivium
