// SPDX-License-Identifier: Apache-2.0
// Streams a corpus that was checked into its partition.
#pragma once

#include "absl/status/status.h"
#include "api/cli/build_plan.h"
#include "trivium/engine.h"

namespace trivium::cli {

// Writes the documents of `corpus` with their vectors, a thousand at a time, and adds up in `total` what each
// batch reports. Spaces with an encoder and without vectors are encoded by the store. On an error the batches
// before it stay written; kCancelled once interrupted. Memory: one batch.
absl::Status WriteCorpus(const CorpusPlan& corpus, Store* store, UpsertReport* total);

}  // namespace trivium::cli
