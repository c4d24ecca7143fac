// SPDX-License-Identifier: Apache-2.0
// The matrix of a query adapter as checksummed bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace trivium::routing {

// `matrix`: d x d, row-major.
std::string SaveAdapter(absl::Span<const float> matrix, std::size_t dimension);

// kDataLoss: damaged, or of another dimension. Also reads what version 0.1 wrote: the bare d x d floats.
absl::StatusOr<std::vector<float>> LoadAdapter(std::string_view bytes, std::size_t dimension);

}  // namespace trivium::routing
