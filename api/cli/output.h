// SPDX-License-Identifier: Apache-2.0
// What the tool prints: one JSON document, or text and tables for people. All of it goes to stdout; errors
// are main's to print.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"
#include "trivium/report.h"

namespace trivium::cli {

using Json = nlohmann::ordered_json;

// Writes `text` to stdout, whole. kInternal where the reader is gone.
absl::Status Print(std::string_view text);

// Prints `document` on one line. Invalid UTF-8 is replaced and NaN becomes null, so that it always parses.
absl::Status PrintJson(const Json& document);

// The JSON value of document metadata ("" and what does not parse: an empty object).
Json ParseMetadata(const std::string& metadata);

// `text` on one line of at most `columns` characters: white space runs become a blank; control characters
// (texts come from strangers and terminals obey them) and what is not UTF-8 become '?'; what does not fit is
// cut and marked.
std::string OneLine(std::string_view text, std::size_t columns);

// 1234567 -> "1,234,567".
std::string Grouped(std::uint64_t count);

// 1536 -> "1.5 KiB".
std::string Bytes(std::uint64_t bytes);

std::string Fixed(double value, int digits);

// A line on graphs that were taught again; nothing where there was none to teach.
std::string TaughtText(const TaughtGraphs& graphs);

// Null where nothing is mixed.
Json MixtureJson(const std::optional<ReadingMixture>& mixture);
Json SecondLookJson(const std::optional<SecondLookInfo>& look);
Json MemoryJson(const std::optional<MemoryInfo>& memory);

// Columns padded to their widest cell; those that begin with '>' in their heading are flush right.
class Table {
 public:
  explicit Table(std::vector<std::string> headings);
  void Add(std::vector<std::string> cells);
  std::string ToString() const;

 private:
  std::vector<std::vector<std::string>> rows_;  // the first holds the headings
  std::vector<bool> flush_right_;
};

}  // namespace trivium::cli
