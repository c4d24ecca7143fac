// SPDX-License-Identifier: Apache-2.0
// A query as rows of any format read it. Rows of int8 want it as int16, so that sums are exact integers and
// the same on every instruction set; 15 bits of the query cost no accuracy beside 8 of a row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "index/rows_view.h"

namespace trivium::index {

// Borrowed. Made from a plain pointer it serves float rows, from RowQueryWords also those of int8.
struct RowQuery {
  const float* values = nullptr;
  const std::int16_t* words = nullptr;  // about values / word_scale; kInt8 only
  float word_scale = 0;
  float squared_norm = 0;  // kInt8 only

  RowQuery(const float* values) : values(values) {}  // NOLINT(google-explicit-constructor)
};

// Holds the int16 form. Reused from query to query.
class RowQueryWords {
 public:
  // The query borrows `values` and this object's memory, until the next Prepare.
  RowQuery Prepare(RowFormat format, const float* values, std::size_t dimension);

 private:
  std::vector<std::int16_t> words_;
};

}  // namespace trivium::index
