// SPDX-License-Identifier: Apache-2.0
// What `trivium inspect` tells of graphs, --drift and --walk, and of trees, --tree.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "api/cli/command.h"
#include "api/cli/query_files.h"
#include "trivium/options.h"

namespace trivium::cli {

struct InspectArguments : CommonArguments {
  bool drift = false;
  QueryArguments queries{.judged = false};  // for --drift; none: those held out for training
  std::string walk;                         // a text
  std::vector<std::string> vectors;         // of the walk
  std::string expert;
  WalkOptions walk_options;
  GraphDriftOptions drift_options;
  bool tree = false;
  std::string path;  // a text
  InspectTreeOptions tree_options;

  bool walks() const { return !walk.empty() || !vectors.empty(); }
};

absl::Status RunInspectDrift(const InspectArguments& arguments);
absl::Status RunInspectWalk(const InspectArguments& arguments);
absl::Status RunInspectTree(const InspectArguments& arguments);

}  // namespace trivium::cli
