// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/expert_facts.h"

namespace trivium::routing {
namespace {

base::AlignedMatrix Copy(const base::AlignedMatrix& from) {
  base::AlignedMatrix copy(from.columns());
  for (std::size_t i = 0; i < from.rows(); ++i) copy.Append(from.row(i));
  return copy;
}

}  // namespace

ExpertFacts ExpertFacts::OfQueries(absl::Span<const std::uint32_t> rows) const {
  ExpertFacts copy;
  copy.dimension = dimension;
  copy.cells_are_nodes = cells_are_nodes;
  copy.sets = sets;
  copy.cells = {Copy(cells.directions), cells.shares};
  copy.experts.resize(experts.size());
  for (std::size_t e = 0; e < experts.size(); ++e) {
    copy.experts[e] = {experts[e].sets, experts[e].cells, Copy(experts[e].description)};
  }
  if (agreement.size() > 0) copy.agreement = agreement.Subset(rows);
  return copy;
}

}  // namespace trivium::routing
