// SPDX-License-Identifier: Apache-2.0
#include "tests/storage/crash_scenario.h"

namespace trivium::storage {
namespace {

TEST(Crash, AHundredKillsLoseNothingThatWasAcknowledged) { KillAndCheck(100, 2); }

}  // namespace
}  // namespace trivium::storage
