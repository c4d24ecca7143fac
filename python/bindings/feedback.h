// SPDX-License-Identifier: Apache-2.0
// Reactions of users as Python gives them.
#pragma once

#include <pybind11/pybind11.h>

#include <vector>

#include "arguments.h"
#include "trivium/feedback.h"

namespace trivium::python {

// Borrows the query vectors from `owners`.
struct HeldFeedback {
  std::vector<HeldVectors> owners;
  std::vector<AnswerFeedback> items;
};

// Lists of one length: queries (a text, a vector or a dict of vectors each), Hits, and of `relevant`,
// `clicked` and `sources` None or, for each, None or what was said: a sequence of ids or (partition, id), a
// text.
HeldFeedback AsFeedback(const py::list& queries, const py::list& hits, const py::object& relevant,
                        const py::object& clicked, const py::object& sources);

}  // namespace trivium::python
