// SPDX-License-Identifier: Apache-2.0
#include "api/cli/command_encoder.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_format.h"
#include "api/cli/arguments.h"
#include "api/cli/interrupt.h"
#include "api/cli/output.h"
#include "api/cli/status_macros.h"
#include "nlohmann/json.hpp"

namespace trivium::cli {
namespace {

static_assert(std::endian::native == std::endian::little, "frames are read as they come");

constexpr std::size_t kPipeBytes = 1 << 16;
constexpr std::size_t kMaxDimension = 65536;
constexpr std::size_t kMaxErrorBytes = 1 << 20;
constexpr std::size_t kStderrTailBytes = 4096;
constexpr std::size_t kQuotedColumns = 200;
constexpr const char* kProbeText = "dimension";

std::string RequestLine(const std::string& text, TextKind kind) {
  const nlohmann::ordered_json request = {{"kind", kind == TextKind::kQuery ? "query" : "document"},
                                          {"text", text}};
  return request.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

// The last line that says something.
std::string LastLine(const std::string& text) {
  const std::size_t end = text.find_last_not_of(" \n\r\t");
  if (end == std::string::npos) return "";
  const std::size_t newline = text.rfind('\n', end);
  const std::size_t begin = newline == std::string::npos ? 0 : newline + 1;
  return OneLine(std::string_view(text).substr(begin, end + 1 - begin), kQuotedColumns);
}

}  // namespace

// One call of Encode(): writes requests while it reads answers, so that neither pipe can fill up and block.
class CommandEncoder::Exchange {
 public:
  Exchange(CommandEncoder* encoder, absl::Span<const std::string> texts, TextKind kind, float* out)
      : encoder_(*encoder), child_(*encoder->child_), texts_(texts), kind_(kind), out_(out) {}

  absl::Status Run() {
    while (answered_ < texts_.size()) {
      TRIVIUM_CLI_RETURN_IF_ERROR(CheckInterrupt());
      FillRequests();
      const short wants_write = written_ < requests_.size() ? POLLOUT : 0;
      std::array<pollfd, 3> fds = {{{child_.from_stdout(), POLLIN, 0},
                                    {stderr_open_ ? child_.from_stderr() : -1, POLLIN, 0},
                                    {wants_write != 0 ? child_.to_stdin() : -1, wants_write, 0}}};
      if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) {
        return encoder_.Failure(absl::StatusCode::kInternal, std::strerror(errno));
      }
      if (fds[1].revents != 0) ReadStderr();
      if (fds[2].revents != 0) WriteRequests();
      if (fds[0].revents != 0) TRIVIUM_CLI_RETURN_IF_ERROR(ReadAnswers());
    }
    if (!answers_.empty()) return Garbage("more bytes than answers");
    return absl::OkStatus();
  }

 private:
  void FillRequests() {
    if (written_ == requests_.size()) {
      requests_.clear();
      written_ = 0;
    }
    while (requested_ < texts_.size() && requests_.size() - written_ < kPipeBytes) {
      requests_ += RequestLine(texts_[requested_++], kind_);
    }
  }

  // A command that stopped reading shows on its stdout, so errors here are left to ReadAnswers().
  void WriteRequests() {
    const ssize_t count =
        ::write(child_.to_stdin(), requests_.data() + written_, requests_.size() - written_);
    if (count > 0) written_ += static_cast<std::size_t>(count);
    if (count < 0 && errno == EPIPE) {
      written_ = requests_.size();
      requested_ = texts_.size();
    }
  }

  void ReadStderr() {
    std::array<char, kStderrTailBytes> buffer;
    const ssize_t count = ::read(child_.from_stderr(), buffer.data(), buffer.size());
    if (count == 0) stderr_open_ = false;
    if (count <= 0) return;
    std::string& tail = encoder_.stderr_tail_;
    tail.append(buffer.data(), static_cast<std::size_t>(count));
    if (tail.size() > kStderrTailBytes) tail.erase(0, tail.size() - kStderrTailBytes);
  }

  absl::Status ReadAnswers() {
    const std::size_t old_size = answers_.size();
    answers_.resize(old_size + kPipeBytes);
    const ssize_t count = ::read(child_.from_stdout(), answers_.data() + old_size, kPipeBytes);
    answers_.resize(old_size + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count < 0) {
      if (errno == EAGAIN || errno == EINTR) return absl::OkStatus();
      return encoder_.Failure(absl::StatusCode::kInternal, std::strerror(errno));
    }
    if (count == 0) {
      while (stderr_open_ && ReadableNow(child_.from_stderr())) ReadStderr();
      return encoder_.Failure(
          absl::StatusCode::kInternal,
          absl::StrFormat("ended before text %d of %d was answered", answered_, texts_.size()));
    }
    std::size_t at = 0;
    while (answered_ < texts_.size()) {
      TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::size_t taken, TakeFrame(std::string_view(answers_).substr(at)));
      if (taken == 0) break;
      at += taken;
    }
    answers_.erase(0, at);
    if (at > 0 && encoder_.progress_) encoder_.progress_(encoder_.encoded_);
    return absl::OkStatus();
  }

  static bool ReadableNow(int fd) {
    pollfd entry = {fd, POLLIN, 0};
    return ::poll(&entry, 1, /*timeout=*/100) > 0;
  }

  // Returns how many bytes the frame at the beginning of `bytes` takes; 0 where it is not whole yet.
  absl::StatusOr<std::size_t> TakeFrame(std::string_view bytes) {
    std::uint32_t dimension = 0;
    if (bytes.size() < sizeof(dimension)) return 0;
    std::memcpy(&dimension, bytes.data(), sizeof(dimension));
    if (dimension == 0) return TakeError(bytes);
    if (encoder_.dimension_ == 0 && dimension <= kMaxDimension) encoder_.dimension_ = dimension;
    if (dimension != encoder_.dimension_) {
      if (dimension > kMaxDimension) return Garbage(absl::StrFormat("dimension %d", dimension));
      return encoder_.Failure(absl::StatusCode::kInvalidArgument,
                              absl::StrFormat("dimension %d for text %d, expected %d", dimension, answered_,
                                              encoder_.dimension_));
    }
    const std::size_t frame_bytes = sizeof(dimension) + dimension * sizeof(float);
    if (bytes.size() < frame_bytes) return 0;
    if (out_ != nullptr) {
      std::memcpy(out_ + answered_ * dimension, bytes.data() + sizeof(dimension), dimension * sizeof(float));
      ++encoder_.encoded_;
    }
    ++answered_;
    return frame_bytes;
  }

  absl::StatusOr<std::size_t> TakeError(std::string_view bytes) {
    std::uint32_t length = 0;
    bytes.remove_prefix(sizeof(length));
    if (bytes.size() < sizeof(length)) return 0;
    std::memcpy(&length, bytes.data(), sizeof(length));
    if (length > kMaxErrorBytes) return Garbage(absl::StrFormat("an error text of %d bytes", length));
    bytes.remove_prefix(sizeof(length));
    if (bytes.size() < length) return 0;
    return encoder_.Failure(
        absl::StatusCode::kInternal,
        absl::StrFormat("%s (text %d: %s)", OneLine(bytes.substr(0, length), kQuotedColumns), answered_,
                        Quoted(texts_[answered_])));
  }

  absl::Status Garbage(const std::string& seen) {
    return encoder_.Failure(absl::StatusCode::kInternal,
                            seen + ", expected one frame a text: u32 dimension, float32 values");
  }

  CommandEncoder& encoder_;
  ChildProcess& child_;
  const absl::Span<const std::string> texts_;
  const TextKind kind_;
  float* const out_;      // null: only the dimension is asked for
  std::string requests_;  // JSON lines not written yet, from written_ on
  std::size_t written_ = 0;
  std::size_t requested_ = 0;  // texts whose line is in requests_ or written
  std::string answers_;        // bytes of frames that are not whole
  std::size_t answered_ = 0;
  bool stderr_open_ = true;
};

CommandEncoder::CommandEncoder(std::string name, std::string command, std::string fingerprint,
                               std::size_t dimension)
    : name_(std::move(name)),
      command_(std::move(command)),
      fingerprint_(std::move(fingerprint)),
      dimension_(dimension) {}

CommandEncoder::~CommandEncoder() = default;

absl::Status CommandEncoder::LearnDimension() {
  if (dimension_ != 0) return absl::OkStatus();
  const std::string text = kProbeText;
  return Encode(absl::MakeConstSpan(&text, 1), TextKind::kQuery, nullptr);
}

absl::Status CommandEncoder::Encode(absl::Span<const std::string> texts, TextKind kind, float* out) {
  if (child_ == nullptr) {
    stderr_tail_.clear();
    TRIVIUM_CLI_ASSIGN_OR_RETURN(child_, ChildProcess::Start(command_));
  }
  const absl::Status status = Exchange(this, texts, kind, out).Run();
  if (absl::IsCancelled(status)) child_->Terminate();
  // Answers of this call may still be on their way: never mix them with those of the next.
  if (!status.ok()) child_.reset();
  return status;
}

absl::Status CommandEncoder::Failure(absl::StatusCode code, const std::string& what) {
  std::string message = absl::StrFormat("encoder '%s': %s", name_, what);
  if (code == absl::StatusCode::kInternal) {
    message += "; " + child_->End();
    if (const std::string said = LastLine(stderr_tail_); !said.empty()) message += ": " + said;
  }
  return absl::Status(code, message);
}

}  // namespace trivium::cli
