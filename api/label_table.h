// SPDX-License-Identifier: Apache-2.0
// Which row of an index bears which label: the labels by row, and a table of rows by the hash of their label
// (open addressing, at most three quarters full), 5 to 11 bytes a row. A row that was removed keeps its
// number and loses its label. Not thread-safe while it changes.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "base/bitmap.h"

namespace trivium {

class LabelTable {
 public:
  std::size_t row_count() const { return labels_.size(); }  // with removed rows
  std::size_t live_count() const { return live_count_; }
  const base::Bitmap& live() const { return live_; }
  std::size_t bytes() const {
    return labels_.size() * sizeof(std::uint64_t) + places_.size() * sizeof(std::uint32_t) + live_.size() / 8;
  }

  std::uint64_t label(std::size_t row) const { return labels_[row]; }
  absl::Span<const std::uint64_t> labels() const { return labels_; }  // of removed rows, too
  std::optional<std::uint32_t> Find(std::uint64_t label) const {
    if (places_.empty()) return std::nullopt;
    for (std::size_t place = Home(label); places_[place] != kFree; place = Next(place)) {
      const std::uint32_t row = places_[place];
      if (labels_[row] == label && live_.Test(row)) return row;
    }
    return std::nullopt;
  }

  // The labels of the next rows; one that occurs already goes to its last row. All or, where memory ends,
  // none (std::bad_alloc).
  void Append(absl::Span<const std::uint64_t> labels) {
    const std::size_t first = labels_.size();
    MakeRoom(first + labels.size());
    labels_.insert(labels_.end(), labels.begin(), labels.end());
    try {
      live_.Resize(labels_.size(), false);
    } catch (...) {
      labels_.resize(first);
      throw;
    }
    for (std::size_t row = first; row < labels_.size(); ++row) {
      if (Find(labels_[row])) Remove(labels_[row]);
      live_.Set(row);
      ++live_count_;
      Enter(row);
    }
  }

  // Rows that exist but were never given out.
  void AppendRemoved(std::size_t count) {
    labels_.resize(labels_.size() + count);
    live_.Resize(labels_.size(), false);
  }

  // `label` must be there.
  void Remove(std::uint64_t label) {
    live_.Clear(*Find(label));
    --live_count_;
  }

  // Of rows that are not removed, in their order.
  std::vector<std::uint64_t> LiveLabels() const {
    std::vector<std::uint64_t> labels;
    labels.reserve(live_count());
    live_.ForEachSet([&](std::size_t row) { labels.push_back(labels_[row]); });
    return labels;
  }

 private:
  static constexpr std::uint32_t kFree = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::size_t kSmallest = 16;

  std::size_t Home(std::uint64_t label) const {
    return label * 0x9E3779B97F4A7C15u >> (64 - std::countr_zero(places_.size()));
  }
  std::size_t Next(std::size_t place) const { return (place + 1) & (places_.size() - 1); }

  void Enter(std::size_t row) {
    std::size_t place = Home(labels_[row]);
    while (places_[place] != kFree) place = Next(place);
    places_[place] = static_cast<std::uint32_t>(row);
  }

  // Rows that lost their label keep their place until the table grows.
  void MakeRoom(std::size_t rows) {
    if (4 * rows <= 3 * places_.size()) return;
    places_ = std::vector<std::uint32_t>(std::max(kSmallest, std::bit_ceil((4 * rows + 2) / 3)), kFree);
    live_.ForEachSet([&](std::size_t row) { Enter(row); });
  }

  std::vector<std::uint64_t> labels_;
  std::vector<std::uint32_t> places_;  // rows; a power of two of places
  base::Bitmap live_;
  std::size_t live_count_ = 0;
};

}  // namespace trivium
