// SPDX-License-Identifier: Apache-2.0
// What the doors of the engine ask of a vector, and the words for metrics on either side of them.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/metric.h"
#include "index/profile.h"
#include "trivium/types.h"

namespace trivium {

base::Metric BaseMetric(Metric metric);
Metric PublicMetric(base::Metric metric);

index::Profile EngineProfile(Profile profile);
Profile PublicProfile(index::Profile profile);

// Checks one row and returns what it is to be multiplied with: 1 / norm for kCosine, otherwise 1.
// kInvalidArgument: `<what>, row <number>...` where a component is not finite, or all are zero for kCosine.
absl::StatusOr<float> RowScale(const float* row, std::size_t columns, Metric metric, std::string_view what,
                               std::size_t number);

// The row at unit length, in `unit` (padded as rows are); false where it is zero.
bool UnitCopy(const float* row, std::size_t columns, std::vector<float>* unit);

}  // namespace trivium
