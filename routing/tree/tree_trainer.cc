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
#include "base/top_k.h"
#include "kernels/distance_table.h"
#include "kernels/matrix_products.h"
#include "routing/tree/distillation_loss.h"
#include "routing/tree/entropy_loss.h"
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

double EntropyBits(const float* probabilities, std::size_t count) {
  double bits = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (probabilities[i] > 0) bits -= probabilities[i] * std::log2(probabilities[i]);
  }
  return bits;
}

// Held-out anchors and a sample of documents to be ranked for them.
class HeldOut {
 public:
  HeldOut(base::AlignedMatrix anchors, base::AlignedMatrix documents, std::vector<std::uint32_t> own,
          int thread_count)
      : anchors_(std::move(anchors)),
        documents_(std::move(documents)),
        own_(std::move(own)),
        thread_count_(thread_count),
        near_(NearestDocuments(anchors_.view(), documents_.view(), own_, kCompared, thread_count)) {}

  std::size_t size() const { return anchors_.rows(); }

  // Overlap at each of `levels`, and mean entropy of documents.
  std::vector<std::pair<double, double>> Measure(const SplitTree& tree,
                                                 const std::vector<std::size_t>& levels) const {
    base::AlignedMatrix anchors, documents;
    AssignMany(tree, anchors_.view(), thread_count_, &anchors);
    AssignMany(tree, documents_.view(), thread_count_, &documents);
    const auto shared_mass = kernels::ActiveDistances().shared_mass_f32;
    std::vector<std::pair<double, double>> measured;
    for (const std::size_t level : levels) {
      const std::size_t first = std::size_t{1} << level;
      std::vector<double> overlap(size());
      base::ParallelFor(size(), thread_count_, 1, [&](std::size_t i, int) {
        base::TopK best;
        best.Reset(kCompared);
        for (std::size_t j = 0; j < documents.rows(); ++j) {
          if (own_[i] == j) continue;
          best.Push({-shared_mass(anchors.row(i) + first, documents.row(j) + first, first),
                     static_cast<std::uint32_t>(j)});
        }
        std::vector<base::Neighbor> found;
        best.DrainSorted(&found);
        for (const base::Neighbor& one : found) {
          overlap[i] += std::count(near_[i].begin(), near_[i].end(), one.row);
        }
        overlap[i] /= static_cast<double>(std::max<std::size_t>(1, near_[i].size()));
      });
      double entropy = 0;
      for (std::size_t j = 0; j < documents.rows(); ++j)
        entropy += EntropyBits(documents.row(j) + first, first);
      measured.emplace_back(
          std::accumulate(overlap.begin(), overlap.end(), 0.0) / static_cast<double>(size()),
          entropy / static_cast<double>(documents.rows()));
    }
    return measured;
  }

 private:
  base::AlignedMatrix anchors_, documents_;
  std::vector<std::uint32_t> own_;  // the document that an anchor is, or their number
  int thread_count_;
  std::vector<std::vector<std::uint32_t>> near_;
};

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
  // Held out: of the queries where there are enough, else of all.
  const bool ask_queries = queries.size() >= 40;
  const std::size_t held_count =
      std::min(options.held_out, (ask_queries ? queries.size() : anchors.size()) / 10);
  std::stable_partition(anchors.begin(), anchors.end(),
                        [&](const Anchor& anchor) { return !ask_queries || anchor.query < m; });
  const std::vector<std::uint32_t> ranked = Sample(n, kRankedRows, &random);
  base::AlignedMatrix held(d);
  std::vector<std::uint32_t> held_own;
  for (std::size_t i = 0; i < held_count; ++i) {
    held.Append(anchors[i].row);
    const auto found = std::lower_bound(ranked.begin(), ranked.end(), anchors[i].own);
    held_own.push_back(found != ranked.end() && *found == anchors[i].own
                           ? static_cast<std::uint32_t>(found - ranked.begin())
                           : static_cast<std::uint32_t>(ranked.size()));
  }
  const HeldOut held_out(std::move(held), Gather(data.documents, ranked), std::move(held_own), threads);
  anchors.erase(anchors.begin(), anchors.begin() + static_cast<std::ptrdiff_t>(held_count));
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
    for (const auto& [overlap, entropy] : held_out.Measure(tree, judged_levels)) sum += overlap;
    return sum;
  };
  state.best_tree = state.learner.tree();
  const auto untrained = held_out.Measure(state.best_tree, levels);
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
  const auto measured = held_out.Measure(trained.tree, levels);
  for (std::size_t i = 0; i < levels.size(); ++i) {
    report.levels.push_back({levels[i], measured[i].first, untrained[i].first, measured[i].second});
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return trained;
}

}  // namespace trivium::routing
