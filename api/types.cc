// SPDX-License-Identifier: Apache-2.0
#include "trivium/types.h"

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "kernels/distance_table.h"

namespace trivium {

std::string_view MetricName(Metric metric) {
  switch (metric) {
    case Metric::kCosine:
      return "cosine";
    case Metric::kInnerProduct:
      return "inner_product";
    case Metric::kSquaredL2:
      return "squared_l2";
  }
  return "";
}

absl::StatusOr<Metric> ParseMetric(std::string_view name) {
  for (Metric metric : {Metric::kCosine, Metric::kInnerProduct, Metric::kSquaredL2}) {
    if (name == MetricName(metric)) return metric;
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("metric: '%s', expected cosine, inner_product or squared_l2", name));
}

std::string_view ProfileName(Profile profile) {
  switch (profile) {
    case Profile::kSpeed:
      return "speed";
    case Profile::kBalanced:
      return "balanced";
    case Profile::kSmall:
      return "small";
  }
  return "";
}

absl::StatusOr<Profile> ParseProfile(std::string_view name) {
  for (Profile profile : {Profile::kSpeed, Profile::kBalanced, Profile::kSmall}) {
    if (name == ProfileName(profile)) return profile;
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("profile: '%s', expected speed, balanced or small", name.substr(0, 80)));
}

std::string_view Version() { return TRIVIUM_VERSION; }

std::string_view KernelName() { return kernels::ActiveDistances().name; }

}  // namespace trivium
