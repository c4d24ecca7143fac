// SPDX-License-Identifier: Apache-2.0
// The inside of trivium::Store. Its methods are spread over one file per concern: store_open.cc,
// store_schema.cc, store_write.cc, store_read.cc, store_build.cc, store_search.cc, store_train.cc,
// store_train_label_free.cc, store_teach.cc, store_train_adapter.cc, store_train_tree.cc, store_set_tree.cc,
// store_trees.cc, store_inspect_graphs.cc, store_inspect_tree.cc, store_evaluate.cc, store_feedback.cc,
// store_care.cc.
//
// Writers hold `writer` and change a copy of the published state; what they wrote is durable before the copy
// is published. Readers load the published pointer once and never wait.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/query_vectors.h"
#include "api/searcher.h"
#include "api/store_state.h"
#include "storage/key_value_store.h"
#include "storage/store_identity.h"
#include "storage/store_lock.h"
#include "trivium/engine.h"

namespace trivium {

struct LearnedGuard;

// A file that the manifest names and that is not there is damage, not absence.
inline absl::Status MissingIsDataLoss(const absl::Status& status) {
  return absl::IsNotFound(status) ? absl::DataLossError(status.message()) : status;
}

// Indexes into state.sets: those of the expert, or all where the name is empty. kNotFound.
absl::StatusOr<std::set<std::uint32_t>> SetsOfExpert(const StoreState& state, const std::string& expert);
// --- store_schema.cc ---
// kInvalidArgument where `matrix` is no adapter for the space.
absl::Status CheckAdapter(absl::Span<const float> matrix, const SpaceRecord& space);
// The adapter of an expert or space, `id`, to be committed, in place of any other.
void PutAdapter(std::uint32_t id, std::size_t dimension, std::vector<float> matrix, StoreState* state,
                storage::WriteBatch* batch);
void DropAdapter(std::uint32_t id, StoreState* state, storage::WriteBatch* batch);

// --- store_texts.cc ---
// Adds the texts of the partition's documents with numbers above `through` to its text set, from their
// records.
absl::Status IndexTexts(std::uint32_t partition, std::uint64_t through, StoreState* state);
// Takes replaced documents out of the partition's text set and new ones in, where a lexical expert searches
// it.
//   texts  empty, or one for each number
void WriteTexts(std::uint32_t partition, absl::Span<const std::uint64_t> replaced,
                absl::Span<const std::uint64_t> numbers, absl::Span<const std::string> texts,
                StoreState* state);
// Lets go of text sets that no expert searches any more; returns their files.
std::vector<std::string> DropUnsearchedTexts(StoreState* state);

struct Store::Impl {
  Impl(std::string store_path, OpenOptions open_options)
      : path(std::move(store_path)), options(std::move(open_options)), encoders(options.encoders) {}

  std::string path;
  OpenOptions options;
  storage::StoreIdentity identity;
  std::optional<storage::StoreLock> lock;  // none when read-only
  mutable EncoderSet encoders;             // calls are serialised inside
  std::mutex writer;
  std::atomic<std::shared_ptr<const StoreState>> published;  // null: closed
  // A write failed in a way that leaves open whether it was applied: the next one reads the store anew. Under
  // `writer`.
  bool reload_needed = false;

  // --- store_open.cc ---
  std::string SegmentsDirectory() const { return path + "/segments"; }
  // Reads everything from `db` into a new state.
  absl::StatusOr<std::shared_ptr<StoreState>> LoadState(std::shared_ptr<storage::KeyValueStore> db) const;
  absl::Status RemoveStrayFiles(const StoreState& state) const;

  // The published state; kFailedPrecondition when closed.
  absl::StatusOr<std::shared_ptr<const StoreState>> Read() const;

  // A copy to change; kFailedPrecondition when closed or read-only. REQUIRES: `writer` is held.
  absl::StatusOr<std::shared_ptr<StoreState>> BeginWrite();
  // Writes `batch` with the state's schema where `schema_changed`, then publishes the state.
  absl::Status Commit(std::shared_ptr<StoreState> state, storage::WriteBatch batch, bool schema_changed);

  // --- store_schema.cc ---
  // The partition of that name, made if need be; sets *changed then.
  absl::StatusOr<std::uint32_t> PartitionId(const std::string& name, Schema* schema, bool* changed) const;

  // --- store_write.cc ---
  // n vectors, from the cache of encodings where they are, otherwise encoded and remembered in `batch`.
  absl::StatusOr<base::AlignedMatrix> EncodeDocuments(const StoreState& state, const SpaceRecord& space,
                                                      absl::Span<const std::string> texts,
                                                      const ProgressCallback& progress,
                                                      storage::WriteBatch* batch, UpsertReport* report);
  void DeleteDocument(std::uint64_t number, StoreState* state, storage::WriteBatch* batch) const;

  // --- store_build.cc ---
  struct SetToSeal {
    std::shared_ptr<const VectorSet> set;
    std::size_t first = 0;  // parts from here on become one segment
  };
  absl::Status SetProfile(const BuildOptions& build);
  // Returns the rows sealed. Every set is committed by itself, and its unsealed rows are let go of then.
  absl::StatusOr<std::uint64_t> SealSets(std::vector<SetToSeal> sets, const BuildOptions& build,
                                         TaughtGraphs* taught);
  absl::StatusOr<std::size_t> SealParts(SetToSeal item, index::GraphBuildOptions graph,
                                        const BuildOptions& build, TaughtGraphs* taught);

  // --- store_texts.cc ---
  // Opens the text segments of the schema and indexes what is not sealed. REQUIRES: `documents` are loaded.
  absl::Status LoadTexts(StoreState* state) const;
  // As SealSets, for every text set; `whole`: into one segment each. Returns the texts sealed.
  absl::StatusOr<std::uint64_t> SealTexts(bool whole, const std::atomic<bool>* cancelled);
  absl::Status SealTextSet(std::uint32_t partition, std::size_t first);  // parts from `first` on

  // --- store_profile.cc ---
  // kInvalidArgument names a stored vector that the profile its space is to have cannot keep. O(unsealed
  // rows), and all others where the profile is a new one.
  absl::Status CheckRanges(const BuildOptions& build) const;

  // --- store_teach.cc ---
  // Queries with a vector in each of `spaces`. kFailedPrecondition, which begins with `what`, names a space
  // where they have neither vectors nor texts that can be encoded.
  absl::StatusOr<PreparedQueries> PrepareForSpaces(const StoreState& state, std::string_view what,
                                                   std::size_t count,
                                                   const std::vector<SpaceVectors>& vectors,
                                                   absl::Span<const std::string> texts,
                                                   const std::set<std::uint32_t>& spaces) const;
  // Teaches a copy of the graph of `segment`, which is large enough, and writes it as another segment file,
  // whose name is returned; empty where it does not pay. The schema gives the name and is left otherwise;
  // `report` says whether the queries were generated.
  absl::StatusOr<std::string> TeachSegment(const index::VectorSegment& segment, base::MatrixView queries,
                                           const GraphTrainingOptions& options, Schema* schema,
                                           GraphTrainingReport* report) const;
  // What has taught the segments of a set, to teach others of it in the same way; no queries: nothing did.
  struct Lessons {
    base::AlignedMatrix queries;
    GraphTrainingOptions options;
  };
  static Lessons LessonsOf(const VectorSet& set);
  // TeachSegment for a segment file that was just built, which is removed where another takes its place.
  // Empty: it stays, too small or better untaught.
  absl::StatusOr<std::string> TeachAgain(const std::string& file, const Lessons& lessons, Schema* schema,
                                         GraphTrainingReport* report) const;

  // Removes files that no published schema names any more, once that is durable.
  absl::Status RemoveObsolete(const std::vector<std::string>& files) const;

  // --- store_read.cc ---
  // A bit per document number that passes the filter and is in the partition; null: no condition.
  absl::StatusOr<std::shared_ptr<const base::Bitmap>> MatchDocuments(
      const StoreState& state, const std::string& filter, const std::optional<std::string>& partition) const;
  // Numbers of `ids`, aligned, 0 for unknown ones; see Store::Get for ambiguous ids.
  absl::StatusOr<std::vector<std::uint64_t>> ResolveIds(const StoreState& state,
                                                        absl::Span<const std::string> ids,
                                                        const std::optional<std::string>& partition) const;
  // Text and metadata of documents; a document that was deleted meanwhile has neither.
  absl::Status LoadDocument(const StoreState& state, std::uint64_t number, Document* document) const;

  // --- store_search.cc ---
  absl::StatusOr<Searcher> MakeSearcher(std::shared_ptr<const StoreState> state,
                                        const SearchOptions& search) const;
  // --- store_train.cc ---
  // Makes what was trained durable, then what "auto" means.
  // `guard`: null where there is none.
  absl::Status SaveDispatch(const routing::TrainedDispatch& trained, const LearnedGuard* guard,
                            const routing::AnswerMemory* memory,
                            const std::vector<const routing::PilotSet*>& pilots, std::uint32_t space,
                            std::shared_ptr<StoreState> state);
  // --- store_train_label_free.cc ---
  // TrainDispatch without judged queries. REQUIRES: the store has a dense expert.
  absl::StatusOr<DispatchReport> TrainLabelFree(const TrainDispatchOptions& options,
                                                std::shared_ptr<StoreState> state);

  // --- store_train_tree.cc ---
  struct TreeFiles {
    std::vector<std::string> written, obsolete;
  };
  // Learns a tree of the space, or cells, and gives it to `state` where it is to be kept. Files are added to
  // `files`. What the trainers say; kFailedPrecondition: too few documents.
  absl::StatusOr<TrainedSpaceTree> TeachTree(const SpaceRecord& space, const TrainTreeOptions& options,
                                             std::size_t number, StoreState* state, TreeFiles* files,
                                             std::uint64_t* unknown_judgements) const;
  // Gives every vector set of the space its trees, with files beside its segments; what is new of `trees` is
  // that of `use`. kCancelled and what the file system says: `state` is undefined then.
  absl::Status PlantTrees(const SpaceTrees& trees, const SpaceRecord& space,
                          const TreeTrainingOptions& options, StoreState* state, TreeFiles* files) const;

  // --- store_split_cells.cc ---
  // Where cells of a space overflow with what is nearest to them, those around them are built anew. Of each
  // space that has cells: how it was, and what was done.
  absl::StatusOr<std::vector<CellDriftReport>> SplitOverfullCells(const BuildOptions& build);

  // --- store_set_tree.cc ---
  // Puts a given tree, or takes a tree away, in `state`. Files are added to `files`.
  absl::Status GiveTree(const SpaceRecord& space, const SetTreeOptions& options, StoreState* state,
                        TreeFiles* files) const;
  static absl::Status TakeTree(std::uint32_t space, StoreState* state, TreeFiles* files);

  // --- store_trees.cc ---
  // Reads the trees of a space.
  absl::Status LoadTrees(const SpaceRecord& space, StoreState* state) const;
  // Map files that the manifest names; kDataLoss where one is missing, damaged or of others.
  absl::StatusOr<std::shared_ptr<const routing::LeafTable>> OpenLeaves(const std::string& file,
                                                                       const routing::SplitTree& tree,
                                                                       std::size_t rows) const;
  absl::StatusOr<std::shared_ptr<const routing::CellLists>> OpenLists(const std::string& file,
                                                                      std::size_t rows,
                                                                      std::size_t cell_count) const;
  // Write what lies beside a segment and return the file's name; what is given was mapped from it then.
  absl::StatusOr<std::string> WriteLeaves(const routing::SplitTree& tree, Schema* schema,
                                          std::shared_ptr<const routing::LeafTable>* leaves) const;
  absl::StatusOr<std::string> WriteLists(Schema* schema,
                                         std::shared_ptr<const routing::CellLists>* lists) const;
  void Discard(const std::vector<std::string>& files) const;  // that nothing names

  // --- store_inspect_tree.cc ---
  // The way of the question of `options`, if any, in the tree of a space that has one; as it is given,
  // without adapters.
  absl::StatusOr<std::vector<TreeStep>> TracePath(const StoreState& state, const SpaceRecord& space,
                                                  const InspectTreeOptions& options) const;

  // --- store_feedback.cc ---
  // Reads the feedback in use. REQUIRES: the dispatcher is loaded.
  absl::Status LoadFeedback(StoreState* state) const;
  // Feedback outlives a training: it corrects the new router, or is dropped where another space routes now.
  absl::Status CarryFeedback(std::uint32_t old_space, StoreState* state, storage::WriteBatch* batch) const;
  absl::Status SetQuarantine(const std::string& expert, const std::string& reason);  // empty: lifted

  // --- store_care.cc ---
  absl::Status CopyLiveStore(const StoreState& state, const std::string& copy) const;

  // Filters are evaluated once per published version; a few are remembered.
  struct CachedFilter {
    std::uint64_t version = 0;
    std::string key;
    std::shared_ptr<const base::Bitmap> documents;
  };
  mutable std::mutex filter_cache_mutex;
  mutable std::array<CachedFilter, 8> filter_cache;
  mutable std::size_t filter_cache_next = 0;

  // Scratch buffers between searches.
  std::unique_ptr<SearcherScratch> TakeScratch();
  void ReturnScratch(std::unique_ptr<SearcherScratch> scratch);
  std::mutex scratch_mutex;
  std::vector<std::unique_ptr<SearcherScratch>> idle_scratch;
};

}  // namespace trivium
