// SPDX-License-Identifier: Apache-2.0
#include "api/vector_rules.h"

#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/aligned_matrix.h"

namespace trivium {
namespace {

// Below this a row has no direction.
constexpr double kMinSquaredNorm = 1e-30;

}  // namespace

base::Metric BaseMetric(Metric metric) {
  switch (metric) {
    case Metric::kCosine:
      return base::Metric::kCosine;
    case Metric::kInnerProduct:
      return base::Metric::kInnerProduct;
    case Metric::kSquaredL2:
      break;
  }
  return base::Metric::kSquaredL2;
}

Metric PublicMetric(base::Metric metric) {
  switch (metric) {
    case base::Metric::kCosine:
      return Metric::kCosine;
    case base::Metric::kInnerProduct:
      return Metric::kInnerProduct;
    case base::Metric::kSquaredL2:
      break;
  }
  return Metric::kSquaredL2;
}

index::Profile EngineProfile(Profile profile) {
  switch (profile) {
    case Profile::kSpeed:
      return index::Profile::kSpeed;
    case Profile::kBalanced:
      return index::Profile::kBalanced;
    case Profile::kSmall:
      return index::Profile::kSmall;
  }
  return index::Profile::kSpeed;
}

Profile PublicProfile(index::Profile profile) {
  switch (profile) {
    case index::Profile::kExact:
    case index::Profile::kSpeed:
      return Profile::kSpeed;
    case index::Profile::kBalanced:
      return Profile::kBalanced;
    case index::Profile::kSmall:
      return Profile::kSmall;
  }
  return Profile::kSpeed;
}

absl::StatusOr<float> RowScale(const float* row, std::size_t columns, Metric metric, std::string_view what,
                               std::size_t number) {
  double squared_norm = 0;
  for (std::size_t j = 0; j < columns; ++j) {
    if (!std::isfinite(row[j])) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s, row %d, component %d: %f, expected a finite number", what, number, j, row[j]));
    }
    squared_norm += static_cast<double>(row[j]) * row[j];
  }
  if (metric != Metric::kCosine) return 1.0f;
  if (squared_norm < kMinSquaredNorm) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s, row %d: zero, expected a direction (metric cosine)", what, number));
  }
  return static_cast<float>(1.0 / std::sqrt(squared_norm));
}

bool UnitCopy(const float* row, std::size_t columns, std::vector<float>* unit) {
  unit->assign(base::PaddedStride(columns), 0.0f);
  double squared_norm = 0;
  for (std::size_t j = 0; j < columns; ++j) squared_norm += static_cast<double>(row[j]) * row[j];
  if (squared_norm < kMinSquaredNorm) return false;
  const double scale = 1.0 / std::sqrt(squared_norm);
  for (std::size_t j = 0; j < columns; ++j) (*unit)[j] = static_cast<float>(row[j] * scale);
  return true;
}

}  // namespace trivium
