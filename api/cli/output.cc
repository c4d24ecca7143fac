// SPDX-License-Identifier: Apache-2.0
#include "api/cli/output.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

#include "absl/strings/str_format.h"

namespace trivium::cli {
namespace {

constexpr std::string_view kColumnGap = "  ";

bool IsContinuationByte(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Bytes of the UTF-8 character that `text` begins with; 0 where it begins with none, or with a control
// character (C1 included: some terminals obey U+0080 to U+009F as they do ESC sequences).
std::size_t PrintableCharacterBytes(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return lead >= 0x20 && lead != 0x7F ? 1 : 0;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (!IsContinuationByte(text[i])) return 0;
  }
  return lead == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0 ? 0 : length;
}

// Code points: what most terminals show as one column each.
std::size_t Columns(std::string_view text) {
  return text.size() - static_cast<std::size_t>(std::count_if(text.begin(), text.end(), IsContinuationByte));
}

}  // namespace

absl::Status Print(std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (written && std::fflush(stdout) == 0) return absl::OkStatus();
  return absl::InternalError("stdout: cannot be written, expected a reader");
}

absl::Status PrintJson(const Json& document) {
  return Print(document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

Json ParseMetadata(const std::string& metadata) {
  Json value = Json::parse(metadata, nullptr, /*allow_exceptions=*/false);
  return value.is_object() ? value : Json::object();
}

std::string OneLine(std::string_view text, std::size_t columns) {
  std::string line;
  std::size_t width = 0;
  while (!text.empty()) {
    const bool is_space = text[0] == ' ' || (text[0] >= '\t' && text[0] <= '\r');
    const std::size_t bytes = is_space ? 0 : PrintableCharacterBytes(text);
    const std::string_view shown = is_space ? " " : bytes == 0 ? "?" : text.substr(0, bytes);
    text.remove_prefix(std::max<std::size_t>(bytes, 1));
    if (is_space && (line.empty() || line.back() == ' ')) continue;
    if (++width > columns) return line.append("…");
    line += shown;
  }
  if (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

std::string Grouped(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (int i = static_cast<int>(digits.size()) - 3; i > 0; i -= 3)
    digits.insert(static_cast<std::size_t>(i), 1, ',');
  return digits;
}

std::string Bytes(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return absl::StrFormat(unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
}

Json MixtureJson(const std::optional<ReadingMixture>& mixture) {
  return mixture ? Json{{"own", mixture->own}, {"plain", mixture->plain}} : Json();
}

Json SecondLookJson(const std::optional<SecondLookInfo>& look) {
  if (!look) return nullptr;
  return {{"route_weight", look->route_weight},
          {"score_weight", look->score_weight},
          {"prior_weight", look->prior_weight},
          {"widen_below", look->widen_below},
          {"max_experts", look->max_experts}};
}

Json MemoryJson(const std::optional<MemoryInfo>& memory) {
  if (!memory) return nullptr;
  return {{"threshold", memory->threshold},
          {"weight", memory->weight},
          {"experts", memory->experts},
          {"queries", memory->queries}};
}

std::string Fixed(double value, int digits) {
  return std::isnan(value) ? "-" : absl::StrFormat("%.*f", digits, value);
}

std::string TaughtText(const TaughtGraphs& graphs) {
  if (graphs.taught + graphs.left_untaught == 0) return "";
  return absl::StrFormat("graphs taught again: %s of %s\n", Grouped(graphs.taught),
                         Grouped(graphs.taught + graphs.left_untaught));
}

Table::Table(std::vector<std::string> headings) {
  for (std::string& heading : headings) {
    flush_right_.push_back(heading.starts_with('>'));
    if (flush_right_.back()) heading.erase(0, 1);
  }
  rows_.push_back(std::move(headings));
}

void Table::Add(std::vector<std::string> cells) {
  cells.resize(flush_right_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::ToString() const {
  std::vector<std::size_t> widths(flush_right_.size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Columns(row[i]));
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - Columns(row[i]), ' ');
      if (i > 0) line += kColumnGap;
      line += flush_right_[i] ? padding + row[i] : row[i] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace trivium::cli
