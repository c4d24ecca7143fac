// SPDX-License-Identifier: Apache-2.0
// The texts of one partition as lexical experts search them: sealed segments and what was written since.
//
// A persistent value, as VectorSet: parts are shared and never change.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bitmap.h"
#include "index/lexical/lexical_index.h"
#include "index/lexical/lexical_search.h"

namespace trivium {

struct TextPart {
  std::shared_ptr<const index::LexicalIndex> index;  // labels: document numbers
  std::shared_ptr<const base::Bitmap> live;          // rows whose document still exists; null: all of them
  std::size_t live_count = 0;
  std::string file;  // of a segment; empty: not sealed yet
};

class TextSet {
 public:
  explicit TextSet(std::uint32_t partition) : partition_(partition) {}

  std::uint32_t partition() const { return partition_; }
  const std::vector<TextPart>& parts() const { return parts_; }  // by document number
  std::size_t live_count() const;

  // `is_live(number)` tells which documents exist.
  template <class IsLive>
  void AddSegment(std::shared_ptr<const index::LexicalIndex> index, std::string file, IsLive is_live) {
    TextPart part{std::move(index), nullptr, 0, std::move(file)};
    base::Bitmap live(part.index->size());
    for (std::size_t i = 0; i < live.size(); ++i) {
      if (is_live(part.index->labels()[i])) live.Set(i);
    }
    part.live_count = live.CountSet();
    if (part.live_count < live.size()) part.live = std::make_shared<base::Bitmap>(std::move(live));
    parts_.push_back(std::move(part));
  }

  // Texts not sealed yet, of new documents with numbers above all others here. Small parts are merged, so
  // that there are O(log texts) of them.
  void AddUnsealed(std::shared_ptr<const index::LexicalIndex> index);

  // Turns the parts from `first` on into one unsealed part of their live texts, or none of none. O(postings).
  void MergeParts(std::size_t first);

  void RemoveDocument(std::uint64_t document);
  void Truncate(std::size_t part_count) { parts_.resize(part_count); }  // keeps the first ones

  void AppendTo(std::vector<index::LexicalPart>* parts) const;

 private:
  std::uint32_t partition_;
  std::vector<TextPart> parts_;
};

}  // namespace trivium
