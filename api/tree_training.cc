// SPDX-License-Identifier: Apache-2.0
#include "api/tree_training.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_format.h"
#include "api/judged_queries.h"
#include "api/query_reader.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "routing/tree/leaf_table.h"

namespace trivium {
namespace {

constexpr std::size_t kDeepestPartition = 16;
constexpr std::size_t kDefaultDepth = 10;
constexpr std::size_t kFewestLevels = 4;
// Beside an entropy term: without it, one of weight 2 puts all documents into one leaf.
constexpr double kBalanceWeight = 2;
// The trainer tells the share done.
constexpr double kProgressSteps = 1000;

absl::Status OutOfRange(std::string_view what, const std::string& seen, const std::string& expected) {
  return absl::InvalidArgumentError(absl::StrFormat("%s: %s, expected %s", what, seen, expected));
}

// A place in a vector set.
struct Place {
  const VectorPart* part = nullptr;
  std::size_t row = 0;
};

std::vector<Place> LivePlaces(const StoreState& state, std::uint32_t space) {
  std::vector<Place> places;
  for (const auto& set : state.sets) {
    if (set->space() != space) continue;
    for (const VectorPart& part : set->parts()) {
      for (std::size_t i = 0; i < part.rows->size(); ++i) {
        if (part.live == nullptr || part.live->Test(i)) places.push_back({&part, i});
      }
    }
  }
  return places;
}

// Moves those wanted to the front, then any others at random, and drops what is too much.
void Sample(const std::vector<std::vector<std::uint64_t>>& wanted, std::uint64_t seed,
            std::vector<Place>* places) {
  std::unordered_set<std::uint64_t> numbers;
  for (const auto& some : wanted) numbers.insert(some.begin(), some.end());
  base::Random random(seed);
  random.Shuffle(*places);
  std::stable_partition(places->begin(), places->end(), [&](const Place& place) {
    return numbers.count(place.part->rows->documents()[place.row]) > 0;
  });
  places->resize(kMostTreeDocuments);
}

}  // namespace

std::string_view TreeUseName(TreeUse use) {
  return use == TreeUse::kRepresentation ? "representation" : "partition";
}

absl::StatusOr<TreeUse> ParseTreeUse(std::string_view name) {
  for (const TreeUse use : {TreeUse::kRepresentation, TreeUse::kPartition}) {
    if (name == TreeUseName(use)) return use;
  }
  return OutOfRange("use", absl::StrFormat("'%s'", name.substr(0, 80)), "representation or partition");
}

absl::Status TreeTrainingOptions::Validate() const {
  const std::size_t deepest =
      use == TreeUse::kRepresentation ? routing::kDeepestSplitTree : kDeepestPartition;
  if (depth > deepest) {
    return OutOfRange("depth", absl::StrFormat("%d", depth),
                      absl::StrFormat("0 (by the number of documents) to %d", deepest));
  }
  if (mlp && use == TreeUse::kPartition) {
    return OutOfRange("mlp", "true", "false with use partition, whose splits are linear");
  }
  if (steps < 1) return OutOfRange("steps", "0", "1 or more");
  if (!(entropy_weight >= 0 && std::isfinite(entropy_weight))) {
    return OutOfRange("entropy_weight", absl::StrFormat("%g", entropy_weight), "0 or more");
  }
  if (entropy_weight > 0 && use == TreeUse::kPartition) {
    return OutOfRange("entropy_weight", absl::StrFormat("%g", entropy_weight),
                      "0 with use partition, whose documents lie in one cell each");
  }
  if (threads < 0) return OutOfRange("threads", absl::StrFormat("%d", threads), "0 (all) or more");
  return absl::OkStatus();
}

absl::StatusOr<TreeQueries> LoadTreeQueries(const StoreState& state, EncoderSet* encoders,
                                            const SpaceRecord& space, const std::vector<QuerySet>& sets) {
  TreeQueries queries;
  queries.rows = base::AlignedMatrix(space.dimension);
  const QueryReader reader(&state, AdapterUse::kStore);
  std::vector<float> reading;
  for (const QuerySet& set : sets) {
    const std::size_t count = CountQueries(set), first = queries.relevant.size();
    const std::uint32_t wanted[] = {space.id};
    TRIVIUM_ASSIGN_OR_RETURN(const PreparedQueries prepared,
                             PrepareQueries(state, encoders, count, set.vectors, set.texts, wanted));
    const base::AlignedMatrix* rows = prepared.Find(space.id);
    if (rows == nullptr) {
      return absl::FailedPreconditionError(
          absl::StrFormat("train tree: queries '%s' with neither vectors of space '%s' nor an encoder for "
                          "it, expected either",
                          set.name, space.name));
    }
    for (std::size_t i = 0; i < count; ++i) {
      const float* row = rows->row(i);
      if (reader.AdaptsAll(space.id)) {
        TRIVIUM_RETURN_IF_ERROR(reader.ReadAsAll(space.id, row, &reading));
        row = reading.data();
      }
      queries.rows.Append(row);
    }
    queries.relevant.resize(first + count);
    if (set.judgements.empty()) continue;
    TRIVIUM_ASSIGN_OR_RETURN(const JudgedSet judged, ResolveJudgements(state, set));
    queries.unknown_judgements += judged.unknown_judgements;
    for (const JudgedQuery& query : judged.queries) {
      for (const routing::JudgedDocument& document : query.judgements.documents()) {
        const bool own = std::binary_search(query.own.begin(), query.own.end(), document.key);
        if (document.grade > 0 && document.key < kFirstUnknownKey && !own) {
          queries.relevant[first + query.row].push_back(document.key);
        }
      }
    }
  }
  return queries;
}

TreeDocuments LoadTreeDocuments(const StoreState& state, std::uint32_t space,
                                const std::vector<std::vector<std::uint64_t>>& wanted, std::uint64_t seed) {
  std::vector<Place> places = LivePlaces(state, space);
  if (places.size() > kMostTreeDocuments) Sample(wanted, seed, &places);
  TreeDocuments documents;
  documents.rows = base::AlignedMatrix(places.size(), state.schema.SpaceById(space)->dimension);
  for (std::size_t i = 0; i < places.size(); ++i) {
    places[i].part->rows->CopyRow(places[i].row, documents.rows.row(i));
    documents.numbers.push_back(places[i].part->rows->documents()[places[i].row]);
  }
  return documents;
}

std::vector<std::vector<std::uint32_t>> RelevantRows(
    const TreeDocuments& documents, const std::vector<std::vector<std::uint64_t>>& relevant) {
  std::unordered_map<std::uint64_t, std::uint32_t> row_of;
  for (std::uint32_t i = 0; i < documents.numbers.size(); ++i) row_of[documents.numbers[i]] = i;
  std::vector<std::vector<std::uint32_t>> rows(relevant.size());
  for (std::size_t q = 0; q < relevant.size(); ++q) {
    for (const std::uint64_t number : relevant[q]) {
      if (const auto row = row_of.find(number); row != row_of.end()) rows[q].push_back(row->second);
    }
  }
  return rows;
}

routing::TreeTrainingOptions EngineOptions(const TreeTrainingOptions& options, std::size_t documents) {
  routing::TreeTrainingOptions engine;
  engine.depth = options.depth;
  if (options.depth == 0) {
    const std::size_t levels = static_cast<std::size_t>(std::log2(std::max<std::size_t>(documents, 4)));
    engine.depth = std::clamp(levels - 2, kFewestLevels, kDefaultDepth);
  }
  engine.mlp = options.mlp;
  engine.step_count = options.steps;
  engine.entropy_weight = options.entropy_weight;
  engine.balance_weight = options.entropy_weight > 0 ? kBalanceWeight : 0;
  engine.seed = options.seed;
  engine.thread_count = base::ResolveThreadCount(options.threads);
  engine.cancelled = options.cancelled;
  if (options.progress) {
    engine.progress = [progress = options.progress](std::string_view stage, double share) {
      progress(stage, static_cast<std::uint64_t>(share * kProgressSteps),
               static_cast<std::uint64_t>(kProgressSteps));
    };
  }
  return engine;
}

std::string CheckpointPath(const TreeTrainingOptions& options, std::size_t space) {
  if (options.checkpoint.empty() || space == 0) return options.checkpoint;
  return absl::StrFormat("%s.%d", options.checkpoint, space + 1);
}

TrainedSpaceTree DescribeTree(const routing::TreeTrainingReport& trained) {
  TrainedSpaceTree told;
  told.queries = trained.queries;
  told.judged = trained.judged;
  told.steps = trained.steps;
  for (const routing::TreeLevelQuality& level : trained.levels) {
    told.levels.push_back({level.level, level.overlap, level.untrained, level.entropy,
                           routing::LeafTable::LevelBytes(level.level)});
  }
  if (!told.levels.empty()) {
    const TreeLevel& last = told.levels.back();
    told.enabled = trained.gain_low > 0;
    told.reason = absl::StrFormat(
        "level %d finds %.3f of the ten nearest of what was held out, %.3f untrained, gain at least %.3f: %s",
        last.level, last.overlap, last.untrained, trained.gain_low, told.enabled ? "better" : "not better");
  }
  return told;
}

routing::CellTrainingOptions CellOptions(const TreeTrainingOptions& options, std::size_t documents) {
  routing::CellTrainingOptions engine;
  engine.depth = options.depth > 0 ? static_cast<int>(options.depth) : routing::CellDepthFor(documents);
  engine.seed = options.seed;
  engine.thread_count = base::ResolveThreadCount(options.threads);
  engine.progress = options.progress;
  engine.cancelled = options.cancelled;
  return engine;
}

TrainedSpaceTree DescribeCells(const routing::CellTrainingReport& trained) {
  TrainedSpaceTree told;
  told.enabled = trained.accepted;
  told.reason = trained.reason;
  CellReport cells;
  cells.cells = trained.cells;
  cells.used_cells = trained.used_cells;
  cells.largest_cell = trained.largest_cell;
  cells.mean_cell = trained.mean_cell;
  cells.validation_queries = trained.validation_queries;
  cells.router = routing::CellRouterName(trained.router);
  for (std::size_t kind = 0; kind < trained.costs.size(); ++kind) {
    const routing::CellRouterCost& cost = trained.costs[kind];
    if (!cost.measured) continue;
    cells.routers.push_back({routing::CellRouterName(static_cast<routing::CellRouterKind>(kind)),
                             cost.scanned, cost.products, cost.ratio, cost.interval.low, cost.interval.high,
                             cost.rows_ratio});
  }
  told.cells = std::move(cells);
  return told;
}

routing::CellRouterKind BestRouter(const routing::CellTrainingReport& trained) {
  std::size_t best = static_cast<std::size_t>(trained.router);
  for (std::size_t kind = 0; !trained.accepted && kind < trained.costs.size(); ++kind) {
    if (!trained.costs[kind].reached || kind == 0) continue;
    if (best == 0 || trained.costs[kind].ratio < trained.costs[best].ratio) best = kind;
  }
  return static_cast<routing::CellRouterKind>(best);
}

}  // namespace trivium
