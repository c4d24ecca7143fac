// SPDX-License-Identifier: Apache-2.0
// Makes lexical indexes: from texts, and from others.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/types/span.h"
#include "base/bitmap.h"
#include "index/lexical/lexical_index.h"

namespace trivium::index {

// Collects documents. Not thread-safe.
class LexicalBuilder {
 public:
  // `label` is larger than those before.
  void Add(std::uint64_t label, std::string_view text);
  std::size_t size() const { return arrays_.labels.size(); }
  // The index of what was added; the builder is empty again.
  std::shared_ptr<const LexicalIndex> Finish();

 private:
  struct Postings {
    std::string bytes;
    std::uint32_t frequency = 0;
    std::uint32_t last_row = ~std::uint32_t{0};
    std::uint32_t occurrences = 0;  // in last_row; not among the bytes yet
  };

  LexicalArrays arrays_;
  std::unordered_map<std::string, Postings> terms_;
  std::vector<std::string> words_;  // of one text
  std::vector<Postings*> changed_;  // by it
};

// One of the indexes to merge.
struct LexicalSource {
  const LexicalIndex* index = nullptr;
  const base::Bitmap* live = nullptr;  // rows to keep; null: all
};

// The documents that are kept, their labels increasing from source to source. O(postings).
std::shared_ptr<const LexicalIndex> MergeLexical(absl::Span<const LexicalSource> sources);

}  // namespace trivium::index
