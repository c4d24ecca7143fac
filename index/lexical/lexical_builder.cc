// SPDX-License-Identifier: Apache-2.0
#include "index/lexical/lexical_builder.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "index/lexical/tokenizer.h"

namespace trivium::index {
namespace {

constexpr std::uint32_t kDropped = ~std::uint32_t{0};

void AppendVarint(std::uint32_t value, std::string* out) {
  for (; value >= 128; value >>= 7) out->push_back(static_cast<char>(value | 128));
  out->push_back(static_cast<char>(value));
}

// `before`: the row of the posting before it, -1 where there is none.
void AppendPosting(std::uint32_t row, std::uint32_t before, std::uint32_t occurrences, std::string* out) {
  AppendVarint((row - before) << 1 | (occurrences == 1 ? 1 : 0), out);
  if (occurrences > 1) AppendVarint(occurrences, out);
}

void EndTerm(std::string_view term, std::uint32_t frequency, LexicalArrays* arrays) {
  arrays->terms.append(term);
  arrays->term_ends.push_back(arrays->terms.size());
  arrays->frequencies.push_back(frequency);
  arrays->posting_ends.push_back(arrays->postings.size());
}

}  // namespace

void LexicalBuilder::Add(std::uint64_t label, std::string_view text) {
  assert(arrays_.labels.empty() || label > arrays_.labels.back());
  const auto row = static_cast<std::uint32_t>(size());
  Tokenize(text, &words_);
  arrays_.labels.push_back(label);
  arrays_.lengths.push_back(static_cast<std::uint32_t>(words_.size()));
  changed_.clear();
  for (const std::string& word : words_) {
    Postings& postings = terms_[word];
    if (postings.occurrences++ == 0) changed_.push_back(&postings);
  }
  for (Postings* postings : changed_) {
    AppendPosting(row, postings->last_row, std::exchange(postings->occurrences, 0), &postings->bytes);
    postings->last_row = row;
    ++postings->frequency;
  }
}

std::shared_ptr<const LexicalIndex> LexicalBuilder::Finish() {
  std::vector<const std::pair<const std::string, Postings>*> order;
  order.reserve(terms_.size());
  for (const auto& entry : terms_) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->first < b->first; });
  for (const auto* entry : order) {
    arrays_.postings += entry->second.bytes;
    EndTerm(entry->first, entry->second.frequency, &arrays_);
  }
  terms_.clear();
  return std::make_shared<const LexicalIndex>(std::exchange(arrays_, {}));
}

std::shared_ptr<const LexicalIndex> MergeLexical(absl::Span<const LexicalSource> sources) {
  LexicalArrays arrays;
  std::vector<std::vector<std::uint32_t>> rows(sources.size());  // new numbers of the old rows
  std::vector<std::string_view> terms;
  for (std::size_t s = 0; s < sources.size(); ++s) {
    const LexicalIndex& index = *sources[s].index;
    rows[s].assign(index.size(), kDropped);
    for (std::size_t i = 0; i < index.size(); ++i) {
      if (sources[s].live != nullptr && !sources[s].live->Test(i)) continue;
      assert(arrays.labels.empty() || index.labels()[i] > arrays.labels.back());
      rows[s][i] = static_cast<std::uint32_t>(arrays.labels.size());
      arrays.labels.push_back(index.labels()[i]);
      arrays.lengths.push_back(index.lengths()[i]);
    }
    for (std::size_t t = 0; t < index.term_count(); ++t) terms.push_back(index.term(t));
  }
  std::sort(terms.begin(), terms.end());
  terms.erase(std::unique(terms.begin(), terms.end()), terms.end());
  for (const std::string_view term : terms) {
    std::uint32_t frequency = 0, before = ~std::uint32_t{0};
    for (std::size_t s = 0; s < sources.size(); ++s) {
      const std::optional<std::uint32_t> number = sources[s].index->FindTerm(term);
      if (!number) continue;
      sources[s].index->ForEachPosting(*number, [&](std::uint32_t old, std::uint32_t occurrences) {
        const std::uint32_t row = rows[s][old];
        if (row == kDropped) return;
        AppendPosting(row, before, occurrences, &arrays.postings);
        before = row;
        ++frequency;
      });
    }
    if (frequency > 0) EndTerm(term, frequency, &arrays);
  }
  return std::make_shared<const LexicalIndex>(std::move(arrays));
}

}  // namespace trivium::index
