// SPDX-License-Identifier: Apache-2.0
#include "api/profile_range.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "index/largest_size.h"
#include "index/rows_view.h"

namespace trivium {

absl::Status CheckRange(const float* row, const SpaceRecord& space, std::string_view partition,
                        std::string_view id) {
  if (index::LargestSize(row, space.dimension) <= index::kLargestFloat16) return absl::OkStatus();
  const float* const beyond = std::find_if(row, row + space.dimension, [](float component) {
    return std::abs(component) > index::kLargestFloat16;
  });
  return absl::InvalidArgumentError(absl::StrFormat(
      "vector of space '%s', document '%s' of partition '%s', component %d: %g, expected at most %g in size "
      "(profile balanced)",
      space.name, id, partition, beyond - row, *beyond, index::kLargestFloat16));
}

}  // namespace trivium
