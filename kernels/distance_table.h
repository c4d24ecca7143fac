// SPDX-License-Identifier: Apache-2.0
// Distances between vectors, one table of functions per instruction set, chosen once for the machine.
//
// kernels/ owns arithmetic over rows of numbers. It must not know files, graphs or experts.
// A caller fetches the table once, keeps the reference (or a function pointer) and calls through it; nothing
// here tests the processor again. All functions are pure and safe to call concurrently, take any alignment
// and any dimension >= 0, and read exactly `dimension` elements a row.
#pragma once

#include <string_view>

#include "kernels/distance_functions.h"

namespace trivium::kernels {

// The table in use: the best this machine supports, or the one named by the environment variable
// TRIVIUM_KERNELS (avx512, avx2, baseline) where the machine supports it; any other value is ignored.
// Decided on first use.
const DistanceTable& ActiveDistances();

// A table by name; null where it is unknown or this machine cannot run it. For tests and benches.
const DistanceTable* FindDistances(std::string_view name);

}  // namespace trivium::kernels
