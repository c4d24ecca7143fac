// SPDX-License-Identifier: Apache-2.0
#include "storage/line_reader.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "storage/file_system.h"
#include "storage/utf8.h"

namespace trivium::storage {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 18;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kGzipMagic = "\x1F\x8B";
constexpr int kGzipOnly = 15 + 16;  // zlib's window bits: the largest window, gzip wrapper

// A gzip file's bytes, unpacked; several members in a row are one text.
class GzipStream {
 public:
  ~GzipStream() {
    if (open_) ::inflateEnd(&state_);
  }

  // Unpacks from *in to *out and moves their starts. `truncated()` tells whether a member is unfinished.
  absl::Status Unpack(std::string_view* in, char** out, std::size_t room) {
    if (!open_) {
      if (::inflateInit2(&state_, kGzipOnly) != Z_OK) return absl::ResourceExhaustedError("gzip: no memory");
      open_ = true;
    }
    if (!in_member_) {
      ::inflateReset(&state_);
      in_member_ = true;
    }
    state_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in->data()));
    state_.avail_in = static_cast<uInt>(in->size());
    state_.next_out = reinterpret_cast<Bytef*>(*out);
    state_.avail_out = static_cast<uInt>(room);
    const int result = ::inflate(&state_, Z_NO_FLUSH);
    in->remove_prefix(in->size() - state_.avail_in);
    *out += room - state_.avail_out;
    if (result == Z_STREAM_END) in_member_ = false;
    if (result == Z_MEM_ERROR) return absl::ResourceExhaustedError("gzip: no memory");
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
      return absl::InvalidArgumentError("gzip: damaged stream, expected an intact one");
    }
    return absl::OkStatus();
  }

  bool truncated() const { return in_member_; }

 private:
  z_stream state_{};
  bool open_ = false;
  bool in_member_ = false;
};

}  // namespace

struct LineReader::Impl {
  std::string path;
  FileDescriptor file;
  bool packed = false;
  bool at_end = false;  // of the file
  GzipStream gzip;
  std::vector<char> file_buffer = std::vector<char>(kBufferBytes);
  std::vector<char> text_buffer;
  std::string_view file_rest;  // read, not yet unpacked (or not yet handed out)
  std::string_view text_rest;  // unpacked, not yet handed out
  std::string line;
  std::size_t line_number = 0;

  // At least the two bytes that tell the format, unless the file ends before.
  absl::Status FillFileBuffer() {
    std::size_t filled = 0;
    while (!at_end && filled < kGzipMagic.size()) {
      const ssize_t size = ::read(file.get(), file_buffer.data() + filled, file_buffer.size() - filled);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return ErrnoStatus(errno, "read", path);
      at_end = size == 0;
      filled += static_cast<std::size_t>(size);
    }
    file_rest = std::string_view(file_buffer.data(), filled);
    return absl::OkStatus();
  }

  // Leaves text_rest empty only at the end of the text.
  absl::Status FillText() {
    if (!packed) {
      TRIVIUM_RETURN_IF_ERROR(FillFileBuffer());
      text_rest = file_rest;
      return absl::OkStatus();
    }
    char* out = text_buffer.data();
    while (out == text_buffer.data()) {
      if (file_rest.empty()) TRIVIUM_RETURN_IF_ERROR(FillFileBuffer());
      if (file_rest.empty()) {
        if (gzip.truncated()) {
          return absl::InvalidArgumentError("gzip: file ends inside the stream, expected its end");
        }
        break;
      }
      TRIVIUM_RETURN_IF_ERROR(gzip.Unpack(&file_rest, &out, text_buffer.size()));
    }
    text_rest = std::string_view(text_buffer.data(), static_cast<std::size_t>(out - text_buffer.data()));
    return absl::OkStatus();
  }

  // One line with its end into `line`; false at the end of the text.
  absl::StatusOr<bool> ReadRawLine() {
    line.clear();
    for (;;) {
      if (text_rest.empty()) TRIVIUM_RETURN_IF_ERROR(FillText());
      if (text_rest.empty()) return !line.empty();
      const std::size_t end = text_rest.find('\n');
      const std::size_t size = end == std::string_view::npos ? text_rest.size() : end + 1;
      if (line.size() + size > kMaxLineBytes) {
        return absl::InvalidArgumentError(
            absl::StrFormat("line: longer than %d bytes, expected less", kMaxLineBytes));
      }
      line.append(text_rest.substr(0, size));
      text_rest.remove_prefix(size);
      if (end != std::string_view::npos) return true;
    }
  }
};

LineReader::LineReader() : impl_(std::make_unique<Impl>()) {}
LineReader::~LineReader() = default;

absl::StatusOr<std::unique_ptr<LineReader>> LineReader::Open(const std::string& path) {
  std::unique_ptr<LineReader> reader(new LineReader);
  Impl& impl = *reader->impl_;
  impl.path = path;
  TRIVIUM_ASSIGN_OR_RETURN(impl.file, OpenFile(path, O_RDONLY));
  TRIVIUM_RETURN_IF_ERROR(impl.FillFileBuffer());
  impl.packed = impl.file_rest.substr(0, kGzipMagic.size()) == kGzipMagic;
  if (impl.packed) {
    impl.text_buffer.resize(kBufferBytes);
  } else {
    const bool named_packed = path.size() >= 3 && path.compare(path.size() - 3, 3, ".gz") == 0;
    if (named_packed) {
      return absl::InvalidArgumentError(absl::StrFormat("gzip: no gzip header, expected one (%s)", path));
    }
    impl.text_rest = impl.file_rest;
  }
  return reader;
}

absl::StatusOr<bool> LineReader::Next(std::string_view* line) {
  for (;;) {
    ++impl_->line_number;
    absl::StatusOr<bool> found = impl_->ReadRawLine();
    if (absl::IsInvalidArgument(found.status())) return Error(std::string(found.status().message()));
    if (!found.ok() || !*found) return found;
    std::string_view text = impl_->line;
    if (impl_->line_number == 1 && text.substr(0, kByteOrderMark.size()) == kByteOrderMark) {
      text.remove_prefix(kByteOrderMark.size());
    }
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
    if (!IsValidUtf8(text)) return Error("text: invalid UTF-8, expected UTF-8");
    if (text.find_first_not_of(" \t") == std::string_view::npos) continue;
    *line = text;
    return true;
  }
}

absl::Status LineReader::Error(std::string_view what) const {
  return absl::InvalidArgumentError(absl::StrFormat("%s (%s:%d)", what, impl_->path, impl_->line_number));
}

}  // namespace trivium::storage
