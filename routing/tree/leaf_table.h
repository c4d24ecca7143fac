// SPDX-License-Identifier: Apache-2.0
// What a tree says of every row of a vector set: its masses at several levels, and the exact search among
// them, coarse to fine: by codes at a coarser level, by codes at the level asked for, then by the masses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bitmap.h"
#include "base/huge_bytes.h"
#include "base/matrix_view.h"
#include "base/neighbor.h"
#include "base/top_k.h"
#include "index/search_index.h"
#include "kernels/distance_table.h"
#include "routing/tree/mass_codes.h"
#include "routing/tree/split_tree.h"
#include "storage/segment_file.h"

namespace trivium::routing {

// The masses of one query at all levels of a tree.
class LeafQuery {
 public:
  // Cost: SplitTree::Assign. Allocates at the first call and where a tree is deeper.
  void Set(const SplitTree& tree, const float* query);
  std::size_t depth() const { return depth_; }
  // 2^level masses, then zeros up to a multiple of 64.
  const std::uint8_t* level(std::size_t level) const { return masses_.data() + starts_[level]; }
  // Sum of its masses, of a given tree with what was cut of them.
  float whole(std::size_t level) const { return wholes_[level]; }
  // SplitTree::UnitDoublings, and what was cut when this level's masses were joined from those below.
  std::size_t doublings(std::size_t level) const { return doublings_[level]; }
  std::uint32_t cut(std::size_t level) const { return cuts_[level]; }
  const float* probabilities() const { return probabilities_.data(); }  // as of SplitTree::Assign

 private:
  std::size_t depth_ = 0;
  std::vector<float> features_, probabilities_;
  std::vector<std::uint8_t> masses_;
  std::vector<std::size_t> starts_, doublings_;
  std::vector<std::uint32_t> cuts_;
  std::vector<float> wholes_;
};

// Buffers of one thread.
struct LeafScratch {
  LeafQuery query;
  std::vector<std::uint32_t> shared;  // at most, of each row that is left, with the query
  std::vector<std::uint32_t> rows;    // that are left
  std::vector<base::Neighbor> promising;
  std::vector<std::uint8_t> folded;
  base::TopK top;
};

// Levels kept are the last, `depth`, and every second one above it down to 4 (of a tree with fewer: the
// last). Bytes a row: one for each node of these levels, at least 64 a level, and half of it for their codes:
// 2,112 for a depth of 10. Masses of a level are in units of 2^SplitTree::UnitDoublings times the tree's.
// Immutable; safe to use concurrently.
class LeafTable {
 public:
  // Of `rows` (n x dimension of the tree). Cost: n x SplitTree::Assign. The same for any number of threads.
  static std::shared_ptr<const LeafTable> Build(const SplitTree& tree, base::MatrixView rows,
                                                int thread_count);

  // Writes a new file; what the file system says. kAlreadyExists where there is one.
  absl::Status Write(const std::string& path) const;
  // Maps a file. kDataLoss where it is damaged, or not of `size` rows and this tree's depth and unit;
  // `verify` also reads all of it and compares checksums.
  static absl::StatusOr<std::shared_ptr<const LeafTable>> Open(const std::string& path, const SplitTree& tree,
                                                               std::size_t size, bool verify);

  std::size_t size() const { return size_; }
  std::size_t depth() const { return levels_.back().level; }
  std::size_t bytes_per_row() const;
  static std::size_t LevelBytes(std::size_t level);  // of these, what the masses of a kept level take

  // Overwrites `found` with the rows that share most with `query` at `level`, 1 to depth(), first those that
  // share most, ties by row: exactly min(k, allowed rows). `distance` is 1 less
  // the share of the query's masses that the row has, too: the total variation distance, up to rounding.
  // `allowed`: null, or a bit a row.
  //
  // What two rows share can only fall from level to level, and is never more than what one shares with the
  // bounds of the other's masses. So a row whose share by codes, at the kept level before or at the asked
  // one, is below the k-th best is out: the answer is that of a scan of the asked level. `counters`: rows
  // compared, at any level, by codes or masses, as code_distances, and their bytes. Source: the bound of
  // Gupta et al. 2025 (ReTreever), section 3.3, used to prune rather than to approximate; the codes are ours.
  void Search(const LeafQuery& query, std::size_t level, std::size_t k, const base::Bitmap* allowed,
              LeafScratch* scratch, std::vector<base::Neighbor>* found,
              index::SearchCounters* counters) const;

  // Masses of a row at a kept level, for inspection and tests: 2^level of them; null where it is not kept.
  const std::uint8_t* masses(std::size_t row, std::size_t level) const;

 private:
  struct Level {
    std::size_t level = 0;
    std::size_t stride = 0;  // masses; codes take half of it
    const std::uint8_t* masses = nullptr;
    const std::uint8_t* codes = nullptr;
    MassBounds bounds{};                 // of the codes
    base::HugeBytes owned, owned_codes;  // where they are not mapped
  };
  LeafTable()
      : shared_mass_rows_(kernels::ActiveDistances().shared_mass_rows),
        shared_mass_code_rows_(kernels::ActiveDistances().shared_mass_code_rows) {}
  static void EncodeLevel(std::size_t size, int thread_count, Level* level);
  // The first kept level at or below `level` in the tree.
  const Level& LevelFor(std::size_t level) const;
  std::uint32_t Shared(const Level& kept, const LeafQuery& query, std::size_t level, std::uint32_t row,
                       LeafScratch* scratch) const;
  // At most, at a kept level, of each of `rows`, which increase.
  void SharedByCodes(const Level& kept, const LeafQuery& query, const std::vector<std::uint32_t>& rows,
                     std::vector<std::uint32_t>* shared) const;
  // The most that a row may share with the query at `level`, where it shares as much at a kept level above.
  struct Bound {
    std::size_t shift = 0;
    std::uint32_t slack = 0;
    std::uint32_t operator()(std::uint32_t shared) const { return (shared << shift) + slack; }
  };
  static Bound BoundOf(const LeafQuery& query, std::size_t kept, std::size_t level);

  decltype(kernels::DistanceTable::shared_mass_rows) shared_mass_rows_;
  decltype(kernels::DistanceTable::shared_mass_code_rows) shared_mass_code_rows_;
  std::size_t size_ = 0;
  float unit_ = 0;             // of the masses of the last level
  std::vector<Level> levels_;  // coarse to fine
  std::shared_ptr<const storage::SegmentFile> file_;
};

}  // namespace trivium::routing
