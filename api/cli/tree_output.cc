// SPDX-License-Identifier: Apache-2.0
#include "api/cli/tree_output.h"

#include "absl/strings/str_format.h"

namespace trivium::cli {

Json LevelsJson(const std::vector<TreeLevel>& levels) {
  Json json = Json::array();
  for (const TreeLevel& level : levels) {
    json.push_back({{"level", level.level},
                    {"overlap", level.overlap},
                    {"untrained", level.untrained},
                    {"entropy", level.entropy},
                    {"bytes_per_document", level.bytes_per_document}});
  }
  return json;
}

std::string LevelsText(const std::vector<TreeLevel>& levels) {
  Table table({">level", ">nodes", ">overlap", ">untrained", ">entropy", ">bytes a document"});
  for (const TreeLevel& level : levels) {
    table.Add({std::to_string(level.level), Grouped(std::uint64_t{1} << level.level), Fixed(level.overlap, 3),
               Fixed(level.untrained, 3), Fixed(level.entropy, 2), Grouped(level.bytes_per_document)});
  }
  return table.ToString() +
         "overlap: share of the ten nearest vectors among the ten that share most, on what was held out\n";
}

}  // namespace trivium::cli
