// SPDX-License-Identifier: Apache-2.0
// How much one walk departs from what the oracle would have done, and the derivative by every score.
//
//   loss = sum over expansions t of -log(sum of e^s over the candidates with fewest hops
//                                        / sum of e^s over all candidates)
//          + final_weight * -log(sum of e^s over the visited true neighbours / sum of e^s over all visited)
//
// The last term is left out where no true neighbour was visited.
//
// Source:  Baranchuk et al. 2019, section 3.2, Eq. 5-7.
// Differs: no softmax an expansion. With Z_t and R_t the two sums of expansion t,
//
//            d loss / d s_v = e^{s_v} (sum of 1 / Z_t over the t at which v is a candidate
//                                      - sum of 1 / R_t over those of them at which v has fewest hops)
//
//          and both sums are differences of running sums (the second: of one a number of hops), read when v
//          becomes a candidate and when it stops being one: O(1) for each. The final choice is one softmax
//          over what was visited instead of the paper's top-k.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace trivium::routing {

// A walk as the loss sees it: n vertices in the order in which they were scored, T expansions.
struct ScoredPath {
  std::span<const float> scores;            // n, finite
  std::span<const std::uint8_t> hops;       // n
  std::span<const std::uint32_t> expanded;  // T: which of the n, each at most once
  // T: how many of the n had been scored before each expansion; rising, and above expanded[t].
  std::span<const std::uint32_t> arrived;
};

// The running sums. Scores enter as e^(s - reference). Where subtraction has eaten too many digits, or the
// scores have moved too far from the reference, the sums start anew with the candidates of that moment:
// O(n), and rare. One thread; allocates where a path is longer than any before.
class ImitationLoss {
 public:
  // Returns the loss; derivative[i] = d loss / d scores[i]. Cost: O(n + T x distinct hops).
  double Evaluate(const ScoredPath& path, double final_weight, std::span<float> derivative);

 private:
  struct HopSums {
    double candidates = 0;  // sum of the weights of the candidates with so many hops
    double peak = 0;        // the largest it was since it was last exact
    std::size_t count = 0;
    double inverse = 0;  // sum of 1 / R_t over the expansions at which so many were fewest
  };

  void Enter(std::size_t first, std::size_t last);
  void Add(std::size_t i);
  void Settle(std::size_t i);
  void Restart(std::size_t arrived);
  bool Precise() const;
  double FinalChoice(double weight, std::span<float> derivative) const;

  ScoredPath path_;
  std::span<float> derivative_;
  double reference_ = 0;
  double inverse_ = 0;         // sum of 1 / Z_t
  std::vector<HopSums> sums_;  // by hops
  std::vector<double> weights_;
  std::vector<double> inverse_before_;      // inverse_ when the vertex entered
  std::vector<double> hop_inverse_before_;  // that of its hops
  std::vector<bool> gone_;                  // was expanded
};

}  // namespace trivium::routing
