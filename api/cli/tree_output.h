// SPDX-License-Identifier: Apache-2.0
// How trees are printed, by `train tree` and `inspect`.
#pragma once

#include <string>
#include <vector>

#include "api/cli/output.h"
#include "trivium/tree_training.h"

namespace trivium::cli {

Json LevelsJson(const std::vector<TreeLevel>& levels);
std::string LevelsText(const std::vector<TreeLevel>& levels);

}  // namespace trivium::cli
