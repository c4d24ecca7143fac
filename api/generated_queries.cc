// SPDX-License-Identifier: Apache-2.0
#include "api/generated_queries.h"

#include <algorithm>
#include <unordered_set>

#include "absl/strings/str_format.h"
#include "api/keys.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"

namespace trivium {
namespace {

using storage::Table;

constexpr std::size_t kMostWords = 12, kMostBytes = 200;
constexpr std::size_t kReadAtOnce = 1000;

// Bytes beyond ASCII are parts of letters.
bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}
bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool EndsSentence(char c) { return c == '.' || c == '!' || c == '?'; }

// The first sentence or line with a letter, without the mark at its end.
std::string_view FirstSentence(std::string_view text) {
  const auto letter = std::find_if(text.begin(), text.end(), IsLetter);
  text.remove_prefix(letter - text.begin());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool ends = EndsSentence(text[i]) && (i + 1 == text.size() || IsSpace(text[i + 1]));
    if (ends || text[i] == '\n') return text.substr(0, i);
  }
  return text;
}

std::string FirstWords(std::string_view text) {
  std::string words;
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size() && count < kMostWords;) {
    while (i < text.size() && IsSpace(text[i])) ++i;
    const std::size_t begin = i;
    while (i < text.size() && !IsSpace(text[i])) ++i;
    if (begin == i) break;
    if (!words.empty() && words.size() + 1 + i - begin > kMostBytes) break;
    if (count++ > 0) words += ' ';
    words += text.substr(begin, i - begin);
  }
  if (words.size() <= kMostBytes) return words;
  std::size_t end = kMostBytes;  // of a text without spaces; not within a character
  while (end > 0 && (static_cast<unsigned char>(words[end]) & 0xC0) == 0x80) --end;
  return words.substr(0, end);
}

// Equal for headings that say the same.
std::string Folded(std::string_view heading) {
  std::string folded;
  for (const char c : heading) {
    if (IsLetter(c)) {
      folded += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c;
    } else if (!folded.empty() && folded.back() != ' ') {
      folded += ' ';
    }
  }
  if (!folded.empty() && folded.back() == ' ') folded.pop_back();
  return folded;
}

}  // namespace

std::string HeadingOf(std::string_view text, std::string_view metadata) {
  if (metadata.find("\"title\"") != std::string_view::npos) {
    const nlohmann::json json = nlohmann::json::parse(metadata.begin(), metadata.end(), nullptr, false);
    const auto title = json.is_object() ? json.find("title") : json.end();
    if (title != json.end() && title->is_string()) {
      const std::string& given = title->get_ref<const std::string&>();
      if (std::any_of(given.begin(), given.end(), IsLetter)) return FirstWords(given);
    }
  }
  return FirstWords(FirstSentence(text));
}

absl::StatusOr<std::vector<std::string>> GenerateQueries(const StoreState& state,
                                                         const std::set<std::uint32_t>& partitions,
                                                         std::uint64_t seed) {
  std::vector<std::uint64_t> numbers;
  state.documents.ForEach([&](std::uint64_t number, const DocumentDirectory::Entry& entry) {
    if (partitions.count(entry.partition) > 0) numbers.push_back(number);
  });
  base::Random(seed).Shuffle(numbers);
  std::vector<std::string> headings;
  std::unordered_set<std::string> taken;
  for (std::size_t first = 0; first < numbers.size() && headings.size() < kMostGeneratedQueries;
       first += kReadAtOnce) {
    std::vector<std::string> keys;
    for (std::size_t i = first; i < std::min(first + kReadAtOnce, numbers.size()); ++i) {
      keys.push_back(U64Key(numbers[i]));
    }
    TRIVIUM_ASSIGN_OR_RETURN(const auto documents, state.db->MultiGet(Table::kDocuments, keys));
    TRIVIUM_ASSIGN_OR_RETURN(const auto metadata, state.db->MultiGet(Table::kMetadata, keys));
    for (std::size_t i = 0; i < keys.size() && headings.size() < kMostGeneratedQueries; ++i) {
      if (!documents[i]) continue;
      const auto record = DecodeDocument(*documents[i]);
      if (!record) {
        return absl::DataLossError(absl::StrFormat(
            "document %d: a malformed record, expected partition, id and text (db)", numbers[first + i]));
      }
      std::string heading = HeadingOf(record->text, metadata[i].value_or(""));
      if (heading.empty() || !taken.insert(Folded(heading)).second) continue;
      headings.push_back(std::move(heading));
    }
  }
  if (headings.empty()) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "train graph: %d documents without a text, expected texts to make queries from, or queries",
        numbers.size()));
  }
  return headings;
}

}  // namespace trivium
