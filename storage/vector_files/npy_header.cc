// SPDX-License-Identifier: Apache-2.0
#include "storage/vector_files/npy_header.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "storage/byte_reader.h"
#include "storage/utf8.h"

namespace trivium::storage {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

// Reads the few forms of Python literal that NumPy writes.
class DictionaryParser {
 public:
  explicit DictionaryParser(std::string_view text) : rest_(text) {}

  bool Consume(char c) {
    SkipBlanks();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  std::optional<std::string_view> String() {
    SkipBlanks();
    if (rest_.empty() || (rest_.front() != '\'' && rest_.front() != '"')) return std::nullopt;
    const std::size_t end = rest_.find(rest_.front(), 1);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view text = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return text;
  }

  std::optional<bool> Bool() {
    SkipBlanks();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}}) {
      if (rest_.substr(0, word.size()) == word) {
        rest_.remove_prefix(word.size());
        return value;
      }
    }
    return std::nullopt;
  }

  std::optional<std::vector<std::uint64_t>> Tuple() {
    if (!Consume('(')) return std::nullopt;
    std::vector<std::uint64_t> items;
    while (!Consume(')')) {
      SkipBlanks();
      const std::size_t digits = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
      std::uint64_t item = 0;
      if (!absl::SimpleAtoi(absl::string_view(rest_.data(), digits), &item)) return std::nullopt;
      rest_.remove_prefix(digits);
      items.push_back(item);
      if (!Consume(',') && (rest_.empty() || rest_.front() != ')')) return std::nullopt;
    }
    return items;
  }

 private:
  void SkipBlanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\n"), rest_.size())); }

  std::string_view rest_;
};

absl::Status Refuse(std::string_view what) { return absl::InvalidArgumentError(std::string(what)); }

absl::Status ParseDictionary(std::string_view text, NpyHeader* header) {
  const absl::Status malformed =
      Refuse(absl::StrFormat("npy header: %s, expected descr, fortran_order and shape", Quoted(text)));
  DictionaryParser parser(text);
  if (!parser.Consume('{')) return malformed;
  std::optional<std::string_view> type;
  std::optional<bool> fortran_order;
  std::optional<std::vector<std::uint64_t>> shape;
  while (!parser.Consume('}')) {
    const std::optional<std::string_view> key = parser.String();
    if (!key || !parser.Consume(':')) return malformed;
    if (key == "descr") {
      type = parser.String();
      if (!type) return Refuse("npy type: not a plain type, expected '<f4' or '<f2'");
    } else if (key == "fortran_order") {
      fortran_order = parser.Bool();
    } else if (key == "shape") {
      shape = parser.Tuple();
    } else {
      return malformed;
    }
    parser.Consume(',');
  }
  if (!type || !fortran_order || !shape) return malformed;
  if (type != "<f4" && type != "<f2") {
    return Refuse(absl::StrFormat("npy type: %s, expected '<f4' or '<f2'", Quoted(*type)));
  }
  if (*fortran_order) return Refuse("npy order: Fortran, expected C");
  if (shape->size() != 2) {
    return Refuse(absl::StrFormat("npy shape: %d dimensions, expected 2", shape->size()));
  }
  header->is_half = type == "<f2";
  header->rows = (*shape)[0];
  header->columns = (*shape)[1];
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<NpyHeader> ParseNpyHeader(std::string_view start) {
  ByteReader reader(start);
  if (reader.ReadBytes(kMagic.size()) != kMagic) {
    return Refuse(absl::StrFormat("npy: first bytes %s, expected '\\x93NUMPY'",
                                  Quoted(start.substr(0, kMagic.size()))));
  }
  const auto major = reader.Read<std::uint8_t>();
  const auto minor = reader.Read<std::uint8_t>();
  if (major < 1 || major > 3 || minor != 0) {
    return Refuse(absl::StrFormat("npy version: %d.%d, expected 1.0, 2.0 or 3.0", major, minor));
  }
  const std::uint32_t length = major == 1 ? reader.Read<std::uint16_t>() : reader.Read<std::uint32_t>();
  const std::string_view dictionary = reader.ReadBytes(length);
  if (!reader.ok()) {
    return Refuse(absl::StrFormat("npy header: %d bytes, expected them within the file's first %d", length,
                                  start.size()));
  }
  NpyHeader header;
  header.data_offset = start.size() - reader.remaining();
  TRIVIUM_RETURN_IF_ERROR(ParseDictionary(dictionary, &header));
  return header;
}

}  // namespace trivium::storage
