// SPDX-License-Identifier: Apache-2.0
// Takes the vectors out of index files that hnswlib and FAISS wrote; their graphs and cells are left behind.
//
// The files are parsed here, every size checked against the length of the file before it is used: the readers
// of both libraries trust what they read, and FAISS's would allocate and clear up to 4 TB on the word of a
// damaged file. A file is read whole, so the peak is its size plus that of the vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/aligned_matrix.h"
#include "base/metric.h"

namespace trivium::index {

struct ImportedVectors {
  base::AlignedMatrix rows;           // finite numbers
  std::vector<std::uint64_t> labels;  // one a row; a negative id of FAISS as its two's complement. May repeat
  base::Metric metric = base::Metric::kSquaredL2;
};

// Errors of both: kNotFound and others of reading a file; kDataLoss for a damaged one; kInvalidArgument for
// an index of a kind that is not read, or a component that is not finite; kResourceExhausted where memory
// ends.

// A file of hnswlib (0.4 to 0.8; `save_index` in Python) over float32. It holds neither dimension nor metric:
// those are the caller's, and a file of another dimension is refused. Elements marked as deleted are left
// out.
absl::StatusOr<ImportedVectors> ReadHnswlibFile(const std::string& path, std::size_t dimension,
                                                base::Metric metric);

// A file of FAISS (`write_index`): IndexFlat, IndexIVFFlat with flat centroids, IndexIDMap or IndexIDMap2 of
// these; metric inner product or L2. Rows come in the order of their ids inside the index, which is that of
// insertion.
absl::StatusOr<ImportedVectors> ReadFaissFile(const std::string& path);

}  // namespace trivium::index
