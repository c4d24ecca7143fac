// SPDX-License-Identifier: Apache-2.0
#include "kernels/code_lanes_avx2.h"
#include "kernels/instruction_sets.h"
#include "kernels/lanes_avx2.h"
#include "kernels/make_table.h"

namespace trivium::kernels {

constexpr DistanceTable kAvx2Distances = MakeTable<Avx2Lanes, Avx2CodeLanes>("avx2");

}  // namespace trivium::kernels
