// SPDX-License-Identifier: Apache-2.0
// Times searches of cells by codes, of the same cells by rows alone, and of a graph at the same recall, turn
// by turn: what cells_speed_benchmark.py runs.
//
// Usage: trivium_bench_cells_speed REQUEST.json        one JSON object on stdout
//
//   base, tuning, queries   raw float32 rows; metric ("l2" or "cosine"), dimension, threads
//   model                   a file of trained cells (routing/tree/cell_model.h)
//   graph                   a file of a sealed segment of the same rows (profile speed), made where it is
//   absent profiles                names of those whose rows are searched by cells; the graph is that of
//   "speed" recalls, rounds
//
// A round searches all queries with each contender once, one after the other, on one thread; a contender's
// time is the median of its rounds. The beam of the graph is the narrowest that finds on the tuning queries
// what cells by codes find there.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/aligned_matrix.h"
#include "bench/tree/bench_input.h"
#include "index/vector_rows.h"
#include "index/vector_segment.h"
#include "nlohmann/json.hpp"
#include "routing/tree/cell_answers.h"
#include "routing/tree/cell_lists.h"

namespace trivium::routing {
namespace {

using nlohmann::json;

struct Questions {
  base::AlignedMatrix rows;
  std::vector<std::uint32_t> answers;
};

using Found = std::vector<base::Neighbor>;
using Search = std::function<void(const float* query, Found* found, index::SearchCounters* counters)>;

double RecallOf(const Questions& asked, const Search& search, index::SearchCounters* counters) {
  Found found;
  std::size_t hits = 0;
  for (std::size_t i = 0; i < asked.rows.rows(); ++i) {
    search(asked.rows.row(i), &found, counters);
    for (std::size_t j = 0; j < kCellAnswers; ++j) {
      hits += std::count_if(found.begin(), found.end(), [&](const base::Neighbor& one) {
        return one.row == asked.answers[i * kCellAnswers + j];
      });
    }
  }
  return static_cast<double>(hits) / static_cast<double>(asked.rows.rows() * kCellAnswers);
}

struct Contender {
  std::string name;
  Search search;
  std::vector<double> seconds = {};
};

class Bench {
 public:
  explicit Bench(const json& request)
      : request_(request),
        dimension_(request.at("dimension")),
        metric_(request.at("metric") == "l2" ? base::Metric::kSquaredL2 : base::Metric::kCosine),
        rows_(ReadRows(request.at("base"), dimension_)),
        tuning_(Ask("tuning")),
        test_(Ask("queries")),
        model_(OrFail(CellModel::Open(request.at("model"), true))) {}

  json Run() {
    const std::string graph = request_.at("graph");
    if (!std::filesystem::exists(graph)) {
      index::GraphBuildOptions options;
      options.threads = request_.at("threads");
      const std::vector<std::uint64_t> labels(rows_.rows());
      OrFail(index::VectorSegment::Build(rows_.view(), labels, metric_, options, graph));
    }
    segment_ = OrFail(index::VectorSegment::Open(graph, false));
    json result = {{"cells", model_->cell_count()}, {"router", CellRouterName(model_->router())}};
    for (const std::string profile : request_.at("profiles"))
      result["profiles"][profile] = OfProfile(profile);
    return result;
  }

 private:
  Questions Ask(const std::string& name) const {
    Questions asked{ReadRows(request_.at(name), dimension_), {}};
    asked.answers = OrFail(NearestDocuments(rows_.view(), metric_, asked.rows.view(), kCellAnswers, {},
                                            request_.at("threads"), nullptr));
    return asked;
  }

  Search OfCells(const CellLists& lists, const index::RowDistances& distances, double recall) {
    return [this, &lists, &distances, recall](const float* query, Found* found,
                                              index::SearchCounters* counters) {
      lists.Search(*model_, distances, query, {.recall = recall}, &order_, &scratch_, found, counters);
    };
  }

  Search OfGraph(std::size_t beam) {
    return [this, beam](const float* query, Found* found, index::SearchCounters* counters) {
      segment_->Search(query, {.beam_width = beam, .method = index::SearchMethod::kGraph}, &scratch_, found,
                       counters);
    };
  }

  // The narrowest beam that finds `recall` of the tuning queries.
  std::size_t BeamFor(double recall) {
    std::size_t beam = 10;
    while (beam < 1024 && RecallOf(tuning_, OfGraph(beam), nullptr) < recall) beam += 1 + beam / 16;
    return beam;
  }

  json OfProfile(const std::string& profile) {
    const index::RowFormat format = profile == "balanced" ? index::RowFormat::kFloat16
                                    : profile == "small"  ? index::RowFormat::kInt8
                                                          : index::RowFormat::kFloat32;
    index::VectorRows stored(dimension_, format, metric_);
    OrFail(stored.Append(rows_.view()));
    const index::RowDistances distances(stored.view(), metric_);
    auto start = std::chrono::steady_clock::now();
    const auto coded = OrFail(CellLists::Build(*model_, stored.view(), request_.at("threads")));
    const std::chrono::duration<double> building = std::chrono::steady_clock::now() - start;
    std::vector<std::uint32_t> cell_of(rows_.rows());
    for (std::uint32_t cell = 0; cell < coded->cell_count(); ++cell) {
      for (const std::uint32_t row : coded->Rows(cell)) cell_of[row] = cell;
    }
    const auto plain = CellLists::FromCells(cell_of, coded->cell_count());
    json told = {{"lists_seconds", building.count()},
                 {"bytes", {{"codes", coded->bytes()}, {"rows", plain->bytes()}}}};
    for (const double recall : request_.at("recalls")) {
      std::vector<Contender> contenders = {{"codes", OfCells(*coded, distances, recall)},
                                           {"rows", OfCells(*plain, distances, recall)}};
      json& of_recall = told["recalls"][std::to_string(recall).substr(0, 4)];
      for (const Contender& one : contenders) {
        of_recall[one.name]["tuning_recall"] = RecallOf(tuning_, one.search, nullptr);
      }
      if (profile == "speed") {
        const std::size_t beam = BeamFor(of_recall["codes"]["tuning_recall"]);
        contenders.push_back({"graph", OfGraph(beam)});
        of_recall["graph"]["beam"] = beam;
      }
      of_recall["probes"] = model_->Probes(model_->router(), recall);
      Measure(&contenders, &of_recall);
    }
    return told;
  }

  void Measure(std::vector<Contender>* contenders, json* told) {
    const auto count = static_cast<double>(test_.rows.rows());
    for (const Contender& one : *contenders) {
      index::SearchCounters counters;
      json& own = (*told)[one.name];
      own["recall"] = RecallOf(test_, one.search, &counters);
      own["exact_distances"] =
          static_cast<double>(counters.scan_distances + counters.graph_distances) / count;
      own["code_distances"] = static_cast<double>(counters.code_distances) / count;
      own["bytes"] = static_cast<double>(counters.bytes_read) / count;
    }
    Found found;
    for (int round = 0; round < request_.at("rounds"); ++round) {
      for (Contender& one : *contenders) {
        const auto start = std::chrono::steady_clock::now();
        for (std::size_t i = 0; i < test_.rows.rows(); ++i) one.search(test_.rows.row(i), &found, nullptr);
        one.seconds.push_back(
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
      }
    }
    for (Contender& one : *contenders) {
      json& own = (*told)[one.name];
      for (const double seconds : one.seconds) own["microseconds"].push_back(seconds * 1e6 / count);
    }
  }

  json request_;
  std::size_t dimension_;
  base::Metric metric_;
  base::AlignedMatrix rows_;
  Questions tuning_, test_;
  std::shared_ptr<const CellModel> model_;
  std::shared_ptr<const index::VectorSegment> segment_;
  CellOrder order_;
  index::SearchScratch scratch_;
};

}  // namespace
}  // namespace trivium::routing

int main(int argc, char** argv) {
  std::ifstream file(argc == 2 ? argv[1] : "");
  const auto request = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (request.is_discarded()) trivium::routing::Fail("expected one argument, a JSON file");
  std::cout << trivium::routing::Bench(request).Run().dump() << std::endl;
  return 0;
}
