// SPDX-License-Identifier: Apache-2.0
// What a build is to make: read from flags or a configuration file, then settled against what the store has.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "trivium/engine.h"

namespace trivium::cli {

struct SpacePlan {
  std::string name;
  std::size_t dimension = 0;          // 0: as the vectors, the encoder or the store say
  std::optional<Metric> metric = {};  // none: the store's, or cosine for a new space
  std::string encoder = {};           // empty: the store's, or none for a new space
  bool exists = false;                // in the store
  bool given_tree = false;            // likewise: its vectors are distributions, see Store::SetTree
  Profile profile = Profile::kSpeed;  // that its vectors are to have
};

struct CorpusPlan {
  std::string partition, file;
  std::vector<std::pair<std::string, std::string>> vectors;  // space, file
};

struct ExpertPlan {
  std::string name, space, description, adapter_file;
  std::optional<std::string> partition;  // none: all
  double cost = 1;
  ExpertKind kind = ExpertKind::kDense;  // lexical: no space
  double k1 = ExpertOptions().k1, b = ExpertOptions().b;
};

inline constexpr const char* kLexicalExpert = "lexical";  // the one of --lexical

struct BuildPlan {
  std::vector<SpacePlan>
      spaces;  // in the order in which they name experts; after Settle() all of the store's too
  std::vector<CorpusPlan> corpora;
  std::optional<std::vector<ExpertPlan>> experts;  // none: one per corpus and space that covers it
  bool lexical = false;                            // besides those, a lexical expert over all partitions
};

struct BuildFlags {
  std::vector<std::string> corpora, vectors;
  std::string encoder, space, metric;
  bool lexical = false;
};

// The plan that the flags mean in a store that looks like `info` (a default one: no store yet). Reads no
// file.
absl::StatusOr<BuildPlan> PlanFromFlags(const BuildFlags& flags, const StoreInfo& info);

// Adds what the store has, fills in what the plan left open, and makes the experts explicit. kInvalidArgument
// where the plan contradicts the store, or a corpus has neither vectors nor an encoder; kAlreadyExists for an
// expert that the store defines in another way. Those that it already has are dropped from the plan.
absl::Status Settle(const StoreInfo& info, BuildPlan* plan);

// Without the adapter.
ExpertOptions ToOptions(const ExpertPlan& expert);

// Null where there is none.
const SpacePlan* FindSpace(const BuildPlan& plan, const std::string& name);

}  // namespace trivium::cli
