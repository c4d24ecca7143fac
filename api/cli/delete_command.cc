// SPDX-License-Identifier: Apache-2.0
#include <optional>

#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"
#include "api/cli/arguments.h"
#include "api/cli/command.h"
#include "api/cli/output.h"
#include "api/cli/status_macros.h"

namespace trivium::cli {
namespace {

struct DeleteArguments : CommonArguments {
  std::optional<std::string> ids_file, filter, partition;
};

absl::Status RunDelete(const DeleteArguments& arguments) {
  // An empty value is a mistake (an unset shell variable), not the absence of a condition.
  for (const auto& [flag, value] :
       {std::pair("--ids", arguments.ids_file), std::pair("--filter", arguments.filter)}) {
    if (value && value->empty()) {
      return absl::InvalidArgumentError(absl::StrFormat("%s: '', expected a value", flag));
    }
  }
  if (!arguments.ids_file && !arguments.filter && !arguments.partition) {
    return absl::InvalidArgumentError("delete: no condition, expected --ids, --filter or --partition");
  }
  if (arguments.partition) TRIVIUM_CLI_RETURN_IF_ERROR(ValidateName("--partition", *arguments.partition));
  std::optional<std::vector<std::string>> ids;
  if (arguments.ids_file) {
    TRIVIUM_CLI_ASSIGN_OR_RETURN(ids, ReadIds(*arguments.ids_file));
  }
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenWriter(arguments.store));
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::uint64_t deleted,
                               store->Delete(ids, arguments.partition, arguments.filter.value_or("")));
  TRIVIUM_CLI_RETURN_IF_ERROR(store->Close());
  if (arguments.json) return PrintJson({{"deleted", deleted}});
  return Print(absl::StrFormat("%s documents deleted\n", Grouped(deleted)));
}

}  // namespace

void AddDeleteCommand(CLI::App& app, Run* run) {
  CLI::App* command = app.add_subcommand("delete", "Delete the documents that meet every condition given");
  auto arguments = std::make_shared<DeleteArguments>();
  AddStoreArgument(*command, arguments.get());
  command->add_option("--ids", arguments->ids_file, "Ids, one a line, or JSON lines with \"_id\"")
      ->type_name("FILE");
  command->add_option("--filter", arguments->filter, "Condition on metadata")->type_name("JSON");
  command->add_option("--partition", arguments->partition, "Only documents of this partition")
      ->type_name("NAME");
  command->callback([=] { *run = [=] { return RunDelete(*arguments); }; });
}

}  // namespace trivium::cli
