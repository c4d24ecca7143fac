// SPDX-License-Identifier: Apache-2.0
// What long work reports when it is done.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "trivium/evaluation_report.h"
#include "trivium/graph_inspection.h"
#include "trivium/graph_training.h"
#include "trivium/options.h"
#include "trivium/search_result.h"
#include "trivium/tree_inspection.h"
#include "trivium/tree_training.h"
#include "trivium/types.h"

namespace trivium {

struct UpsertReport {
  std::uint64_t written = 0;
  std::uint64_t replaced = 0;
  std::uint64_t encoded = 0;  // texts sent to an encoder
  std::uint64_t encoded_from_cache = 0;
};

// Graphs built where others of their vector set were trained (TrainGraph): these queries teach them, too.
struct TaughtGraphs {
  std::uint64_t taught = 0;
  std::uint64_t left_untaught = 0;  // did not pay, or fewer than 2,048 rows
};

struct BuildReport {
  std::uint64_t segments_built = 0;
  std::uint64_t rows_sealed = 0;
  std::uint64_t texts_sealed = 0;  // for lexical experts
  TaughtGraphs graphs;
  double seconds = 0;
};

// What calibration chose for one space.
struct CalibratedSpace {
  std::string space;
  std::size_t beam_width = 0;  // the default of its searches from now on
  double recall = 0;           // at that width, on the sample queries, against the exact scan
  bool reached = false;        // whether that is the target; otherwise it is the widest beam that was tried
  std::uint64_t queries = 0;
};
struct CalibrationReport {
  double target_recall = 0;
  std::size_t k = 0;
  std::vector<CalibratedSpace> spaces;
  double seconds = 0;
};

// Whether queries are served by any expert, each judged by a guard that did not learn from it.
struct GuardReport {
  std::uint64_t queries = 0;             // judged ones that it learned from; 0: there is no guard
  std::uint64_t background = 0;          // those that no expert serves
  double threshold = 0;                  // least probability of being served that is accepted
  double acceptance = 0;                 // share of `queries` accepted
  double rejection = 0;                  // share of `background` rejected
  double auroc = 0;                      // probability that it ranks a query above one of the background
  double auroc_low = 0, auroc_high = 0;  // bootstrap 95 % interval
  bool enabled = false;                  // the gate: whether it may reject
  std::string reason;                    // of the gate, in words
};

// How the results of the experts chosen revise their probabilities: p ^ route_weight x exp(score_weight x
// score of the best hit + what was learned for the expert).
struct SecondLookInfo {
  double route_weight = 0, score_weight = 0;
  double prior_weight = 0;  // of the log of revised probabilities, added to scores
  double widen_below = 0;   // more experts are asked where the largest revised share is below; 0: never
  int max_experts = 0;      // then at most so many
};

// Documents that were judged relevant for earlier queries are raised for queries like them: by weight x root
// of the sum of (cosine - threshold)^2 over those that are more similar than the threshold.
struct MemoryInfo {
  double threshold = 0;
  double weight = 0;          // mean over experts, for each of which one is learned
  std::uint64_t experts = 0;  // whose weight is above 0
  std::uint64_t queries = 0;  // remembered
};

// What training the dispatch found on queries that no router was trained on.
struct DispatchReport {
  std::uint64_t queries = 0;  // judged queries used, training and validation together
  std::uint64_t validation_queries = 0;
  std::uint64_t unknown_judgements = 0;  // judgements that name a document the store does not hold
  std::string router;                    // the best on validation
  bool enabled = false;                  // whether the gate let it become the default
  std::string reason;                    // of the gate, in words
  double top_p = 0;
  int max_experts = 0;
  double prior_weight = 0;
  // Share of the lexical experts in the answer of "auto", mean over experts, for whose queries it differs;
  // none: merged by rank, or there are none.
  std::optional<double> lexical_weight;
  std::optional<ReadingMixture> mixture;  // none: each expert asks as it reads the query
  std::optional<SecondLookInfo> second_look;
  std::optional<MemoryInfo> memory;    // none: held-out queries were not answered better by it
  double gain = 0;                     // nDCG@10 of `router` minus "all", macro over sets
  double gain_low = 0, gain_high = 0;  // paired bootstrap 95 % interval
  std::vector<ComparisonRow> rows;     // on validation
  GuardReport guard;
  // Share of the queries trained on whose first expert is another one than by the router that was the default
  // before; none: there was none, or it knew other experts.
  std::optional<double> first_expert_changed;
  double seconds = 0;
};

// What training gave one adapter, on queries that it did not learn from: each is read by an adapter learned
// from the others, queries that share a relevant document or are near twins apart.
struct TrainedAdapter {
  std::string expert;  // empty: of all domains
  std::string space;
  std::uint64_t queries = 0;  // learned from
  std::uint64_t steps = 0;    // that were best on queries held out; 0: none was better than plain
  double plain = 0;           // macro nDCG@10 of what the expert (of all domains: everybody) answers
  double adapted = 0;
  double gain = 0;                     // adapted - plain
  double gain_low = 0, gain_high = 0;  // paired bootstrap 95 % interval
  bool enabled = false;                // the gate: whether the interval is above 0
  std::string reason;                  // of the gate, in words, or why nothing was learned (`queries` is 0)
};
struct AdapterReport {
  std::vector<TrainedAdapter> adapters;
  std::uint64_t unknown_judgements = 0;
  double seconds = 0;
};

// What training gave one graph of a store.
struct TrainedSegment {
  std::string space, partition;
  std::uint64_t rows = 0;
  GraphTrainingReport training;
};
struct TrainGraphReport {
  std::vector<TrainedSegment> graphs;
  std::uint64_t too_small = 0;  // graphs of fewer than 2,048 rows, which are left as they are
  double seconds = 0;
};

// What training gave one space.
struct TrainedSpaceTree {
  std::string space;
  std::uint64_t documents = 0;      // learned from; of more than 262,144 a sample
  std::uint64_t queries = 0;        // likewise
  std::uint64_t judged = 0;         // of these, with a relevant document in the space
  std::size_t depth = 0;            // 0: nothing was learned, see `reason`
  std::uint64_t steps = 0;          // that were best on what was held out; representation only
  std::vector<TreeLevel> levels;    // likewise
  std::optional<CellReport> cells;  // partition only
  bool enabled = false;             // whether it is kept: the gate let it pass, or was to be ignored
  std::string reason;               // of the gate, in words
  double seconds = 0;
};
struct TrainTreeReport {
  TreeUse use = TreeUse::kRepresentation;
  std::vector<TrainedSpaceTree> spaces;
  std::uint64_t unknown_judgements = 0;  // of documents that the store does not hold
  double seconds = 0;
};

// Of one trained graph of a store.
struct SegmentDrift {
  std::string space, partition;
  GraphDriftReport drift;
  std::map<std::uint64_t, std::string> ids;  // of the documents that it names by number
};

// Of one graph of a store.
struct SegmentWalk {
  std::string space, partition;
  std::uint64_t rows = 0;
  WalkTrace trace;
  std::map<std::uint64_t, std::string> ids;  // of the documents that it names by number
};

struct AdapterInfo {
  bool present = false;
  bool enabled = false;       // what searches use that do not say
  std::uint64_t queries = 0;  // it was learned from; 0: it was given
  std::string reason;         // of the gate
};
// A tree of a space; `documents` and `queries` are those that it learned from, of a given one those that
// there were.
struct TreeInfo {
  bool present = false;
  bool enabled = false;  // whether the gate let it pass; else it was told not to ask
  std::size_t depth = 0;
  std::uint64_t documents = 0, queries = 0;
  std::vector<TreeLevel> levels;  // as of when it was trained
  std::string reason;             // of the gate; of a given tree, what rounding its masses keeps
  bool given = false;             // by Store::SetTree: nothing was learned
};
// Cells of a space.
struct CellsInfo {
  bool present = false;
  bool enabled = false;  // whether the gate let a learned router pass
  std::uint64_t cells = 0, documents = 0, queries = 0;
  std::string router;  // the one in use
  std::string reason;  // of the gate
};
struct SpaceInfo {
  std::string name;
  std::size_t dimension = 0;
  Metric metric = Metric::kCosine;
  std::string encoder;
  std::string encoder_fingerprint;  // of the encoder that wrote its vectors; empty: none did
  std::size_t beam_width = 0;       // of searches that do not say; 0: the default
  double target_recall = 0;         // what it was calibrated for; 0: it was not
  Profile profile = Profile::kSpeed;
  AdapterInfo adapter;  // of all domains
  TreeInfo tree;
  CellsInfo cells;
};
// What the feedback in use says of an expert that the router has an opinion on, when it was asked.
struct ExpertFeedback {
  std::uint64_t answers = 0;
  double predicted = 0, observed = 0;  // mean utilities, by the router and by users
  double evidence = 0;                 // that it keeps failing; at 10,000 it is put into quarantine
};
struct ExpertInfo {
  ExpertKind kind = ExpertKind::kDense;
  std::string name, space, description;  // no space: lexical
  std::optional<std::string> partition;
  double cost = 1;
  AdapterInfo adapter;
  double k1 = 0, b = 0;    // lexical only
  std::string quarantine;  // why "auto" does not ask it; empty: it does
  ExpertFeedback feedback;
};
struct VectorSetInfo {
  std::string space, partition;
  std::uint64_t rows = 0;      // live vectors
  std::uint64_t unsealed = 0;  // of these, not yet in a segment
  std::uint64_t deleted = 0;   // rows in segments that wait for compact
  std::uint64_t segments = 0;
  std::uint64_t bytes = 0;            // of its segment files
  std::uint64_t tree_bytes = 0;       // of the files beside them: what trees and cells say of their rows
  std::vector<std::string> training;  // what taught the graph of each segment, JSON; empty: nothing did
};
// The texts of one partition that lexical experts search.
struct TextSetInfo {
  std::string partition;
  std::uint64_t documents = 0;  // live ones with a text
  std::uint64_t unsealed = 0;   // of these, not yet in a segment
  std::uint64_t deleted = 0;    // in segments or not, waiting for a build or compact; statistics count them
  std::uint64_t segments = 0;
  std::uint64_t bytes = 0;  // of its segment files
};
struct DispatchInfo {
  bool trained = false;
  bool enabled = false;
  std::string router, reason;
  std::uint64_t pilots = 0;
  std::uint64_t feedback = 0;  // in use
  double top_p = 0, prior_weight = 0;
  std::optional<double> lexical_weight;  // as in DispatchReport
  std::optional<ReadingMixture> mixture;
  std::optional<SecondLookInfo> second_look;
  std::optional<MemoryInfo> memory;
  int max_experts = 0;
  GuardReport guard;  // as trained
};
struct StoreInfo {
  std::string path, uuid;
  int format_version = 0;
  std::string version, kernels;
  std::uint64_t documents = 0;
  std::vector<std::pair<std::string, std::uint64_t>> partitions;  // name, documents
  std::vector<SpaceInfo> spaces;
  std::vector<ExpertInfo> experts;
  std::vector<VectorSetInfo> vector_sets;
  std::vector<TextSetInfo> text_sets;
  DispatchInfo dispatch;
};

struct VerifyReport {
  std::uint64_t files = 0, bytes = 0, documents = 0, vectors = 0;  // checked and found whole
};

// How well the cells of a space still suit its documents.
struct CellDriftReport {
  std::string space;
  double overfull = 0;  // share of the documents whose nearest cell is that of more than 4 times the mean
  std::uint64_t rebuilt = 0;  // cells that were built anew, because that share was above 0.1
};

struct CompactReport {
  std::uint64_t segments_before = 0, segments_after = 0, rows_dropped = 0;
  TaughtGraphs graphs;
  std::vector<CellDriftReport> cells;  // of the spaces that have some
  double seconds = 0;
};

}  // namespace trivium
