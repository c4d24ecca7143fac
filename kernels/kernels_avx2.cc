// SPDX-License-Identifier: Apache-2.0
#include "kernels/instruction_sets.h"
#include "kernels/lanes_avx2.h"
#include "kernels/make_table.h"

namespace trivium::kernels {

constexpr DistanceTable kAvx2Distances = MakeTable<Avx2Lanes>("avx2");

}  // namespace trivium::kernels
