// SPDX-License-Identifier: Apache-2.0
// The engine: a store of documents with the indexes, experts and routers that find them.
//
// Every call that can fail returns absl::Status: kInvalidArgument (bad input; names the value seen and the
// one expected; nothing was changed), kNotFound, kAlreadyExists, kDataLoss (damaged file, named),
// kUnavailable (another process writes the store), kResourceExhausted (disk or memory), kPermissionDenied,
// kFailedPrecondition (read-only, closed, or an encoder that was not injected), kCancelled,
// kDeadlineExceeded. Nothing is printed and no thread outlives a call.
//
// Thread safety: all methods may be called from any thread. Searches never wait for writers; writers wait for
// each other.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "trivium/export.h"
#include "trivium/feedback.h"
#include "trivium/options.h"
#include "trivium/report.h"
#include "trivium/search_result.h"
#include "trivium/text_encoder.h"
#include "trivium/types.h"

namespace trivium {

class TRIVIUM_EXPORT Store {
 public:
  // Opens the store in directory `path`, creating it unless told otherwise.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& path, OpenOptions options = {});
  ~Store();  // closes; call Close() first where errors matter
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  absl::Status Close();    // idempotent; every later call is kFailedPrecondition
  absl::Status Refresh();  // read-only stores: shows what a writer has written since

  // --- What the store is made of
  // -----------------------------------------------------------------------------
  absl::Status AddSpace(const SpaceOptions& options);
  // A partition named here comes to be if it does not exist. Never retrains the other experts.
  absl::Status AddExpert(const ExpertOptions& options);
  absl::Status RemoveExpert(const std::string& name);
  bool HasSpace(const std::string& name) const;
  bool HasExpert(const std::string& name) const;

  // --- Documents
  // --------------------------------------------------------------------------------------------- A document
  // is identified by partition and id; one that exists is replaced whole. Durable on return
  // (Durability::kSync). O(batch).
  absl::StatusOr<UpsertReport> Upsert(const UpsertBatch& batch);
  // Aligned with `ids`; none where there is no such document. Without `partition` an id that several
  // partitions hold is kInvalidArgument that lists them.
  absl::StatusOr<std::vector<std::optional<Document>>> Get(absl::Span<const std::string> ids,
                                                           const std::optional<std::string>& partition) const;
  // Deletes the documents that meet every condition given; at least one is. Returns how many there were.
  absl::StatusOr<std::uint64_t> Delete(const std::optional<std::vector<std::string>>& ids,
                                       const std::optional<std::string>& partition,
                                       const std::string& filter);
  // Replaces the metadata (a JSON object each) of existing documents; kNotFound, naming the id, changes
  // nothing.
  absl::Status UpdateMetadata(absl::Span<const std::string> ids, absl::Span<const std::string> metadata,
                              const std::optional<std::string>& partition);
  absl::StatusOr<std::uint64_t> Count(const std::string& filter,
                                      const std::optional<std::string>& partition) const;
  // Visits matching documents in the order they were written, until `visit` returns false.
  absl::Status Scan(const std::string& filter, const std::optional<std::string>& partition,
                    const std::function<bool(const Document&)>& visit) const;

  // --- Building and training
  // ----------------------------------------------------------------------------------- Seals the vectors
  // written since the last build into segments with a graph each. Searches are right without it, only slower.
  absl::StatusOr<BuildReport> Build(const BuildOptions& options = {});
  // Finds the narrowest beam with which the searches of a space reach a recall, and makes it their default;
  // kept in the store and shown by Inspect. Against the exact scan: about 10 ms a query for 160,000 vectors.
  // Measured per space over all its vectors, before fusion; build first. kNotFound: a space.
  absl::StatusOr<CalibrationReport> Calibrate(const CalibrateOptions& options = {});
  // Learns from judged queries which expert answers what; see DispatchReport. On kInvalidArgument the store
  // is unchanged. Needs at least one expert.
  absl::StatusOr<DispatchReport> TrainDispatch(const TrainDispatchOptions& options);
  // Learns from judged queries how experts should read queries of spaces with the cosine metric, and keeps
  // what it learned: used by searches that name an expert, and of all domains by "auto" where dispatch does
  // not choose, if the gate lets it pass (AdapterReport), else only with AdapterUse::kAlways. Replaces
  // adapters learned before. All or nothing: where it fails or is cancelled the store is unchanged.
  // kInvalidArgument: options, queries; kNotFound: an expert; kFailedPrecondition: no space to learn in.
  absl::StatusOr<AdapterReport> TrainAdapter(const TrainAdapterOptions& options);
  // Gives an expert, or all domains, an adapter made elsewhere; it is used without a gate. kInvalidArgument:
  // shape, values; kNotFound: an expert, a space, or no adapter to take away.
  absl::Status SetAdapter(const SetAdapterOptions& options);
  // The matrix, dimension x dimension; empty where there is none. Arguments as of SetAdapterOptions.
  absl::StatusOr<std::vector<float>> GetAdapter(const std::string& expert, const std::string& space) const;
  // Teaches the graphs of the sealed segments of an expert, or of all, where to look: starting points and
  // edges, from at least 100 queries (without any, made from the documents), kept where queries held out need
  // fewer hops for it (GraphTrainingReport). Answers stay as exact as the beam makes them. Build first. The
  // queries are kept in the segment, at most one for eight rows, and teach the graphs that Build and Compact
  // make later of the same vector set (TaughtGraphs). All or nothing: where it fails or is cancelled the
  // store is unchanged. kInvalidArgument: options, queries; kNotFound: an expert, a space;
  // kFailedPrecondition: no sealed segment, queries without vectors and no encoder, documents without texts,
  // or a checkpoint of another training.
  absl::StatusOr<TrainGraphReport> TrainGraph(const TrainGraphOptions& options);
  // Teaches spaces a tree (TreeUse), from their vectors and, where given, from queries, and says of every
  // document where it belongs in it. Kept where it stands for the vectors better than the tree that training
  // began with (TrainedSpaceTree), in place of the one before; Build, Compact and Upsert go on with it.
  // Searches use it where they ask for it: IndexChoice::kTree, kCells. All or nothing: where it fails or is
  // cancelled the store is unchanged. Memory: a copy of the documents' vectors. kInvalidArgument: options,
  // queries; kNotFound: a space, a partition; kFailedPrecondition: no space of the cosine metric, fewer than
  // 64 documents, queries without vectors and no encoder.
  absl::StatusOr<TrainTreeReport> TrainTree(const TrainTreeOptions& options);
  // Gives a space a tree made elsewhere: its vectors, of dimension 2^D with D from 1 to 12 and of the cosine
  // metric, are distributions over the leaves of a perfect binary tree, leaf by leaf, at any scale. It is
  // used without a gate, in place of the tree before, until the space is trained by name. From then on
  // vectors and queries with a component below 0 are refused in that space (kInvalidArgument); where an
  // adapter reads a query, such components of what it makes of it count as 0. Masses are rounded to bytes of
  // a unit chosen for the documents (TreeInfo::reason says what that keeps): give it again when they have
  // changed much. Cost: a pass over the documents, and what lies beside the segments is written. All or
  // nothing. kInvalidArgument names a document with a component below 0; kFailedPrecondition: dimension,
  // metric, no document; kNotFound: a space, or no tree to take away.
  absl::Status SetTree(const SetTreeOptions& options = {});
  // What the nodes of a space's tree hold, and the way of a question through it. Reads the texts of all
  // documents of the nodes told of. kNotFound: a space, a document; kFailedPrecondition: no tree, or a
  // question that cannot be encoded.
  absl::StatusOr<TreeInspection> InspectTree(const InspectTreeOptions& options = {}) const;
  // What training the graphs of an expert, or of all, is still worth: on the queries that were held out for
  // it, or on others. kFailedPrecondition: none is trained, and as TrainGraph.
  absl::StatusOr<std::vector<SegmentDrift>> GraphDrift(const StoreDriftOptions& options = {}) const;
  // Where the walks for one query go, in each sealed segment with a graph of an expert, or of all.
  // kFailedPrecondition: there is none, and as TrainGraph.
  absl::StatusOr<std::vector<SegmentWalk>> TraceWalks(const StoreWalkOptions& options) const;

  // --- Learning from use
  // ---------------------------------------------------------------------------------------- Keeps what users
  // made of answers as pilots, all or none, and corrects the routes of "auto" by them from now on, without
  // training (docs/feedback.md). Durable as Upsert is; the newest 2,048 are kept, over trainings of dispatch
  // too. An expert that keeps being asked and keeps failing is put into quarantine. kInvalidArgument names
  // the row; kNotFound: a partition; kFailedPrecondition: dispatch is not trained. O(feedback in use x
  // experts).
  absl::StatusOr<FeedbackReport> Feedback(absl::Span<const AnswerFeedback> feedback);
  // "auto" no longer asks the expert; searches that name it, and "all", do. `reason`: up to 500 bytes, shown
  // by Inspect. Where all are in quarantine, none is. kNotFound.
  absl::Status Quarantine(const std::string& expert, const std::string& reason);
  // Ends it, however it came about; earlier feedback is not held against the expert again. kNotFound.
  absl::Status LiftQuarantine(const std::string& expert);

  // --- Searching
  // ----------------------------------------------------------------------------------------------- Filters
  // are JSON over metadata: {"field":F,"op":O,"value":V} with O one of == != < <= > >= in not_in exists, and
  // {"and":[...]}, {"or":[...]}, {"not":{...}}. A missing field matches only !=, not_in and exists:false. A
  // filter never leaves fewer than k hits where k documents pass it.
  absl::StatusOr<SearchResult> Search(const Query& query, const SearchOptions& options = {}) const;
  // Many queries given as vectors (n rows each) or texts, on `threads` threads (0: all). The hits are those
  // of Search for each, found faster: queries that ask the same vector set take turns. An error is that of
  // the first query that fails.
  absl::StatusOr<BatchResult> SearchBatch(const std::vector<SpaceVectors>& vectors,
                                          absl::Span<const std::string> texts, const SearchOptions& options,
                                          int threads = 1) const;
  // Metrics as trec_eval computes them (linear gains; queries without a positive judgement are skipped).
  absl::StatusOr<EvaluationReport> Evaluate(const EvaluateOptions& options) const;

  // --- Care
  // ------------------------------------------------------------------------------------------------------
  absl::StatusOr<StoreInfo> Inspect() const;
  absl::StatusOr<VerifyReport> Verify() const;  // reads every byte; kDataLoss names the first damaged file
  absl::StatusOr<CompactReport> Compact(const BuildOptions& options = {});  // one segment a vector set
  // Consistent copy into a new directory. A read-only store can be copied while no writer has it open
  // (kUnavailable).
  absl::Status Snapshot(const std::string& destination);
  // Copies a snapshot to a new directory, verified first. kAlreadyExists where `destination` holds anything.
  static absl::Status Restore(const std::string& source, const std::string& destination);

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace trivium
