// SPDX-License-Identifier: Apache-2.0
#include "api/cli/command.h"

#include "CLI/CLI.hpp"
#include "api/cli/status_macros.h"

namespace trivium::cli {
namespace {

absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& path, bool read_only,
                                            EncoderRegistry* encoders) {
  OpenOptions options;
  options.read_only = read_only;
  options.create_if_missing = false;
  if (encoders != nullptr) options.encoders = encoders->ToMap();
  TRIVIUM_CLI_ASSIGN_OR_RETURN(std::unique_ptr<Store> store, Store::Open(path, std::move(options)));
  if (encoders != nullptr) {
    TRIVIUM_CLI_ASSIGN_OR_RETURN(const StoreInfo info, store->Inspect());
    encoders->ExpectDimensionsOf(info);
  }
  return store;
}

}  // namespace

void AddStoreArgument(CLI::App& command, CommonArguments* arguments) {
  command.add_option("STORE", arguments->store, "Directory of the store")->required()->type_name("");
  command.add_flag("--json", arguments->json, "Print one JSON document");
}

void AddEncoderCommandOption(CLI::App& command, CommonArguments* arguments) {
  command
      .add_option("--encoder-command", arguments->encoder_commands,
                  "Command that runs the encoder NAME (repeatable); it reads JSON lines and writes frames")
      ->type_name("NAME='COMMAND'")
      ->allow_extra_args(false);
}

absl::StatusOr<std::unique_ptr<Store>> OpenReader(const std::string& path, EncoderRegistry* encoders) {
  return Open(path, /*read_only=*/true, encoders);
}

absl::StatusOr<std::unique_ptr<Store>> OpenWriter(const std::string& path, EncoderRegistry* encoders) {
  return Open(path, /*read_only=*/false, encoders);
}

}  // namespace trivium::cli
