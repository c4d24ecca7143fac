// SPDX-License-Identifier: Apache-2.0
#include "tests/api/engine_crash_scenario.h"

namespace trivium {
namespace {

TEST(EngineCrash, TenKillsDuringUpsertBuildAndCompactLoseNothing) { KillEngineAndCheck(10, 1); }

}  // namespace
}  // namespace trivium
