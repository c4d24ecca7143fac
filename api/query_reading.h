// SPDX-License-Identifier: Apache-2.0
// Queries as adapters read them.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace trivium {

// By space: what is asked instead of the plain query. Rows are padded as a base::AlignedMatrix's.
using QueryReadings = std::map<std::uint32_t, std::vector<float>>;

// Overwrites `reading` with adapter * query, of unit length where `cosine`. `query`: `dimension` floats.
// kInvalidArgument, naming `whose` adapter it is, where that is infinite, or zero for cosine. O(dimension^2).
absl::Status ReadQuery(const std::vector<float>& adapter, std::string_view whose, std::size_t dimension,
                       bool cosine, const float* query, std::vector<float>* reading);

}  // namespace trivium
