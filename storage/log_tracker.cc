// SPDX-License-Identifier: Apache-2.0
#include "storage/log_tracker.h"

#include <fcntl.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/status_macros.h"

namespace trivium::storage {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 18;

}  // namespace

void LogTracker::Reset(const std::string& directory) {
  directory_ = directory;
  logs_.clear();
}

absl::Status LogTracker::Follow(const std::vector<std::uint64_t>& numbers) {
  const auto is_followed = [&](const Log& log) {
    return std::find(numbers.begin(), numbers.end(), log.number) != numbers.end();
  };
  std::vector<Log> added;
  for (std::uint64_t number : numbers) {
    if (std::any_of(logs_.begin(), logs_.end(), [&](const Log& log) { return log.number == number; }))
      continue;
    Log log;
    log.number = number;
    log.path = directory_ + "/" + LogFileName(number);
    TRIVIUM_ASSIGN_OR_RETURN(log.file, OpenFile(log.path, O_RDONLY));
    added.push_back(std::move(log));
  }
  logs_.erase(std::stable_partition(logs_.begin(), logs_.end(), is_followed), logs_.end());
  std::move(added.begin(), added.end(), std::back_inserter(logs_));
  std::sort(logs_.begin(), logs_.end(), [](const Log& a, const Log& b) { return a.number < b.number; });
  return absl::OkStatus();
}

absl::Status LogTracker::Extend() {
  buffer_.resize(kBufferBytes);
  for (Log& log : logs_) {
    TRIVIUM_ASSIGN_OR_RETURN(const std::uint64_t size, FileSize(log.file, log.path));
    while (log.bytes < size) {
      const absl::Span<std::byte> piece(buffer_.data(),
                                        std::min<std::uint64_t>(buffer_.size(), size - log.bytes));
      TRIVIUM_RETURN_IF_ERROR(ReadExactAt(log.file, log.bytes, piece, log.path));
      log.checksum.Update(piece);
      log.bytes += piece.size();
    }
  }
  return absl::OkStatus();
}

std::vector<LogClaim> LogTracker::Claims() const {
  std::vector<LogClaim> claims;
  claims.reserve(logs_.size());
  for (const Log& log : logs_) {
    claims.push_back({.number = log.number, .bytes = log.bytes, .checksum = log.checksum.Digest()});
  }
  return claims;
}

}  // namespace trivium::storage
