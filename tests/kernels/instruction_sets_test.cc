// SPDX-License-Identifier: Apache-2.0
#include "kernels/instruction_sets.h"

#include <stdio.h>

#include <cstdlib>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/distance_table.h"

namespace trivium::kernels {
namespace {

using ::testing::HasSubstr;

constexpr ProcessorFeatures kOld = {};
constexpr ProcessorFeatures kMiddle = {.avx2 = true};
constexpr ProcessorFeatures kWide = {.avx2 = true, .avx512 = true};
constexpr ProcessorFeatures kWideVnni = {.avx2 = true, .avx512 = true, .avx512_vnni = true};

std::string OutputOf(const std::string& command) {
  std::string output;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) {
    ADD_FAILURE() << "popen failed: " << command;
    return output;
  }
  char buffer[4096];
  while (std::size_t n = ::fread(buffer, 1, sizeof(buffer), pipe)) output.append(buffer, n);
  EXPECT_EQ(::pclose(pipe), 0) << command;
  return output;
}

std::string ActiveNameWith(const std::string& environment) {
  return OutputOf("env " + environment + " " TRIVIUM_PRINT_KERNELS);
}

TEST(InstructionSets, TheFastestThatRunsIsChosen) {
  EXPECT_EQ(&ChooseDistances(kOld, nullptr), &kBaselineDistances);
  EXPECT_EQ(&ChooseDistances(kMiddle, nullptr), &kAvx2Distances);
  EXPECT_EQ(&ChooseDistances(kWide, nullptr), &kAvx512Distances);
  EXPECT_EQ(&ChooseDistances(kWideVnni, nullptr), &kAvx512VnniDistances);
}

TEST(InstructionSets, TheWantedOneIsChosenWhereItRuns) {
  EXPECT_EQ(&ChooseDistances(kWideVnni, "baseline"), &kBaselineDistances);
  EXPECT_EQ(&ChooseDistances(kWideVnni, "avx2"), &kAvx2Distances);
  EXPECT_EQ(&ChooseDistances(kWide, "avx512"), &kAvx512Distances);
}

TEST(InstructionSets, AWantedOneThatIsUnknownOrDoesNotRunIsIgnored) {
  EXPECT_EQ(&ChooseDistances(kOld, "avx512"), &kBaselineDistances);
  EXPECT_EQ(&ChooseDistances(kMiddle, "avx512"), &kAvx2Distances);
  EXPECT_EQ(&ChooseDistances(kWide, "sse9"), &kAvx512Distances);
  EXPECT_EQ(&ChooseDistances(kWide, ""), &kAvx512Distances);
}

TEST(InstructionSets, TablesAreFoundByTheNameTheyCarry) {
  for (const char* name : {"baseline", "avx2", "avx512"}) {
    const DistanceTable* table = FindDistances(kWideVnni, name);
    ASSERT_NE(table, nullptr);
    EXPECT_STREQ(table->name, name);
  }
  EXPECT_EQ(FindDistances("neon"), nullptr);
  ASSERT_NE(FindDistances("baseline"), nullptr);
  EXPECT_EQ(FindDistances(std::string_view("baseline!", 8)), &kBaselineDistances);
}

TEST(InstructionSets, TheEnvironmentOverridesTheProcessor) {
  EXPECT_EQ(ActiveNameWith("-u TRIVIUM_KERNELS"), ChooseDistances(DetectProcessor(), nullptr).name);
  EXPECT_EQ(ActiveNameWith("TRIVIUM_KERNELS=baseline"), "baseline");
  EXPECT_EQ(ActiveNameWith("TRIVIUM_KERNELS=nonsense"), ChooseDistances(DetectProcessor(), nullptr).name);
  if (DetectProcessor().avx2) {
    EXPECT_EQ(ActiveNameWith("TRIVIUM_KERNELS=avx2"), "avx2");
  }
}

TEST(InstructionSets, ThisProcessRunsWhatTheEnvironmentAsksFor) {
  EXPECT_STREQ(ActiveDistances().name,
               ChooseDistances(DetectProcessor(), std::getenv("TRIVIUM_KERNELS")).name);
}

// A function that two of these object files both offered would be merged by the linker, and might run AVX-512
// on a machine without it (see distance_kernel.h).
TEST(InstructionSets, ObjectFilesShareNoFunction) {
  const std::string listing = OutputOf("nm --defined-only --extern-only -A " TRIVIUM_KERNELS_ARCHIVE);
  int tables = 0;
  for (std::size_t start = 0, end; (end = listing.find('\n', start)) != std::string::npos; start = end + 1) {
    const std::string line = listing.substr(start, end - start);
    const std::size_t object = line.find(":kernels_");
    if (object == std::string::npos) continue;
    // archive:object:address type name
    const std::string symbol = line.substr(line.rfind(' ') + 1);
    // What the compiler itself adds for exceptions and the address sanitizer.
    if (symbol.rfind("DW.ref.", 0) == 0 || symbol.rfind("__odr_asan.", 0) == 0) continue;
    EXPECT_THAT(symbol, HasSubstr("Distances")) << line;
    ++tables;
  }
  EXPECT_EQ(tables, 4) << listing;
}

}  // namespace
}  // namespace trivium::kernels
