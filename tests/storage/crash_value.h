// SPDX-License-Identifier: Apache-2.0
// What the crash writer stores under its i-th key; both sides of the test can compute it.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/str_format.h"
#include "base/random.h"

namespace trivium::storage {

inline std::string CrashKey(std::uint64_t i) { return absl::StrFormat("%08d", i); }

// Mostly small, now and then large enough that memory tables fill and files are flushed.
inline std::string CrashValue(std::uint64_t i) {
  base::Random random(i);
  std::string value(random.Below(20) == 0 ? random.Below(2000000) : random.Below(3000), '\0');
  for (std::size_t at = 0; at < value.size(); at += 64) value[at] = static_cast<char>(random.Next());
  return value;
}

}  // namespace trivium::storage
