// SPDX-License-Identifier: Apache-2.0
// Trains representation trees and writes what they say of rows: what tree_benchmark.py runs.
//
// Usage: trivium_bench_tree REQUEST.json        a report on stdout, one JSON object
//
//   dimension, documents, queries              raw float32 rows; queries may be ""
//   relevant                                   raw uint32 pairs: query, document; may be ""
//   assign                                     {input file: output file}: node probabilities, raw float32
//   search                                     {queries, levels}: bytes read a document, by level, to find
//   ten options                                    of TreeTrainingOptions, by their names
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "base/aligned_matrix.h"
#include "base/thread_pool.h"
#include "nlohmann/json.hpp"
#include "routing/tree/leaf_table.h"
#include "routing/tree/split_tree.h"
#include "routing/tree/tree_trainer.h"

namespace trivium::routing {
namespace {

using nlohmann::json;

[[noreturn]] void Fail(const std::string& what) {
  std::cerr << "trivium_bench_tree: " << what << "\n";
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
  base::AlignedMatrix rows(dimension);
  if (path.empty()) return rows;
  const std::vector<float> values = ReadAll<float>(path);
  for (std::size_t i = 0; i < values.size() / dimension; ++i) rows.Append(&values[i * dimension]);
  return rows;
}

template <class T>
void Take(const json& options, const char* name, T* value) {
  if (options.contains(name)) *value = options.at(name).get<T>();
}

void Run(const json& request) {
  const auto dimension = request.at("dimension").get<std::size_t>();
  const base::AlignedMatrix documents = ReadRows(request.at("documents"), dimension);
  const base::AlignedMatrix queries = ReadRows(request.at("queries"), dimension);
  TreeTrainingData data{documents.view(), queries.view(), {}};
  if (const std::string path = request.at("relevant"); !path.empty()) {
    data.relevant.resize(queries.rows());
    const std::vector<std::uint32_t> pairs = ReadAll<std::uint32_t>(path);
    for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) data.relevant[pairs[i]].push_back(pairs[i + 1]);
  }
  const json& given = request.at("options");
  TreeTrainingOptions options;
  Take(given, "depth", &options.depth);
  Take(given, "mlp", &options.mlp);
  Take(given, "step_count", &options.step_count);
  Take(given, "anchor_count", &options.anchor_count);
  Take(given, "document_count", &options.document_count);
  Take(given, "near", &options.near);
  Take(given, "most_anchors", &options.most_anchors);
  Take(given, "teacher_temperature", &options.teacher_temperature);
  Take(given, "label_share", &options.label_share);
  Take(given, "steepness", &options.steepness);
  Take(given, "temperature", &options.temperature);
  Take(given, "rate", &options.rate);
  Take(given, "level_power", &options.level_power);
  Take(given, "entropy_weight", &options.entropy_weight);
  Take(given, "balance_weight", &options.balance_weight);
  Take(given, "levels_a_step", &options.levels_a_step);
  Take(given, "look_every", &options.look_every);
  Take(given, "patience", &options.patience);
  Take(given, "seed", &options.seed);
  Take(given, "thread_count", &options.thread_count);
  const absl::StatusOr<TrainedTree> trained = TrainTree(data, options);
  if (!trained.ok()) Fail(std::string(trained.status().message()));
  for (const auto& [input, output] : request.at("assign").items()) {
    const base::AlignedMatrix rows = ReadRows(input, dimension);
    base::AlignedMatrix nodes;
    AssignMany(trained->tree, rows.view(), base::ResolveThreadCount(0), &nodes);
    std::ofstream file(output.get<std::string>(), std::ios::binary);
    for (std::size_t i = 0; i < nodes.rows(); ++i) {
      file.write(reinterpret_cast<const char*>(nodes.row(i)),
                 static_cast<std::streamsize>(nodes.columns() * sizeof(float)));
    }
  }
  json searches = json::array();
  if (request.contains("search")) {
    const base::AlignedMatrix asked = ReadRows(request.at("search").at("queries"), dimension);
    const auto table = LeafTable::Build(trained->tree, documents.view(), base::ResolveThreadCount(0));
    LeafScratch scratch;
    std::vector<base::Neighbor> found;
    for (const std::size_t level : request.at("search").at("levels").get<std::vector<std::size_t>>()) {
      index::SearchCounters counters;
      double least = 1e9;  // microseconds a query, of 3 rounds
      for (int round = 0; round < 3; ++round) {
        counters = {};
        const auto start = std::chrono::steady_clock::now();
        for (std::size_t i = 0; i < asked.rows(); ++i) {
          scratch.query.Set(trained->tree, asked.row(i));
          table->Search(scratch.query, level, 10, nullptr, &scratch, &found, &counters);
        }
        const std::chrono::duration<double, std::micro> spent = std::chrono::steady_clock::now() - start;
        least = std::min(least, spent.count() / static_cast<double>(asked.rows()));
      }
      const double documents_asked =
          static_cast<double>(asked.rows()) * static_cast<double>(documents.rows());
      searches.push_back({{"level", level},
                          {"bytes_a_document", static_cast<double>(counters.bytes_read) / documents_asked},
                          {"us", least}});
    }
  }
  // The least of 20 means: other work on the machine only adds.
  const auto microseconds = [&](const auto& assign) {
    double least = 1e9;
    for (int round = 0; round < 20; ++round) {
      const auto start = std::chrono::steady_clock::now();
      for (std::size_t i = 0; i < 256; ++i) assign(documents.row(i % documents.rows()));
      const std::chrono::duration<double, std::micro> spent = std::chrono::steady_clock::now() - start;
      least = std::min(least, spent.count() / 256);
    }
    return least;
  };
  std::vector<float> features(trained->tree.features()), nodes(trained->tree.nodes());
  std::size_t leaves = 0;
  const double full = microseconds([&](const float* x) {
    trained->tree.Assign(x, features.data(), nodes.data());
    leaves += nodes[1] > 0;
  });
  const double greedy =
      microseconds([&](const float* x) { leaves += trained->tree.GreedyLeaf(x, features.data()); });
  if (leaves == 0) Fail("no leaf was reached");
  const TreeTrainingReport& report = trained->report;
  json told = {{"steps", report.steps},
               {"anchors", report.anchors},
               {"queries", report.queries},
               {"judged", report.judged},
               {"steepness", report.steepness},
               {"temperature", report.temperature},
               {"seconds", report.seconds},
               {"levels", json::array()},
               {"search", searches},
               {"assign_us", full},
               {"greedy_us", greedy}};
  for (const TreeLevelQuality& level : report.levels) {
    told["levels"].push_back({{"level", level.level},
                              {"overlap", level.overlap},
                              {"untrained", level.untrained},
                              {"entropy", level.entropy}});
  }
  std::cout << told.dump() << "\n";
}

}  // namespace
}  // namespace trivium::routing

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: trivium_bench_tree REQUEST.json\n";
    return 2;
  }
  std::ifstream file(argv[1]);
  trivium::routing::Run(nlohmann::json::parse(file));
}
