// SPDX-License-Identifier: Apache-2.0
// Whether what is stored fits the profile that a build is to give it.
#include "api/profile_range.h"
#include "api/store_impl.h"
#include "base/status_macros.h"

namespace trivium {
namespace {

absl::Status CheckPart(const VectorPart& part, const SpaceRecord& space, const StoreState& state) {
  std::vector<float> row(space.dimension);
  for (std::size_t i = 0; i < part.rows->size(); ++i) {
    if (part.live != nullptr && !part.live->Test(i)) continue;
    part.rows->CopyRow(i, row.data());
    const DocumentDirectory::Entry* document = state.documents.Find(part.rows->documents()[i]);
    TRIVIUM_RETURN_IF_ERROR(
        CheckRange(row.data(), space, state.schema.PartitionById(document->partition)->name, document->id));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Store::Impl::CheckRanges(const BuildOptions& build) const {
  TRIVIUM_ASSIGN_OR_RETURN(const std::shared_ptr<const StoreState> state, Read());
  for (const auto& set : state->sets) {
    const SpaceRecord& space = *state->schema.SpaceById(set->space());
    const Profile profile = build.profile.value_or(space.profile);
    if (!HasRange(space, profile)) continue;
    for (const VectorPart& part : set->parts()) {
      // Segments were looked at when the space took its profile.
      const bool known = space.profile == profile || part.profile == index::Profile::kBalanced;
      if (!part.file.empty() && known) continue;
      TRIVIUM_RETURN_IF_ERROR(CheckPart(part, space, *state));
    }
  }
  return absl::OkStatus();
}

}  // namespace trivium
