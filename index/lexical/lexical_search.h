// SPDX-License-Identifier: Apache-2.0
// Ranks documents for a question by BM25, over one lexical index or several searched as one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/bitmap.h"
#include "index/lexical/lexical_index.h"
#include "index/search_index.h"

namespace trivium::index {

// Defaults: those of Anserini (Yang et al. 2017).
struct Bm25Options {
  float k1 = 0.9f;                // >= 0: how much more a term counts that occurs again; 0: not at all
  float b = 0.4f;                 // 0 to 1: how much longer documents are held back
  absl::Status Validate() const;  // kInvalidArgument
};

// One of the indexes, which hold distinct documents.
struct LexicalPart {
  const LexicalIndex* index = nullptr;
  const base::Bitmap* live = nullptr;  // rows that may be found; null: all. Statistics count the others too
};

struct ScoredLabel {
  std::uint64_t label = 0;
  float score = 0;  // larger is better
};

// Buffers of one thread, reused from query to query.
struct LexicalScratch {
  std::vector<std::string> words;
  std::vector<float> scores;
};

// Overwrites `found` with the k best documents that share a term with `text`, best first, ties by the smaller
// label; fewer where fewer do.
//
//   allowed   null, or a bit for each label that may be found (labels beyond it may not)
//   counters  null, or added to: bytes of postings
//
// score = sum over the terms t of the text, repeated ones counted again, of
//   ln(1 + (N - n_t + 0.5) / (n_t + 0.5)) * f / (f + k1 * (1 - b + b * length / mean length))
// with f occurrences of t in the document, N documents of the parts, of which n_t hold t: N, n_t and the mean
// length are those of all parts together.
//
// Source:  Robertson & Zaragoza 2009; the variant of Lucene 8 (Kamphuis et al. 2020).
// Differs: lengths are exact.
// Cost:    O(postings of the terms + documents), 1 to 2 ns each: documents are scored term by term, none is
//          skipped. Safe to call concurrently, each thread with a scratch of its own.
void SearchLexical(absl::Span<const LexicalPart> parts, std::string_view text, const Bm25Options& options,
                   const base::Bitmap* allowed, std::size_t k, LexicalScratch* scratch,
                   std::vector<ScoredLabel>* found, SearchCounters* counters);

}  // namespace trivium::index
