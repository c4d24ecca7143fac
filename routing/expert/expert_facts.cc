// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/expert_facts.h"

namespace trivium::routing {

ExpertFacts ExpertFacts::OfQueries(absl::Span<const std::uint32_t> rows) const {
  ExpertFacts copy;
  copy.dimension = dimension;
  copy.sets = sets;
  copy.experts.resize(experts.size());
  for (std::size_t e = 0; e < experts.size(); ++e) {
    copy.experts[e].sets = experts[e].sets;
    const base::AlignedMatrix& description = experts[e].description;
    copy.experts[e].description = base::AlignedMatrix(description.columns());
    for (std::size_t i = 0; i < description.rows(); ++i) {
      copy.experts[e].description.Append(description.row(i));
    }
  }
  if (agreement.size() > 0) copy.agreement = agreement.Subset(rows);
  return copy;
}

}  // namespace trivium::routing
