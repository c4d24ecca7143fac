// SPDX-License-Identifier: Apache-2.0
// Some rows of a vector set, evenly spaced, for what is learned of all of them.
#pragma once

#include <cstddef>

#include "api/vector_set.h"
#include "base/aligned_matrix.h"

namespace trivium {

// Calls visit(number of the part, row in it) for every so many live rows, that there are at most `most`.
template <class Visit>
void VisitSample(const VectorSet& set, std::size_t most, Visit visit) {
  const std::size_t stride = (set.live_count() + most - 1) / most;
  std::size_t seen = 0;
  for (std::size_t p = 0; p < set.parts().size(); ++p) {
    const VectorPart& part = set.parts()[p];
    for (std::size_t i = 0; i < part.rows->size(); ++i) {
      if (part.live != nullptr && !part.live->Test(i)) continue;
      if (seen++ % stride == 0) visit(p, i);
    }
  }
}

// Those rows, decoded.
inline base::AlignedMatrix SampleRows(const VectorSet& set, std::size_t most) {
  base::AlignedMatrix sample(set.dimension());
  VisitSample(set, most, [&](std::size_t p, std::size_t i) {
    sample.Resize(sample.rows() + 1);
    set.parts()[p].rows->CopyRow(i, sample.row(sample.rows() - 1));
  });
  return sample;
}

}  // namespace trivium
