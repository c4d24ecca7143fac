// SPDX-License-Identifier: Apache-2.0
// The envelope around what a router learned, little-endian:
//
//   u32 magic | u32 version | u32 length, name of the router | payload, the router's own | u64 checksum of
//   all before
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace trivium::routing {

std::string SealRouterBytes(std::string_view name, std::string_view payload);

// The payload inside `bytes`, which must outlive it. kDataLoss: damaged, a newer version, or another
// router's.
absl::StatusOr<std::string_view> OpenRouterBytes(std::string_view name, std::string_view bytes);

// The error for a payload whose numbers do not fit together.
absl::Status MalformedRouter(std::string_view name);

}  // namespace trivium::routing
