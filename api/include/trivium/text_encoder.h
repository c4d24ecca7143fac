// SPDX-License-Identifier: Apache-2.0
// Turns texts into the vectors of one space. The engine has no model runtime of its own: the caller injects
// encoders, by the names that spaces carry.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "trivium/export.h"

namespace trivium {

enum class TextKind : std::uint8_t { kQuery, kDocument };

class TRIVIUM_EXPORT TextEncoder {
 public:
  virtual ~TextEncoder() = default;

  // Floats a vector; the space's dimension must equal it.
  virtual std::size_t dimension() const = 0;

  // Changes whenever the same text would give another vector; keys the store's cache of encodings, and a
  // space accepts no other one after the first. Empty: unknown, nothing is cached or checked.
  virtual std::string fingerprint() const = 0;

  // Writes texts.size() x dimension() floats to `out`, row-major, aligned with `texts`. The engine calls it
  // with large batches for documents and never from two threads at once.
  virtual absl::Status Encode(absl::Span<const std::string> texts, TextKind kind, float* out) = 0;
};

// Encoders by name.
using EncoderMap = std::map<std::string, std::shared_ptr<TextEncoder>>;

}  // namespace trivium
