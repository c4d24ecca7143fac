// SPDX-License-Identifier: Apache-2.0
// A text encoder that is a command: it reads JSON lines {"kind":"query"|"document","text":...} and answers
// each with one frame, a little-endian u32 dimension and as many float32 values. Dimension 0 is an error: a
// u32 length and that many bytes of UTF-8 follow. The command is started with the first text and lives as
// long as the encoder; what it says on stderr is kept, and its last line quoted where it fails.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "api/cli/child_process.h"
#include "trivium/text_encoder.h"

namespace trivium::cli {

class CommandEncoder final : public TextEncoder {
 public:
  // `dimension` 0: not known yet.
  CommandEncoder(std::string name, std::string command, std::string fingerprint, std::size_t dimension);
  ~CommandEncoder() override;

  const std::string& name() const { return name_; }

  // 0 until it is known: from the constructor, the store (Expect) or the command itself (LearnDimension).
  std::size_t dimension() const override { return dimension_; }
  void Expect(std::size_t dimension) { dimension_ = dimension; }
  // Encodes a text to see its dimension, unless it is known.
  absl::Status LearnDimension();

  std::string fingerprint() const override { return fingerprint_; }

  // kInvalidArgument: a vector of another dimension; kInternal: the command failed, ended or does not speak
  // the protocol; kCancelled: interrupted. After an error the next call starts the command anew.
  absl::Status Encode(absl::Span<const std::string> texts, TextKind kind, float* out) override;

  // Called now and then while Encode() runs, with the number of texts that this object has ever encoded.
  void OnProgress(std::function<void(std::uint64_t encoded)> callback) { progress_ = std::move(callback); }

 private:
  class Exchange;
  absl::Status Failure(absl::StatusCode code, const std::string& what);

  const std::string name_, command_, fingerprint_;
  std::size_t dimension_;
  std::uint64_t encoded_ = 0;  // texts ever
  std::function<void(std::uint64_t)> progress_;
  std::unique_ptr<ChildProcess> child_;
  std::string stderr_tail_;
};

}  // namespace trivium::cli
