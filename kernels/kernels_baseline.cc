// SPDX-License-Identifier: Apache-2.0
#include "kernels/code_lanes_baseline.h"
#include "kernels/instruction_sets.h"
#include "kernels/lanes_baseline.h"
#include "kernels/make_table.h"

namespace trivium::kernels {

constexpr DistanceTable kBaselineDistances = MakeTable<BaselineLanes, BaselineCodeLanes>("baseline");

}  // namespace trivium::kernels
