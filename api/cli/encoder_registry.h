// SPDX-License-Identifier: Apache-2.0
// Which command speaks for which encoder. Names come from stores, commands never do: they come from the
// command line (--encoder-command NAME='...'), then from the user's configuration file ($TRIVIUM_CONFIG, or
// config.json in ${XDG_CONFIG_HOME:-~/.config}/trivium: {"encoders": {"NAME": "COMMAND"}}), then from what is
// built in: `minilm`, which the Python package runs.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/cli/command_encoder.h"
#include "trivium/engine.h"

namespace trivium::cli {

class EncoderRegistry {
 public:
  // Starts nothing. kInvalidArgument: a flag or the configuration file that cannot be read as such.
  static absl::StatusOr<EncoderRegistry> Load(const std::vector<std::string>& encoder_commands);

  // kInvalidArgument where no command is known for it.
  absl::StatusOr<CommandEncoder*> Find(const std::string& name) const;

  EncoderMap ToMap() const { return {encoders_.begin(), encoders_.end()}; }

  // Tells the encoders the dimensions of the store's spaces, so that none is started only to be asked.
  void ExpectDimensionsOf(const StoreInfo& info);

 private:
  std::map<std::string, std::shared_ptr<CommandEncoder>> encoders_;
};

}  // namespace trivium::cli
