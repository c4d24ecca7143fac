// SPDX-License-Identifier: Apache-2.0
// Internal to kernels/ and its tests: the tables that were compiled, and which of them a processor gets.
// Included by the per-instruction-set files: see distance_functions.h on what may be included here.
#pragma once

#include "kernels/distance_functions.h"

namespace trivium::kernels {

extern const DistanceTable kBaselineDistances;    // SSE2: every x86-64 processor
extern const DistanceTable kAvx2Distances;        // AVX2, FMA, F16C
extern const DistanceTable kAvx512Distances;      // the above, AVX-512 F, BW, DQ, VL
extern const DistanceTable kAvx512VnniDistances;  // the above and VNNI, for int8; also named "avx512"

struct ProcessorFeatures {
  bool avx2 = false;  // with FMA and F16C
  bool avx512 = false;
  bool avx512_vnni = false;
};

// What this processor and its operating system can run (CPUID and XGETBV).
ProcessorFeatures DetectProcessor();

// The table called `name` that runs on `processor`; null where there is none.
const DistanceTable* FindDistances(const ProcessorFeatures& processor, const char* name);

// `wanted` where it is a name that runs on `processor`, otherwise (also for null) the fastest table.
const DistanceTable& ChooseDistances(const ProcessorFeatures& processor, const char* wanted);

}  // namespace trivium::kernels
