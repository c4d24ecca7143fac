// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/aligned_matrix.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "routing/graph/training_queries.h"
#include "routing/tree/cell_answers.h"
#include "routing/tree/cell_builder.h"
#include "routing/tree/cell_costs.h"
#include "routing/tree/cell_lists.h"
#include "routing/tree/cell_map_learner.h"
#include "routing/tree/cell_tree_learner.h"

namespace trivium::routing {
namespace {

constexpr double kRecall = 0.95;  // at which routers are compared
constexpr double kMostHarm = 1.01;
// More queries or documents teach hardly more and take longer to answer.
constexpr std::size_t kMostTrainingQueries = 40'000;
constexpr std::size_t kMostAskedDocuments = 20'000;
constexpr std::size_t kMostJudgedDocuments = 1000;
// Of the queries for training and of the documents, those that say when to stop.
constexpr std::size_t kStopShare = 16, kMostStop = 1000;
// Of what a map learned, and how much its scores are less by the logarithm of a cell's size: what counts is
// answers for each row read. MiniLM questions in 1,024 cells, rows read at recall 0.95 with all that was
// learned: 0: 4.10 %, 0.3: 3.91 %, 0.6: 3.83 %, 1: 3.81 % with a tenth more cells.
struct MapVariant {
  float share, size_weight;
};
constexpr MapVariant kMapVariants[] = {{1, 0.6f}, {1, 0}, {0.75f, 0.3f}, {0.75f, 0}, {0.5f, 0}, {0.25f, 0}};
// Where only documents can be asked: MiniLM questions need 2.4 to 4 times the cells that documents need.
constexpr double kProbesOverDocuments = 3;
// Tried for the similarity of the centroid beside the logarithm of a path's probability, of unit vectors.
constexpr float kCentroidWeights[] = {0, 5, 10, 20, 30, 40};
constexpr float kMapSteepness = 20, kTreeSteepness = 20;

base::AlignedMatrix Copy(base::MatrixView from) {
  base::AlignedMatrix copy(from.rows, from.columns);
  for (std::size_t i = 0; i < from.rows; ++i) std::copy_n(from.row(i), from.columns, copy.row(i));
  return copy;
}

LinearScores Copy(const LinearScores& from) { return {Copy(from.weights.view()), from.biases}; }

// Queries with the documents nearest to them.
struct Asked {
  base::AlignedMatrix queries;
  std::vector<std::uint32_t> answers;  // kCellAnswers of each, or fewer where there are fewer documents
};

class Trainer {
 public:
  Trainer(const CellTrainingData& data, const CellTrainingOptions& options)
      : data_(data),
        options_(options),
        answer_count_(std::min(kCellAnswers, data.documents.rows - 1)),
        start_(std::chrono::steady_clock::now()) {}

  absl::StatusOr<TrainedCells> Train() {
    TRIVIUM_RETURN_IF_ERROR(Build());
    if (data_.queries.rows < kFewestCellQueries) {
      TRIVIUM_RETURN_IF_ERROR(CalibrateByDocuments());
      return Finish();
    }
    TRIVIUM_RETURN_IF_ERROR(Ask());
    TRIVIUM_RETURN_IF_ERROR(LearnMap());
    TRIVIUM_RETURN_IF_ERROR(LearnTree());
    TRIVIUM_RETURN_IF_ERROR(Judge());
    return Finish();
  }

 private:
  static constexpr std::size_t Index(CellRouterKind kind) { return static_cast<std::size_t>(kind); }

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
    TRIVIUM_RETURN_IF_ERROR(UpdateModel());
    report_.cells = cells;
    report_.used_cells = lists_->used_cells();
    report_.largest_cell = lists_->largest_cell();
    report_.mean_cell = parts_.mean_rows;
    return absl::OkStatus();
  }

  absl::Status UpdateModel() {
    CellParts parts;
    parts.depth = parts_.depth;
    parts.metric = parts_.metric;
    parts.centroids = Copy(parts_.centroids.view());
    if (!parts_.map.empty()) parts.map = Copy(parts_.map);
    if (!parts_.splits.empty()) parts.splits = Copy(parts_.splits);
    parts.centroid_weight = parts_.centroid_weight;
    parts.router = parts_.router;
    parts.probes = parts_.probes;
    parts.mean_rows = parts_.mean_rows;
    TRIVIUM_ASSIGN_OR_RETURN(model_, CellModel::Create(std::move(parts)));
    return absl::OkStatus();
  }

  absl::Status Answer(std::size_t total, std::size_t* told, absl::Span<const std::uint32_t> hidden,
                      Asked* asked) {
    TRIVIUM_ASSIGN_OR_RETURN(
        asked->answers, NearestDocuments(data_.documents, data_.metric, asked->queries.view(), answer_count_,
                                         hidden, options_.thread_count, options_.cancelled,
                                         [&](std::size_t done) { Tell("answers", *told + done, total); }));
    *told += asked->queries.rows();
    Tell("answers", *told, total);
    return absl::OkStatus();
  }

  // Splits the queries, draws documents to be asked beside them, and answers all.
  absl::Status Ask() {
    QuerySplit split =
        SplitQueries(data_.queries, options_.validation_share, options_.seed, options_.thread_count);
    const std::size_t taught = std::min(split.training.rows(), kMostTrainingQueries);
    std::vector<std::uint32_t> drawn(data_.documents.rows);
    std::iota(drawn.begin(), drawn.end(), 0u);
    base::Random(options_.seed + 1).Shuffle(drawn);
    // As many documents as queries; of few documents half are kept to judge by.
    const std::size_t judged = std::min(kMostJudgedDocuments, drawn.size() / 2);
    const std::size_t beside = std::min({taught, kMostAskedDocuments, drawn.size() - judged});
    const std::size_t stop_queries = std::min(taught / kStopShare + 1, kMostStop);
    const std::size_t stop_documents = std::min(beside / kStopShare + 1, kMostStop);
    const std::size_t total = split.validation.rows() + taught + judged + beside;
    report_.validation_queries = split.validation.rows();
    report_.training_queries = taught;
    report_.training_documents = beside;

    std::size_t told = 0;
    Tell("answers", 0, total);
    validation_.queries = std::move(split.validation);
    TRIVIUM_RETURN_IF_ERROR(Answer(total, &told, {}, &validation_));
    const auto span = absl::MakeConstSpan(drawn);
    TRIVIUM_RETURN_IF_ERROR(AnswerDocuments(span.first(judged), total, &told, &documents_));
    Asked queries, rows;
    queries.queries = Copy(split.training.view().First(taught));
    TRIVIUM_RETURN_IF_ERROR(Answer(total, &told, {}, &queries));
    TRIVIUM_RETURN_IF_ERROR(AnswerDocuments(span.subspan(judged, beside), total, &told, &rows));
    stop_ = Asked{base::AlignedMatrix(data_.documents.columns), {}};
    training_ = Asked{base::AlignedMatrix(data_.documents.columns), {}};
    stop_queries_ = stop_queries;
    Deal(queries, stop_queries);
    Deal(rows, stop_documents);
    return absl::OkStatus();
  }

  // Without queries, from documents that are asked as such.
  absl::Status CalibrateByDocuments() {
    report_.reason = absl::StrFormat("%d queries, expected at least %d: cells are visited by their centroids",
                                     data_.queries.rows, kFewestCellQueries);
    const std::size_t count = std::min(kMostJudgedDocuments, data_.documents.rows);
    std::vector<std::uint32_t> chosen(count);
    for (std::size_t i = 0; i < count; ++i) {
      chosen[i] = static_cast<std::uint32_t>(i * data_.documents.rows / count);
    }
    std::size_t told = 0;
    TRIVIUM_RETURN_IF_ERROR(AnswerDocuments(chosen, count, &told, &documents_));
    TRIVIUM_ASSIGN_OR_RETURN(const CellCosts costs, Measure(CellRouterKind::kCentroids, documents_));
    for (std::size_t r = 0; r < kProbeRecalls.size(); ++r) {
      const double probes = kProbesOverDocuments * costs.At(kProbeRecalls[r]).probes;
      parts_.probes[0][r] =
          static_cast<std::uint32_t>(std::min(std::ceil(probes), static_cast<double>(report_.cells)));
    }
    return UpdateModel();
  }

  absl::Status AnswerDocuments(absl::Span<const std::uint32_t> chosen, std::size_t total, std::size_t* told,
                               Asked* asked) {
    asked->queries = base::AlignedMatrix(chosen.size(), data_.documents.columns);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      std::copy_n(data_.documents.row(chosen[i]), data_.documents.columns, asked->queries.row(i));
    }
    return Answer(total, told, chosen, asked);
  }

  // The first `stop` of them say when to stop, the others teach.
  void Deal(const Asked& asked, std::size_t stop) {
    for (std::size_t i = 0; i < asked.queries.rows(); ++i) {
      Asked& to = i < stop ? stop_ : training_;
      to.queries.Append(asked.queries.row(i));
      const auto own = asked.answers.begin() + static_cast<std::ptrdiff_t>(i * answer_count_);
      to.answers.insert(to.answers.end(), own, own + static_cast<std::ptrdiff_t>(answer_count_));
    }
  }

  CellTargets Targets(const Asked& asked) const {
    return TargetsOf(asked.queries.view(), asked.answers, answer_count_, cell_of_);
  }

  CellLearningOptions Learning(const char* stage, float steepness) const {
    CellLearningOptions learning;
    learning.steepness = steepness;
    learning.seed = options_.seed;
    learning.thread_count = options_.thread_count;
    learning.cancelled = options_.cancelled;
    learning.progress = [this, stage, epochs = learning.epochs](std::size_t done) {
      Tell(stage, done, static_cast<std::size_t>(epochs));
    };
    return learning;
  }

  absl::Status LearnMap() {
    if (!options_.learn_map || report_.cells > kMostMappedCells) return absl::OkStatus();
    const CellLearningOptions learning = Learning("map", kMapSteepness);
    TRIVIUM_ASSIGN_OR_RETURN(const LearnedMap map,
                             LearnCellMap(model_->centroids(), model_->centroid_biases(), Targets(training_),
                                          Targets(stop_), learning));
    // What reads fewest rows for queries, of what reads no more than the centroids for documents; if all do,
    // what does least so.
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
    Tell("map", learning.epochs, learning.epochs);
    return UpdateModel();
  }

  // The start and a share of the way to what was learned, less what sizes of cells are worth.
  LinearScores Between(const LearnedMap& map, const MapVariant& variant) const {
    const auto [share, size_weight] = variant;
    LinearScores scores = Copy(map.start);
    for (std::size_t cell = 0; cell < report_.cells; ++cell) {
      float* weights = scores.weights.row(cell);
      const float* learned = map.learned.weights.row(cell);
      for (std::size_t c = 0; c < scores.weights.columns(); ++c)
        weights[c] += share * (learned[c] - weights[c]);
      const auto size = static_cast<double>(std::max<std::size_t>(lists_->Rows(cell).size(), 1));
      scores.biases[cell] += share * (map.learned.biases[cell] - scores.biases[cell]) -
                             size_weight * static_cast<float>(std::log(size / parts_.mean_rows));
    }
    return scores;
  }

  absl::Status LearnTree() {
    if (!options_.learn_tree) return absl::OkStatus();
    const CellLearningOptions learning = Learning("tree", kTreeSteepness);
    TRIVIUM_ASSIGN_OR_RETURN(parts_.splits, LearnCellTree(model_->centroids(), parts_.depth,
                                                          Targets(training_), Targets(stop_), learning));
    // The weight of the centroids that costs least, on the queries that said when to stop.
    float best = 0;
    std::optional<double> least;
    for (const float weight : kCentroidWeights) {
      parts_.centroid_weight = weight * InverseSquare();
      TRIVIUM_RETURN_IF_ERROR(UpdateModel());
      TRIVIUM_ASSIGN_OR_RETURN(const CellCosts costs, MeasureStop(CellRouterKind::kTree, true));
      const double scanned = costs.At(kRecall).scanned;
      if (least && scanned >= *least) continue;
      least = scanned;
      best = parts_.centroid_weight;
    }
    parts_.centroid_weight = best;
    Tell("tree", learning.epochs, learning.epochs);
    return UpdateModel();
  }

  // Of the length of queries: products are compared as if these were unit vectors.
  float InverseSquare() const {
    if (data_.metric == base::Metric::kCosine) return 1;
    double squares = 0;
    const base::MatrixView queries = training_.queries.view();
    for (std::size_t i = 0; i < queries.rows; ++i) {
      for (std::size_t c = 0; c < queries.columns; ++c)
        squares += double{queries.row(i)[c]} * queries.row(i)[c];
    }
    return squares > 0 ? static_cast<float>(static_cast<double>(queries.rows) / squares) : 1.0f;
  }

  // On the queries that said when to stop, or on the documents beside them.
  absl::StatusOr<CellCosts> MeasureStop(CellRouterKind kind, bool queries) const {
    const base::MatrixView all = stop_.queries.view();
    const std::size_t first = queries ? 0 : stop_queries_, last = queries ? stop_queries_ : all.rows;
    return CellCosts::Measure(
        *model_, kind, *lists_, base::MatrixView(all.row(first), last - first, all.columns, all.stride),
        absl::MakeConstSpan(stop_.answers).subspan(first * answer_count_, (last - first) * answer_count_),
        answer_count_, options_.thread_count, options_.cancelled);
  }

  absl::StatusOr<CellCosts> Measure(CellRouterKind kind, const Asked& asked) const {
    return CellCosts::Measure(*model_, kind, *lists_, asked.queries.view(), asked.answers, answer_count_,
                              options_.thread_count, options_.cancelled);
  }

  absl::Status Judge() {
    Tell("gate", 0, kCellRouterKinds);
    std::array<std::optional<CellCosts>, kCellRouterKinds> on_queries, on_documents;
    const double rows = static_cast<double>(data_.documents.rows);
    for (std::size_t i = 0; i < kCellRouterKinds; ++i) {
      const auto kind = static_cast<CellRouterKind>(i);
      if (model_->Has(kind)) {
        TRIVIUM_ASSIGN_OR_RETURN(on_queries[i], Measure(kind, validation_));
        TRIVIUM_ASSIGN_OR_RETURN(on_documents[i], Measure(kind, documents_));
        CellRouterCost& cost = report_.costs[i];
        const CellCosts::Cost at = on_queries[i]->At(kRecall);
        cost.measured = true;
        cost.scanned = at.scanned / rows;
        cost.products = at.products;
        cost.rows_scanned = on_documents[i]->At(kRecall).scanned / rows;
        const CellCostRatio queries =
            CompareCellCosts(*on_queries[0], *on_queries[i], kRecall, options_.seed);
        const CellCostRatio own =
            CompareCellCosts(*on_documents[0], *on_documents[i], kRecall, options_.seed);
        cost.ratio = queries.ratio;
        cost.interval = queries.interval;
        cost.rows_ratio = own.ratio;
        cost.rows_interval = own.interval;
        for (std::size_t r = 0; r < kProbeRecalls.size(); ++r) {
          parts_.probes[i][r] =
              static_cast<std::uint32_t>(std::ceil(on_queries[i]->At(kProbeRecalls[r]).probes));
        }
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
      const bool pays = cost.interval.high < 1;
      const bool harms = cost.rows_ratio > kMostHarm && cost.rows_interval.low > 1;
      const char* name = CellRouterName(static_cast<CellRouterKind>(i));
      if (!report_.reason.empty()) report_.reason += "; ";
      report_.reason += absl::StrFormat(
          "%s: rows read and products %.3f [%.3f, %.3f] of those by centroids%s, for documents %.3f [%.3f, "
          "%.3f]%s",
          name, cost.ratio, cost.interval.low, cost.interval.high, pays ? "" : " (not fewer)",
          cost.rows_ratio, cost.rows_interval.low, cost.rows_interval.high, harms ? " (more than 1.01)" : "");
      if (!pays || harms || cost.ratio >= least) continue;
      least = cost.ratio;
      report_.accepted = true;
      report_.router = static_cast<CellRouterKind>(i);
    }
    parts_.router = report_.router;
  }

  TrainedCells Finish() {
    report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    return {model_, report_};
  }

  const CellTrainingData& data_;
  const CellTrainingOptions& options_;
  std::size_t answer_count_;
  std::chrono::steady_clock::time_point start_;
  CellParts parts_;
  std::shared_ptr<const CellModel> model_;  // of a copy of the parts so far
  std::vector<std::uint32_t> cell_of_;
  std::shared_ptr<const CellLists> lists_;
  Asked training_, stop_, validation_, documents_;
  std::size_t stop_queries_ = 0;  // of stop_; the others are documents
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
