// SPDX-License-Identifier: Apache-2.0
// What a caller can say to the engine: plain aggregates with defaults. Validate() names the first field that
// is out of range, the value seen and the one expected.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "trivium/export.h"
#include "trivium/graph_inspection.h"
#include "trivium/graph_training.h"
#include "trivium/search_result.h"
#include "trivium/text_encoder.h"
#include "trivium/tree_training.h"
#include "trivium/types.h"

namespace trivium {

// "sync": a write returns after it is on disk. "async": after it is handed to the operating system; a crash
// of the machine may lose the last writes, never an earlier one.
enum class Durability : std::uint8_t { kSync, kAsync };

struct OpenOptions {
  bool read_only = false;         // any number of these beside one writer; Refresh() shows newer writes
  bool create_if_missing = true;  // ignored when read_only
  Durability durability = Durability::kSync;
  EncoderMap encoders;  // by the names that spaces carry
  LogCallback log;
};

// Names of spaces, experts and partitions: 1 to 64 characters out of letters, digits, '_', '-', '.', not
// beginning with '.' or '-'.
TRIVIUM_EXPORT absl::Status ValidateName(std::string_view what, std::string_view name);

struct SpaceOptions {
  std::string name;
  std::size_t dimension = 0;  // 1 to 65,536
  Metric metric = Metric::kCosine;
  std::string encoder;  // name of the encoder of its texts; empty: vectors are given by the caller
  TRIVIUM_EXPORT absl::Status Validate() const;
};

// What an expert ranks by: vectors of a space, or the words of texts (BM25).
enum class ExpertKind : std::uint8_t { kDense, kLexical };

// "dense", "lexical".
TRIVIUM_EXPORT std::string_view ExpertKindName(ExpertKind kind);
TRIVIUM_EXPORT absl::StatusOr<ExpertKind> ParseExpertKind(std::string_view name);

// A dense expert searches the vectors of a space. A lexical one searches texts, so it has no space and no
// adapter, and only questions that have a text can be sent to it.
struct ExpertOptions {
  std::string name;
  ExpertKind kind = ExpertKind::kDense;
  std::string space;                     // dense only
  std::optional<std::string> partition;  // none: all partitions
  std::string description;               // what it knows, in words
  double cost = 1.0;                     // relative price of asking it; >= 0
  // Query adapter: dimension x dimension, row-major; the expert reads a query q as adapter * q, renormalised
  // for the cosine metric. Empty: the query as it is.
  std::vector<float> adapter;
  double k1 = 0.9;  // lexical only, >= 0: how much more a word counts that occurs again
  double b = 0.4;   // lexical only, 0 to 1: how much longer texts are held back
  TRIVIUM_EXPORT absl::Status Validate() const;
};

struct SpaceVectors {
  std::string space;   // empty: the store's only space
  MatrixView vectors;  // one row a document (or one row in all, for a query)
};

enum class OnConflict : std::uint8_t { kReplace, kError };

// Documents to write, all or none. Borrowed: must outlive the call.
struct UpsertBatch {
  absl::Span<const std::string> ids;       // 1 to 512 bytes of UTF-8 each, distinct
  absl::Span<const std::string> texts;     // empty, or aligned with ids
  absl::Span<const std::string> metadata;  // empty, or aligned with ids: a JSON object each, or ""
  // n x dimension each; finite; no zero rows for the cosine metric; for other metrics in a space of the
  // profile kBalanced, components up to 65,504 in size.
  std::vector<SpaceVectors> vectors;
  std::string partition = "main";
  OnConflict on_conflict = OnConflict::kReplace;
  bool encode = true;  // encode the texts for every space that names an encoder and is not in `vectors`
  ProgressCallback progress;
};

struct BuildOptions {
  int threads = 0;  // 0: all processors this process may use
  std::size_t degree_bound =
      32;  // neighbours a vertex: more costs memory and build time, saves hops. 4 to 256
  std::size_t build_beam_width = 0;  // 0: the builder's default
  // How the vectors of every space are stored from now on; none: each space keeps its own, first kSpeed.
  // Segments of another profile are rebuilt by Compact. What a compressed one rounded stays rounded.
  // kInvalidArgument, and nothing is changed, where kBalanced cannot keep a vector that is stored.
  std::optional<Profile> profile;
  ProgressCallback progress;
  const std::atomic<bool>* cancelled = nullptr;  // checked now and then; kCancelled, store unchanged
  TRIVIUM_EXPORT absl::Status Validate() const;
};

// How wide a beam the searches of a space need.
struct CalibrateOptions {
  double target_recall = 0.95;  // share of the true k nearest vectors to be found, in (0, 1)
  std::size_t k = 10;           // 1 to 1,000
  // Sample queries, n rows for each space to calibrate. Best are real ones: a few hundred. Empty: every
  // space, with up to 200 of its own vectors as queries, which are easier than questions.
  std::vector<SpaceVectors> queries;
  int threads = 0;                               // 0: all processors this process may use
  const std::atomic<bool>* cancelled = nullptr;  // checked now and then; kCancelled, store unchanged
  TRIVIUM_EXPORT absl::Status Validate() const;
};

// Which experts may answer.
struct ExpertSelection {
  enum class Mode : std::uint8_t { kAuto, kAll, kNamed };
  Mode mode = Mode::kAuto;
  std::vector<std::string> names;  // kNamed only
  // "auto", "all" or names separated by commas.
  TRIVIUM_EXPORT static ExpertSelection Parse(std::string_view text);
};

// How the lists of different spaces and kinds of experts become one; those of one space are merged by score.
enum class FusionChoice : std::uint8_t {
  kReciprocalRank,  // by their ranks alone (Cormack et al. 2009, k = 60)
  kConvex,  // by scores, which each list's best and worst hit bring to [0, 1], weighted (Bruch et al. 2023)
};

// "rrf", "convex".
TRIVIUM_EXPORT std::string_view FusionName(FusionChoice fusion);
TRIVIUM_EXPORT absl::StatusOr<FusionChoice> ParseFusion(std::string_view name);

enum class IndexChoice : std::uint8_t {
  kStore,  // the store's own choice for the size and filter
  kGraph,
  kExact,
  kTree,   // rank by what query and document share of a trained tree, see `level`; nothing is re-ranked
  kCells,  // read only the cells of a trained partition where the nearest vectors are likely, see `probes`
};

// "graph", "exact", "tree", "cells"; "" for kStore.
TRIVIUM_EXPORT std::string_view IndexName(IndexChoice index);
TRIVIUM_EXPORT absl::StatusOr<IndexChoice> ParseIndex(std::string_view name);

// A question: a text, or its vector in one or several spaces, or both. What a chosen expert's space lacks is
// encoded from the text.
struct Query {
  std::string text;
  std::vector<SpaceVectors> vectors;  // one row each
};

// Whether queries are read by query adapters.
enum class AdapterUse : std::uint8_t {
  kStore,   // by those that the gate let pass, and by those given to the store
  kNever,   // no: plain queries
  kAlways,  // by every adapter, also one that the gate left off
};

// What "auto" answers a query that the guard takes for one that no expert serves.
enum class OnReject : std::uint8_t {
  kAll,      // what every expert finds, as where no router chooses
  kPlain,    // the untrained answer: every expert, no adapter
  kNothing,  // no hits; nothing is searched
};

// "all", "plain", "nothing".
TRIVIUM_EXPORT std::string_view OnRejectName(OnReject answer);
TRIVIUM_EXPORT absl::StatusOr<OnReject> ParseOnReject(std::string_view name);

struct SearchOptions {
  std::size_t k = 10;  // hits wanted, 1 to 10,000
  ExpertSelection experts;
  std::string filter;                        // JSON, see Store::Search; empty: none
  AdapterUse adapters = AdapterUse::kStore;  // of experts named and of "auto"; "all" is always plain
  IndexChoice index = IndexChoice::kStore;
  // None: by rank, or what training the dispatch found best for "auto".
  std::optional<FusionChoice> fusion;
  // kConvex: share of the lexical experts, 0 to 1; the rest is the dense ones'. None: what training the
  // dispatch found best for "auto", else 0.3.
  std::optional<double> lexical_weight;
  std::size_t beam_width = 0;      // graph only: candidates kept while walking; 0: the default
  std::size_t level = 0;           // tree only: whose nodes are compared, 1 to its depth; 0: the depth
  std::size_t probes = 0;          // cells only: how many are read; 0: as calibrated for recall 0.95
  bool load_documents = true;      // fill text and metadata of the hits
  bool load_vectors = false;       // fill the hits' vectors
  std::string router;              // dispatch: a trained router by name, even one that the gate left off
  std::optional<double> top_p;     // dispatch: overrides the trained share of probability to cover, (0, 1]
  std::optional<int> max_experts;  // dispatch: overrides the trained cap, >= 1
  bool second_look = true;         // dispatch: what was learned about first results is used; false: it is not
  bool memory = true;  // dispatch: hits remembered from judged queries are raised where that was learned
  OnReject on_reject = OnReject::kAll;  // dispatch: of queries that the guard rejects

  // Who may be asked, by name; empty: everybody. kNotFound: unknown; kInvalidArgument: none of those named in
  // `experts` or `route` may be missing, nor all.
  std::vector<std::string> allowed_experts;
  // Where documents may be found, whatever an expert covers; empty: everywhere. Experts with none of these
  // partitions are not allowed. Vectors and texts of others are not read; BM25 counts words in these only. As
  // a filter, never leaves fewer than k hits where there are k documents. kNotFound: unknown.
  std::vector<std::string> partitions;

  // What "auto" may spend, in place of the trained share of probability and cap; at most one of the two. The
  // most probable experts are asked, at least one, as long as they cost no more together; where no router
  // chooses, those with the most documents. More never takes an expert away. Fewer than k hits may be left.
  std::optional<double> cost;  // 0: one expert, to 1: all; share of what all those allowed cost together, by
                               // ExpertOptions::cost
  // Distances that the searches of a query may compute, >= 1, as estimated for each expert from its vector
  // sets: rows that are scanned; of a walk over a graph what walks with that beam took on average; one walk
  // may take twice as much. A search that experts share counts for each of them, words (BM25) for nothing.
  std::optional<std::uint64_t> budget;

  // Answers as this one was answered: the same experts, probabilities, prior and mixture, without asking
  // guard or router. The hits are the same while the store and the other options are. Not together with
  // `experts`, `router`, `top_p`, `max_experts`, `cost`, `budget`. kNotFound: an expert of it is gone.
  std::optional<Route> route;
  // Fill Route::explanation. The choice is made some 60 times more; 10 pilots are read, or all of them where
  // the router has no index of them (all but knn_utility).
  bool explain = false;

  std::optional<std::chrono::steady_clock::time_point>
      deadline;  // checked between vector sets, in a batch after up to 64 searches of one; kDeadlineExceeded
  const std::atomic<bool>* cancelled = nullptr;  // likewise; kCancelled
  TRIVIUM_EXPORT absl::Status Validate() const;
};

// One judgement: how relevant a document is to a query. A grade <= 0 counts as not relevant.
struct Judgement {
  std::string id;
  std::optional<std::string> partition;  // none: the query set's, or any partition that holds the id
  double grade = 1.0;
};

// Queries with their judgements.
struct QuerySet {
  std::string name;                                // of the row in reports; may be empty
  std::optional<std::string> partition;            // where judged documents are; none: any partition
  std::vector<std::string> ids;                    // may be empty; needed for drop_self and exports
  std::vector<std::string> texts;                  // empty, or one a query
  std::vector<SpaceVectors> vectors;               // one row a query
  std::vector<std::vector<Judgement>> judgements;  // one list a query
  bool drop_self = false;                          // ignore a hit whose id is the query's own
  std::size_t size() const { return judgements.size(); }
};

// Ordinary queries that no expert serves, at least 10 and better hundreds, like those that will come: texts,
// which are encoded, or vectors with one row a query.
struct BackgroundQueries {
  std::vector<std::string> texts;     // empty, or one a query
  std::vector<SpaceVectors> vectors;  // of the space that routes, or of all
  std::size_t size() const {
    return texts.empty() && !vectors.empty() ? vectors.front().vectors.rows : texts.size();
  }
};

struct TrainDispatchOptions {
  std::vector<QuerySet> train;       // judged; with `label_free` not judged, or none
  std::vector<QuerySet> validation;  // empty: cross-validation within `train`, by groups of related queries
  std::vector<std::string> routers;  // to try; empty: all
  // True: without any judged query, from what experts hold and how they are described, and where `train` has
  // queries and at least 3 experts search the same documents, from how much their answers agree. Takes the
  // place of any dispatch trained before, is off by default because nothing could be compared, and answers
  // where its router is named (SearchOptions::router).
  bool label_free = false;
  // With any, a guard learns to tell these from `train`; none: there will be no guard.
  BackgroundQueries background;
  // Share of the queries served that the guard must accept, in (0, 1); 0: what balances acceptance and
  // rejection best (their harmonic mean).
  double guard_acceptance = 0.95;
  std::uint64_t seed = 0;
  int threads = 0;
  ProgressCallback progress;
  const std::atomic<bool>* cancelled = nullptr;
};

// Whose queries an expert learns from: with a partition, those with a relevant document there; over all
// partitions, the set of its name, or all sets where it is the `expert` named and there is no such set.
struct TrainAdapterOptions {
  std::vector<QuerySet> train;
  // Whose adapter; empty: one for each expert that has at least 10 queries and no adapter given to it, and
  // one a space for all domains together, in which every query set is heard equally often.
  std::string expert;
  std::size_t rank = 0;  // of what is learned, up to the dimension; 0: the full matrix
  std::uint64_t seed = 0;
  int threads = 0;
  ProgressCallback progress;
  const std::atomic<bool>* cancelled = nullptr;  // checked now and then; kCancelled, store unchanged
  TRIVIUM_EXPORT absl::Status Validate() const;
};

// An adapter made elsewhere.
struct SetAdapterOptions {
  std::string expert;         // whose; empty: of all domains, in `space`
  std::string space;          // where no expert is named; empty: the store's only one
  std::vector<float> matrix;  // as ExpertOptions::adapter; empty: takes the adapter away
};

// Queries like those to come; judgements are not needed. Where there are neither texts nor vectors, up to
// 5,000 queries are made from the documents: their titles, else how their texts begin.
struct TrainGraphOptions {
  std::vector<std::string> texts;     // empty, or one a query: encoded for every space without vectors
  std::vector<SpaceVectors> vectors;  // one row a query
  std::string expert;                 // whose vector sets are trained; empty: all
  GraphTrainingOptions training;
};

// Which spaces learn a tree, and from what.
struct TrainTreeOptions {
  // Queries like those to come: texts, or vectors for each space; may be none. Judgements need not be given.
  // Where a space has an adapter of all domains in use, its tree learns to answer queries as they are as the
  // space answers adapted ones.
  std::vector<QuerySet> queries;
  std::string space;  // empty: every space with the cosine metric, of representations without a given tree
  TreeTrainingOptions training;
};

// A tree made elsewhere, see Store::SetTree.
struct SetTreeOptions {
  std::string space;  // empty: the store's only one
  bool given = true;  // false: takes the tree away, also one that was learned
  int threads = 0;    // 0: all processors this process may use
  TRIVIUM_EXPORT absl::Status Validate() const;
};

// What of a tree to look at.
struct InspectTreeOptions {
  std::string space;       // empty: the only one with a tree
  std::size_t levels = 4;  // of nodes told of, below the root; at most the depth of the tree
  std::uint64_t node = 0;  // only this one; 0: all down to `levels`
  std::size_t terms = 8;
  std::size_t typical = 3;
  // A question whose way is told, and whose nodes alone then are: a text, or its vector.
  Query question;
  // A document, by id and partition, that is looked for on that way; kNotFound. Empty: none.
  std::string document, partition;
  TRIVIUM_EXPORT absl::Status Validate() const;
};

struct StoreDriftOptions {
  // As TrainGraphOptions; both empty: the queries that were held out for training.
  std::vector<std::string> texts;
  std::vector<SpaceVectors> vectors;
  std::string expert;  // whose vector sets are looked at; empty: all
  GraphDriftOptions drift;
};

struct StoreWalkOptions {
  std::string text;                   // empty, or encoded for every space without a vector
  std::vector<SpaceVectors> vectors;  // one row each
  std::string expert;                 // whose vector sets are walked; empty: all
  WalkOptions walk;
};

struct EvaluateOptions {
  std::vector<QuerySet> sets;
  SearchOptions search;     // experts, index, filter; k is replaced by `depth`
  std::size_t depth = 100;  // hits retrieved a query, >= 10
  bool compare = false;     // also a row per router, combination and oracle
  bool keep_runs = false;   // keep every query's hits in the report
  // What the store learned from: metrics are also given over the clean queries, which have no near twin
  // (cosine 0.95, in the space that routes) among the judged ones of these and no relevant document in common
  // with one. All sets, here and in `sets`, need vectors of a common space, or texts and its encoder.
  std::vector<QuerySet> training;
  // With `compare`: typing errors made in each query's text to see whether its route changes; 0: none. Only
  // where queries are encoded from their texts, which are encoded once more then.
  std::size_t typos = 1;
  ProgressCallback progress;
};

}  // namespace trivium
