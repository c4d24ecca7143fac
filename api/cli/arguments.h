// SPDX-License-Identifier: Apache-2.0
// The notations that arguments are written in.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "trivium/options.h"

namespace trivium::cli {

// [[SPACE:]NAME=]FILE. The first '=' ends the name, so that a file may hold others.
struct NamedFile {
  std::string space = {};  // empty where not given
  std::string name = {};   // likewise
  std::string file = {};
};

// NAME=FILE, or SPACE:NAME=FILE where `allow_space`. `flag` is named in errors (kInvalidArgument).
absl::StatusOr<NamedFile> ParseNamedFile(std::string_view flag, const std::string& text, bool allow_space);

// Likewise with the name left out at will: FILE, NAME=FILE; where `allow_space` also SPACE:NAME=FILE and
// SPACE:=FILE. Where `text` as a whole is a file that exists, it is that file.
absl::StatusOr<NamedFile> ParseOptionallyNamedFile(std::string_view flag, const std::string& text,
                                                   bool allow_space);

// "graph", "exact", "tree[:LEVEL]" or "cells[:PROBES]"; empty: the store's choice.
absl::Status ParseIndexChoice(const std::string& text, SearchOptions* options);

// "on", "off", or empty for the store's own choice.
absl::StatusOr<AdapterUse> ParseAdapterUse(const std::string& text);

// `--ids`: one id a line, or JSON lines with "_id" (a string or an integer) on lines that begin with '{'.
// Blank lines are skipped; at least one id is expected.
absl::StatusOr<std::vector<std::string>> ReadIds(const std::string& path);

// `text` in quotes for a message: shortened, control characters replaced.
std::string Quoted(std::string_view text);

}  // namespace trivium::cli
