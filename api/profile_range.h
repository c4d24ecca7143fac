// SPDX-License-Identifier: Apache-2.0
// Which vectors a profile can keep. Asked at every door, since what was acknowledged must be buildable.
#pragma once

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "api/schema.h"
#include "trivium/types.h"

namespace trivium {

// Whether rows of `space` may be out of range for `profile`: only of binary16, and not where they have unit
// length.
inline bool HasRange(const SpaceRecord& space, Profile profile) {
  return profile == Profile::kBalanced && space.metric != Metric::kCosine;
}

// Checks one row, of space.dimension finite floats. kInvalidArgument names the document, the component and
// its value. REQUIRES: HasRange(space, profile).
absl::Status CheckRange(const float* row, const SpaceRecord& space, std::string_view partition,
                        std::string_view id);

}  // namespace trivium
