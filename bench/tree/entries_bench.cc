// SPDX-License-Identifier: Apache-2.0
// What a partition tree's cells are worth as entry vertices of a graph: distances of a walk at recall@10 0.95
// from the graph's own entry, from the best two of 256 sampled vertices, and from the vertices nearest to the
// centroids of the cells that a query visits first, ranked by each router. Products of routing count as
// distances.
//
// Usage: trivium_bench_entries REQUEST.json        one JSON object on stdout
//
//   base, training    raw float32 rows; metric ("l2" or "cosine"), dimension
//   queries           by kind: a file of raw float32 rows
//   depth, threads, seed
//
// Source: entries by a navigating structure above the graph as in GATE (Ruan et al. 2025), with our routers.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <limits>
#include <string>
#include <vector>

#include "base/aligned_matrix.h"
#include "base/random.h"
#include "base/top_k.h"
#include "bench/tree/bench_input.h"
#include "index/beam_search.h"
#include "index/graph_builder.h"
#include "index/row_distances.h"
#include "nlohmann/json.hpp"
#include "routing/tree/cell_answers.h"
#include "routing/tree/cell_lists.h"
#include "routing/tree/cell_trainer.h"

namespace trivium::routing {
namespace {

using nlohmann::json;

constexpr CellRouterKind kKinds[] = {CellRouterKind::kCentroids, CellRouterKind::kMap, CellRouterKind::kTree,
                                     CellRouterKind::kLevels};
constexpr std::size_t kSampled = 256, kSampledKept = 2;
constexpr std::size_t kCellsEntered[] = {1, 2, 4, 8};
constexpr std::size_t kBeams[] = {10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320};

struct QueryDistances {
  const index::RowDistances& rows;
  index::RowQuery query;

  void Score(const std::uint32_t* vertices, std::size_t count, float* out) {
    rows.Gather(query, vertices, count, out);
  }
  void Prefetch(std::uint32_t) {}
};

struct Counter {
  std::uint64_t distances = 0, hops = 0;
  void OnScored(const std::uint32_t*, const float*, std::size_t count) { distances += count; }
  void OnExpanded(std::uint32_t, float) { ++hops; }
};

struct Entries {
  std::vector<std::uint32_t> vertices;
  double products = 0;  // that chose them
};

// Entries of each query.
using EntryPlan = std::vector<Entries>;

class Bench {
 public:
  explicit Bench(const json& request)
      : dimension_(request.at("dimension")),
        threads_(request.at("threads")),
        rows_(ReadRows(request.at("base"), dimension_)),
        metric_(request.at("metric") == "l2" ? base::Metric::kSquaredL2 : base::Metric::kCosine),
        distances_(index::RowsView(rows_.view()), metric_),
        graph_(index::GraphBuildOptions().degree_bound) {
    index::GraphBuildOptions building;
    building.threads = threads_;
    building.seed = request.at("seed");
    const absl::Status built = index::ExtendGraph(index::RowsView(rows_.view()), metric_, building, &graph_);
    if (!built.ok()) Fail(std::string(built.message()));
    const base::AlignedMatrix training = ReadRows(request.at("training"), dimension_);
    CellTrainingData data;
    data.documents = rows_.view();
    data.metric = metric_;
    data.queries = training.view();
    CellTrainingOptions options;
    options.depth = request.at("depth");
    options.thread_count = threads_;
    options.seed = request.at("seed");
    options.learn_tree = true;
    model_ = OrFail(TrainCells(data, options)).model;
    FindCentralRows();
    base::Random random(request.at("seed"));
    for (std::size_t i = 0; i < kSampled; ++i) {
      sampled_.push_back(static_cast<std::uint32_t>(random.Below(rows_.rows())));
    }
    std::sort(sampled_.begin(), sampled_.end());
    sampled_.erase(std::unique(sampled_.begin(), sampled_.end()), sampled_.end());
  }

  json Measure(const base::AlignedMatrix& queries) {
    const std::vector<std::uint32_t> answers =
        OrFail(NearestDocuments(rows_.view(), metric_, queries.view(), kCellAnswers, {}, threads_, nullptr));
    json told;
    EntryPlan plan(queries.rows());
    for (Entries& entries : plan) entries.vertices = {graph_.entry()};
    told["one"] = Walk(queries, answers, plan);
    for (std::size_t i = 0; i < plan.size(); ++i) plan[i] = Sampled(queries.row(i));
    told["sampled"] = Walk(queries, answers, plan);
    for (std::size_t i = 0; i < plan.size(); ++i) plan[i] = {{answers[i * kCellAnswers]}, 0};
    told["nearest, for nothing"] = Walk(queries, answers, plan);
    CellOrder order;
    for (const CellRouterKind router : kKinds) {
      if (!model_->Has(router)) continue;
      for (const std::size_t count : kCellsEntered) {
        for (std::size_t i = 0; i < plan.size(); ++i) {
          order.Start(*model_, router, queries.row(i), count);
          plan[i] = {};
          for (std::size_t c = 0; c < count; ++c) plan[i].vertices.push_back(central_[order.Cell(c)]);
          plan[i].products = static_cast<double>(order.products());
        }
        told[std::string(CellRouterName(router)) + " " + std::to_string(count)] =
            Walk(queries, answers, plan);
      }
    }
    return told;
  }

 private:
  // Of each cell the row nearest to its centroid, of all rows.
  void FindCentralRows() {
    const base::MatrixView centroids = model_->centroids();
    base::AlignedMatrix copy(centroids.rows, centroids.columns);
    for (std::size_t c = 0; c < centroids.rows; ++c) {
      std::copy_n(centroids.row(c), centroids.columns, copy.row(c));
    }
    central_ = OrFail(NearestDocuments(rows_.view(), metric_, copy.view(), 1, {}, threads_, nullptr));
  }

  index::RowQuery Prepared(const float* query) {
    return scratch_.query_words.Prepare(distances_.rows().format, query, dimension_);
  }

  Entries Sampled(const float* query) {
    std::vector<float> distances(sampled_.size());
    distances_.Gather(Prepared(query), sampled_.data(), sampled_.size(), distances.data());
    base::TopK top;
    top.Reset(kSampledKept);
    for (std::size_t i = 0; i < sampled_.size(); ++i) top.Push({distances[i], sampled_[i]});
    std::vector<base::Neighbor> best;
    top.DrainSorted(&best);
    Entries entries;
    for (const base::Neighbor& one : best) entries.vertices.push_back(one.row);
    entries.products = static_cast<double>(sampled_.size());
    return entries;
  }

  json Walk(const base::AlignedMatrix& queries, const std::vector<std::uint32_t>& answers,
            const EntryPlan& plan) {
    json curve = json::array();
    for (const std::size_t beam : kBeams) {
      std::size_t hits = 0;
      double products = 0;
      Counter counter;
      for (std::size_t i = 0; i < queries.rows(); ++i) {
        QueryDistances scorer{distances_, Prepared(queries.row(i))};
        index::BeamSearch(graph_, scorer, plan[i].vertices, beam, &scratch_, counter);
        products += plan[i].products;
        const std::size_t found = std::min(kCellAnswers, scratch_.pool.size());
        for (std::size_t j = 0; j < found; ++j) {
          const std::uint32_t vertex = scratch_.pool[j].vertex;
          const auto first = answers.begin() + static_cast<std::ptrdiff_t>(i * kCellAnswers);
          hits += std::count(first, first + kCellAnswers, vertex);
        }
      }
      const auto count = static_cast<double>(queries.rows());
      curve.push_back({{"recall", static_cast<double>(hits) / (count * kCellAnswers)},
                       {"walked", static_cast<double>(counter.distances) / count},
                       {"hops", static_cast<double>(counter.hops) / count},
                       {"routing", products / count}});
    }
    return curve;
  }

  std::size_t dimension_;
  int threads_;
  base::AlignedMatrix rows_;
  base::Metric metric_;
  index::RowDistances distances_;
  index::ProximityGraph graph_;
  std::shared_ptr<const CellModel> model_;
  std::vector<std::uint32_t> central_, sampled_;
  index::SearchScratch scratch_;
};

}  // namespace
}  // namespace trivium::routing

int main(int argc, char** argv) {
  std::ifstream file(argc == 2 ? argv[1] : "");
  const auto request = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (request.is_discarded()) trivium::routing::Fail("expected one argument, a JSON file");
  trivium::routing::Bench bench(request);
  nlohmann::json result;
  for (const auto& [kind, path] : request.at("queries").items()) {
    result[kind] = bench.Measure(trivium::routing::ReadRows(path, request.at("dimension")));
  }
  std::cout << result.dump() << std::endl;
  return 0;
}
