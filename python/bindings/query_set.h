// SPDX-License-Identifier: Apache-2.0
// Judged queries from Python.
#pragma once

#include <memory>
#include <vector>

#include "arguments.h"
#include "trivium/options.h"

namespace trivium::python {

// A QuerySet whose vectors Python owns.
struct HeldQuerySet {
  QuerySet set;
  std::vector<HeldMatrix> owners;
};

// Copies of the sets; valid while the Python objects in `held` live.
std::vector<QuerySet> AsQuerySets(const std::vector<const HeldQuerySet*>& held);

}  // namespace trivium::python
