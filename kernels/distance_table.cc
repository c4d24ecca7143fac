// SPDX-License-Identifier: Apache-2.0
#include "kernels/distance_table.h"

#include <cstdlib>
#include <cstring>
#include <string>

#include "kernels/instruction_sets.h"

namespace trivium::kernels {

ProcessorFeatures DetectProcessor() {
  // libgcc also asks XGETBV whether the operating system saves the wide registers.
  __builtin_cpu_init();
  ProcessorFeatures processor;
  processor.avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  processor.avx512 = processor.avx2 && __builtin_cpu_supports("avx512f") &&
                     __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                     __builtin_cpu_supports("avx512vl");
  processor.avx512_vnni = processor.avx512 && __builtin_cpu_supports("avx512vnni");
  return processor;
}

const DistanceTable* FindDistances(const ProcessorFeatures& processor, const char* name) {
  if (std::strcmp(name, "avx512") == 0 && processor.avx512) {
    return processor.avx512_vnni ? &kAvx512VnniDistances : &kAvx512Distances;
  }
  if (std::strcmp(name, "avx2") == 0 && processor.avx2) return &kAvx2Distances;
  if (std::strcmp(name, "baseline") == 0) return &kBaselineDistances;
  return nullptr;
}

const DistanceTable& ChooseDistances(const ProcessorFeatures& processor, const char* wanted) {
  if (wanted != nullptr) {
    if (const DistanceTable* table = FindDistances(processor, wanted)) return *table;
  }
  for (const char* name : {"avx512", "avx2"}) {
    if (const DistanceTable* table = FindDistances(processor, name)) return *table;
  }
  return kBaselineDistances;
}

const DistanceTable& ActiveDistances() {
  static const DistanceTable& active = ChooseDistances(DetectProcessor(), std::getenv("TRIVIUM_KERNELS"));
  return active;
}

const DistanceTable* FindDistances(std::string_view name) {
  static const ProcessorFeatures processor = DetectProcessor();
  return FindDistances(processor, std::string(name).c_str());
}

}  // namespace trivium::kernels
