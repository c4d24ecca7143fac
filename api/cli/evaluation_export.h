// SPDX-License-Identifier: Apache-2.0
// Writes what an evaluation found, query by query, for other tools.
#pragma once

#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "trivium/report.h"

namespace trivium::cli {

// A file that appears under its name only when it is whole.
class OutputFile {
 public:
  // Creates `path`.partial. kInvalidArgument where that cannot be.
  static absl::StatusOr<OutputFile> Create(const std::string& path);
  OutputFile(OutputFile&& other) noexcept
      : path_(std::exchange(other.path_, {})), out_(std::move(other.out_)) {}
  ~OutputFile();  // removes what was not committed

  void Write(const std::string& text) { out_ << text; }
  absl::Status Commit();

 private:
  explicit OutputFile(std::string path) : path_(std::move(path)) {}
  std::string path_;  // moved-from and committed files: empty
  std::ofstream out_;
};

// A TREC run: lines `query Q0 document rank score trivium`. Documents of the set's own partition carry their
// id, so that the run goes with the set's qrels; others are PARTITION/ID. A set without a partition: the
// first document of an id carries it, further ones of other partitions are PARTITION/ID. With several sets
// queries are SET/ID. White space in ids becomes %20 and so on. Of equal scores the later is written as the
// next smaller number, because trec_eval orders by score, whatever the rank says.
//   partitions  one a set; none: the set is bound to no partition
void WriteRun(const EvaluationReport& report, const std::vector<std::optional<std::string>>& partitions,
              OutputFile* file);

// JSON lines: set, query, metrics, cost, experts with their probabilities, hits; where asked for, whether it
// is clean, and nDCG@10 of each row compared.
void WritePerQuery(const EvaluationReport& report, OutputFile* file);

}  // namespace trivium::cli
