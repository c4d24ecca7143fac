// SPDX-License-Identifier: Apache-2.0
#include "tests/api/engine_crash_scenario.h"

namespace trivium {
namespace {

TEST(EngineCrash, AHundredKillsDuringUpsertBuildAndCompactLoseNothing) { KillEngineAndCheck(100, 7); }

}  // namespace
}  // namespace trivium
