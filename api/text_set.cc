// SPDX-License-Identifier: Apache-2.0
#include "api/text_set.h"

#include <algorithm>
#include <utility>

#include "index/lexical/lexical_builder.h"

namespace trivium {
namespace {

// The newest unsealed part is merged into the one before it while that is not this much larger.
constexpr std::size_t kMergeRatio = 2;

}  // namespace

std::size_t TextSet::live_count() const {
  std::size_t count = 0;
  for (const TextPart& part : parts_) count += part.live_count;
  return count;
}

void TextSet::AddUnsealed(std::shared_ptr<const index::LexicalIndex> index) {
  const std::size_t size = index->size();
  if (size == 0) return;
  parts_.push_back({std::move(index), nullptr, size, ""});
  while (parts_.size() >= 2) {
    const TextPart& last = parts_.back();
    const TextPart& previous = parts_[parts_.size() - 2];
    if (!previous.file.empty() || previous.live_count > kMergeRatio * last.live_count) break;
    MergeParts(parts_.size() - 2);
  }
}

void TextSet::MergeParts(std::size_t first) {
  if (first + 1 == parts_.size() && parts_[first].file.empty() && parts_[first].live == nullptr) return;
  std::vector<index::LexicalSource> sources;
  for (std::size_t p = first; p < parts_.size(); ++p) {
    if (parts_[p].live_count > 0) sources.push_back({parts_[p].index.get(), parts_[p].live.get()});
  }
  std::shared_ptr<const index::LexicalIndex> merged = index::MergeLexical(sources);
  Truncate(first);
  const std::size_t size = merged->size();
  if (size > 0) parts_.push_back({std::move(merged), nullptr, size, ""});
}

void TextSet::RemoveDocument(std::uint64_t document) {
  for (TextPart& part : parts_) {
    const absl::Span<const std::uint64_t> labels = part.index->labels();
    const auto found = std::lower_bound(labels.begin(), labels.end(), document);
    if (found == labels.end() || *found != document) continue;
    const auto row = static_cast<std::size_t>(found - labels.begin());
    if (part.live != nullptr && !part.live->Test(row)) return;
    auto live = part.live == nullptr ? std::make_shared<base::Bitmap>(labels.size(), true)
                                     : std::make_shared<base::Bitmap>(*part.live);
    live->Clear(row);
    part.live = std::move(live);
    --part.live_count;
    return;
  }
}

void TextSet::AppendTo(std::vector<index::LexicalPart>* parts) const {
  for (const TextPart& part : parts_) parts->push_back({part.index.get(), part.live.get()});
}

}  // namespace trivium
