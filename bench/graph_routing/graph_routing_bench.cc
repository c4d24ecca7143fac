// SPDX-License-Identifier: Apache-2.0
// Routing by imitation on a flat graph at a fixed number of distances: what graph_routing_benchmark.py runs.
//
// Usage: trivium_bench_graph_routing REQUEST.json        answers on stdout, one JSON object a line
//
//   base, metric ("l2" or "cosine"), dimension
//   graph             file; made with `degree_bound`, `build_beam_width`, `alpha` where it is absent
//   queries           by name: training, validation, test: {vectors, targets, targets_per_query, hidden?}
//   runs              [{method, budgets, ...}]: "plain", or a method of Imitate with ImitationOptions
//
// Files are raw: float32 rows, uint32 targets (0xFFFFFFFF: none). A run trains, chooses the re-rank width on
// validation, and answers with the test queries that were answered (0 or 1 each) at that width.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "base/aligned_matrix.h"
#include "base/thread_pool.h"
#include "index/graph_builder.h"
#include "index/row_distances.h"
#include "nlohmann/json.hpp"
#include "routing/graph/imitation/budgeted_search.h"
#include "routing/graph/imitation/imitation_trainer.h"

namespace trivium::routing {
namespace {

using nlohmann::json;

[[noreturn]] void Fail(const std::string& what) {
  std::cerr << "trivium_bench_graph_routing: " << what << "\n";
  std::exit(1);
}

template <class T>
std::vector<T> ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) Fail(path + ": cannot be read");
  std::vector<T> values(static_cast<std::size_t>(file.tellg()) / sizeof(T));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
  return values;
}

base::AlignedMatrix ReadRows(const std::string& path, std::size_t dimension) {
  const std::vector<float> values = ReadAll<float>(path);
  base::AlignedMatrix rows(values.size() / dimension, dimension);
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    std::copy_n(&values[i * dimension], dimension, rows.row(i));
  }
  return rows;
}

struct QuerySet {
  base::AlignedMatrix rows;
  std::vector<std::uint32_t> targets, hidden;
  std::size_t targets_per_query = 1;

  AnsweredQueries view() const { return {rows.view(), targets, targets_per_query, hidden}; }
};

QuerySet ReadQueries(const json& request, std::size_t dimension) {
  QuerySet set;
  set.rows = ReadRows(request.at("vectors"), dimension);
  set.targets = ReadAll<std::uint32_t>(request.at("targets"));
  set.targets_per_query = request.at("targets_per_query");
  if (request.contains("hidden")) set.hidden = ReadAll<std::uint32_t>(request.at("hidden"));
  return set;
}

// size, degree bound, entry, then words.
index::ProximityGraph ReadGraph(const std::string& path) {
  const std::vector<std::uint32_t> words = ReadAll<std::uint32_t>(path);
  index::ProximityGraph graph(words.at(1));
  graph.Resize(words[0]);
  for (std::uint32_t v = 0; v < words[0]; ++v) {
    const std::uint32_t* record = &words[3 + v * graph.stride()];
    graph.SetNeighbors(v, {record + 1, record[0]});
  }
  graph.set_entry(words[2]);
  return graph;
}

void WriteGraph(const index::ProximityGraph& graph, const std::string& path) {
  const std::uint32_t head[3] = {static_cast<std::uint32_t>(graph.size()),
                                 static_cast<std::uint32_t>(graph.degree_bound()), graph.entry()};
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(head), sizeof(head));
  file.write(reinterpret_cast<const char*>(graph.words()),
             static_cast<std::streamsize>(graph.size() * graph.record_bytes()));
}

class Bench {
 public:
  explicit Bench(const json& request)
      : request_(request),
        metric_(request.at("metric") == "l2" ? base::Metric::kSquaredL2 : base::Metric::kCosine),
        rows_(ReadRows(request.at("base"), request.at("dimension"))),
        threads_(request.value("threads", 2)),
        distances_(rows_.view(), metric_) {
    const std::string path = request.at("graph");
    if (std::filesystem::exists(path)) {
      graph_ = ReadGraph(path);
    } else {
      index::GraphBuildOptions options;
      options.degree_bound = request.at("degree_bound");
      options.beam_width = request.at("build_beam_width");
      options.alpha = request.value("alpha", options.alpha);
      options.threads = threads_;
      graph_ = index::ProximityGraph(options.degree_bound);
      const absl::Status status = index::ExtendGraph(rows_.view(), metric_, options, &graph_);
      if (!status.ok()) Fail(std::string(status.message()));
      WriteGraph(graph_, path);
    }
    if (graph_.size() != rows_.rows()) Fail(path + ": a graph of other rows");
    for (const auto& [name, files] : request.at("queries").items()) {
      sets_[name] = ReadQueries(files, rows_.columns());
    }
    std::size_t edges = 0;
    for (std::uint32_t v = 0; v < graph_.size(); ++v) edges += graph_.Neighbors(v).size();
    Say({{"graph", path},
         {"vertices", graph_.size()},
         {"mean_degree", double(edges) / double(graph_.size())},
         {"entry", graph_.entry()}});
  }

  void Run() const {
    for (const json& run : request_.at("runs")) {
      run.at("method") == "plain" ? Plain(run) : Imitate(run);
    }
  }

 private:
  static void Say(const json& answer) { std::cout << answer.dump() << std::endl; }

  template <class Search>
  std::vector<int> Answered(const QuerySet& set, const Search& search) const {
    std::vector<int> answered(set.rows.rows(), 0);
    std::vector<BudgetedScratch> scratches(threads_);
    base::ParallelFor(answered.size(), threads_, 16, [&](std::size_t i, int thread) {
      const auto found = search(set.rows.row(i), set.view().HiddenFrom(i), &scratches[thread]);
      answered[i] = IsAnswer(distances_, set.rows.row(i), set.view().TargetsOf(i)[0], found) ? 1 : 0;
    });
    return answered;
  }

  // The answered queries of each set but the training set, at one budget.
  template <class Search>
  json AnsweredSets(const Search& search) const {
    json sets;
    for (const auto& [name, set] : sets_) {
      if (name != "training") sets[name] = Answered(set, search);
    }
    return sets;
  }

  void Plain(const json& run) const {
    json answer = {{"run", run}};
    for (const std::size_t budget : run.at("budgets")) {
      answer["answered"][std::to_string(budget)] =
          AnsweredSets([&](const float* query, std::uint32_t hidden, BudgetedScratch* scratch) {
            return SearchByDistances(graph_, distances_, query, budget, hidden, scratch);
          });
    }
    Say(answer);
  }

  // The width with the best validation recall, the narrowest of equals.
  std::size_t TunedWidth(const RoutingCodes& codes, std::size_t budget,
                         const std::vector<std::size_t>& widths) const {
    double best = -1;
    std::size_t tuned = widths.front();
    for (const std::size_t width : widths) {
      const double recall =
          RecallAtBudget(graph_, distances_, codes, sets_.at("validation").view(), budget, width, threads_);
      if (recall > best) {
        best = recall;
        tuned = width;
      }
    }
    return tuned;
  }

  json Evaluate(const RoutingCodes& codes, const json& run, const std::vector<std::size_t>& widths) const {
    json answers;
    for (const std::size_t budget : run.at("budgets")) {
      const std::size_t width = TunedWidth(codes, budget, widths);
      json answer = AnsweredSets([&](const float* query, std::uint32_t hidden, BudgetedScratch* scratch) {
        return SearchByCodes(graph_, distances_, codes, query, budget, width, hidden, scratch);
      });
      answer["rerank_width"] = width;
      answers[std::to_string(budget)] = std::move(answer);
    }
    return answers;
  }

  // Methods: "untrained" (the projection), "free", "linear", "hidden"; with "+free" behind it, free codes
  // are trained on from what the maps made, at `free_rate`.
  void Imitate(const json& run) const {
    ImitationOptions options;
    std::string method = run.at("method");
    const bool go_on = method.size() > 5 && method.ends_with("+free");
    if (go_on) method.resize(method.size() - 5);
    if (method == "linear") {
      options.source = CodeSource::kLinear;
    } else if (method == "hidden") {
      options.source = CodeSource::kHidden;
    } else if (method != "free" && method != "untrained") {
      Fail("method: " + method + ", expected plain, untrained, free, linear or hidden");
    }
    options.code_dimension = run.at("code_dimension");
    options.budget = run.value("validation_budget", options.budget);
    options.learn_query_map = run.value("learn_query_map", options.learn_query_map);
    options.hidden_width = run.value("hidden_width", options.hidden_width);
    options.visited = run.value("visited", options.visited);
    options.max_hops = run.value("max_hops", options.max_hops);
    options.noise = run.value("noise", options.noise);
    options.final_weight = run.value("final_weight", options.final_weight);
    options.steps_after_found = run.value("steps_after_found", options.steps_after_found);
    options.learning_rate = run.value("learning_rate", options.learning_rate);
    options.query_map_rate = run.value("query_map_rate", options.query_map_rate);
    options.epochs = method == "untrained" ? 0 : run.value("epochs", options.epochs);
    options.batch = run.value("batch", options.batch);
    options.patience = run.value("patience", options.patience);
    options.rerank_widths = run.value("rerank_widths", options.rerank_widths);
    options.seed = run.value("seed", 0);
    options.threads = threads_;
    AnsweredQueries training = sets_.at("training").view();
    const std::size_t most = run.value("training_queries", training.queries.rows);
    if (most < training.queries.rows) {
      training.queries = training.queries.First(most);
      training.targets = training.targets.first(most * training.targets_per_query);
      if (!training.hidden.empty()) training.hidden = training.hidden.first(most);
    }
    options.progress = [&](const EpochReport& epoch) {
      std::cerr << run.at("method") << ": loss " << epoch.loss << ", recall " << epoch.recall << " at "
                << epoch.rerank_width << ", " << double(training.queries.rows) / epoch.seconds << " /s\n";
    };
    TrainedRouter trained = Train(training, options);
    json answer = {{"run", run}, {"training", Told(trained.report)}};
    if (go_on) {
      options.source = CodeSource::kFree;
      options.learning_rate = run.at("free_rate");
      options.batch = run.value("free_batch", 64);
      const RoutingCodes made = std::move(trained.codes);
      options.start = &made;
      trained = Train(training, options);
      answer["training_on"] = Told(trained.report);
    }
    answer["answered"] = Evaluate(trained.codes, run, options.rerank_widths);
    Say(answer);
  }

  TrainedRouter Train(const AnsweredQueries& training, const ImitationOptions& options) const {
    absl::StatusOr<TrainedRouter> trained =
        TrainByImitation(graph_, rows_.view(), metric_, training, sets_.at("validation").view(), options);
    if (!trained.ok()) Fail(std::string(trained.status().message()));
    return *std::move(trained);
  }

  static json Told(const EpochReport& epoch) {
    return {{"loss", epoch.loss},
            {"recall", epoch.recall},
            {"rerank_width", epoch.rerank_width},
            {"seconds", epoch.seconds}};
  }

  static json Told(const ImitationReport& report) {
    json told = {{"seconds", report.seconds},           {"trajectories", report.trajectories},
                 {"score_scale", report.score_scale},   {"best_epoch", report.best_epoch},
                 {"untrained", Told(report.untrained)}, {"epochs", json::array()}};
    for (const EpochReport& epoch : report.epochs) told["epochs"].push_back(Told(epoch));
    return told;
  }

  json request_;
  base::Metric metric_;
  base::AlignedMatrix rows_;
  int threads_;
  index::RowDistances distances_;
  index::ProximityGraph graph_;
  std::map<std::string, QuerySet> sets_;
};

}  // namespace
}  // namespace trivium::routing

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: trivium_bench_graph_routing REQUEST.json\n";
    return 2;
  }
  std::ifstream file(argv[1]);
  const auto request = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (request.is_discarded()) {
    std::cerr << "trivium_bench_graph_routing: " << argv[1] << ": no JSON\n";
    return 2;
  }
  trivium::routing::Bench(request).Run();
  return 0;
}
