// SPDX-License-Identifier: Apache-2.0
// An evaluation for people and, as JSON, for programs.
#pragma once

#include <string>

#include "api/cli/output.h"
#include "trivium/report.h"

namespace trivium::cli {

std::string EvaluationText(const EvaluationReport& report);

// {"sets", "macro"}, with `compare` also "routers" and in each set and the macro average "compare".
Json EvaluationJson(const EvaluationReport& report, bool compare);

}  // namespace trivium::cli
