// SPDX-License-Identifier: Apache-2.0
#include "kernels/instruction_sets.h"
#include "kernels/lanes_avx512.h"
#include "kernels/make_table.h"

namespace trivium::kernels {

constexpr DistanceTable kAvx512Distances = MakeTable<Avx512Lanes>("avx512");

}  // namespace trivium::kernels
