// SPDX-License-Identifier: Apache-2.0
// What a store is made of: spaces, partitions, experts, segments and the dispatch in use. A value, written
// whole as JSON under one key of the manifest table with every change, so that it is always one consistent
// state.
//
// Numbers (`id`) are lasting: never reused, also after a removal. Keys in other tables are built from them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "routing/expert/dispatch_trainer.h"
#include "trivium/options.h"
#include "trivium/report.h"
#include "trivium/types.h"

namespace trivium {

// A query adapter; its matrix lies under AdapterKey(id of its expert, or of its space).
struct AdapterRecord {
  bool enabled = true;        // the gate let it pass, or it was given
  std::uint64_t queries = 0;  // it was learned from; 0: it was given
  std::string reason;         // of the gate
};

// The tree of a space, its files under segments/. Every segment of the space has one beside it that says
// where its rows are in the tree (SegmentRecord).
struct TreeRecord {
  std::string file;
  TreeInfo info;
};
struct CellsRecord {
  std::string file;
  CellsInfo info;
};

struct SpaceRecord {
  std::uint32_t id = 0;
  std::string name;
  std::size_t dimension = 0;
  Metric metric = Metric::kCosine;
  std::string encoder;
  std::string encoder_fingerprint;
  // Of searches that do not say: calibrated for a recall, see Store::Calibrate; 0: the index's default.
  std::size_t beam_width = 0;
  double target_recall = 0;                   // what beam_width was calibrated for; 0: it was not
  Profile profile = Profile::kSpeed;          // of segments built from now on
  std::optional<AdapterRecord> adapter = {};  // of all domains
  std::optional<TreeRecord> tree = {};
  std::optional<CellsRecord> cells = {};
};

struct PartitionRecord {
  std::uint32_t id = 0;
  std::string name;
};

struct ExpertRecord {
  std::uint32_t id = 0;
  std::string name;
  std::uint32_t space = 0;
  std::optional<std::uint32_t> partition;  // none: all
  std::string description;
  double cost = 1;
  std::optional<AdapterRecord> adapter = {};
  ExpertKind kind = ExpertKind::kDense;
  double k1 = 0, b = 0;              // lexical only, as in ExpertOptions; it has no space (0)
  std::string quarantine;            // why "auto" does not ask it; empty: it does
  std::uint64_t monitored_from = 0;  // feedback before this sequence number is not held against it
};

// A file under segments/: the terms of the texts of one partition. `through`: texts of documents with larger
// numbers are not sealed.
struct TextSegmentRecord {
  std::string file;
  std::uint32_t partition = 0;
  std::uint64_t through = 0;
};

// A file under segments/: the vectors of one space over one partition, document numbers [first, last].
struct SegmentRecord {
  std::string file;
  std::uint32_t space = 0;
  std::uint32_t partition = 0;
  std::string leaves_file = {};  // of its rows in the space's tree; empty: the space has none
  std::string cells_file = {};   // likewise, in its cells

  std::vector<std::string> companions() const;  // the files beside it that there are
};

// One trained router: its settings here, its bytes under RouterKey(name), its index, if any, under segments/.
struct RouterRecord {
  routing::DispatchSettings settings;
  std::string index_file;  // empty: none
};

// The guard's figures here, its bytes under RouterKey(kGuardName), its two files under segments/.
inline constexpr std::string_view kGuardName = "guard";
struct GuardRecord {
  GuardReport report;
  std::string pilots_file, background_file;
};

// Answers that routers remember: bytes under RouterKey(kMemoryName), vectors in a file under segments/.
inline constexpr std::string_view kMemoryName = "memory";

struct DispatchRecord {
  bool enabled = false;                   // the gate let it become what "auto" means
  std::string router;                     // the best on validation
  std::string reason;                     // of the gate
  std::uint32_t space = 0;                // the router space
  std::vector<std::uint32_t> expert_ids;  // columns of every router
  std::vector<RouterRecord> routers;
  std::uint64_t pilots = 0;
  std::optional<GuardRecord> guard = {};
  std::optional<float> lexical_weight = {};  // of the answer that asks everybody; none: merged by rank
  std::string memory_file = {};              // of answers remembered, see kMemoryName; empty: none are

  std::vector<std::string> files() const;  // of routers, guard and memory, under segments/
};

struct Schema {
  std::uint32_t next_id = 1;
  std::uint64_t next_file = 1;
  std::vector<SpaceRecord> spaces;
  std::vector<PartitionRecord> partitions;  // by ascending id
  std::vector<ExpertRecord> experts;
  std::vector<SegmentRecord> segments;
  std::vector<TextSegmentRecord> text_segments;
  std::optional<DispatchRecord> dispatch;

  const SpaceRecord* FindSpace(std::string_view name) const;
  const SpaceRecord* SpaceById(std::uint32_t id) const;
  const PartitionRecord* FindPartition(std::string_view name) const;
  const PartitionRecord* PartitionById(std::uint32_t id) const;  // O(log partitions): asked for every hit
  const ExpertRecord* FindExpert(std::string_view name) const;
  // Whether a lexical expert searches the partition.
  bool IndexesTexts(std::uint32_t partition) const;
  std::vector<std::string> files() const;  // all that it names, under segments/

  std::string ToJson() const;
  static absl::StatusOr<Schema> FromJson(std::string_view json);  // kDataLoss
};

}  // namespace trivium
