// SPDX-License-Identifier: Apache-2.0
// Between the public options and reports of graph training and those of routing/graph/.
#pragma once

#include <string>

#include "routing/graph/graph_trainer.h"
#include "trivium/graph_training.h"

namespace trivium {

// With the checkpoint of the first graph.
routing::GraphTrainingOptions EngineOptions(const GraphTrainingOptions& options);

// Of the graphs that one call trains each has a checkpoint of its own, kept until all are trained; empty:
// none.
std::string CheckpointPath(const GraphTrainingOptions& options, std::size_t graph);
void RemoveCheckpoints(const GraphTrainingOptions& options, std::size_t graph_count);

// Without `enabled` and `seconds`.
GraphTrainingReport Describe(const routing::GraphTrainingReport& trained);

// What is kept beside a trained graph of `rows` rows: JSON in one line.
std::string TrainingRecord(const GraphTrainingReport& report, std::size_t rows, std::uint64_t seed);

// What a record tells; as it is here where the text is not such a record.
struct TrainingHistory {
  std::uint64_t rows = 0, entries = 0, edges_added = 0;
  bool codes = false;
  double hop_ratio = 1;
};
TrainingHistory ParseTrainingRecord(const std::string& record);

}  // namespace trivium
