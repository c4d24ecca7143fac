// SPDX-License-Identifier: Apache-2.0
// The flags that say how to search, shared by `search` and `evaluate`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "trivium/options.h"

namespace CLI {
class App;
}

namespace trivium::cli {

struct SearchArguments {
  std::string experts = "auto";
  std::string adapters;
  std::string second_look, memory;
  std::string index;
  std::string fusion;
  std::optional<double> lexical_weight;
  std::string filter;
  std::string router;
  std::size_t beam_width = 0;
  std::optional<double> top_p;
  std::optional<int> max_experts;
  std::string on_reject = "all";
  std::optional<std::string> allowed, partitions;
  std::optional<double> cost;
  std::optional<std::uint64_t> budget;
};

// --vector: the question as a vector, a file of one row for each space.
void AddVectorOption(CLI::App& command, std::vector<std::string>* files);
// Reads them; `storage` owns what is returned.
absl::StatusOr<std::vector<SpaceVectors>> ReadQuestionVectors(const std::vector<std::string>& files,
                                                              std::vector<std::vector<float>>* storage);

void AddSearchOptions(CLI::App& command, SearchArguments* arguments);

// Validated, and stopped by Ctrl-C.
absl::StatusOr<SearchOptions> ToSearchOptions(const SearchArguments& arguments, std::size_t k);

}  // namespace trivium::cli
