// SPDX-License-Identifier: Apache-2.0
// How `train dispatch` and `inspect` show the guard.
#pragma once

#include <string>

#include "api/cli/output.h"
#include "trivium/report.h"

namespace trivium::cli {

// Null where there is no guard.
Json GuardToJson(const GuardReport& guard);

// A line, or nothing where there is no guard.
std::string GuardText(const GuardReport& guard);

}  // namespace trivium::cli
