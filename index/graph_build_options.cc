// SPDX-License-Identifier: Apache-2.0
#include "index/graph_build_options.h"

#include "absl/strings/str_cat.h"

namespace trivium::index {

absl::Status GraphBuildOptions::Validate() const {
  if (degree_bound < 4 || degree_bound > 256) {
    return absl::InvalidArgumentError(absl::StrCat("degree_bound: ", degree_bound, ", expected 4 to 256"));
  }
  if (beam_width < 8 || beam_width > 4096) {
    return absl::InvalidArgumentError(absl::StrCat("build beam_width: ", beam_width, ", expected 8 to 4096"));
  }
  if (!(alpha >= 1.0f && alpha <= 2.0f)) {
    return absl::InvalidArgumentError(absl::StrCat("alpha: ", alpha, ", expected 1 to 2"));
  }
  return absl::OkStatus();
}

}  // namespace trivium::index
