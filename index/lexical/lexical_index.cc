// SPDX-License-Identifier: Apache-2.0
#include "index/lexical/lexical_index.h"

#include <xxhash.h>

#include <bit>
#include <cstring>
#include <numeric>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace trivium::index {
namespace {

constexpr std::string_view kMagic("TRIVLEX\0", 8);
constexpr std::uint32_t kVersion = 1;

struct LexicalHeader {
  char magic[8];
  std::uint32_t version;
  std::uint32_t unused;
  std::uint64_t documents;
  std::uint64_t terms;
  std::uint64_t tokens;
  std::uint64_t zeros[3];
};
static_assert(sizeof(LexicalHeader) == 64);

template <class T>
absl::Span<const std::byte> AsBytes(const T* values, std::size_t count) {
  return {reinterpret_cast<const std::byte*>(values), count * sizeof(T)};
}

// A varint of untrusted bytes; false where it is cut off or does not fit 32 bits.
bool ReadChecked(const std::uint8_t* end, const std::uint8_t** at, std::uint32_t* value) {
  std::uint64_t read = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    if (*at == end) return false;
    const std::uint8_t byte = *(*at)++;
    read |= std::uint64_t{byte & 127u} << shift;
    if (byte < 128) {
      *value = static_cast<std::uint32_t>(read);
      return read <= 0xFFFFFFFF;
    }
  }
  return false;
}

// Whether ends only grow, from nothing up to `size`.
bool AreEnds(absl::Span<const std::uint64_t> ends, std::uint64_t size) {
  std::uint64_t before = 0;
  for (const std::uint64_t end : ends) {
    if (end < before) return false;
    before = end;
  }
  return before == size;
}

}  // namespace

LexicalIndex::LexicalIndex(LexicalArrays arrays) {
  const auto owned = std::make_shared<const LexicalArrays>(std::move(arrays));
  labels_ = owned->labels;
  lengths_ = owned->lengths;
  terms_ = owned->terms;
  term_ends_ = owned->term_ends;
  frequencies_ = owned->frequencies;
  posting_ends_ = owned->posting_ends;
  postings_ = reinterpret_cast<const std::uint8_t*>(owned->postings.data());
  posting_bytes_ = owned->postings.size();
  token_count_ = std::accumulate(lengths_.begin(), lengths_.end(), std::uint64_t{0});
  owner_ = owned;
  FillSlots();
}

void LexicalIndex::FillSlots() {
  slots_.assign(std::bit_ceil(2 * term_count() + 1), 0);
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t number = 0; number < term_count(); ++number) {
    const std::string_view bytes = term(number);
    std::size_t slot = XXH3_64bits(bytes.data(), bytes.size()) & mask;
    while (slots_[slot] != 0) slot = (slot + 1) & mask;
    slots_[slot] = static_cast<std::uint32_t>(number + 1);
  }
}

std::optional<std::uint32_t> LexicalIndex::FindTerm(std::string_view wanted) const {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t slot = XXH3_64bits(wanted.data(), wanted.size()) & mask; slots_[slot] != 0;
       slot = (slot + 1) & mask) {
    const std::uint32_t number = slots_[slot] - 1;
    if (term(number) == wanted) return number;
  }
  return std::nullopt;
}

std::uint64_t LexicalIndex::size_bytes() const {
  return labels_.size() * 12 + terms_.size() + term_count() * 20 + posting_bytes_;
}

absl::Status LexicalIndex::Write(const std::string& path) const {
  LexicalHeader header = {};
  std::memcpy(header.magic, kMagic.data(), kMagic.size());
  header.version = kVersion;
  header.documents = size();
  header.terms = term_count();
  header.tokens = token_count_;
  TRIVIUM_ASSIGN_OR_RETURN(const auto writer, storage::SegmentFileWriter::Create(path));
  const std::pair<std::string_view, absl::Span<const std::byte>> blocks[] = {
      {"lexical", AsBytes(&header, 1)},
      {"labels", AsBytes(labels_.data(), labels_.size())},
      {"lengths", AsBytes(lengths_.data(), lengths_.size())},
      {"terms", AsBytes(terms_.data(), terms_.size())},
      {"term_ends", AsBytes(term_ends_.data(), term_ends_.size())},
      {"frequencies", AsBytes(frequencies_.data(), frequencies_.size())},
      {"posting_ends", AsBytes(posting_ends_.data(), posting_ends_.size())},
      {"postings", AsBytes(postings_, posting_bytes_)}};
  for (const auto& [name, bytes] : blocks) TRIVIUM_RETURN_IF_ERROR(writer->AddBlock(name, bytes));
  return writer->Commit();
}

absl::StatusOr<std::shared_ptr<const LexicalIndex>> LexicalIndex::Open(const std::string& path, bool verify) {
  TRIVIUM_ASSIGN_OR_RETURN(const auto file, storage::SegmentFile::Open(path, verify));
  std::shared_ptr<LexicalIndex> index(new LexicalIndex);
  index->path_ = path;
  const auto damaged = [&](std::string_view what) {
    return absl::DataLossError(absl::StrFormat("lexical index: %s (%s)", what, path));
  };
  TRIVIUM_ASSIGN_OR_RETURN(const auto header_bytes, file->Block("lexical"));
  LexicalHeader header;
  if (header_bytes.size() != sizeof(header)) return damaged("a header of another size, expected 64 bytes");
  std::memcpy(&header, header_bytes.data(), sizeof(header));
  if (std::memcmp(header.magic, kMagic.data(), kMagic.size()) != 0) {
    return damaged("unknown first bytes, expected \"TRIVLEX\"");
  }
  if (header.version != kVersion) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "lexical index version: %d, expected at most %d (%s)", header.version, kVersion, path));
  }
  if (header.documents > kMostLexicalRows || header.terms >= 0xFFFFFFFF) {
    return damaged("more documents or terms than an index can have");
  }
  absl::Status status;
  const auto load = [&]<class T>(std::string_view name, std::uint64_t count, absl::Span<const T>* out) {
    if (!status.ok()) return;
    const absl::StatusOr<absl::Span<const std::byte>> block = file->Block(name);
    if (!block.ok()) {
      status = block.status();
    } else if (block->size() != count * sizeof(T)) {
      status = damaged(
          absl::StrFormat("%d bytes in block '%s', expected %d", block->size(), name, count * sizeof(T)));
    } else {
      *out = {reinterpret_cast<const T*>(block->data()), count};
    }
  };
  load("labels", header.documents, &index->labels_);
  load("lengths", header.documents, &index->lengths_);
  load("term_ends", header.terms, &index->term_ends_);
  load("frequencies", header.terms, &index->frequencies_);
  load("posting_ends", header.terms, &index->posting_ends_);
  TRIVIUM_RETURN_IF_ERROR(status);
  TRIVIUM_ASSIGN_OR_RETURN(const auto terms, file->Block("terms"));
  TRIVIUM_ASSIGN_OR_RETURN(const auto postings, file->Block("postings"));
  index->terms_ = {reinterpret_cast<const char*>(terms.data()), terms.size()};
  index->postings_ = reinterpret_cast<const std::uint8_t*>(postings.data());
  index->posting_bytes_ = postings.size();
  index->token_count_ = header.tokens;
  index->owner_ = file;
  TRIVIUM_RETURN_IF_ERROR(index->Check());
  index->FillSlots();
  return std::shared_ptr<const LexicalIndex>(std::move(index));
}

absl::Status LexicalIndex::Check() const {
  const auto damaged = [&](std::string_view what) {
    return absl::DataLossError(absl::StrFormat("lexical index: %s (%s)", what, path_));
  };
  for (std::size_t i = 1; i < labels_.size(); ++i) {
    if (labels_[i - 1] >= labels_[i]) return damaged("labels out of order, expected increasing ones");
  }
  if (!AreEnds(term_ends_, terms_.size()) || !AreEnds(posting_ends_, posting_bytes_)) {
    return damaged("ends out of order, expected increasing ones up to the end of their block");
  }
  for (std::size_t i = 1; i < term_count(); ++i) {
    if (term(i - 1) >= term(i)) return damaged("terms out of order, expected increasing ones");
  }
  if (std::accumulate(lengths_.begin(), lengths_.end(), std::uint64_t{0}) != token_count_) {
    return damaged("lengths of another sum, expected that of the header");
  }
  return CheckPostings();
}

absl::Status LexicalIndex::CheckPostings() const {
  std::uint64_t tokens = 0;
  for (std::size_t t = 0; t < term_count(); ++t) {
    const std::uint8_t* at = postings_ + posting_ends_[t] - posting_bytes(t);
    const std::uint8_t* const end = postings_ + posting_ends_[t];
    std::uint64_t next = 0;  // the smallest row that may follow
    bool whole = frequencies_[t] > 0;
    for (std::uint32_t i = 0; whole && i < frequencies_[t]; ++i) {
      std::uint32_t step = 0, occurrences = 1;
      whole = ReadChecked(end, &at, &step) && step >= 2 &&
              ((step & 1) != 0 || (ReadChecked(end, &at, &occurrences) && occurrences >= 2));
      next += step >> 1;
      whole = whole && next <= size();
      tokens += occurrences;
    }
    if (!whole || at != end) {
      return absl::DataLossError(absl::StrFormat(
          "lexical index: malformed postings of term %d, expected rows below %d (%s)", t, size(), path_));
    }
  }
  if (tokens == token_count_) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrFormat("lexical index: %d occurrences, expected %d (%s)", tokens, token_count_, path_));
}

}  // namespace trivium::index
