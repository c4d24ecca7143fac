// SPDX-License-Identifier: Apache-2.0
// Texts with typing errors, the same on every run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace trivium {

// `text` after `edits` random edits of one character (a UTF-8 code point) each: two neighbours change places,
// one is left out, typed twice, or replaced by another small letter. Each edit changes the text; an empty one
// stays empty and none becomes empty. The same for equal arguments.
std::string WithTypos(std::string_view text, std::size_t edits, std::uint64_t seed);

}  // namespace trivium
