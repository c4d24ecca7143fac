// SPDX-License-Identifier: Apache-2.0
// The configuration file of a build, for what flags cannot say: several experts over one space (S1, by
// adapter), the same documents in several spaces (S2), a partition an expert (S3), descriptions and costs.
//
//   {"spaces":  [{"name": "minilm", "dimension": 384, "metric": "cosine", "encoder": "minilm"}],
//    "corpora": [{"partition": "medical", "file": "medical.jsonl.gz", "vectors": {"minilm": "medical.npy"}}],
//    "experts": [{"name": "drugs", "space": "minilm", "partition": "medical", "description": "drugs and
//    doses",
//                 "cost": 1.0, "adapter": "drugs.npy"}]}
//
//   spaces    dimension: else as the vectors or the encoder say; metric: cosine, inner_product or squared_l2,
//             cosine where left out; encoder: none where left out
//   corpora   vectors: by space; spaces with an encoder need none
//   experts   partition: all where left out; adapter: a matrix, dimension x dimension; where the list is left
//             out there is one expert per corpus and space, as with flags
// File names are relative to the configuration's folder. Unknown keys are errors.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "api/cli/build_plan.h"

namespace trivium::cli {

// kNotFound, or kInvalidArgument that names the key.
absl::StatusOr<BuildPlan> ReadBuildConfig(const std::string& path);

}  // namespace trivium::cli
