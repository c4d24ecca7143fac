// SPDX-License-Identifier: Apache-2.0
#include "tests/storage/crash_scenario.h"

namespace trivium::storage {
namespace {

TEST(Crash, TenKillsLoseNothingThatWasAcknowledged) { KillAndCheck(10, 1); }

}  // namespace
}  // namespace trivium::storage
