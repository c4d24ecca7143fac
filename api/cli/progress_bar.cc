// SPDX-License-Identifier: Apache-2.0
#include "api/cli/progress_bar.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_format.h"
#include "api/cli/output.h"

namespace trivium::cli {
namespace {

constexpr int kBarColumns = 24;
constexpr std::chrono::milliseconds kDrawInterval{100};
constexpr const char* kClearLine = "\r\x1b[K";

bool StderrIsTerminal() {
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) != 0 && (terminal == nullptr || std::string_view(terminal) != "dumb");
}

std::string Remaining(double seconds) {
  const auto whole = static_cast<long>(seconds + 0.5);
  return whole < 60 ? absl::StrFormat("%d s left", whole)
                    : absl::StrFormat("%d min %02d s left", whole / 60, whole % 60);
}

}  // namespace

ProgressBar::ProgressBar() : enabled_(StderrIsTerminal()) {}
ProgressBar::~ProgressBar() { Clear(); }

void ProgressBar::Update(std::string_view stage, std::uint64_t done, std::uint64_t total) {
  if (!enabled_) return;
  const Clock::time_point now = Clock::now();
  if (stage != stage_) {
    stage_ = stage;
    stage_start_ = now;
  } else if (now - last_draw_ < kDrawInterval && done != total) {
    return;
  }
  last_draw_ = now;
  std::string line = absl::StrFormat("%-10s ", stage);
  if (total == 0) {
    line += Grouped(done);
  } else {
    const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
    const int filled = static_cast<int>(share * kBarColumns);
    line += "[" + std::string(filled, '#') + std::string(kBarColumns - filled, '.') + "] ";
    line += absl::StrFormat("%3.0f %%  %s / %s", share * 100, Grouped(done), Grouped(total));
    const double elapsed = std::chrono::duration<double>(now - stage_start_).count();
    if (elapsed > 2 && share > 0 && share < 1) line += "  " + Remaining(elapsed * (1 - share) / share);
  }
  std::fprintf(stderr, "%s%s", kClearLine, line.c_str());
  std::fflush(stderr);
  drawn_ = true;
}

void ProgressBar::Clear() {
  if (!drawn_) return;
  std::fputs(kClearLine, stderr);
  std::fflush(stderr);
  drawn_ = false;
}

ProgressCallback ProgressBar::Callback() {
  if (!enabled_) return {};
  return
      [this](std::string_view stage, std::uint64_t done, std::uint64_t total) { Update(stage, done, total); };
}

}  // namespace trivium::cli
