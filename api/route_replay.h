// SPDX-License-Identifier: Apache-2.0
// A route that was taken once, to be taken again.
#pragma once

#include "absl/status/statusor.h"
#include "api/query_planner.h"
#include "api/store_state.h"
#include "trivium/search_result.h"

namespace trivium {

// The plan that the route tells of, but for how the query is read: `mixture` and `plain` say that. `route` is
// valid. kNotFound names the experts that the plan needs and the store does not have any more.
absl::StatusOr<Plan> PlanOfRoute(const StoreState& state, const Route& route);

}  // namespace trivium
