// SPDX-License-Identifier: Apache-2.0
#include "index/row_scan.h"

#include <algorithm>
#include <bit>
#include <cstdint>

namespace trivium::index {
namespace {

// Rows a kernel call: enough to spread its cost, few enough for the distances to stay in the first cache.
constexpr std::size_t kBlockRows = 256;

// Of 64 rows, the number from which reading all of them in a row is cheaper than picking the allowed ones.
constexpr int kDenseRows = 40;

class Scan {
 public:
  Scan(const RowDistances& distances, const RowQuery& query, SearchScratch* scratch, SearchCounters* counters)
      : distances_(distances), query_(query), scratch_(*scratch), counters_(*counters) {
    if (scratch_.distances.size() < kBlockRows) scratch_.distances.resize(kBlockRows);
    if (scratch_.rows.size() < kBlockRows) scratch_.rows.resize(kBlockRows);
  }

  void All(std::size_t first, std::size_t last) {
    for (; first < last; first += kBlockRows) {
      const std::size_t count = std::min(kBlockRows, last - first);
      distances_.Block(query_, first, count, scratch_.distances.data());
      counters_.scan_distances += count;
      float bound = scratch_.top.Bound();
      for (std::size_t i = 0; i < count; ++i) {
        if (scratch_.distances[i] <= bound) {
          scratch_.top.Push({scratch_.distances[i], static_cast<std::uint32_t>(first + i)});
          bound = scratch_.top.Bound();
        }
      }
    }
  }

  void Allowed(std::size_t first, std::size_t last, const base::Bitmap& allowed) {
    for (std::size_t begin = first / 64 * 64; begin < last; begin += 64) {
      std::uint64_t word = allowed.words()[begin / 64];
      if (begin < first) word &= ~std::uint64_t{0} << (first - begin);
      if (begin + 64 > last) word &= ~std::uint64_t{0} >> (begin + 64 - last);
      if (std::popcount(word) >= kDenseRows) {
        Dense(begin, word);
      } else {
        for (; word != 0; word &= word - 1) Pick(begin + std::countr_zero(word));
      }
    }
    FlushPicked();
  }

 private:
  void Dense(std::size_t begin, std::uint64_t word) {
    const int skipped = std::countr_zero(word);
    const std::size_t count = 64 - skipped - std::countl_zero(word);
    distances_.Block(query_, begin + skipped, count, scratch_.distances.data());
    counters_.scan_distances += count;
    for (std::uint64_t left = word; left != 0; left &= left - 1) {
      const int bit = std::countr_zero(left);
      scratch_.top.Push({scratch_.distances[bit - skipped], static_cast<std::uint32_t>(begin + bit)});
    }
  }

  void Pick(std::size_t row) {
    scratch_.rows[picked_++] = static_cast<std::uint32_t>(row);
    if (picked_ == kBlockRows) FlushPicked();
  }

  void FlushPicked() {
    distances_.Gather(query_, scratch_.rows.data(), picked_, scratch_.distances.data());
    counters_.scan_distances += picked_;
    for (std::size_t i = 0; i < picked_; ++i) scratch_.top.Push({scratch_.distances[i], scratch_.rows[i]});
    picked_ = 0;
  }

  const RowDistances& distances_;
  const RowQuery& query_;
  SearchScratch& scratch_;
  SearchCounters& counters_;
  std::size_t picked_ = 0;
};

}  // namespace

void ScanRows(const RowDistances& distances, const RowQuery& query, std::size_t first, std::size_t last,
              const base::Bitmap* allowed, SearchScratch* scratch, SearchCounters* counters) {
  Scan scan(distances, query, scratch, counters);
  if (allowed == nullptr) {
    scan.All(first, last);
  } else {
    scan.Allowed(first, last, *allowed);
  }
}

}  // namespace trivium::index
