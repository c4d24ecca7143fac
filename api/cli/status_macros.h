// SPDX-License-Identifier: Apache-2.0
// Early return on error. The tool sees public headers only, so these are its own.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define TRIVIUM_CLI_CONCAT_INNER(a, b) a##b
#define TRIVIUM_CLI_CONCAT(a, b) TRIVIUM_CLI_CONCAT_INNER(a, b)

#define TRIVIUM_CLI_RETURN_IF_ERROR(expression)                                      \
  do {                                                                               \
    if (absl::Status cli_status = (expression); !cli_status.ok()) return cli_status; \
  } while (false)

// TRIVIUM_CLI_ASSIGN_OR_RETURN(auto value, MakeValue());
#define TRIVIUM_CLI_ASSIGN_OR_RETURN(declaration, expression) \
  TRIVIUM_CLI_ASSIGN_OR_RETURN_INNER(TRIVIUM_CLI_CONCAT(cli_or_, __LINE__), declaration, expression)
#define TRIVIUM_CLI_ASSIGN_OR_RETURN_INNER(temporary, declaration, expression) \
  auto temporary = (expression);                                               \
  if (!temporary.ok()) return std::move(temporary).status();                   \
  declaration = *std::move(temporary)
