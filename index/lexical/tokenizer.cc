// SPDX-License-Identifier: Apache-2.0
#include "index/lexical/tokenizer.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace trivium::index {
namespace {

// Sorted.
constexpr std::string_view kStopWords[] = {
    "a",    "an", "and", "are", "as",   "at",   "be",   "but",   "by",    "for",  "from",  "had",   "has",
    "have", "he", "her", "his", "how",  "i",    "if",   "in",    "into",  "is",   "it",    "its",   "no",
    "not",  "of", "on",  "or",  "she",  "such", "that", "the",   "their", "then", "there", "these", "they",
    "this", "to", "was", "we",  "were", "what", "when", "which", "who",   "will", "with",  "you"};

constexpr std::uint32_t kNoCodePoint = 0xFFFFFFFF;

// The code point that begins at text[*at], which moves behind it; kNoCodePoint, one byte on, where there is
// none.
std::uint32_t NextCodePoint(std::string_view text, std::size_t* at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::uint32_t first = byte((*at)++);
  if (first < 0x80) return first;
  const std::size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC0 ? 1 : 0;
  if (more == 0 || first >= 0xF8 || text.size() - *at < more) return kNoCodePoint;
  std::uint32_t code = first & (0x3F >> more);
  for (std::size_t i = 0; i < more; ++i) {
    if ((byte(*at + i) & 0xC0) != 0x80) return kNoCodePoint;
    code = code << 6 | (byte(*at + i) & 0x3F);
  }
  *at += more;
  return code;
}

void AppendUtf8(std::uint32_t code, std::string* out) {
  if (code < 0x80) {
    out->push_back(static_cast<char>(code));
    return;
  }
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  constexpr unsigned char kFirst[] = {0, 0xC0, 0xE0, 0xF0};
  out->push_back(static_cast<char>(kFirst[more] | code >> (6 * more)));
  for (int i = more - 1; i >= 0; --i) out->push_back(static_cast<char>(0x80 | (code >> (6 * i) & 0x3F)));
}

bool IsWordPart(std::uint32_t code) {
  if (code < 0x80) {
    return (code >= '0' && code <= '9') || (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z');
  }
  if (code < 0xC0)
    return code == 0xAA || code == 0xB5 || code == 0xBA;  // Latin-1 signs but for three letters
  return !(code == 0xD7 || code == 0xF7 || (code >= 0x2000 && code < 0x2070) ||  // punctuation, spaces
           (code >= 0x20A0 && code < 0x2C00) ||                                  // signs, arrows, drawings
           (code >= 0x2E00 && code < 0x2E80) || (code >= 0x3000 && code < 0x3040) ||  // more punctuation
           (code >= 0xFE10 && code < 0xFE70) || (code >= 0xFF00 && code < 0xFF10) || code == 0xFEFF ||
           code == 0xFFFD || code == kNoCodePoint);
}

std::uint32_t LowerCase(std::uint32_t code) {
  if (code < 0x80) return code >= 'A' && code <= 'Z' ? code + 32 : code;
  if (code < 0x100) return code >= 0xC0 && code <= 0xDE && code != 0xD7 ? code + 32 : code;
  if (code < 0x180) {  // Latin Extended-A: pairs of capital and small letter
    if (code == 0x178) return 0xFF;
    if (code == 0x130 || code == 0x138 || code == 0x149 || code == 0x17F) return code;
    const bool odd_capitals = (code >= 0x139 && code <= 0x148) || code > 0x178;
    return (code % 2 == 1) == odd_capitals ? code + 1 : code;
  }
  if (code >= 0x391 && code <= 0x3A9) return code + 32;
  if (code >= 0x400 && code <= 0x40F) return code + 80;
  return code >= 0x410 && code <= 0x42F ? code + 32 : code;
}

void TakePluralEnding(std::string* word) {
  const std::size_t size = word->size();
  if (size <= 3 || word->back() != 's') return;
  const char before = (*word)[size - 2], earlier = (*word)[size - 3];
  if (before == 'e' && earlier == 'i') {
    const char first = (*word)[size - 4];
    if (first == 'e' || first == 'a') return;
    word->resize(size - 3);
    word->push_back('y');
  } else if (before == 'e') {
    if (earlier != 'a' && earlier != 'e' && earlier != 'o') word->pop_back();
  } else if (before != 'u' && before != 's') {
    word->pop_back();
  }
}

}  // namespace

bool IsStopWord(std::string_view word) {
  return std::binary_search(std::begin(kStopWords), std::end(kStopWords), word);
}

void Tokenize(std::string_view text, std::vector<std::string>* terms) {
  std::size_t count = 0;  // of terms; strings behind them wait to be reused
  bool open = false;
  const auto end_word = [&] {
    if (!open) return;
    open = false;
    std::string& word = (*terms)[count];
    if (IsStopWord(word)) return;
    TakePluralEnding(&word);
    if (word.size() <= kMaxTermBytes) ++count;
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::uint32_t code = NextCodePoint(text, &at);
    if (!IsWordPart(code)) {
      end_word();
      continue;
    }
    if (!open) {
      if (count == terms->size()) terms->emplace_back();
      (*terms)[count].clear();
      open = true;
    }
    AppendUtf8(LowerCase(code), &(*terms)[count]);
  }
  end_word();
  terms->resize(count);
}

}  // namespace trivium::index
