// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/adapter_trainer.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "kernels/distance_table.h"
#include "routing/expert/adapter_fold_trainer.h"
#include "routing/expert/answer_statistics.h"
#include "routing/expert/query_folds.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kDepth = 10;

base::AlignedMatrix Copy(const base::AlignedMatrix& from) {
  base::AlignedMatrix to(from.rows(), from.columns());
  for (std::size_t i = 0; i < from.rows(); ++i) std::copy_n(from.row(i), from.columns(), to.row(i));
  return to;
}

absl::Status CheckQueries(const AdapterQueries& queries) {
  const std::size_t count = queries.queries.rows;
  if (count < kFewestAdapterQueries) {
    return absl::FailedPreconditionError(
        absl::StrFormat("judged queries: %d, expected at least %d", count, kFewestAdapterQueries));
  }
  const std::pair<const char*, std::size_t> lengths[] = {{"judgements", queries.judgements.size()},
                                                         {"relevant", queries.relevant.size()},
                                                         {"negatives", queries.negatives.size()},
                                                         {"ignored", queries.ignored.size()}};
  for (const auto& [name, length] : lengths) {
    if (length != count)
      return absl::InvalidArgumentError(absl::StrFormat("%s: %d, expected %d", name, length, count));
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (queries.relevant[i].empty() || queries.negatives[i].empty()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("query %d: %d relevant and %d other documents, expected at least 1 of each", i,
                          queries.relevant[i].size(), queries.negatives[i].size()));
    }
  }
  return absl::OkStatus();
}

class Trainer {
 public:
  Trainer(const AdapterQueries& queries, const EvaluateReading& evaluate,
          const AdapterTrainingOptions& options)
      : queries_(queries),
        evaluate_(evaluate),
        options_(options),
        count_(queries.queries.rows),
        threads_(base::ResolveThreadCount(options.thread_count)) {}

  absl::StatusOr<TrainedAdapter> Run();

 private:
  absl::Status StartRuns();
  absl::Status Learn();
  double HeldOutQuality() const;
  double PoolQuality(std::size_t query, const float* reading) const;
  // n x d: each query as read by the matrix of its fold.
  base::AlignedMatrix Readings(const std::vector<base::AlignedMatrix>& matrices,
                               const std::vector<std::uint32_t>& folds) const;
  base::AlignedMatrix ReadingsApartFromTwins() const;
  void Judge(const base::AlignedMatrix& readings, AdapterReport* report) const;

  const AdapterQueries& queries_;
  const EvaluateReading& evaluate_;
  const AdapterTrainingOptions& options_;
  const std::size_t count_;
  const int threads_;
  QuerySets sets_;
  std::vector<std::uint32_t> folds_;  // of each query
  std::vector<std::unique_ptr<AdapterFoldTrainer>>
      runs_;                               // one a fold, without its queries; the last has all
  std::vector<base::AlignedMatrix> best_;  // of each run, where held-out quality was best
  std::size_t best_steps_ = 0;
};

absl::Status Trainer::StartRuns() {
  std::vector<std::uint32_t> set_of_query(queries_.sets);
  set_of_query.resize(count_, 0);
  sets_ = GroupBySet(set_of_query);
  folds_ = GroupedFolds(count_, queries_.groups, queries_.sets, options_.fold_count, options_.seed);
  if (std::all_of(folds_.begin(), folds_.end(), [&](std::uint32_t fold) { return fold == folds_[0]; })) {
    return absl::FailedPreconditionError(
        absl::StrFormat("judged queries: %d in one group, expected at least 2 groups", count_));
  }
  for (std::size_t run = 0; run <= options_.fold_count; ++run) {
    std::vector<std::uint32_t> chosen;
    for (std::uint32_t i = 0; i < count_; ++i) {
      if (folds_[i] != run) chosen.push_back(i);
    }
    runs_.push_back(std::make_unique<AdapterFoldTrainer>(queries_, chosen, options_, options_.seed + run));
    best_.push_back(Copy(runs_.back()->matrix()));
  }
  return absl::OkStatus();
}

double Trainer::PoolQuality(std::size_t query, const float* reading) const {
  const auto inner_product = kernels::ActiveDistances().inner_product_f32;
  std::vector<std::pair<float, std::uint64_t>> scored;
  for (const auto* list : {&queries_.relevant[query], &queries_.negatives[query]}) {
    for (std::uint32_t document : *list) {
      const float score =
          inner_product(reading, queries_.documents.row(document), queries_.documents.columns);
      scored.emplace_back(-score, queries_.document_keys[document]);
    }
  }
  std::sort(scored.begin(), scored.end());
  std::vector<std::uint64_t> keys;
  for (std::size_t i = 0; i < std::min(kDepth, scored.size()); ++i) keys.push_back(scored[i].second);
  return NdcgAt(kDepth, keys, *queries_.judgements[query]);
}

double Trainer::HeldOutQuality() const {
  std::vector<double> quality(count_);
  base::ParallelFor(count_, threads_, 64, [&](std::size_t i, int) {
    base::AlignedMatrix reading;
    float norm = 0;
    MapToUnitRows(runs_[folds_[i]]->matrix(),
                  {queries_.queries.row(i), 1, queries_.queries.columns, queries_.queries.stride}, &reading,
                  &norm);
    quality[i] = PoolQuality(i, reading.row(0));
  });
  return MacroMean(quality, sets_);
}

absl::Status Trainer::Learn() {
  double best_quality = HeldOutQuality();
  std::size_t looks_since_best = 0;
  for (std::size_t steps = 0; steps < options_.step_count && looks_since_best < options_.patience;) {
    const std::size_t next = std::min(steps + options_.look_every, options_.step_count);
    base::ParallelFor(runs_.size(), threads_, 1, [&](std::size_t run, int) {
      for (std::size_t i = steps; i < next; ++i) runs_[run]->Step();
    });
    steps = next;
    if (options_.cancelled != nullptr && options_.cancelled->load()) {
      return absl::CancelledError("training of an adapter: cancelled, expected to finish");
    }
    if (options_.progress) {
      options_.progress(0.9 * static_cast<double>(steps) / static_cast<double>(options_.step_count));
    }
    const double quality = HeldOutQuality();
    ++looks_since_best;
    if (quality <= best_quality) continue;
    best_quality = quality;
    best_steps_ = steps;
    looks_since_best = 0;
    for (std::size_t run = 0; run < runs_.size(); ++run) best_[run] = Copy(runs_[run]->matrix());
  }
  return absl::OkStatus();
}

base::AlignedMatrix Trainer::Readings(const std::vector<base::AlignedMatrix>& matrices,
                                      const std::vector<std::uint32_t>& folds) const {
  base::AlignedMatrix readings(count_, queries_.queries.columns);
  base::AlignedMatrix reading;
  float norm = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    MapToUnitRows(matrices[folds[i]],
                  {queries_.queries.row(i), 1, queries_.queries.columns, queries_.queries.stride}, &reading,
                  &norm);
    std::copy_n(reading.row(0), reading.columns(), readings.row(i));
  }
  return readings;
}

base::AlignedMatrix Trainer::ReadingsApartFromTwins() const {
  const std::vector<std::uint32_t> folds =
      GroupedFolds(count_, queries_.twins, queries_.sets, options_.fold_count, options_.seed);
  std::vector<base::AlignedMatrix> matrices(options_.fold_count);
  base::ParallelFor(options_.fold_count, threads_, 1, [&](std::size_t fold, int) {
    std::vector<std::uint32_t> chosen;
    for (std::uint32_t i = 0; i < count_; ++i) {
      if (folds[i] != fold) chosen.push_back(i);
    }
    if (chosen.empty()) return;  // all in this fold: unreachable with twins in more than one group
    AdapterFoldTrainer run(queries_, chosen, options_, options_.seed + fold);
    for (std::size_t step = 0; step < best_steps_; ++step) run.Step();
    matrices[fold] = Copy(run.matrix());
  });
  return Readings(matrices, folds);
}

// By readings of queries that were held out.
void Trainer::Judge(const base::AlignedMatrix& readings, AdapterReport* told) const {
  std::vector<double> plain(count_), adapted(count_);
  base::ParallelFor(count_, threads_, 8, [&](std::size_t i, int) {
    plain[i] = evaluate_(i, queries_.queries.row(i));
    adapted[i] = best_steps_ == 0 ? plain[i] : evaluate_(i, readings.row(i));
  });
  AdapterReport& report = *told;
  report.queries = count_;
  report.steps = best_steps_;
  report.plain = MacroMean(plain, sets_);
  report.adapted = MacroMean(adapted, sets_);
  report.gain = report.adapted - report.plain;
  const Interval gain =
      BootstrapGain(adapted, plain, adapted, sets_, options_.bootstrap_rounds, options_.seed).gain;
  report.gain_low = gain.low;
  report.gain_high = gain.high;
  report.accepted = report.gain_low > 0;
  report.reason = absl::StrFormat(
      "%s: nDCG@10 %.4f against %.4f plain, gain %+.4f [%+.4f, %+.4f] on %d queries held out in turn",
      report.accepted ? "answers better than plain queries"
                      : "does not surely answer better than plain queries, which stay the default",
      report.adapted, report.plain, report.gain, report.gain_low, report.gain_high, count_);
}

absl::StatusOr<TrainedAdapter> Trainer::Run() {
  TRIVIUM_RETURN_IF_ERROR(StartRuns());
  TRIVIUM_RETURN_IF_ERROR(Learn());
  TrainedAdapter trained;
  trained.apart_from_related = Readings(best_, folds_);
  Judge(trained.apart_from_related, &trained.report);
  trained.apart_from_twins = ReadingsApartFromTwins();
  trained.matrix = std::move(best_.back());
  if (options_.progress) options_.progress(1.0);
  return trained;
}

}  // namespace

absl::Status AdapterTrainingOptions::Validate() const {
  const auto check = [](const char* name, double value, double least, double most) {
    return value >= least && value <= most ? absl::OkStatus()
                                           : absl::InvalidArgumentError(absl::StrFormat(
                                                 "%s: %g, expected %g to %g", name, value, least, most));
  };
  TRIVIUM_RETURN_IF_ERROR(check("rank", static_cast<double>(rank), 0, 65536));
  TRIVIUM_RETURN_IF_ERROR(check("batch_size", static_cast<double>(batch_size), 2, 65536));
  TRIVIUM_RETURN_IF_ERROR(check("hard_negatives", static_cast<double>(hard_negatives), 0, 1000));
  TRIVIUM_RETURN_IF_ERROR(check("temperature", temperature, 1e-3, 10));
  TRIVIUM_RETURN_IF_ERROR(check("rate", rate, 1e-7, 1));
  TRIVIUM_RETURN_IF_ERROR(check("ridge", ridge, 0, 1e3));
  TRIVIUM_RETURN_IF_ERROR(check("averaging", averaging, 0, 0.9999));
  TRIVIUM_RETURN_IF_ERROR(check("step_count", static_cast<double>(step_count), 1, 1e6));
  TRIVIUM_RETURN_IF_ERROR(check("look_every", static_cast<double>(look_every), 1, 1e6));
  TRIVIUM_RETURN_IF_ERROR(check("patience", static_cast<double>(patience), 1, 1e6));
  TRIVIUM_RETURN_IF_ERROR(check("fold_count", static_cast<double>(fold_count), 2, 100));
  return check("bootstrap_rounds", static_cast<double>(bootstrap_rounds), 1, 1e6);
}

absl::StatusOr<TrainedAdapter> TrainAdapter(const AdapterQueries& queries, const EvaluateReading& evaluate,
                                            const AdapterTrainingOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.Validate());
  TRIVIUM_RETURN_IF_ERROR(CheckQueries(queries));
  return Trainer(queries, evaluate, options).Run();
}

}  // namespace trivium::routing
