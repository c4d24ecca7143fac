// SPDX-License-Identifier: Apache-2.0
// Runs a test once for every table this machine can run, also those ActiveDistances() would not choose.
#pragma once

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/instruction_sets.h"

namespace trivium::kernels {

struct NamedTable {
  std::string name;  // unlike DistanceTable::name, distinct
  const DistanceTable* table;
};

inline void PrintTo(const NamedTable& named, std::ostream* os) { *os << named.name; }

inline std::vector<NamedTable> RunnableTables() {
  const ProcessorFeatures processor = DetectProcessor();
  std::vector<NamedTable> tables = {{"baseline", &kBaselineDistances}};
  if (processor.avx2) tables.push_back({"avx2", &kAvx2Distances});
  if (processor.avx512) tables.push_back({"avx512", &kAvx512Distances});
  if (processor.avx512_vnni) tables.push_back({"avx512_vnni", &kAvx512VnniDistances});
  return tables;
}

class EveryTable : public ::testing::TestWithParam<NamedTable> {
 protected:
  const DistanceTable& table() const { return *GetParam().table; }
};

inline std::string TableName(const ::testing::TestParamInfo<NamedTable>& info) { return info.param.name; }

}  // namespace trivium::kernels
