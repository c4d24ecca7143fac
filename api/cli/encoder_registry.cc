// SPDX-License-Identifier: Apache-2.0
#include "api/cli/encoder_registry.h"

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/str_format.h"
#include "api/cli/arguments.h"
#include "api/cli/status_macros.h"
#include "nlohmann/json.hpp"

namespace trivium::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMinilm = "minilm";
constexpr std::size_t kMinilmDimension = 384;
// What the Python package computes from the model's files (versions in scripts/requirements-encoder.txt), so
// that stores and their caches are shared with it; a test compares the two.
constexpr const char* kMinilmFingerprint = "all-MiniLM-L6-v2-int8:20a8733fdbd3ac8e:128";

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// FNV-1a: the same command has the same fingerprint on every machine.
std::uint64_t HashOf(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

std::shared_ptr<CommandEncoder> FromCommand(const std::string& name, const std::string& command) {
  return std::make_shared<CommandEncoder>(name, command, absl::StrFormat("%s:%016x", name, HashOf(command)),
                                          0);
}

std::string ShellQuoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// The interpreter that has the Python package: $TRIVIUM_PYTHON, the project's environment where this program
// lies in the project's build tree (build/PRESET/bin), else the one on the path.
std::string Python() {
  if (const std::string chosen = Environment("TRIVIUM_PYTHON"); !chosen.empty()) return chosen;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path python = program.parent_path() / "../../../.venv/bin/python";
  return !error && fs::exists(python, error) ? python.lexically_normal().string() : "python3";
}

absl::StatusOr<std::string> ConfigurationFile() {
  std::error_code ignored;
  if (const std::string chosen = Environment("TRIVIUM_CONFIG"); !chosen.empty()) {
    if (fs::exists(chosen, ignored)) return chosen;
    return absl::NotFoundError(absl::StrFormat("TRIVIUM_CONFIG: no such file, expected one (%s)", chosen));
  }
  std::string folder = Environment("XDG_CONFIG_HOME");
  if (folder.empty()) folder = Environment("HOME") + "/.config";
  const std::string path = folder + "/trivium/config.json";
  return fs::exists(path, ignored) ? path : std::string();
}

absl::StatusOr<std::map<std::string, std::string>> ReadConfiguration(const std::string& path) {
  std::map<std::string, std::string> commands;
  if (path.empty()) return commands;
  std::ifstream in(path);
  const nlohmann::json json = nlohmann::json::parse(in, nullptr, /*allow_exceptions=*/false);
  const auto error = [&](const std::string& what) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "configuration: %s, expected {\"encoders\": {\"NAME\": \"COMMAND\"}} (%s)", what, path));
  };
  if (!json.is_object()) return error("not a JSON object");
  for (const auto& [key, value] : json.items()) {
    if (key != "encoders") return error("key " + Quoted(key));
    if (!value.is_object()) return error("\"encoders\" is no object");
    for (const auto& [name, command] : value.items()) {
      if (!command.is_string()) return error("encoder " + Quoted(name) + " has no command");
      TRIVIUM_CLI_RETURN_IF_ERROR(ValidateName("encoder", name));
      commands[name] = command.get<std::string>();
    }
  }
  return commands;
}

}  // namespace

absl::StatusOr<EncoderRegistry> EncoderRegistry::Load(const std::vector<std::string>& encoder_commands) {
  std::map<std::string, std::string> given;
  for (const std::string& text : encoder_commands) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals + 1 == text.size()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("--encoder-command: %s, expected NAME='COMMAND'", Quoted(text)));
    }
    const std::string name = text.substr(0, equals);
    TRIVIUM_CLI_RETURN_IF_ERROR(ValidateName("--encoder-command name", name));
    if (!given.emplace(name, text.substr(equals + 1)).second) {
      return absl::InvalidArgumentError(
          absl::StrFormat("--encoder-command: '%s' twice, expected one command a name", name));
    }
  }
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::string path, ConfigurationFile());
  TRIVIUM_CLI_ASSIGN_OR_RETURN(auto configured, ReadConfiguration(path));
  given.merge(configured);
  EncoderRegistry registry;
  for (const auto& [name, command] : given) registry.encoders_[name] = FromCommand(name, command);
  if (given.count(kMinilm) == 0) {
    registry.encoders_[kMinilm] = std::make_shared<CommandEncoder>(
        kMinilm, ShellQuoted(Python()) + " -m trivium.encoders minilm", kMinilmFingerprint, kMinilmDimension);
  }
  return registry;
}

absl::StatusOr<CommandEncoder*> EncoderRegistry::Find(const std::string& name) const {
  const auto found = encoders_.find(name);
  if (found != encoders_.end()) return found->second.get();
  return absl::InvalidArgumentError(absl::StrFormat(
      "encoder: %s, expected minilm or one given with --encoder-command NAME='COMMAND'", Quoted(name)));
}

void EncoderRegistry::ExpectDimensionsOf(const StoreInfo& info) {
  for (const SpaceInfo& space : info.spaces) {
    const auto found = encoders_.find(space.encoder);
    if (found != encoders_.end()) found->second->Expect(space.dimension);
  }
}

}  // namespace trivium::cli
