// SPDX-License-Identifier: Apache-2.0
// From a text to the terms by which it is found: words in lower case, without English stop words and plural
// endings.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trivium::index {

// Longer words are no terms: they are data that happens to lie in a text.
inline constexpr std::size_t kMaxTermBytes = 255;

// Overwrites `terms` with the terms of `text` in their order, repeated as they occur; capacity is reused.
//
// A word is a run of letters and digits; everything beyond ASCII that is not punctuation, a symbol or a space
// counts as a letter, so a script without spaces gives one term a run. Lower case reaches Latin, Greek and
// Cyrillic letters; accents stay. An ending s is taken from words of more than three letters ("indexes" ->
// "indexe", "studies" -> "study", but "glass" and "corpus" stay). A byte that is not UTF-8 separates words.
//
// Source: Harman 1991 (How effective is suffixing?), the S stemmer. Safe to call concurrently.
void Tokenize(std::string_view text, std::vector<std::string>* terms);

// Whether `word`, in lower case, is left out.
bool IsStopWord(std::string_view word);

}  // namespace trivium::index
