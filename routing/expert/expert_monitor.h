// SPDX-License-Identifier: Apache-2.0
// Notices an expert that keeps being asked and keeps failing, by a bet against it with every feedback.
#pragma once

#include <cstdint>

namespace trivium::routing {

// Stands for the hypothesis that the expert is sound: its observed utility is, in the mean, at least half of
// what the router predicted when it was asked. A bet on the contrary multiplies the capital by 1 + predicted
// / 2 - observed, at most fair under that hypothesis, and begins anew with 1 whenever less is left, so that
// an expert that was good for long is noticed as soon as any. The mean number of bets before a sound expert
// is taken for a failing one is at least kAlarmCapital; one predicted 0.5 that never finds anything is
// noticed after 42.
//
// Source: Shin, Ramdas, Rinaldo 2022 (E-detectors), the CUSUM e-detector with a fixed bet.
class ExpertMonitor {
 public:
  static constexpr double kAlarmCapital = 10'000;
  // More is not held against it: documents that moved must not bring an expert here before the router is
  // corrected.
  static constexpr double kMostPredicted = 0.5;

  // predicted, observed: utilities, 0 to 1.
  void Observe(double predicted, double observed);

  double capital() const { return capital_; }
  bool failing() const { return capital_ >= kAlarmCapital; }
  std::uint64_t count() const { return count_; }
  double mean_predicted() const { return count_ > 0 ? predicted_ / static_cast<double>(count_) : 0; }
  double mean_observed() const { return count_ > 0 ? observed_ / static_cast<double>(count_) : 0; }

 private:
  double capital_ = 1;
  std::uint64_t count_ = 0;
  double predicted_ = 0, observed_ = 0;  // sums
};

}  // namespace trivium::routing
