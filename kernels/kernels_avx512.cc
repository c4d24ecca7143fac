// SPDX-License-Identifier: Apache-2.0
#include "kernels/code_lanes_avx512.h"
#include "kernels/instruction_sets.h"
#include "kernels/lanes_avx512.h"
#include "kernels/make_table.h"

namespace trivium::kernels {

constexpr DistanceTable kAvx512Distances = MakeTable<Avx512Lanes, Avx512CodeLanes>("avx512");

}  // namespace trivium::kernels
