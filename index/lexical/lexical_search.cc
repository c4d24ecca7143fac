// SPDX-License-Identifier: Apache-2.0
#include "index/lexical/lexical_search.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"
#include "index/lexical/tokenizer.h"

namespace trivium::index {
namespace {

bool Better(const ScoredLabel& a, const ScoredLabel& b) {
  return a.score != b.score ? a.score > b.score : a.label < b.label;
}

// Keeps the k best of a stream in a heap whose front is the worst.
void Keep(const ScoredLabel& item, std::size_t k, std::vector<ScoredLabel>* heap) {
  if (heap->size() < k) {
    heap->push_back(item);
    std::push_heap(heap->begin(), heap->end(), Better);
  } else if (Better(item, heap->front())) {
    std::pop_heap(heap->begin(), heap->end(), Better);
    heap->back() = item;
    std::push_heap(heap->begin(), heap->end(), Better);
  }
}

}  // namespace

absl::Status Bm25Options::Validate() const {
  if (!(k1 >= 0) || !std::isfinite(k1)) {
    return absl::InvalidArgumentError(absl::StrFormat("k1: %g, expected a finite number >= 0", k1));
  }
  if (!(b >= 0 && b <= 1)) return absl::InvalidArgumentError(absl::StrFormat("b: %g, expected 0 to 1", b));
  return absl::OkStatus();
}

void SearchLexical(absl::Span<const LexicalPart> parts, std::string_view text, const Bm25Options& options,
                   const base::Bitmap* allowed, std::size_t k, LexicalScratch* scratch,
                   std::vector<ScoredLabel>* found, SearchCounters* counters) {
  found->clear();
  if (k == 0) return;
  std::uint64_t documents = 0, tokens = 0;
  for (const LexicalPart& part : parts) {
    documents += part.index->size();
    tokens += part.index->token_count();
  }
  if (tokens == 0) return;
  const double mean_length = static_cast<double>(tokens) / static_cast<double>(documents);
  const float norm = options.k1 * (1 - options.b);
  const auto norm_slope = static_cast<float>(options.k1 * options.b / mean_length);

  struct Term {
    std::string_view word;
    float weight = 0;  // idf, as often as the text repeats it
  };
  Tokenize(text, &scratch->words);
  std::sort(scratch->words.begin(), scratch->words.end());
  std::vector<Term> terms;
  for (const std::string& word : scratch->words) {
    if (!terms.empty() && terms.back().word == word) {
      terms.back().weight += 1;
    } else {
      terms.push_back({word, 1});
    }
  }
  for (Term& term : terms) {
    std::uint64_t holders = 0;
    for (const LexicalPart& part : parts) {
      if (const auto number = part.index->FindTerm(term.word)) holders += part.index->frequency(*number);
    }
    const double n = static_cast<double>(holders), all = static_cast<double>(documents);
    term.weight *= static_cast<float>(std::log1p((all - n + 0.5) / (n + 0.5)));
  }

  for (const LexicalPart& part : parts) {
    const LexicalIndex& index = *part.index;
    std::vector<float>& scores = scratch->scores;
    scores.assign(index.size(), 0.0f);
    const std::uint32_t* const lengths = index.lengths().data();
    bool any = false;
    for (const Term& term : terms) {
      const std::optional<std::uint32_t> number = index.FindTerm(term.word);
      if (!number) continue;
      any = true;
      if (counters != nullptr) counters->bytes_read += index.posting_bytes(*number);
      index.ForEachPosting(*number, [&](std::uint32_t row, std::uint32_t occurrences) {
        const auto f = static_cast<float>(occurrences);
        scores[row] += term.weight * f / (f + norm + norm_slope * static_cast<float>(lengths[row]));
      });
    }
    if (!any) continue;
    for (std::size_t row = 0; row < scores.size(); ++row) {
      // Most rows end here: without a term, or below the k best so far.
      if (scores[row] <= 0 || (found->size() == k && scores[row] < found->front().score)) continue;
      const std::uint64_t label = index.labels()[row];
      if (part.live != nullptr && !part.live->Test(row)) continue;
      if (allowed != nullptr && (label >= allowed->size() || !allowed->Test(label))) continue;
      Keep({label, scores[row]}, k, found);
    }
  }
  std::sort(found->begin(), found->end(), Better);
}

}  // namespace trivium::index
