// SPDX-License-Identifier: Apache-2.0
#include "kernels/code_lanes_avx512.h"
#include "kernels/instruction_sets.h"
#include "kernels/lanes_avx512_vnni.h"
#include "kernels/make_table.h"

namespace trivium::kernels {

constexpr DistanceTable kAvx512VnniDistances =
    MakeTable<Avx512VnniLanes, Avx512CodeLanes, VnniInnerProductI8>("avx512");

}  // namespace trivium::kernels
