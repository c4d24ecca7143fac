// SPDX-License-Identifier: Apache-2.0
// Which row of an index bears which label. A row that was removed keeps its number and loses its label.
// Not thread-safe while it changes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "absl/types/span.h"
#include "base/bitmap.h"

namespace trivium {

class LabelTable {
 public:
  std::size_t row_count() const { return labels_.size(); }  // with removed rows
  std::size_t live_count() const { return rows_.size(); }
  const base::Bitmap& live() const { return live_; }

  std::uint64_t label(std::size_t row) const { return labels_[row]; }
  std::optional<std::uint32_t> Find(std::uint64_t label) const {
    const auto found = rows_.find(label);
    return found == rows_.end() ? std::nullopt : std::optional(found->second);
  }

  // The labels of the next rows; distinct and new. All or, where memory ends, none (std::bad_alloc).
  void Append(absl::Span<const std::uint64_t> labels) {
    const std::size_t first = labels_.size();
    try {
      labels_.insert(labels_.end(), labels.begin(), labels.end());
      rows_.reserve(rows_.size() + labels.size());
      for (std::size_t row = first; row < labels_.size(); ++row) {
        rows_.emplace(labels_[row], static_cast<std::uint32_t>(row));
      }
      live_.Resize(labels_.size(), true);
    } catch (...) {
      for (const std::uint64_t label : labels) rows_.erase(label);
      labels_.resize(first);
      throw;
    }
  }

  // Rows that exist but were never given out.
  void AppendRemoved(std::size_t count) {
    labels_.resize(labels_.size() + count);
    live_.Resize(labels_.size(), false);
  }

  // `label` must be there.
  void Remove(std::uint64_t label) {
    const auto found = rows_.find(label);
    live_.Clear(found->second);
    rows_.erase(found);
  }

  // Of rows that are not removed, in their order.
  std::vector<std::uint64_t> LiveLabels() const {
    std::vector<std::uint64_t> labels;
    labels.reserve(live_count());
    live_.ForEachSet([&](std::size_t row) { labels.push_back(labels_[row]); });
    return labels;
  }

 private:
  std::vector<std::uint64_t> labels_;
  std::unordered_map<std::uint64_t, std::uint32_t> rows_;
  base::Bitmap live_;
};

}  // namespace trivium
