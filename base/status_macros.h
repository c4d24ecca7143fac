// SPDX-License-Identifier: Apache-2.0
// Early return on error (the packaged Abseil has no such macros).
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define TRIVIUM_CONCAT_INNER(a, b) a##b
#define TRIVIUM_CONCAT(a, b) TRIVIUM_CONCAT_INNER(a, b)

#define TRIVIUM_RETURN_IF_ERROR(expression)                                                      \
  do {                                                                                           \
    if (absl::Status trivium_status = (expression); !trivium_status.ok()) return trivium_status; \
  } while (false)

// TRIVIUM_ASSIGN_OR_RETURN(auto value, MakeValue());
#define TRIVIUM_ASSIGN_OR_RETURN(declaration, expression) \
  TRIVIUM_ASSIGN_OR_RETURN_INNER(TRIVIUM_CONCAT(trivium_or_, __LINE__), declaration, expression)
#define TRIVIUM_ASSIGN_OR_RETURN_INNER(temporary, declaration, expression) \
  auto temporary = (expression);                                           \
  if (!temporary.ok()) return std::move(temporary).status();               \
  declaration = *std::move(temporary)
