// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/leaf_table.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/aligned_matrix.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "routing/tree/leaf_masses.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kCoarsestLevel = 4;
constexpr std::size_t kMassesAtOnce = 64;  // of a kernel's step
constexpr std::size_t kRowsAtOnce = 256;
constexpr std::size_t kCoarsestSieve = 8;  // what coarser levels rule out does not pay for reading them
constexpr std::size_t kRowsSampled = 256;  // for the bounds of codes
constexpr std::uint64_t kVersion = 2;
constexpr std::uint64_t kVersionWithoutCodes = 1;

std::size_t Padded(std::size_t places) {
  return (places + kMassesAtOnce - 1) / kMassesAtOnce * kMassesAtOnce;
}

std::vector<std::size_t> KeptLevels(std::size_t depth) {
  std::vector<std::size_t> levels;
  for (std::size_t level = depth;; level -= 2) {
    levels.push_back(level);
    if (level < kCoarsestLevel + 2) break;
  }
  std::reverse(levels.begin(), levels.end());
  return levels;
}

// The blocks of a file:
//   leaf_header  u64 version | u64 rows | u32 depth | f32 unit
//   leaves_L     of each kept level L: rows x stride bytes
//   bounds_L     likewise: 16 bytes, of its codes
//   codes_L      likewise: rows x stride / 2 bytes
// Version 1 has no codes.
struct Header {
  std::uint64_t version, rows;
  std::uint32_t depth;
  float unit;
};

// The masses of `level` from those of the level below, whose unit has doubled `below` times; returns what was
// cut. `nodes`: as of SplitTree::Assign.
std::uint32_t JoinLevel(const SplitTree& tree, std::size_t level, std::size_t below,
                        const std::uint8_t* children, const float* nodes, std::uint8_t* parents) {
  const std::size_t count = std::size_t{1} << level, doublings = tree.UnitDoublings(level);
  if (!tree.given()) return JoinChildren(children, count, doublings > below, parents);
  return JoinAndRound(children, nodes + count, count, doublings > below,
                      std::ldexp(tree.mass_unit, static_cast<int>(doublings)), parents);
}

std::string BlockName(std::size_t level) { return absl::StrCat("leaves_", level); }
std::string BoundsName(std::size_t level) { return absl::StrCat("bounds_", level); }
std::string CodesName(std::size_t level) { return absl::StrCat("codes_", level); }

absl::Status AddBytes(const std::string& name, const void* bytes, std::size_t size,
                      storage::SegmentFileWriter* writer) {
  return writer->AddBlock(name, absl::MakeConstSpan(static_cast<const std::byte*>(bytes), size));
}

absl::StatusOr<const std::uint8_t*> FindBytes(const storage::SegmentFile& file, const std::string& path,
                                              const std::string& name, std::size_t size) {
  TRIVIUM_ASSIGN_OR_RETURN(const absl::Span<const std::byte> block, file.Block(name));
  if (block.size() != size) {
    return absl::DataLossError(
        absl::StrFormat("%s: %s of %d bytes, expected %d", path, name, block.size(), size));
  }
  return reinterpret_cast<const std::uint8_t*>(block.data());
}

}  // namespace

void LeafQuery::Set(const SplitTree& tree, const float* query) {
  if (depth_ != tree.depth) {
    depth_ = tree.depth;
    starts_.assign(depth_ + 1, 0);
    std::size_t size = 0;
    for (std::size_t level = 0; level <= depth_; ++level) {
      starts_[level] = size;
      size += Padded(std::size_t{1} << level);
    }
    masses_.assign(size, 0);
  }
  features_.resize(tree.features());
  probabilities_.resize(tree.nodes());
  tree.Assign(query, features_.data(), probabilities_.data());
  cuts_.assign(depth_ + 1, 0);
  doublings_.assign(depth_ + 1, 0);
  cuts_[depth_] = RoundToMasses(probabilities_.data() + tree.leaves(), tree.leaves(), tree.mass_unit,
                                masses_.data() + starts_[depth_]);
  for (std::size_t level = depth_; level-- > 0;) {
    doublings_[level] = tree.UnitDoublings(level);
    cuts_[level] = JoinLevel(tree, level, doublings_[level + 1], masses_.data() + starts_[level + 1],
                             probabilities_.data(), masses_.data() + starts_[level]);
  }
  wholes_.resize(depth_ + 1);
  for (std::size_t level = 0; level <= depth_; ++level) {
    const std::uint8_t* first = masses_.data() + starts_[level];
    const std::uint32_t cut = tree.given() ? cuts_[level] : 0;
    wholes_[level] =
        static_cast<float>(std::max(1u, std::accumulate(first, first + (std::size_t{1} << level), cut)));
  }
}

std::shared_ptr<const LeafTable> LeafTable::Build(const SplitTree& tree, base::MatrixView rows,
                                                  int thread_count) {
  std::shared_ptr<LeafTable> table(new LeafTable);
  table->size_ = rows.rows;
  table->unit_ = tree.mass_unit;
  for (const std::size_t level : KeptLevels(tree.depth)) {
    Level kept;
    kept.level = level;
    kept.stride = Padded(std::size_t{1} << level);
    kept.owned.Grow(0, rows.rows * kept.stride);
    kept.masses = reinterpret_cast<const std::uint8_t*>(kept.owned.data());
    table->levels_.push_back(std::move(kept));
  }
  const std::size_t pieces = (rows.rows + kRowsAtOnce - 1) / kRowsAtOnce;
  base::ParallelFor(pieces, thread_count, 1, [&](std::size_t piece, int) {
    const std::size_t first = piece * kRowsAtOnce;
    const std::size_t count = std::min(kRowsAtOnce, rows.rows - first);
    base::AlignedMatrix nodes;
    AssignMany(tree, base::MatrixView(rows.row(first), count, rows.columns, rows.stride), 1, &nodes);
    std::vector<std::uint8_t> masses(tree.leaves()), above(tree.leaves());
    for (std::size_t i = 0; i < count; ++i) {
      RoundToMasses(nodes.row(i) + tree.leaves(), tree.leaves(), tree.mass_unit, masses.data());
      std::size_t at = tree.depth;
      for (auto kept = table->levels_.rbegin(); kept != table->levels_.rend(); ++kept) {
        for (; at > kept->level; --at) {
          JoinLevel(tree, at - 1, tree.UnitDoublings(at), masses.data(), nodes.row(i), above.data());
          masses.swap(above);
        }
        std::memcpy(reinterpret_cast<std::uint8_t*>(kept->owned.data()) + (first + i) * kept->stride,
                    masses.data(), (std::size_t{1} << at));
      }
    }
  });
  for (Level& kept : table->levels_) EncodeLevel(rows.rows, thread_count, &kept);
  return table;
}

void LeafTable::EncodeLevel(std::size_t size, int thread_count, Level* level) {
  std::vector<std::uint8_t> sample;
  const std::size_t step = std::max<std::size_t>(1, size / kRowsSampled);
  for (std::size_t row = 0; row < size; row += step) {
    const std::uint8_t* masses = level->masses + row * level->stride;
    sample.insert(sample.end(), masses, masses + (std::size_t{1} << level->level));
  }
  level->bounds = ChooseMassBounds(sample);
  level->owned_codes.Grow(0, size * level->stride / 2);
  auto* codes = reinterpret_cast<std::uint8_t*>(level->owned_codes.data());
  level->codes = codes;
  const MassEncoder encoder(level->bounds);
  base::ParallelFor(size, thread_count, kRowsAtOnce, [&](std::size_t row, int) {
    encoder.Encode(level->masses + row * level->stride, level->stride, codes + row * level->stride / 2);
  });
}

absl::Status LeafTable::Write(const std::string& path) const {
  TRIVIUM_ASSIGN_OR_RETURN(const std::unique_ptr<storage::SegmentFileWriter> writer,
                           storage::SegmentFileWriter::Create(path));
  const Header header{kVersion, size_, static_cast<std::uint32_t>(depth()), unit_};
  TRIVIUM_RETURN_IF_ERROR(AddBytes("leaf_header", &header, sizeof(header), writer.get()));
  for (const Level& kept : levels_) {
    const std::size_t size = size_ * kept.stride;
    TRIVIUM_RETURN_IF_ERROR(AddBytes(BlockName(kept.level), kept.masses, size, writer.get()));
    TRIVIUM_RETURN_IF_ERROR(
        AddBytes(BoundsName(kept.level), kept.bounds.data(), kept.bounds.size(), writer.get()));
    TRIVIUM_RETURN_IF_ERROR(AddBytes(CodesName(kept.level), kept.codes, size / 2, writer.get()));
  }
  return writer->Commit();
}

absl::StatusOr<std::shared_ptr<const LeafTable>> LeafTable::Open(const std::string& path,
                                                                 const SplitTree& tree, std::size_t size,
                                                                 bool verify) {
  std::shared_ptr<LeafTable> table(new LeafTable);
  TRIVIUM_ASSIGN_OR_RETURN(table->file_, storage::SegmentFile::Open(path, verify));
  TRIVIUM_ASSIGN_OR_RETURN(const absl::Span<const std::byte> bytes, table->file_->Block("leaf_header"));
  Header header;
  if (bytes.size() != sizeof(header)) {
    return absl::DataLossError(
        absl::StrFormat("%s: leaf_header of %d bytes, expected %d", path, bytes.size(), sizeof(header)));
  }
  std::memcpy(&header, bytes.data(), sizeof(header));
  const bool with_codes = header.version != kVersionWithoutCodes;
  if ((header.version != kVersion && with_codes) || header.rows != size || header.depth != tree.depth ||
      header.unit != tree.mass_unit) {
    return absl::DataLossError(absl::StrFormat(
        "%s: leaves of version %d, %d rows, depth %d and unit %g, expected version %d, %d rows, depth %d and "
        "unit %g",
        path, header.version, header.rows, header.depth, header.unit, kVersion, size, tree.depth,
        tree.mass_unit));
  }
  table->size_ = size;
  table->unit_ = header.unit;
  for (const std::size_t level : KeptLevels(tree.depth)) {
    Level kept;
    kept.level = level;
    kept.stride = Padded(std::size_t{1} << level);
    const std::size_t bytes_kept = size * kept.stride;
    TRIVIUM_ASSIGN_OR_RETURN(kept.masses, FindBytes(*table->file_, path, BlockName(level), bytes_kept));
    if (with_codes) {
      TRIVIUM_ASSIGN_OR_RETURN(kept.codes, FindBytes(*table->file_, path, CodesName(level), bytes_kept / 2));
      TRIVIUM_ASSIGN_OR_RETURN(const std::uint8_t* bounds,
                               FindBytes(*table->file_, path, BoundsName(level), kept.bounds.size()));
      std::copy_n(bounds, kept.bounds.size(), kept.bounds.begin());
      if (!AreMassBounds(kept.bounds)) {
        return absl::DataLossError(absl::StrFormat("%s: %s not increasing to 255", path, BoundsName(level)));
      }
    } else {
      EncodeLevel(size, 1, &kept);
    }
    table->levels_.push_back(std::move(kept));
  }
  return table;
}

std::size_t LeafTable::LevelBytes(std::size_t level) { return Padded(std::size_t{1} << level); }

std::size_t LeafTable::bytes_per_row() const {
  std::size_t bytes = 0;
  for (const Level& kept : levels_) bytes += LevelBytes(kept.level) * 3 / 2;
  return bytes;
}

const std::uint8_t* LeafTable::masses(std::size_t row, std::size_t level) const {
  const Level& kept = LevelFor(level);
  return kept.level == level ? kept.masses + row * kept.stride : nullptr;
}

const LeafTable::Level& LeafTable::LevelFor(std::size_t level) const {
  return *std::find_if(levels_.begin(), levels_.end() - 1,
                       [&](const Level& kept) { return kept.level >= level; });
}

std::uint32_t LeafTable::Shared(const Level& kept, const LeafQuery& query, std::size_t level,
                                std::uint32_t row, LeafScratch* scratch) const {
  const std::uint8_t* masses = kept.masses + row * kept.stride;
  std::size_t places = kept.stride;
  if (kept.level > level) {
    scratch->folded.assign(std::max(Padded(std::size_t{1} << level), std::size_t{1} << (kept.level - 1)), 0);
    std::size_t at = kept.level;
    for (; at > level; --at) {
      JoinChildren(masses, std::size_t{1} << (at - 1), query.doublings(at - 1) > query.doublings(at),
                   scratch->folded.data());
      masses = scratch->folded.data();
    }
    std::fill(scratch->folded.begin() + (std::ptrdiff_t{1} << level), scratch->folded.end(), 0);
    places = Padded(std::size_t{1} << level);
  }
  std::uint32_t shared;
  shared_mass_rows_(query.level(level), masses, places, 1, places, &shared);
  return shared;
}

void LeafTable::SharedByCodes(const Level& kept, const LeafQuery& query,
                              const std::vector<std::uint32_t>& rows,
                              std::vector<std::uint32_t>* shared) const {
  shared->resize(rows.size());
  const std::size_t stride = kept.stride / 2;
  for (std::size_t first = 0, last = 0; first < rows.size(); first = last) {
    while (last < rows.size() && rows[last] - rows[first] == last - first) ++last;  // that lie together
    shared_mass_code_rows_(query.level(kept.level), kept.bounds.data(), kept.codes + rows[first] * stride,
                           stride, last - first, kept.stride, shared->data() + first);
  }
}

LeafTable::Bound LeafTable::BoundOf(const LeafQuery& query, std::size_t kept, std::size_t level) {
  Bound bound{query.doublings(kept) - query.doublings(level), 0};
  for (std::size_t i = kept; i < level; ++i) {
    bound.slack += query.cut(i) << (query.doublings(i) - query.doublings(level));
  }
  return bound;
}

void LeafTable::Search(const LeafQuery& query, std::size_t level, std::size_t k, const base::Bitmap* allowed,
                       LeafScratch* scratch, std::vector<base::Neighbor>* found,
                       index::SearchCounters* counters) const {
  std::vector<std::uint32_t>& rows = scratch->rows;
  std::vector<std::uint32_t>& shared = scratch->shared;
  rows.clear();
  for (std::uint32_t i = 0; i < size_; ++i) {
    if (allowed == nullptr || allowed->Test(i)) rows.push_back(i);
  }
  std::uint64_t compared = 0, bytes = 0;
  const Level& last = LevelFor(level);
  const auto finish = [&](std::uint32_t row) {
    ++compared;
    bytes += last.stride;
    return Shared(last, query, level, row, scratch);
  };
  std::uint32_t bound = 0;   // the k-th best share seen at the asked level, or less
  Bound most;                // of what is shared, by `shared`
  bool are_bounded = false;  // whether `shared` is known
  const auto keep_promising = [&] {
    std::size_t left = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (most(shared[i]) >= bound) rows[left++] = rows[i];
    }
    rows.resize(left);
  };
  for (const Level* kept = &last - (&last == &levels_.front() ? 0 : 1); kept <= &last; ++kept) {
    const bool too_fine = kept->level > level;
    const bool too_coarse = kept != &last && last.level == level && kept->level < kCoarsestSieve;
    if (too_fine || too_coarse) continue;
    if (are_bounded) keep_promising();
    SharedByCodes(*kept, query, rows, &shared);
    are_bounded = true;
    most = BoundOf(query, kept->level, level);
    compared += rows.size();
    bytes += rows.size() * kept->stride / 2;
    // The k most promising at the asked level tell where the others must be.
    if (rows.size() <= k) continue;
    scratch->top.Reset(k);
    for (std::size_t i = 0; i < rows.size(); ++i)
      scratch->top.Push({-static_cast<float>(shared[i]), rows[i]});
    scratch->top.DrainSorted(&scratch->promising);
    std::uint32_t lowest = std::numeric_limits<std::uint32_t>::max();
    for (const base::Neighbor& one : scratch->promising) lowest = std::min(lowest, finish(one.row));
    bound = std::max(bound, lowest);
  }
  scratch->top.Reset(k);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (are_bounded && most(shared[i]) < bound) continue;
    // Whole numbers below 2^24: exact.
    scratch->top.Push({-static_cast<float>(finish(rows[i])), rows[i]});
    if (scratch->top.size() == k) bound = std::max(bound, static_cast<std::uint32_t>(-scratch->top.Bound()));
  }
  scratch->top.DrainSorted(found);
  const float whole = query.whole(level);
  for (base::Neighbor& one : *found) one.distance = 1.0f + one.distance / whole;
  if (counters != nullptr) {
    counters->code_distances += compared;
    counters->bytes_read += bytes;
  }
}

}  // namespace trivium::routing
