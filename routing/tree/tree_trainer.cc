// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/tree_trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "kernels/distance_table.h"
#include "kernels/matrix_products.h"
#include "routing/expert/answer_statistics.h"
#include "routing/tree/distillation_loss.h"
#include "routing/tree/entropy_loss.h"
#include "routing/tree/held_out_anchors.h"
#include "routing/tree/tree_anchors.h"
#include "routing/tree/tree_learner.h"
#include "routing/tree/tree_start.h"
#include "routing/tree/tree_trainer_checkpoint.h"
#include "storage/file_system.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kStartRows = 32768;  // that halving looks at
constexpr std::size_t kRankedRows = 6000;  // documents that held-out anchors are ranked against
constexpr std::size_t kCompared = 10;      // nearest documents compared
constexpr std::size_t kUnitRows = 2000, kCutMasses = 5000;  // rows and share that set the unit of masses
constexpr float kTwinCosine = 0.95f;
constexpr std::size_t kBootstrapRounds = 1000;
constexpr float kHighestTemperature = 2000;

base::AlignedMatrix Gather(base::MatrixView rows, const std::vector<std::uint32_t>& chosen) {
  base::AlignedMatrix out(rows.columns);
  out.Reserve(chosen.size());
  for (const std::uint32_t i : chosen) out.Append(rows.row(i));
  return out;
}

std::vector<std::uint32_t> Sample(std::size_t size, std::size_t count, base::Random* random) {
  std::vector<std::uint32_t> all(size);
  std::iota(all.begin(), all.end(), 0u);
  random->Shuffle(all);
  all.resize(std::min(size, count));
  std::sort(all.begin(), all.end());
  return all;
}

// Whether some row of `others` is nearly the same.
bool IsTwin(const float* row, base::MatrixView others) {
  const auto product = kernels::ActiveDistances().inner_product_f32;
  for (std::size_t i = 0; i < others.rows; ++i) {
    if (product(row, others.row(i), others.columns) >= kTwinCosine) return true;
  }
  return false;
}

// The lower end of the 95 % bootstrap interval of the mean gain.
double GainLow(const std::vector<double>& after, const std::vector<double>& before, std::uint64_t seed) {
  QuerySets all(1, std::vector<std::uint32_t>(after.size()));
  std::iota(all[0].begin(), all[0].end(), 0u);
  return BootstrapGain(after, before, after, all, kBootstrapRounds, seed).gain.low;
}

std::vector<std::size_t> LevelsToReport(std::size_t depth) {
  std::vector<std::size_t> levels;
  for (std::size_t level = depth % 2 == 0 ? 2 : 1; level <= depth; level += 2) levels.push_back(level);
  return levels;
}

// So that 255 units hold all but one in kCutMasses of the leaf masses of `rows`.
float MassUnit(const SplitTree& tree, base::MatrixView rows, int thread_count) {
  base::AlignedMatrix nodes;
  AssignMany(tree, rows.First(std::min(rows.rows, kUnitRows)), thread_count, &nodes);
  std::vector<float> masses;
  for (std::size_t i = 0; i < nodes.rows(); ++i) {
    masses.insert(masses.end(), nodes.row(i) + tree.leaves(), nodes.row(i) + tree.nodes());
  }
  const auto largest = masses.end() - 1 - static_cast<std::ptrdiff_t>(masses.size() / kCutMasses);
  std::nth_element(masses.begin(), largest, masses.end());
  return std::max(*largest, 1e-6f) / 255;
}

// Draws a level in proportion to its power.
class LevelSampler {
 public:
  LevelSampler(std::size_t depth, double power) {
    for (std::size_t level = 1; level <= depth; ++level) {
      sums_.push_back((sums_.empty() ? 0 : sums_.back()) + std::pow(static_cast<double>(level), power));
    }
  }
  std::size_t Draw(base::Random* random) const {
    const double at = random->Uniform() * sums_.back();
    return 1 + static_cast<std::size_t>(std::upper_bound(sums_.begin(), sums_.end() - 1, at) - sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

}  // namespace

absl::Status TreeTrainingOptions::Validate() const {
  const auto check = [](std::string_view name, std::size_t value, std::size_t low, std::size_t high) {
    if (value >= low && value <= high) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrFormat("%s: %d, expected %d to %d", name, value, low, high));
  };
  for (const absl::Status& status :
       {check("depth", depth, 1, kDeepestSplitTree), check("steps", step_count, 1, 1'000'000),
        check("look_every", look_every, 1, 1'000'000), check("anchors", anchor_count, 1, 4096),
        check("documents", document_count, 2, 65536), check("near", near, 1, 10'000)}) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<TrainedTree> TrainTree(const TreeTrainingData& data, const TreeTrainingOptions& options) {
  if (absl::Status valid = options.Validate(); !valid.ok()) return valid;
  const std::size_t n = data.documents.rows, m = data.queries.rows, d = data.documents.columns;
  if (n < kFewestTreeDocuments) {
    return absl::FailedPreconditionError(
        absl::StrFormat("train tree: %d documents, expected at least %d", n, kFewestTreeDocuments));
  }
  if ((m > 0 && data.queries.columns != d) || (!data.relevant.empty() && data.relevant.size() != m)) {
    return absl::InvalidArgumentError("train tree: queries and judgements of different sizes");
  }
  const auto start = std::chrono::steady_clock::now();
  const int threads = base::ResolveThreadCount(options.thread_count);
  const auto tell = [&](std::string_view stage, double share) {
    if (options.progress) options.progress(stage, share);
  };
  base::Random random(options.seed);
  tell("nearest", 0);

  // Anchors: queries, at most as many as half of all, and documents.
  const std::vector<std::uint32_t> queries = Sample(m, options.most_anchors / 2, &random);
  const std::vector<std::uint32_t> own_documents = Sample(
      n, std::min(options.most_anchors - queries.size(), std::max(n / 2, kFewestTreeDocuments / 2)), &random);
  struct Anchor {
    const float* row;
    std::uint32_t own;
    std::uint32_t query;
  };
  std::vector<Anchor> anchors;
  for (const std::uint32_t i : queries) {
    anchors.push_back({data.queries.row(i), static_cast<std::uint32_t>(n), i});
  }
  for (const std::uint32_t i : own_documents) {
    anchors.push_back({data.documents.row(i), i, static_cast<std::uint32_t>(m)});
  }
  random.Shuffle(anchors);
  // Held out: of the queries where there are enough, else of all. Half of them choose the step, the others
  // judge.
  const bool ask_queries = queries.size() >= 40;
  const std::size_t held_count =
      std::min(options.held_out, (ask_queries ? queries.size() : anchors.size()) / 5);
  std::stable_partition(anchors.begin(), anchors.end(),
                        [&](const Anchor& anchor) { return !ask_queries || anchor.query < m; });
  const std::vector<std::uint32_t> ranked = Sample(n, kRankedRows, &random);
  const base::AlignedMatrix ranked_rows = Gather(data.documents, ranked);
  const auto hold_out = [&](std::size_t first, std::size_t last) {
    base::AlignedMatrix rows(d);
    std::vector<std::uint32_t> own;
    for (std::size_t i = first; i < last; ++i) {
      rows.Append(anchors[i].row);
      const auto found = std::lower_bound(ranked.begin(), ranked.end(), anchors[i].own);
      own.push_back(found != ranked.end() && *found == anchors[i].own
                        ? static_cast<std::uint32_t>(found - ranked.begin())
                        : static_cast<std::uint32_t>(ranked.size()));
    }
    return HeldOutAnchors(std::move(rows), ranked_rows.view(), std::move(own), threads);
  };
  const HeldOutAnchors choosing = hold_out(0, held_count / 2), judging = hold_out(held_count / 2, held_count);
  anchors.erase(anchors.begin(), anchors.begin() + static_cast<std::ptrdiff_t>(held_count));
  std::vector<char> twin(anchors.size());
  base::ParallelFor(anchors.size(), threads, 64, [&](std::size_t i, int) {
    twin[i] = IsTwin(anchors[i].row, choosing.rows()) || IsTwin(anchors[i].row, judging.rows());
  });
  const auto twins = static_cast<std::size_t>(std::count(twin.begin(), twin.end(), 1));
  if (twins <=
      anchors.size() / 2) {  // else all rows are much alike, and there would be nothing to learn from
    std::size_t i = 0;
    std::erase_if(anchors, [&](const Anchor&) { return twin[i++] != 0; });
  }
  base::AlignedMatrix learned_from(d);
  std::vector<std::uint32_t> own;
  std::vector<std::vector<std::uint32_t>> relevant;
  TrainedTree trained;
  TreeTrainingReport& report = trained.report;
  report.anchors = anchors.size();
  for (const Anchor& anchor : anchors) {
    learned_from.Append(anchor.row);
    own.push_back(anchor.own);
    report.queries += anchor.query < m;
    if (data.relevant.empty()) continue;
    relevant.push_back(anchor.query < m ? data.relevant[anchor.query] : std::vector<std::uint32_t>());
    report.judged += !relevant.back().empty();
  }
  const TreeAnchors source(data.documents, learned_from.view(), std::move(own), std::move(relevant),
                           {.near = options.near,
                            .anchor_count = options.anchor_count,
                            .document_count = options.document_count,
                            .teacher_temperature = options.teacher_temperature,
                            .label_share = options.label_share},
                           threads);

  tell("start", 0);
  const base::AlignedMatrix sample = Gather(data.documents, Sample(n, kStartRows, &random));
  SplitTree halving = HalvingTree(sample.view(), options.depth, options.seed);
  if (options.mlp) halving = WithHiddenLayer(halving);
  TreeTrainingState state{TreeLearner(std::move(halving), options.steepness, options.rate),
                          base::AlignedMatrix(1, options.depth), AdamOptimizer(options.rate)};
  float* const temperatures = state.temperatures.row(0);
  std::fill(temperatures, temperatures + options.depth, std::log(options.temperature));
  base::AlignedMatrix by_temperature(1, options.depth);

  const std::vector<std::size_t> levels = LevelsToReport(options.depth);
  const std::vector<std::size_t> judged_levels(levels.end() - std::min<std::size_t>(3, levels.size()),
                                               levels.end());
  const auto quality = [&](const SplitTree& tree) {
    double sum = 0;
    for (const LevelMeasure& level : choosing.Measure(tree, judged_levels)) sum += level.overlap();
    return sum;
  };
  state.best_tree = state.learner.tree();
  const std::vector<LevelMeasure> untrained = judging.Measure(state.best_tree, levels);
  state.best = quality(state.best_tree);
  state.best_steepness = options.steepness;
  state.best_temperature = options.temperature;
  std::uint64_t fingerprint = 0;
  if (!options.checkpoint.empty()) {
    fingerprint = TreeTrainingFingerprint(data, options);
    TRIVIUM_RETURN_IF_ERROR(LoadTreeCheckpoint(options.checkpoint, fingerprint, &state).status());
  }
  const LevelSampler sampler(options.depth, options.level_power);
  TreeBatch batch;
  base::AlignedMatrix rows(d);
  while (state.step < options.step_count && state.since_best < options.patience) {
    if (options.cancelled != nullptr && options.cancelled->load(std::memory_order_relaxed)) {
      return absl::CancelledError("train tree: cancelled");
    }
    base::Random draws(options.seed * 1'000'003 + state.step + 1);  // the same when gone on with
    source.Draw(&draws, &batch);
    rows.Resize(0);
    for (std::size_t i = 0; i < batch.anchors.rows(); ++i) rows.Append(batch.anchors.row(i));
    for (std::size_t i = 0; i < batch.documents.rows(); ++i) rows.Append(batch.documents.row(i));
    state.learner.Forward(rows.view(), threads);
    std::fill(by_temperature.row(0), by_temperature.row(0) + options.depth, 0.0f);
    for (std::size_t i = 0; i < options.levels_a_step; ++i) {
      const std::size_t level = sampler.Draw(&draws);
      const double weight = 1.0 / static_cast<double>(options.levels_a_step);
      const TreeLoss loss = DistillationLoss(state.learner.probabilities(), batch.teacher, level,
                                             std::exp(temperatures[level - 1]), static_cast<float>(weight),
                                             threads, &state.learner.gradient());
      if (options.entropy_weight != 0 || options.balance_weight != 0) {
        EntropyLoss(state.learner.probabilities(), batch.anchors.rows(), level,
                    weight * options.entropy_weight, weight * options.balance_weight,
                    &state.learner.gradient());
      }
      by_temperature.row(0)[level - 1] += static_cast<float>(loss.by_temperature);
    }
    state.learner.Backward(threads);
    const double share = 1 - static_cast<double>(state.step) / static_cast<double>(options.step_count);
    state.learner.Step(share);
    state.temperature_steps.Step(by_temperature, &state.temperatures, share);
    for (std::size_t i = 0; i < options.depth; ++i) {
      temperatures[i] = std::min(temperatures[i], std::log(kHighestTemperature));
    }
    ++state.step;
    if (state.step % options.look_every != 0 && state.step != options.step_count) continue;
    SplitTree tree = state.learner.tree();
    const double now = quality(tree);
    ++state.since_best;
    if (now > state.best) {
      state.best = now;
      state.since_best = 0;
      state.best_step = state.step;
      state.best_steepness = state.learner.steepness();
      state.best_temperature = std::exp(temperatures[options.depth - 1]);
      state.best_tree = std::move(tree);
    }
    if (!options.checkpoint.empty()) {
      TRIVIUM_RETURN_IF_ERROR(SaveTreeCheckpoint(options.checkpoint, fingerprint, state));
    }
    tell("steps", static_cast<double>(state.step) / static_cast<double>(options.step_count));
  }
  if (!options.checkpoint.empty()) TRIVIUM_RETURN_IF_ERROR(storage::RemoveFile(options.checkpoint));
  trained.tree = std::move(state.best_tree);
  report.steps = state.best_step;
  report.steepness = state.best_steepness;
  report.temperature = state.best_temperature;
  trained.tree.mass_unit = MassUnit(trained.tree, sample.view(), threads);
  const std::vector<LevelMeasure> measured = judging.Measure(trained.tree, levels);
  for (std::size_t i = 0; i < levels.size(); ++i) {
    report.levels.push_back({levels[i], measured[i].overlap(), untrained[i].overlap(), measured[i].entropy});
  }
  report.gain_low = GainLow(measured.back().overlaps, untrained.back().overlaps, options.seed);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return trained;
}

}  // namespace trivium::routing
