// SPDX-License-Identifier: Apache-2.0
// How far long work is, on one line of stderr that is drawn over; silent where stderr is no terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "trivium/types.h"

namespace trivium::cli {

class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar();  // clears the line
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // Draws at most ten times a second. `total` 0: not known.
  void Update(std::string_view stage, std::uint64_t done, std::uint64_t total);
  void Clear();

  // Empty where nothing would be drawn. Must not outlive the bar.
  ProgressCallback Callback();

 private:
  using Clock = std::chrono::steady_clock;
  bool enabled_;
  bool drawn_ = false;
  std::string stage_;
  Clock::time_point stage_start_;
  Clock::time_point last_draw_;
};

}  // namespace trivium::cli
