// SPDX-License-Identifier: Apache-2.0
// The signs of an edge as index/sign_chooser.h chooses them, the error computed anew for each sign.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "index/query_spread.h"

namespace trivium::testing_support {

// (r - scale s)' C (r - scale s).
inline double SlowErrorOfSigns(const index::QuerySpread& spread, const std::vector<double>& r,
                               const std::vector<double>& signs, double scale) {
  double error = 0;
  for (std::size_t i = 0; i < r.size(); ++i) {
    for (std::size_t j = 0; j < r.size(); ++j) {
      error += (r[i] - scale * signs[i]) * spread.covariance[i * r.size() + j] * (r[j] - scale * signs[j]);
    }
  }
  return error;
}

// |r|^2 / sum |r_i|: the scale of the signs of r, by which errors are compared.
inline double SlowScale(const std::vector<double>& r) {
  double squares = 0, lengths = 0;
  for (const double value : r) {
    squares += value * value;
    lengths += std::abs(value);
  }
  return lengths > 0 ? squares / lengths : 0;
}

inline std::vector<double> SlowSigns(const index::QuerySpread& spread, const std::vector<double>& r,
                                     int passes) {
  std::vector<double> signs;
  for (const double value : r) signs.push_back(value >= 0 ? 1 : -1);
  const double scale = SlowScale(r);
  double error = SlowErrorOfSigns(spread, r, signs, scale);
  for (int pass = 0; pass < passes; ++pass) {
    for (double& sign : signs) {
      sign = -sign;
      const double turned = SlowErrorOfSigns(spread, r, signs, scale);
      if (turned < error) {
        error = turned;
      } else {
        sign = -sign;
      }
    }
  }
  return signs;
}

}  // namespace trivium::testing_support
