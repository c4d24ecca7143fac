// SPDX-License-Identifier: Apache-2.0
#include "api/cli/arguments.h"

#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "api/cli/output.h"
#include "api/cli/status_macros.h"
#include "nlohmann/json.hpp"

namespace trivium::cli {
namespace {

constexpr std::size_t kQuotedColumns = 80;

// Splits "SPACE:NAME" in place; leaves `space` empty where there is no colon.
absl::Status SplitName(std::string_view flag, std::string_view left, bool allow_space, bool allow_empty,
                       NamedFile* result) {
  if (const std::size_t colon = left.find(':'); allow_space && colon != std::string_view::npos) {
    result->space = std::string(left.substr(0, colon));
    TRIVIUM_CLI_RETURN_IF_ERROR(ValidateName(std::string(flag) + " space", result->space));
    left.remove_prefix(colon + 1);
  }
  result->name = std::string(left);
  if (allow_empty && left.empty()) return absl::OkStatus();
  return ValidateName(std::string(flag) + " name", left);
}

absl::StatusOr<std::string> ParseId(const std::string& line, const std::string& path, std::size_t number) {
  if (line[0] != '{') return line;
  const nlohmann::json object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (object.is_object() && object.contains("_id")) {
    const nlohmann::json& id = object["_id"];
    if (id.is_string() && !id.get_ref<const std::string&>().empty()) return id.get<std::string>();
    if (id.is_number_integer()) return id.dump();
  }
  return absl::InvalidArgumentError(absl::StrFormat(
      "ids: %s, expected an id or a JSON object with \"_id\" (%s:%d)", Quoted(line), path, number));
}

}  // namespace

absl::StatusOr<NamedFile> ParseNamedFile(std::string_view flag, const std::string& text, bool allow_space) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals + 1 == text.size()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: %s, expected %sNAME=FILE", flag, Quoted(text), allow_space ? "[SPACE:]" : ""));
  }
  NamedFile result;
  result.file = text.substr(equals + 1);
  TRIVIUM_CLI_RETURN_IF_ERROR(SplitName(flag, std::string_view(text).substr(0, equals), allow_space,
                                        /*allow_empty=*/false, &result));
  return result;
}

absl::StatusOr<NamedFile> ParseOptionallyNamedFile(std::string_view flag, const std::string& text,
                                                   bool allow_space) {
  const std::size_t equals = text.find('=');
  std::error_code ignored;
  if (equals == std::string::npos || std::filesystem::exists(text, ignored)) return NamedFile{.file = text};
  if (equals + 1 == text.size()) {
    return absl::InvalidArgumentError(absl::StrFormat("%s: %s, expected [NAME=]FILE", flag, Quoted(text)));
  }
  NamedFile result;
  result.file = text.substr(equals + 1);
  const std::string_view left = std::string_view(text).substr(0, equals);
  const bool names_space = allow_space && left.find(':') != std::string_view::npos;
  TRIVIUM_CLI_RETURN_IF_ERROR(SplitName(flag, left, allow_space, /*allow_empty=*/names_space, &result));
  return result;
}

absl::Status ParseIndexChoice(const std::string& text, SearchOptions* options) {
  if (text.empty()) return absl::OkStatus();
  const std::size_t colon = text.find(':');
  const absl::StatusOr<IndexChoice> index = ParseIndex(text.substr(0, colon));
  const bool counted = index.ok() && (*index == IndexChoice::kTree || *index == IndexChoice::kCells);
  std::size_t number = 0;
  const bool valid = colon == std::string::npos ||
                     (counted && absl::SimpleAtoi(text.substr(colon + 1), &number) && number > 0);
  if (!index.ok() || !valid) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "--index: %s, expected graph, exact, tree, tree:LEVEL, cells or cells:PROBES", Quoted(text)));
  }
  options->index = *index;
  (*index == IndexChoice::kTree ? options->level : options->probes) = number;
  return absl::OkStatus();
}

absl::StatusOr<AdapterUse> ParseAdapterUse(const std::string& text) {
  if (text.empty()) return AdapterUse::kStore;
  if (text == "on") return AdapterUse::kAlways;
  if (text == "off") return AdapterUse::kNever;
  return absl::InvalidArgumentError(absl::StrFormat("--adapters: %s, expected on or off", Quoted(text)));
}

absl::StatusOr<std::vector<std::string>> ReadIds(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::error_code ignored;
  if (!in.is_open() || std::filesystem::is_directory(path, ignored)) {
    return absl::NotFoundError(absl::StrFormat("ids: no file to read, expected one (%s)", path));
  }
  std::vector<std::string> ids;
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty()) continue;
    TRIVIUM_CLI_ASSIGN_OR_RETURN(std::string id, ParseId(line, path, number));
    ids.push_back(std::move(id));
  }
  if (ids.empty())
    return absl::InvalidArgumentError(absl::StrFormat("ids: none, expected at least one (%s)", path));
  return ids;
}

std::string Quoted(std::string_view text) { return absl::StrFormat("'%s'", OneLine(text, kQuotedColumns)); }

}  // namespace trivium::cli
