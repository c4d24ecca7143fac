// SPDX-License-Identifier: Apache-2.0
// Looks over a whole input before anything of it is written, so that a bad line near its end leaves the store
// as it was. Costs one more pass over the files and the ids of one corpus in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/cli/build_plan.h"
#include "trivium/types.h"

namespace trivium::cli {

// Components finite and, with `directions` (metric cosine), no row zero. kInvalidArgument names `path` and
// the row, counted from `first_row`.
absl::Status CheckRows(const MatrixView& rows, std::size_t first_row, bool directions,
                       const std::string& path);

// Documents well-formed with distinct ids, vector files as long as the corpus and of their spaces' dimension.
// Sets the dimension of the plan's spaces that lack one. Returns the number of documents; tells `progress`
// how many were read, now and then.
absl::StatusOr<std::uint64_t> CheckCorpus(const CorpusPlan& corpus, BuildPlan* plan,
                                          const std::function<void(std::uint64_t)>& progress);

}  // namespace trivium::cli
