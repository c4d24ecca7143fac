// SPDX-License-Identifier: Apache-2.0
// Trains cells and counts what each router reads: what cells_benchmark.py runs.
//
// Usage: trivium_bench_cells REQUEST.json        one JSON object on stdout
//
//   base, training    raw float32 rows; metric ("l2" or "cosine"), dimension
//   queries           by kind: a file of raw float32 rows
//   depth, threads, seed, learn_tree
//   folder            takes KIND.answers.u32 (10 of each query), KIND.ROUTER.hits.u16 and
//   KIND.ROUTER.rows.u32
//                     (queries x steps), cells.u32 (the leaf of each base row), and the model
//
// Answers with the trainer's report, for each router its steps (cells read) and products, the microseconds of
// ranking and of searching with the calibrated number of cells, and the recall found then, with filters too.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "base/aligned_matrix.h"
#include "base/random.h"
#include "bench/tree/bench_input.h"
#include "index/row_scan.h"
#include "nlohmann/json.hpp"
#include "routing/tree/cell_answers.h"
#include "routing/tree/cell_costs.h"
#include "routing/tree/cell_lists.h"
#include "routing/tree/cell_trainer.h"

namespace trivium::routing {
namespace {

using nlohmann::json;

constexpr CellRouterKind kKinds[] = {CellRouterKind::kCentroids, CellRouterKind::kMap, CellRouterKind::kTree,
                                     CellRouterKind::kLevels};
constexpr std::size_t kTimedQueries = 250;
constexpr double kFilters[] = {0.3, 0.1, 0.03};

template <class T>
void WriteRaw(const std::string& path, const std::vector<T>& values) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(T)));
  if (!file) Fail(path + ": cannot be written");
}

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

json Described(const CellTrainingReport& report) {
  json routers;
  for (std::size_t i = 0; i < kCellRouterKinds; ++i) {
    const CellRouterCost& cost = report.costs[i];
    if (!cost.measured) continue;
    routers[CellRouterName(kKinds[i])] = {
        {"reached", cost.reached},
        {"scanned", cost.scanned},
        {"products", cost.products},
        {"rows_scanned", cost.rows_scanned},
        {"ratio", {cost.ratio, cost.interval.low, cost.interval.high}},
        {"rows_ratio", {cost.rows_ratio, cost.rows_interval.low, cost.rows_interval.high}}};
  }
  return {{"cells", report.cells},
          {"used_cells", report.used_cells},
          {"largest_cell", report.largest_cell},
          {"mean_cell", report.mean_cell},
          {"training_queries", report.training_queries},
          {"training_documents", report.training_documents},
          {"validation_queries", report.validation_queries},
          {"routers", routers},
          {"router", CellRouterName(report.router)},
          {"accepted", report.accepted},
          {"reason", report.reason},
          {"seconds", report.seconds}};
}

json Counted(const CellCosts& costs, const std::string& prefix) {
  const std::size_t steps = costs.step_count();
  std::vector<std::uint16_t> hits;
  std::vector<std::uint32_t> rows;
  std::vector<double> products;
  for (std::size_t query = 0; query < costs.query_count(); ++query) {
    for (std::size_t step = 0; step < steps; ++step) {
      hits.push_back(static_cast<std::uint16_t>(costs.Hits(query, step)));
      rows.push_back(costs.Rows(query, step));
    }
  }
  for (std::size_t step = 0; step < steps; ++step) products.push_back(costs.Products(step));
  WriteRaw(prefix + ".hits.u16", hits);
  WriteRaw(prefix + ".rows.u32", rows);
  const auto probes = costs.probes().first(steps);
  return {{"steps", std::vector<std::uint32_t>(probes.begin(), probes.end())}, {"products", products}};
}

// Searches with the calibrated number of cells: time, recall, and recall of filtered searches.
json Searched(const CellModel& model, const CellLists& lists, const base::AlignedMatrix& rows,
              const base::AlignedMatrix& queries, const std::vector<std::uint32_t>& answers,
              CellRouterKind kind) {
  const std::size_t count = std::min(kTimedQueries, queries.rows());
  const index::RowDistances distances(rows.view(), model.metric());
  CellOrder order;
  index::SearchScratch scratch;
  std::vector<base::Neighbor> found, expected;
  index::SearchCounters counters;
  CellSearchParameters parameters;
  parameters.router = kind;
  json result;
  auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < count; ++i) order.Start(model, kind, queries.row(i), model.Probes(kind));
  result["rank_us"] = SecondsSince(start) * 1e6 / static_cast<double>(count);
  std::size_t hits = 0;
  start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < count; ++i) {
    lists.Search(model, distances, queries.row(i), parameters, &order, &scratch, &found, &counters);
    for (std::size_t j = 0; j < kCellAnswers; ++j) {
      hits += std::count_if(found.begin(), found.end(), [&](const base::Neighbor& neighbor) {
        return neighbor.row == answers[i * kCellAnswers + j];
      });
    }
  }
  result["search_us"] = SecondsSince(start) * 1e6 / static_cast<double>(count);
  result["probes"] = model.Probes(kind);
  result["recall"] = static_cast<double>(hits) / static_cast<double>(count * kCellAnswers);
  result["compared"] = static_cast<double>(counters.scan_distances) / static_cast<double>(count);
  result["by_codes"] = static_cast<double>(counters.code_distances) / static_cast<double>(count);
  const auto recall = [&](std::size_t k, const base::Bitmap* allowed, std::size_t allowed_count) {
    parameters.k = k;
    parameters.allowed = allowed;
    parameters.allowed_count = allowed_count;
    std::size_t right = 0;
    index::SearchCounters counted;
    for (std::size_t i = 0; i < count / 5; ++i) {
      scratch.top.Reset(k);
      index::ScanRows(distances, queries.row(i), 0, rows.rows(), allowed, &scratch, &counters);
      scratch.top.DrainSorted(&expected);
      lists.Search(model, distances, queries.row(i), parameters, &order, &scratch, &found, &counted);
      for (const base::Neighbor& neighbor : expected) {
        right += std::count_if(found.begin(), found.end(),
                               [&](const base::Neighbor& one) { return one.row == neighbor.row; });
      }
    }
    return json{{"recall", static_cast<double>(right) / static_cast<double>(count / 5 * k)},
                {"compared", static_cast<double>(counted.scan_distances) / static_cast<double>(count / 5)}};
  };
  for (const double share : kFilters) {
    base::Bitmap allowed(rows.rows());
    base::Random random(3);
    for (std::size_t i = 0; i < rows.rows(); ++i) {
      if (random.Uniform() < share) allowed.Set(i);
    }
    result["filtered"][std::to_string(share).substr(0, 4)] = recall(10, &allowed, allowed.CountSet());
  }
  result["k100"] = recall(100, nullptr, 0);
  return result;
}

json Run(const json& request) {
  const std::size_t dimension = request.at("dimension");
  const std::string folder = request.at("folder");
  const base::AlignedMatrix rows = ReadRows(request.at("base"), dimension);
  const base::AlignedMatrix training = ReadRows(request.at("training"), dimension);
  CellTrainingData data;
  data.documents = rows.view();
  data.metric = request.at("metric") == "l2" ? base::Metric::kSquaredL2 : base::Metric::kCosine;
  data.queries = training.view();
  CellTrainingOptions options;
  options.depth = request.at("depth");
  options.thread_count = request.at("threads");
  options.seed = request.at("seed");
  options.learn_tree = request.at("learn_tree");
  auto start = std::chrono::steady_clock::now();
  json seconds;
  options.progress = [&, last = std::string()](std::string_view stage, std::size_t, std::size_t) mutable {
    if (last != stage) {
      if (!last.empty()) seconds[last] = SecondsSince(start);
      start = std::chrono::steady_clock::now();
      last = std::string(stage);
    }
  };
  const std::clock_t before = std::clock();
  const TrainedCells trained = OrFail(TrainCells(data, options));
  const double cpu_seconds = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  const CellModel& model = *trained.model;
  start = std::chrono::steady_clock::now();
  const auto lists = OrFail(CellLists::Build(model, rows.view(), options.thread_count));
  std::vector<std::uint32_t> cell_of(rows.rows());
  for (std::uint32_t cell = 0; cell < lists->cell_count(); ++cell) {
    for (const std::uint32_t row : lists->Rows(cell)) cell_of[row] = cell;
  }
  WriteRaw(folder + "/cells.u32", cell_of);
  json result = {{"report", Described(trained.report)},
                 {"stage_seconds", seconds},
                 {"cpu_seconds", cpu_seconds},
                 {"lists_seconds", SecondsSince(start)}};
  for (const auto& [kind, path] : request.at("queries").items()) {
    const base::AlignedMatrix queries = ReadRows(path, dimension);
    const std::vector<std::uint32_t> answers = OrFail(NearestDocuments(
        rows.view(), data.metric, queries.view(), kCellAnswers, {}, options.thread_count, nullptr));
    WriteRaw(folder + "/" + kind + ".answers.u32", answers);
    for (const CellRouterKind router : kKinds) {
      if (!model.Has(router)) continue;
      const std::string name = CellRouterName(router);
      const CellCosts costs = OrFail(CellCosts::Measure(model, router, *lists, queries.view(), answers,
                                                        kCellAnswers, options.thread_count));
      json& told = result["kinds"][kind][name];
      told = Counted(costs, folder + "/" + kind + "." + name);
      told["search"] = Searched(model, *lists, rows, queries, answers, router);
    }
  }
  const std::string path = folder + "/cells";
  std::remove(path.c_str());
  if (const absl::Status status = model.Write(path); !status.ok()) Fail(std::string(status.message()));
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  result["model_bytes"] = static_cast<std::uint64_t>(file.tellg());
  return result;
}

}  // namespace
}  // namespace trivium::routing

int main(int argc, char** argv) {
  std::ifstream file(argc == 2 ? argv[1] : "");
  const auto request = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (request.is_discarded()) trivium::routing::Fail("expected one argument, a JSON file");
  std::cout << trivium::routing::Run(request).dump() << std::endl;
  return 0;
}
