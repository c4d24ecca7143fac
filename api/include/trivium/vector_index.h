// SPDX-License-Identifier: Apache-2.0
// One set of labelled vectors in memory, searched by similarity: the engine's index alone, without a store.
//
//   trivium::VectorIndexOptions options{.dimension = 384};
//   auto index = trivium::VectorIndex::Create(options);         // absl::StatusOr
//   absl::Status added = index->Add(labels, {data, n, 384});    // all rows or none
//   std::uint64_t found[10];
//   float scores[10];
//   auto count = index->Search(query, {.k = 10}, found, scores);
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "trivium/export.h"
#include "trivium/graph_inspection.h"
#include "trivium/graph_training.h"
#include "trivium/types.h"

namespace trivium {

enum class VectorIndexAlgorithm : std::uint8_t {
  kGraph,      // the engine's own proximity graph; scans where that is faster
  kExact,      // scans all rows
  kHnswlib,    // hnswlib's graph, to compare with
  kFaissFlat,  // FAISS's scan, to compare with
  kFaissIvf,   // FAISS's inverted file over k-means cells, to compare with
};

// "graph", "exact", "hnswlib", "faiss_flat", "faiss_ivf".
TRIVIUM_EXPORT std::string_view VectorIndexAlgorithmName(VectorIndexAlgorithm algorithm);
TRIVIUM_EXPORT absl::StatusOr<VectorIndexAlgorithm> ParseVectorIndexAlgorithm(std::string_view name);

struct VectorIndexOptions {
  std::size_t dimension = 0;  // 1 to 65,536
  Metric metric = Metric::kCosine;
  VectorIndexAlgorithm algorithm = VectorIndexAlgorithm::kGraph;

  // kGraph, kExact: what is kept of the rows. The others keep float32: only kSpeed.
  Profile profile = Profile::kSpeed;

  // kGraph, kHnswlib: neighbours a row has in the graph (for hnswlib: twice its M). More: better recall at
  // the same beam width, more memory (4 bytes each), slower to add. 4 to 256. Compressed profiles take one
  // less of a multiple of 16, which saves a cache line a row.
  std::size_t degree_bound = 32;
  // kGraph, kHnswlib: candidates looked at when a row is added. More: better graph, slower. 8 to 4,096.
  std::size_t build_beam_width = 200;
  // kFaissIvf: cells the rows of the first Add are split into; 0: four times the square root of their number.
  std::size_t cell_count = 0;

  int threads = 0;         // for adding rows; 0: all processors this process may use
  std::uint64_t seed = 0;  // of everything random. kGraph gives the same graph on any number of threads
  ProgressCallback progress = {};  // kGraph: while rows enter the graph, stage "build"

  TRIVIUM_EXPORT absl::Status Validate() const;
};

struct VectorIndexLoadOptions {
  // None: kGraph where the file holds a graph, otherwise kExact. With kGraph and kExact the file is mapped
  // and used in place; the others, and kGraph for a file without one, are built anew from its rows.
  // The profile is the file's; the others decode its rows.
  std::optional<VectorIndexAlgorithm> algorithm = {};
  bool verify = true;  // check the checksum of everything first; otherwise only of what search relies on
  std::size_t build_beam_width = 200;  // for rows added later
  int threads = 0;
};

// Which rows a search may return, by label. Made for one index as it is; searching with it after an Add,
// Remove or Compact of that index is kFailedPrecondition. Cheap to copy, safe to share between threads.
class TRIVIUM_EXPORT VectorFilter {
 public:
  VectorFilter() = default;  // allows everything

 private:
  friend class VectorIndex;
  struct Rows;
  std::shared_ptr<const Rows> rows_;
};

struct VectorSearchOptions {
  std::size_t k = 10;  // rows wanted, >= 1
  // Candidates kept while walking (kFaissIvf: cells scanned); 0: what Calibrate chose, or the default.
  std::size_t beam_width = 0;
  bool exact = false;        // scan, whatever the algorithm
  bool force_graph = false;  // walk the graph even where scanning is faster; not with `exact`
  VectorFilter filter = {};
  TRIVIUM_EXPORT absl::Status Validate() const;
};

// What searching cost; the same every time for the same index and query.
struct VectorSearchStats {
  std::uint64_t hops = 0;  // graph vertices expanded (kHnswlib does not tell)
  std::uint64_t distance_computations = 0;
  // Bytes of the index read: blocks, neighbour lists, codes and rows, each whole, every time it is read.
  // kHnswlib, kFaiss...: a lower bound, the rows whose distances were computed.
  std::uint64_t bytes_read = 0;
};

// How wide a beam the searches of an index need.
struct VectorCalibrateOptions {
  double target_recall = 0.95;  // share of the true k nearest rows to be found, in (0, 1]
  std::size_t k = 10;           // 1 to 1,000
  int threads = 0;              // 0: all processors this process may use
  TRIVIUM_EXPORT absl::Status Validate() const;
};

struct VectorCalibrationReport {
  double target_recall = 0;
  std::size_t k = 0;
  std::size_t beam_width = 0;  // the default of searches from now on
  double recall = 0;           // at that width, on the sample queries, against the exact scan
  bool reached = false;        // whether that is the target; otherwise it is the widest beam that was tried
  std::uint64_t queries = 0;
  double seconds = 0;
};

// Bytes that an index holds, in memory or mapped from its file. Room for rows to come (up to half as many
// again, after an Add that did not fit) is not counted: of large blocks the system gives no memory before it
// is used. While an index grows, and while its graph is built, it needs more for a while; see Add.
struct VectorIndexMemory {
  std::uint64_t rows = 0;      // the vectors
  std::uint64_t graph = 0;     // neighbours (kGraph)
  std::uint64_t codes = 0;     // what the graph is walked by (kGraph)
  std::uint64_t labels = 0;    // 8 a row, and the table that finds them, 5 to 11
  std::uint64_t training = 0;  // queries that taught the graph, and what they changed
  std::uint64_t total() const { return rows + graph + codes + labels + training; }
};

// Scores are larger for better: the cosine, the inner product, or minus the squared distance.
//
// Thread safety: the const methods may run at the same time, from any number of threads; the others alone.
// A moved-from index may only be destroyed or assigned to.
class TRIVIUM_EXPORT VectorIndex {
 public:
  static absl::StatusOr<VectorIndex> Create(const VectorIndexOptions& options);

  // A file that Save wrote. kNotFound, kDataLoss.
  static absl::StatusOr<VectorIndex> Load(const std::string& path,
                                          const VectorIndexLoadOptions& options = {});

  // The vectors of a file that hnswlib or FAISS (IndexFlat, IndexIVFFlat, IndexIDMap of these) wrote, under
  // its labels, in an index of `options`. hnswlib's files hold neither dimension nor metric: those of
  // `options` must be the file's. FAISS's hold both: the dimension of `options` may be 0, and rows for inner
  // products may also be read for kCosine; anything else that differs is kInvalidArgument.
  static absl::StatusOr<VectorIndex> ImportHnswlib(const std::string& path,
                                                   const VectorIndexOptions& options);
  static absl::StatusOr<VectorIndex> ImportFaiss(const std::string& path, const VectorIndexOptions& options);

  VectorIndex(VectorIndex&&) noexcept;
  VectorIndex& operator=(VectorIndex&&) noexcept;
  ~VectorIndex();

  // Adds rows under labels, all or none; for kCosine they are stored at unit length. kInvalidArgument names
  // the row: NaN, infinite, of another dimension, zero (kCosine), label twice, a component beyond 65,504
  // (Profile::kBalanced). kAlreadyExists: a label is in the index. kResourceExhausted: memory.
  //
  // Memory while it runs, besides what the index holds afterwards: for kCosine a copy of the batch; while the
  // graph grows (kGraph), a byte a component of all rows; then, for Profile::kSpeed, 2 bytes a component of
  // the rows near those whose neighbours changed. Blocks that are full grow by half, giving the old one back
  // as it is copied.
  absl::Status Add(absl::Span<const std::uint64_t> labels, MatrixView rows);

  // Removes rows, all or none. kNotFound names the first label that is absent. Their memory stays in use
  // until Compact.
  absl::Status Remove(absl::Span<const std::uint64_t> labels);

  // Frees the memory of removed rows: a graph is repaired around them, another index is built anew from the
  // others. Nothing to do where none was removed.
  absl::Status Compact();

  // Finds the narrowest beam of those tried (10 to 1,024, at least k; cells for kFaissIvf: 1 to 1,024) whose
  // recall on sample queries reaches the target, and makes it the default of searches. Best are real queries,
  // a few hundred. Rows that wait outside the graph of kGraph enter it first, so that walks are measured.
  //
  // Add, Remove and Compact keep the width: more rows need a somewhat wider beam for the same recall, so
  // calibrate again once there are several times as many. Save keeps that of kGraph, for Load with kGraph; of
  // hnswlib and FAISS it goes the way of their structures.
  //
  // kInvalidArgument: options, no queries, queries that Search would refuse. kFailedPrecondition: no rows, or
  // an algorithm without a beam (kExact, kFaissFlat). Cost: an exact scan and about five searches for each
  // query.
  absl::StatusOr<VectorCalibrationReport> Calibrate(MatrixView queries,
                                                    const VectorCalibrateOptions& options = {});

  // Learns starting points and edges of the graph from sample queries, at least 100 and better thousands, and
  // keeps them where queries held out need fewer hops for it (GraphTrainingReport). Removed rows are dropped
  // first. Learned edges take free places or those of others, so walks cost what they did; the queries, at
  // most one for eight rows, and 12 bytes an edge are kept beside the graph, and in the file, to train it
  // again and to undo it: training starts from the untrained graph each time. What was learned stays when
  // rows are added or removed; GraphDrift tells what it is still worth.
  //
  //   queries  n x dimension(), as Search takes them; may be none with fine_tune
  //
  // kInvalidArgument: options, too few queries, queries that Search would refuse. kFailedPrecondition: not
  // kGraph, or fewer than 2,048 rows. Cost: about 2 ms a query for 160,000 x 384 on two threads, 0.3 ms a row
  // for codes, and a scan for each held out.
  absl::StatusOr<GraphTrainingReport> TrainGraph(MatrixView queries,
                                                 const GraphTrainingOptions& options = {});

  // What training is still worth: on the queries that were held out for it, or on others (n x dimension(),
  // like those to come). Removed rows count until Compact. kFailedPrecondition: not trained, or no query was
  // kept. kInvalidArgument: options, queries. Cost: a scan and about 1 ms a query for 160,000 x 384, and for
  // a while the memory of graph and codes again.
  absl::StatusOr<GraphDriftReport> GraphDrift(MatrixView queries = {},
                                              const GraphDriftOptions& options = {}) const;

  // Where the walk for one query goes, vertex by vertex. kFailedPrecondition: not kGraph, or fewer than 2
  // rows in the graph (others wait outside, until there are 1,025 of them or Save). Cost: a scan, and where
  // the graph is trained a copy of it.
  absl::StatusOr<WalkTrace> TraceWalk(absl::Span<const float> query, const WalkOptions& options = {}) const;

  std::size_t size() const;  // rows, without removed ones
  std::size_t dimension() const;
  Metric metric() const;
  VectorIndexAlgorithm algorithm() const;
  Profile profile() const;
  std::size_t beam_width() const;  // of searches that do not say; 0: the default
  double target_recall() const;    // what beam_width was calibrated for; 0: it was not
  std::string training() const;    // what taught the graph, JSON; empty: nothing did

  // O(1). The structures that hnswlib and FAISS keep are not counted, only the rows beside them.
  VectorIndexMemory MemoryBytes() const;

  bool Contains(std::uint64_t label) const;
  std::vector<std::uint64_t> Labels() const;  // in the order they were added

  // The stored vector, decoded: of unit length for kCosine, as far as the profile keeps it. kNotFound.
  absl::StatusOr<std::vector<float>> Get(std::uint64_t label) const;

  // Allows the given labels; those that are absent are ignored. O(labels).
  VectorFilter AllowLabels(absl::Span<const std::uint64_t> labels) const;
  // Allows label l where bit l % 64 of words[l / 64] is set; labels beyond the bitmap are not allowed.
  // O(rows).
  VectorFilter AllowBitmap(absl::Span<const std::uint64_t> words) const;

  // Writes the best rows, best first, into `labels` and `scores` (at least k each) and returns how many there
  // are: exactly min(k, allowed rows), whatever the filter. `query`: dimension() finite values, not all zero
  // for kCosine. `stats` may be null; otherwise this search's cost is added to it.
  absl::StatusOr<std::size_t> Search(absl::Span<const float> query, const VectorSearchOptions& options,
                                     absl::Span<std::uint64_t> labels, absl::Span<float> scores,
                                     VectorSearchStats* stats = nullptr) const;

  // Search for each row of `queries` on `threads` threads (0: all processors). `labels` and `scores`: n x k,
  // row-major; `counts`: n, how many of each row's places are filled, the others are left as they were.
  absl::Status SearchBatch(MatrixView queries, const VectorSearchOptions& options, int threads,
                           absl::Span<std::uint64_t> labels, absl::Span<float> scores,
                           absl::Span<std::size_t> counts, VectorSearchStats* stats = nullptr) const;

  // Writes rows, labels, graph and its calibrated beam width to one checksummed file that appears whole or
  // not at all, in place of one that is there. Removed rows are dropped first (Compact). Of hnswlib and FAISS
  // the rows are kept, not their structures: Load builds those anew when asked for by algorithm.
  absl::Status Save(const std::string& path);

 private:
  struct Impl;
  explicit VectorIndex(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace trivium
