// SPDX-License-Identifier: Apache-2.0
#include "api/graph_training.h"

#include "absl/strings/str_format.h"
#include "base/thread_pool.h"
#include "nlohmann/json.hpp"
#include "storage/file_system.h"

namespace trivium {

absl::Status GraphTrainingOptions::Validate() const {
  if (!entries && !edges && !codes) {
    return absl::InvalidArgumentError(
        "graph training: neither entries nor edges nor codes, expected one of them");
  }
  if (!(recall > 0 && recall <= 1)) {
    return absl::InvalidArgumentError(absl::StrFormat("recall: %g, expected more than 0, at most 1", recall));
  }
  if (threads < 0) {
    return absl::InvalidArgumentError(absl::StrFormat("threads: %d, expected 0 (all) or more", threads));
  }
  return absl::OkStatus();
}

routing::GraphTrainingOptions EngineOptions(const GraphTrainingOptions& options) {
  routing::GraphTrainingOptions engine;
  engine.learn_entries = options.entries;
  engine.learn_edges = options.edges;
  engine.learn_codes = options.codes;
  engine.fine_tune = options.fine_tune;
  engine.recall = options.recall;
  engine.seed = options.seed;
  engine.thread_count = base::ResolveThreadCount(options.threads);
  if (options.progress) {
    engine.progress = options.progress;
  }
  engine.cancelled = options.cancelled;
  engine.checkpoint = options.checkpoint;
  return engine;
}

std::string CheckpointPath(const GraphTrainingOptions& options, std::size_t graph) {
  if (options.checkpoint.empty() || graph == 0) return options.checkpoint;
  return absl::StrFormat("%s.%d", options.checkpoint, graph + 1);
}

void RemoveCheckpoints(const GraphTrainingOptions& options, std::size_t graph_count) {
  for (std::size_t graph = 0; !options.checkpoint.empty() && graph < graph_count; ++graph) {
    storage::RemoveFile(CheckpointPath(options, graph)).IgnoreError();  // what was learned is safe
  }
}

GraphTrainingReport Describe(const routing::GraphTrainingReport& trained) {
  GraphTrainingReport report;
  report.training_queries = trained.training_queries;
  report.validation_queries = trained.validation_queries;
  report.entries = trained.entries;
  report.edges_added = trained.edges.added;
  report.edges_replaced = trained.edges.replaced;
  report.codes = trained.codes;
  report.hops_before = trained.queries.before;
  report.hops_after = trained.queries.after;
  report.hop_ratio = trained.queries.ratio;
  report.hop_ratio_low = trained.queries.interval.low;
  report.hop_ratio_high = trained.queries.interval.high;
  report.round_hop_ratios = trained.curve;
  report.row_hop_ratio = trained.rows.ratio;
  if (trained.former) report.former_hop_ratio = trained.former->ratio;
  report.reason = trained.reason;
  return report;
}

std::string TrainingRecord(const GraphTrainingReport& report, std::size_t rows, std::uint64_t seed) {
  return nlohmann::json{{"rows", rows},
                        {"training_queries", report.training_queries},
                        {"validation_queries", report.validation_queries},
                        {"entries", report.entries},
                        {"edges_added", report.edges_added},
                        {"codes", report.codes},
                        {"hops_before", report.hops_before},
                        {"hops_after", report.hops_after},
                        {"hop_ratio", {report.hop_ratio, report.hop_ratio_low, report.hop_ratio_high}},
                        {"row_hop_ratio", report.row_hop_ratio},
                        {"generated", report.generated},
                        {"seed", seed}}
      .dump();
}

TrainingHistory ParseTrainingRecord(const std::string& record) {
  TrainingHistory history;
  const nlohmann::json json = nlohmann::json::parse(record, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return history;
  const auto count = [&](const char* name) -> std::uint64_t {
    const auto value = json.find(name);
    return value != json.end() && value->is_number_unsigned() ? value->get<std::uint64_t>() : 0;
  };
  history.rows = count("rows");
  history.entries = count("entries");
  history.edges_added = count("edges_added");
  const auto codes = json.find("codes");
  history.codes = codes != json.end() && codes->is_boolean() && codes->get<bool>();
  const auto ratio = json.find("hop_ratio");
  if (ratio != json.end() && ratio->is_array() && !ratio->empty() && (*ratio)[0].is_number()) {
    history.hop_ratio = (*ratio)[0].get<double>();
  }
  return history;
}

}  // namespace trivium
