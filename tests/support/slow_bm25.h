// SPDX-License-Identifier: Apache-2.0
// BM25 as its formula reads, in double precision, document by document; and texts to rank with it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "index/lexical/lexical_search.h"
#include "index/lexical/tokenizer.h"

namespace trivium::testing_support {

inline std::vector<std::string> Terms(std::string_view text) {
  std::vector<std::string> terms;
  index::Tokenize(text, &terms);
  return terms;
}

// All documents with a score above 0, best first, ties by the smaller label. `texts`: by label.
inline std::vector<std::pair<std::uint64_t, double>> SlowBm25(
    const std::map<std::uint64_t, std::string>& texts, std::string_view query,
    const index::Bm25Options& options) {
  std::map<std::uint64_t, std::vector<std::string>> documents;
  double tokens = 0;
  for (const auto& [label, text] : texts) {
    documents[label] = Terms(text);
    tokens += static_cast<double>(documents[label].size());
  }
  const auto n = static_cast<double>(documents.size());
  std::vector<std::pair<std::uint64_t, double>> ranking;
  for (const auto& [label, terms] : documents) {
    double score = 0;
    for (const std::string& word : Terms(query)) {
      double holders = 0;
      for (const auto& [other, other_terms] : documents) {
        holders += std::find(other_terms.begin(), other_terms.end(), word) != other_terms.end() ? 1 : 0;
      }
      const auto f = static_cast<double>(std::count(terms.begin(), terms.end(), word));
      const double length = static_cast<double>(terms.size()) / (tokens / n);
      const double norm = options.k1 * (1 - options.b + options.b * length);
      if (f > 0) score += std::log(1 + (n - holders + 0.5) / (holders + 0.5)) * f / (f + norm);
    }
    if (score > 0) ranking.emplace_back(label, score);
  }
  std::stable_sort(ranking.begin(), ranking.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  return ranking;
}

// Words of a Zipf-like law over "w0" to "w199", so that some are in most texts and some in one.
inline std::string RandomText(std::size_t words, base::Random* random) {
  std::string text;
  for (std::size_t i = 0; i < words; ++i) {
    const double u = random->Uniform();
    text += "w" + std::to_string(static_cast<int>(200 * u * u * u)) + " ";
  }
  return text;
}

inline std::map<std::uint64_t, std::string> RandomTexts(std::size_t count, std::uint64_t seed) {
  base::Random random(seed);
  std::map<std::uint64_t, std::string> texts;
  for (std::uint64_t label = 3; texts.size() < count; label += 1 + random.Below(3)) {
    texts[label] = RandomText(random.Below(40), &random);
  }
  return texts;
}

}  // namespace trivium::testing_support
