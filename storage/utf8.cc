// SPDX-License-Identifier: Apache-2.0
#include "storage/utf8.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"

namespace trivium::storage {
namespace {

std::size_t Utf8SequenceLength(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

}  // namespace

bool IsValidUtf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = Utf8SequenceLength(lead);
    if (length == 0 || length > text.size() - i) return false;
    for (std::size_t j = 1; j < length; ++j) {
      const auto byte = static_cast<unsigned char>(text[i + j]);
      unsigned char low = 0x80;
      unsigned char high = 0xBF;
      if (j == 1 && lead == 0xE0) low = 0xA0;   // overlong
      if (j == 1 && lead == 0xED) high = 0x9F;  // surrogate
      if (j == 1 && lead == 0xF0) low = 0x90;   // overlong
      if (j == 1 && lead == 0xF4) high = 0x8F;  // above U+10FFFF
      if (byte < low || byte > high) return false;
    }
    i += length;
  }
  return true;
}

std::string Quoted(std::string_view text) {
  constexpr std::size_t kShown = 60;
  std::size_t end = std::min(text.size(), kShown);
  while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  const absl::string_view shown(text.data(), end);
  return absl::StrFormat("'%s%s'", absl::Utf8SafeCHexEscape(shown), end < text.size() ? "..." : "");
}

}  // namespace trivium::storage
