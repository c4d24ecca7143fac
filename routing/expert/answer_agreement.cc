// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/answer_agreement.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace trivium::routing {
namespace {

struct Component {
  std::uint64_t document = 0;
  std::uint32_t expert = 0;
  double weight = 0;
};

// Of all answers as unit vectors, by document.
std::vector<Component> ComponentsOf(absl::Span<const std::vector<std::uint64_t>> answers) {
  std::vector<Component> components;
  for (std::uint32_t e = 0; e < answers.size(); ++e) {
    double squares = 0;
    for (std::size_t r = 0; r < answers[e].size(); ++r) {
      const double weight = 1 / std::log2(static_cast<double>(r) + 2);
      components.push_back({answers[e][r], e, weight});
      squares += weight * weight;
    }
    for (auto it = components.end() - answers[e].size(); it != components.end(); ++it) {
      it->weight /= std::sqrt(squares);
    }
  }
  std::sort(components.begin(), components.end(), [](const Component& a, const Component& b) {
    return a.document != b.document ? a.document < b.document : a.expert < b.expert;
  });
  return components;
}

// Each answer's overlaps with the others, summed: what its vector has in common with the sum of theirs.
std::vector<double> OverlapsWithOthers(const std::vector<Component>& components, std::size_t expert_count) {
  std::vector<double> overlaps(expert_count, 0.0);
  for (auto first = components.begin(); first != components.end();) {
    auto last = first;
    double sum = 0;
    for (; last != components.end() && last->document == first->document; ++last) sum += last->weight;
    for (; first != last; ++first) overlaps[first->expert] += first->weight * (sum - first->weight);
  }
  return overlaps;
}

}  // namespace

void MeasureAgreement(absl::Span<const std::vector<std::uint64_t>> answers, absl::Span<float> agreement) {
  std::fill(agreement.begin(), agreement.end(), std::numeric_limits<float>::quiet_NaN());
  const auto answered = static_cast<std::size_t>(
      std::count_if(answers.begin(), answers.end(), [](const auto& answer) { return !answer.empty(); }));
  if (answered < kFewestAnswers) return;
  const std::vector<double> overlaps = OverlapsWithOthers(ComponentsOf(answers), answers.size());
  // Halves of squared distances. Of expert i the mean over pairs is its sum over the others, less what the
  // others are apart from each other.
  const auto others = static_cast<double>(answered - 1);
  const double all =
      (others * static_cast<double>(answered) - std::accumulate(overlaps.begin(), overlaps.end(), 0.0)) /
      2;  // of all pairs
  for (std::size_t e = 0; e < answers.size(); ++e) {
    if (answers[e].empty()) continue;
    const double own = others - overlaps[e];
    agreement[e] = static_cast<float>(1 - (own - all / others) / (others - 1));
  }
}

}  // namespace trivium::routing
