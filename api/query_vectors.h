// SPDX-License-Identifier: Apache-2.0
// Vectors of questions in the spaces where they are needed: given by the caller, or encoded from texts.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/store_state.h"
#include "base/aligned_matrix.h"
#include "trivium/options.h"

namespace trivium {

// Encoders by name, called one at a time each.
class EncoderSet {
 public:
  explicit EncoderSet(EncoderMap encoders) : encoders_(std::move(encoders)) {}

  // Null where no such encoder was injected.
  TextEncoder* Find(const std::string& name) const;

  // n vectors as the space wants them (finite, unit for cosine). kFailedPrecondition: the space names no
  // encoder or it was not injected; kInvalidArgument: it gave another dimension or values that are not
  // finite.
  absl::StatusOr<base::AlignedMatrix> Encode(const SpaceRecord& space, absl::Span<const std::string> texts,
                                             TextKind kind);

 private:
  EncoderMap encoders_;
  std::mutex mutex_;
};

// kFailedPrecondition where the space's vectors come from an encoder with another fingerprint,
// kInvalidArgument where the fingerprint is not UTF-8.
absl::Status CheckFingerprint(const SpaceRecord& space, const TextEncoder& encoder);

// kInvalidArgument where the tree of the space is given, so that its vectors are distributions, and a
// component of `vector` is below 0; begins with `what`.
absl::Status CheckDistribution(const SpaceRecord& space, const float* vector, std::string_view what);

// Checks rows and copies them aligned, unit for the cosine metric. kInvalidArgument names space, row, value.
absl::StatusOr<base::AlignedMatrix> PrepareVectors(const SpaceRecord& space, const MatrixView& vectors);

// The space that `name` means: by name, or the only one where it is empty. kNotFound, kInvalidArgument.
absl::StatusOr<const SpaceRecord*> ResolveSpace(const Schema& schema, const std::string& name);

// Query rows of a batch by space: given by the caller, or encoded from their texts in one go.
struct PreparedQueries {
  struct Entry {
    std::uint32_t space = 0;
    bool encoded = false;  // from texts
    base::AlignedMatrix rows;
  };
  std::vector<Entry> entries;
  const base::AlignedMatrix* Find(std::uint32_t space) const;
};

// `count` queries: `vectors` as given, and for those of `spaces` that are not among them the encoded `texts`,
// where there are texts and the encoder is at hand. kInvalidArgument, or what the encoder says.
absl::StatusOr<PreparedQueries> PrepareQueries(const StoreState& state, EncoderSet* encoders,
                                               std::size_t count, const std::vector<SpaceVectors>& vectors,
                                               absl::Span<const std::string> texts,
                                               absl::Span<const std::uint32_t> spaces);

// kInvalidArgument where a query's text is not UTF-8.
absl::Status CheckQueryText(std::string_view text);

// One question's vectors; what is missing is encoded when first asked for.
class QueryVectors {
 public:
  // `text` may be empty; `state`, `encoders` and `text` must outlive this.
  QueryVectors(const StoreState* state, EncoderSet* encoders, const std::string* text)
      : state_(state), encoders_(encoders), text_(text) {}

  // Borrowed: one prepared row.
  void Set(std::uint32_t space, const float* row) { rows_[space] = row; }

  // Null where the caller gave no vector for the space and there is no text.
  absl::StatusOr<const float*> Get(std::uint32_t space);
  bool Has(std::uint32_t space) const { return rows_.count(space) > 0; }
  bool CanEncode(std::uint32_t space) const;
  const std::string& text() const { return *text_; }  // empty: none was given

  // Documents that are the query itself, what is found of them says nothing. Borrowed.
  void Ignore(absl::Span<const std::uint64_t> own) { own_ = own; }
  absl::Span<const std::uint64_t> own() const { return own_; }

  std::uint64_t encoder_calls() const { return encoder_calls_; }
  double encode_us() const { return encode_us_; }

 private:
  const StoreState* state_;
  EncoderSet* encoders_;
  const std::string* text_;
  std::map<std::uint32_t, const float*> rows_;
  std::vector<base::AlignedMatrix> owned_;
  absl::Span<const std::uint64_t> own_;
  std::uint64_t encoder_calls_ = 0;
  double encode_us_ = 0;
};

}  // namespace trivium
