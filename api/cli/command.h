// SPDX-License-Identifier: Apache-2.0
// What the commands have in common. A command lives in its own file and adds itself to the parser; parsing
// sets the run that main() then starts, so that all flags are read before any work.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/cli/encoder_registry.h"
#include "trivium/engine.h"

namespace CLI {
class App;
}

namespace trivium::cli {

using Run = std::function<absl::Status()>;

void AddBuildCommand(CLI::App& app, Run* run);
void AddTrainCommand(CLI::App& app, Run* run);
void AddTrainAdapterCommand(CLI::App& train, Run* run);  // under `train`
void AddTrainGraphCommand(CLI::App& train, Run* run);    // under `train`
void AddTrainTreeCommand(CLI::App& train, Run* run);     // under `train`
void AddSearchCommand(CLI::App& app, Run* run);
void AddEvaluateCommand(CLI::App& app, Run* run);
void AddDeleteCommand(CLI::App& app, Run* run);
void AddFeedbackCommand(CLI::App& app, Run* run);
void AddQuarantineCommand(CLI::App& app, Run* run);  // beside AddFeedbackCommand
void AddInspectCommand(CLI::App& app, Run* run);
void AddVerifyCommand(CLI::App& app, Run* run);
void AddCompactCommand(CLI::App& app, Run* run);
void AddSnapshotCommands(CLI::App& app, Run* run);  // snapshot and restore

// What most commands take.
struct CommonArguments {
  std::string store;
  bool json = false;
  std::vector<std::string> encoder_commands;
};
void AddStoreArgument(CLI::App& command, CommonArguments* arguments);  // STORE and --json
void AddEncoderCommandOption(CLI::App& command, CommonArguments* arguments);

// Opens an existing store. Encoders are told the dimensions of its spaces; none is started.
absl::StatusOr<std::unique_ptr<Store>> OpenReader(const std::string& path,
                                                  EncoderRegistry* encoders = nullptr);
absl::StatusOr<std::unique_ptr<Store>> OpenWriter(const std::string& path,
                                                  EncoderRegistry* encoders = nullptr);

}  // namespace trivium::cli
