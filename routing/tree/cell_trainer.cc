// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/aligned_matrix.h"
#include "base/status_macros.h"
#include "routing/tree/cell_builder.h"
#include "routing/tree/cell_costs.h"
#include "routing/tree/cell_lessons.h"
#include "routing/tree/cell_level_learner.h"
#include "routing/tree/cell_lists.h"
#include "routing/tree/cell_map_learner.h"
#include "routing/tree/cell_tree_learner.h"

namespace trivium::routing {
namespace {

constexpr double kRecall = 0.95;  // at which routers are compared
constexpr double kMostHarm = 1.01;
// Fewer levels are no shorter way than the map.
constexpr int kShallowestLevels = 6;
// Of what a map learned, and how much its scores are less by the logarithm of a cell's size: what counts is
// answers for each row read. MiniLM questions in 1,024 cells, rows read at recall 0.95 with all that was
// learned: 0: 4.10 %, 0.3: 3.91 %, 0.6: 3.83 %, 1: 3.81 % with a tenth more cells.
struct MapVariant {
  float share, size_weight;
};
constexpr MapVariant kMapVariants[] = {{1, 0.6f}, {1, 0}, {0.75f, 0.3f}, {0.75f, 0}, {0.5f, 0}, {0.25f, 0}};
// Variants are compared on fewer queries where there are so many cells that ranking them takes long.
constexpr std::size_t kFewestMeasured = 200, kMostMeasuredCells = 4'000'000;
// Where only documents can be asked: MiniLM questions need 2.4 to 4 times the cells that documents need.
constexpr double kProbesOverDocuments = 3;
// Tried for the similarity of the centroid beside the logarithm of a path's probability, of unit vectors.
constexpr float kCentroidWeights[] = {0, 5, 10, 20, 30, 40};

// Of the mean squared length of queries: products are weighted as if these were unit vectors.
float InverseSquare(base::MatrixView queries) {
  double squares = 0;
  for (std::size_t i = 0; i < queries.rows; ++i) {
    for (std::size_t c = 0; c < queries.columns; ++c)
      squares += double{queries.row(i)[c]} * queries.row(i)[c];
  }
  return squares > 0 ? static_cast<float>(static_cast<double>(queries.rows) / squares) : 1.0f;
}

class Trainer {
 public:
  Trainer(const CellTrainingData& data, const CellTrainingOptions& options)
      : data_(data), options_(options), start_(std::chrono::steady_clock::now()) {}

  absl::StatusOr<TrainedCells> Train() {
    TRIVIUM_RETURN_IF_ERROR(Build());
    const bool taught = data_.queries.rows >= kFewestCellQueries;
    TRIVIUM_RETURN_IF_ERROR(Gather(taught ? data_.queries : base::MatrixView()));
    if (taught) {
      TRIVIUM_RETURN_IF_ERROR(LearnMapAndLevels());
      TRIVIUM_RETURN_IF_ERROR(LearnTree());
      TRIVIUM_RETURN_IF_ERROR(Judge());
    } else {
      TRIVIUM_RETURN_IF_ERROR(CalibrateByDocuments());
    }
    report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    return TrainedCells{model_, report_};
  }

 private:
  void Tell(std::string_view stage, std::size_t done, std::size_t total) const {
    if (options_.progress) options_.progress(stage, done, total);
  }

  absl::Status CheckCancelled() const {
    return options_.cancelled != nullptr && options_.cancelled->load(std::memory_order_relaxed)
               ? absl::CancelledError("cells: cancelled by the caller")
               : absl::OkStatus();
  }

  absl::Status Build() {
    CellBuildOptions build;
    build.depth = options_.depth;
    build.seed = options_.seed;
    build.thread_count = options_.thread_count;
    build.cancelled = options_.cancelled;
    build.progress = [&](std::size_t done, std::size_t total) { Tell("cells", done, total); };
    TRIVIUM_ASSIGN_OR_RETURN(BuiltCells built, BuildCells(data_.documents, data_.metric, build));
    cell_of_ = std::move(built.cell_of);
    const std::size_t cells = built.centroids.rows();
    lists_ = CellLists::FromCells(cell_of_, cells);
    parts_.depth = options_.depth;
    parts_.metric = data_.metric;
    parts_.centroids = std::move(built.centroids);
    parts_.mean_rows = static_cast<double>(data_.documents.rows) / static_cast<double>(cells);
    report_.cells = cells;
    report_.used_cells = lists_->used_cells();
    report_.largest_cell = lists_->largest_cell();
    report_.mean_cell = parts_.mean_rows;
    return UpdateModel();
  }

  absl::Status UpdateModel() {
    TRIVIUM_ASSIGN_OR_RETURN(model_, CellModel::Create(CopyParts(parts_)));
    return absl::OkStatus();
  }

  absl::Status Gather(base::MatrixView queries) {
    LessonOptions lesson;
    lesson.validation_share = options_.validation_share;
    lesson.seed = options_.seed;
    lesson.thread_count = options_.thread_count;
    lesson.cancelled = options_.cancelled;
    lesson.progress = [&](std::size_t done, std::size_t total) { Tell("answers", done, total); };
    TRIVIUM_ASSIGN_OR_RETURN(lessons_, GatherLessons(data_.documents, data_.metric, queries, lesson));
    report_.training_queries = lessons_.training_queries;
    report_.training_documents = lessons_.training_documents;
    report_.validation_queries = lessons_.validation.queries.rows();
    return absl::OkStatus();
  }

  CellLearningOptions Learning(const char* stage) const {
    CellLearningOptions learning;
    learning.seed = options_.seed;
    learning.thread_count = options_.thread_count;
    learning.cancelled = options_.cancelled;
    learning.progress = [this, stage, epochs = learning.epochs](std::size_t done) {
      Tell(stage, done, static_cast<std::size_t>(epochs));
    };
    return learning;
  }

  absl::Status LearnMapAndLevels() {
    const bool with_levels = options_.learn_levels && options_.depth >= kShallowestLevels;
    const bool handed_down = report_.cells > kMostMappedCells;
    if (handed_down ? !with_levels : !(options_.learn_map || with_levels)) return absl::OkStatus();
    const CellTargets training = lessons_.training.Targets(cell_of_), stop = lessons_.stop.Targets(cell_of_);
    LearnedMap map;
    if (!handed_down) {
      TRIVIUM_ASSIGN_OR_RETURN(
          map, LearnCellMap(model_->centroids(), model_->centroid_biases(), training, stop, Learning("map")));
    }
    if (with_levels) {
      TRIVIUM_ASSIGN_OR_RETURN(LearnedLevels learned,
                               LearnCellLevels(model_->centroids(), options_.depth, data_.metric,
                                               kMostMappedCells, training, stop, Learning("levels")));
      if (handed_down) map = std::move(learned.leaves);
      levels_ = std::move(learned.levels);
    }
    TRIVIUM_RETURN_IF_ERROR(ChooseVariant(map));
    parts_.levels = std::move(levels_);
    return UpdateModel();
  }

  // What reads fewest rows for queries, of what reads no more than the centroids for documents; if none does
  // that, what does most nearly.
  absl::Status ChooseVariant(const LearnedMap& map) {
    TRIVIUM_ASSIGN_OR_RETURN(const CellCosts before, MeasureStop(CellRouterKind::kCentroids, false));
    LinearScores best;
    std::optional<std::pair<double, double>> least;  // documents' excess, then queries' rows
    for (const MapVariant& variant : kMapVariants) {
      parts_.map = Between(map, variant);
      TRIVIUM_RETURN_IF_ERROR(UpdateModel());
      TRIVIUM_ASSIGN_OR_RETURN(const CellCosts documents, MeasureStop(CellRouterKind::kMap, false));
      TRIVIUM_ASSIGN_OR_RETURN(const CellCosts queries, MeasureStop(CellRouterKind::kMap, true));
      const std::pair<double, double> cost = {
          std::max(documents.At(kRecall).scanned - before.At(kRecall).scanned, 0.0),
          queries.At(kRecall).scanned};
      if (least && cost >= *least) continue;
      least = cost;
      best = std::move(parts_.map);
    }
    parts_.map = std::move(best);
    return absl::OkStatus();
  }

  // The start and a share of the way to what was learned, less what sizes of cells are worth.
  LinearScores Between(const LearnedMap& map, const MapVariant& variant) const {
    LinearScores scores = CopyScores(map.start);
    for (std::size_t cell = 0; cell < report_.cells; ++cell) {
      float* weights = scores.weights.row(cell);
      const float* learned = map.learned.weights.row(cell);
      for (std::size_t c = 0; c < scores.weights.columns(); ++c) {
        weights[c] += variant.share * (learned[c] - weights[c]);
      }
      const auto size = static_cast<double>(std::max<std::size_t>(lists_->Rows(cell).size(), 1));
      scores.biases[cell] += variant.share * (map.learned.biases[cell] - scores.biases[cell]) -
                             variant.size_weight * static_cast<float>(std::log(size / parts_.mean_rows));
    }
    return scores;
  }

  absl::Status LearnTree() {
    if (!options_.learn_tree) return absl::OkStatus();
    TRIVIUM_ASSIGN_OR_RETURN(
        parts_.splits, LearnCellTree(model_->centroids(), options_.depth, lessons_.training.Targets(cell_of_),
                                     lessons_.stop.Targets(cell_of_), Learning("tree")));
    // The weight of the centroids that costs least, on the queries that said when to stop.
    const float unit = InverseSquare(lessons_.training.queries.view());
    float best = 0;
    std::optional<double> least;
    for (const float weight : kCentroidWeights) {
      parts_.centroid_weight = weight * unit;
      TRIVIUM_RETURN_IF_ERROR(UpdateModel());
      TRIVIUM_ASSIGN_OR_RETURN(const CellCosts costs, MeasureStop(CellRouterKind::kTree, true));
      const double scanned = costs.At(kRecall).scanned;
      if (least && scanned >= *least) continue;
      least = scanned;
      best = parts_.centroid_weight;
    }
    parts_.centroid_weight = best;
    return UpdateModel();
  }

  absl::StatusOr<CellCosts> MeasurePart(CellRouterKind kind, const AskedQueries& asked, std::size_t first,
                                        std::size_t last) const {
    const base::MatrixView all = asked.queries.view();
    return CellCosts::Measure(
        *model_, kind, *lists_, base::MatrixView(all.row(first), last - first, all.columns, all.stride),
        asked.Nearest(first, last), asked.nearest_count(), options_.thread_count, options_.cancelled);
  }

  // On the queries that said when to stop, or on the documents beside them.
  absl::StatusOr<CellCosts> MeasureStop(CellRouterKind kind, bool queries) const {
    const std::size_t first = queries ? 0 : lessons_.stop_queries;
    const std::size_t last = queries ? lessons_.stop_queries : lessons_.stop.queries.rows();
    const std::size_t most = std::max(kFewestMeasured, kMostMeasuredCells / report_.cells);
    return MeasurePart(kind, lessons_.stop, first, std::min(last, first + most));
  }

  absl::StatusOr<CellCosts> Measure(CellRouterKind kind, const AskedQueries& asked) const {
    return MeasurePart(kind, asked, 0, asked.queries.rows());
  }

  void Calibrate(CellRouterKind kind, const CellCosts& costs, double times) {
    for (std::size_t r = 0; r < kProbeRecalls.size(); ++r) {
      const double probes = std::ceil(times * costs.At(kProbeRecalls[r]).probes);
      parts_.probes[static_cast<std::size_t>(kind)][r] =
          static_cast<std::uint32_t>(std::min(probes, static_cast<double>(report_.cells)));
    }
  }

  absl::Status CalibrateByDocuments() {
    report_.reason =
        absl::StrFormat("%d queries, expected at least %d: cells are visited in the order of their centroids",
                        data_.queries.rows, kFewestCellQueries);
    TRIVIUM_ASSIGN_OR_RETURN(const CellCosts costs, Measure(CellRouterKind::kCentroids, lessons_.documents));
    Calibrate(CellRouterKind::kCentroids, costs, kProbesOverDocuments);
    return UpdateModel();
  }

  absl::Status Judge() {
    Tell("gate", 0, kCellRouterKinds);
    const double rows = static_cast<double>(data_.documents.rows);
    std::optional<CellCosts> first_queries, first_documents;  // those of the centroids
    for (std::size_t i = 0; i < kCellRouterKinds; ++i) {
      const auto kind = static_cast<CellRouterKind>(i);
      if (model_->Has(kind)) {
        TRIVIUM_ASSIGN_OR_RETURN(const CellCosts queries, Measure(kind, lessons_.validation));
        TRIVIUM_ASSIGN_OR_RETURN(const CellCosts documents, Measure(kind, lessons_.documents));
        if (!first_queries) {
          first_queries = queries;
          first_documents = documents;
        }
        CellRouterCost& cost = report_.costs[i];
        cost.measured = true;
        cost.reached = queries.Reaches(kRecall) && documents.Reaches(kRecall);
        cost.scanned = queries.At(kRecall).scanned / rows;
        cost.products = queries.At(kRecall).products;
        cost.rows_scanned = documents.At(kRecall).scanned / rows;
        const CellCostRatio on_queries = CompareCellCosts(*first_queries, queries, kRecall, options_.seed);
        const CellCostRatio on_documents =
            CompareCellCosts(*first_documents, documents, kRecall, options_.seed);
        cost.ratio = on_queries.ratio;
        cost.interval = on_queries.interval;
        cost.rows_ratio = on_documents.ratio;
        cost.rows_interval = on_documents.interval;
        Calibrate(kind, queries, 1);
      }
      Tell("gate", i + 1, kCellRouterKinds);
      TRIVIUM_RETURN_IF_ERROR(CheckCancelled());
    }
    Decide();
    return UpdateModel();
  }

  void Decide() {
    double least = 1;
    for (std::size_t i = 1; i < kCellRouterKinds; ++i) {
      const CellRouterCost& cost = report_.costs[i];
      if (!cost.measured) continue;
      const bool pays = cost.reached && cost.interval.high < 1;
      const bool harms = cost.rows_ratio > kMostHarm && cost.rows_interval.low > 1;
      if (!report_.reason.empty()) report_.reason += "; ";
      report_.reason += absl::StrFormat(
          "%s: rows read and products %.3f [%.3f, %.3f] of those by centroids%s, for documents %.3f [%.3f, "
          "%.3f]%s",
          CellRouterName(static_cast<CellRouterKind>(i)), cost.ratio, cost.interval.low, cost.interval.high,
          pays ? "" : " (not fewer)", cost.rows_ratio, cost.rows_interval.low, cost.rows_interval.high,
          harms ? " (more than 1.01)" : "");
      if (!pays || harms || cost.ratio >= least) continue;
      least = cost.ratio;
      report_.accepted = true;
      report_.router = static_cast<CellRouterKind>(i);
    }
    parts_.router = report_.router;
  }

  const CellTrainingData& data_;
  const CellTrainingOptions& options_;
  std::chrono::steady_clock::time_point start_;
  CellParts parts_;
  std::vector<LinearScores> levels_;        // until the map that orders their leaves is chosen
  std::shared_ptr<const CellModel> model_;  // of a copy of the parts so far
  std::vector<std::uint32_t> cell_of_;
  std::shared_ptr<const CellLists> lists_;
  CellLessons lessons_;
  CellTrainingReport report_;
};

}  // namespace

absl::Status CellTrainingOptions::Validate() const {
  if (depth < 1 || depth > kDeepestCells) {
    return absl::InvalidArgumentError(
        absl::StrFormat("depth of cells: %d, expected 1 to %d", depth, kDeepestCells));
  }
  if (!(validation_share > 0 && validation_share < 1)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("validation share: %g, expected more than 0 and less than 1", validation_share));
  }
  return absl::OkStatus();
}

int CellDepthFor(std::size_t rows) {
  const double cells = std::sqrt(4.0 * static_cast<double>(std::max<std::size_t>(rows, 1)));
  return std::clamp(static_cast<int>(std::lround(std::log2(cells))), 1, kDeepestCells);
}

absl::StatusOr<TrainedCells> TrainCells(const CellTrainingData& data, const CellTrainingOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.Validate());
  if (data.queries.rows > 0 && data.queries.columns != data.documents.columns) {
    return absl::InvalidArgumentError(absl::StrFormat("queries to train cells: of %d numbers, expected %d",
                                                      data.queries.columns, data.documents.columns));
  }
  return Trainer(data, options).Train();
}

}  // namespace trivium::routing
