// SPDX-License-Identifier: Apache-2.0
// An inverted index: for each term the documents that hold it and how often. Immutable, in memory or mapped
// from a file; it knows terms and numbers, not texts or scores.
//
// One layout for both, as blocks of the file (little-endian):
//
//   "lexical"       LexicalHeader, 64 bytes
//   "labels"        u64 a document, increasing: its number to the caller
//   "lengths"       u32 a document: its terms, repetitions counted
//   "terms"         bytes of all terms, increasing in byte order, without a gap
//   "term_ends"     u64 a term: where it ends in "terms"
//   "frequencies"   u32 a term: documents that hold it, at least one
//   "posting_ends"  u64 a term: where its postings end in "postings"
//   "postings"      a posting is a varint 2 * (row - row before, the first counted from -1), plus 1 where the
//                   term occurs once in the document; else a varint, its occurrences, follows. A varint has 7
//                   bits a byte, low ones first, and the high bit where more follow
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/segment_file.h"

namespace trivium::index {

inline constexpr std::size_t kMostLexicalRows = std::size_t{1} << 30;

// What an index is made of, owned. LexicalBuilder fills it in.
struct LexicalArrays {
  std::vector<std::uint64_t> labels;
  std::vector<std::uint32_t> lengths;
  std::string terms;
  std::vector<std::uint64_t> term_ends;
  std::vector<std::uint32_t> frequencies;
  std::vector<std::uint64_t> posting_ends;
  std::string postings;
};

// Moves *at behind the varint there. REQUIRES: it is whole and fits 32 bits, as in a checked index.
inline std::uint32_t ReadVarint(const std::uint8_t** at) {
  std::uint32_t byte = *(*at)++;
  std::uint32_t value = byte & 127;
  for (int shift = 7; byte >= 128; shift += 7) {
    byte = *(*at)++;
    value |= (byte & 127) << shift;
  }
  return value;
}

// All methods are safe to call concurrently.
class LexicalIndex {
 public:
  // REQUIRES: the arrays are as drawn above.
  explicit LexicalIndex(LexicalArrays arrays);

  // Writes the index to `path`, which must not exist yet; durable on return. kAlreadyExists,
  // kResourceExhausted and the like; no file is left then.
  absl::Status Write(const std::string& path) const;

  // Maps a file. kDataLoss where it is damaged; `verify` also reads every block and checks its checksum. All
  // sizes and every posting are checked anyway, so reading an opened index never leaves its bounds.
  // O(postings).
  static absl::StatusOr<std::shared_ptr<const LexicalIndex>> Open(const std::string& path, bool verify);

  std::size_t size() const { return labels_.size(); }  // documents
  std::size_t term_count() const { return frequencies_.size(); }
  std::uint64_t token_count() const { return token_count_; }  // sum of lengths
  absl::Span<const std::uint64_t> labels() const { return labels_; }
  absl::Span<const std::uint32_t> lengths() const { return lengths_; }
  std::uint64_t size_bytes() const;  // of the blocks

  std::string_view term(std::size_t number) const {
    const std::uint64_t begin = number == 0 ? 0 : term_ends_[number - 1];
    return terms_.substr(begin, term_ends_[number] - begin);
  }
  std::optional<std::uint32_t> FindTerm(std::string_view term) const;  // its number
  std::uint32_t frequency(std::size_t term) const { return frequencies_[term]; }
  std::uint64_t posting_bytes(std::size_t term) const {
    return posting_ends_[term] - (term == 0 ? 0 : posting_ends_[term - 1]);
  }

  // Calls visit(row, occurrences) for the documents of a term, rows increasing.
  template <class Visit>
  void ForEachPosting(std::size_t term, Visit visit) const {
    const std::uint8_t* at = postings_ + (term == 0 ? 0 : posting_ends_[term - 1]);
    std::uint32_t row = ~std::uint32_t{0};
    for (std::uint32_t i = frequencies_[term]; i > 0; --i) {
      const std::uint32_t step = ReadVarint(&at);
      row += step >> 1;
      visit(row, (step & 1) != 0 ? 1 : ReadVarint(&at));
    }
  }

 private:
  LexicalIndex() = default;
  absl::Status Check() const;
  absl::Status CheckPostings() const;
  void FillSlots();

  std::shared_ptr<const void> owner_;
  std::string path_;  // of the file; empty: in memory
  absl::Span<const std::uint64_t> labels_;
  absl::Span<const std::uint32_t> lengths_;
  std::string_view terms_;
  absl::Span<const std::uint64_t> term_ends_;
  absl::Span<const std::uint32_t> frequencies_;
  absl::Span<const std::uint64_t> posting_ends_;
  const std::uint8_t* postings_ = nullptr;
  std::uint64_t posting_bytes_ = 0;
  std::uint64_t token_count_ = 0;
  std::vector<std::uint32_t> slots_;  // open addressing by hash: number of a term + 1, 0 free; a power of two
};

}  // namespace trivium::index
