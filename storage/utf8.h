// SPDX-License-Identifier: Apache-2.0
// Text that came from outside: whether it is UTF-8, and how to show it in a message.
#pragma once

#include <string>
#include <string_view>

namespace trivium::storage {

// Well-formed as the Unicode standard has it: no overlong form, no surrogate, nothing above U+10FFFF.
bool IsValidUtf8(std::string_view text);

// At most 60 bytes of untrusted text, in quotes, with control characters and invalid bytes escaped.
std::string Quoted(std::string_view text);

}  // namespace trivium::storage
