// SPDX-License-Identifier: Apache-2.0
// Which parts of a set become one when it is built. A part of `parts()` has `file` (empty: not sealed yet)
// and `live_count`.
#pragma once

#include <cstddef>

namespace trivium {

template <class Set>
std::size_t FirstUnsealed(const Set& set) {
  std::size_t first = set.parts().size();
  while (first > 0 && set.parts()[first - 1].file.empty()) --first;
  return first;
}

// The first part that a build replaces: all unsealed ones, and segments before them that are not much larger
// than what is merged into them, so that a set has O(log rows) segments and a row is rebuilt O(log rows)
// times.
template <class Set>
std::size_t FirstToMerge(const Set& set) {
  std::size_t first = FirstUnsealed(set), rows = 0;
  for (std::size_t p = first; p < set.parts().size(); ++p) rows += set.parts()[p].live_count;
  while (first > 0 && set.parts()[first - 1].live_count <= 2 * rows) rows += set.parts()[--first].live_count;
  return first;
}

}  // namespace trivium
