// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/ranking_metrics.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

namespace trivium::routing {
namespace {

double Discount(std::size_t rank) { return 1.0 / std::log2(static_cast<double>(rank) + 2.0); }  // rank from 0

}  // namespace

Judgements::Judgements(std::vector<JudgedDocument> documents) : documents_(std::move(documents)) {
  std::stable_sort(documents_.begin(), documents_.end(),
                   [](const JudgedDocument& a, const JudgedDocument& b) { return a.key < b.key; });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < documents_.size(); ++i) {
    const bool last_of_key = i + 1 == documents_.size() || documents_[i + 1].key != documents_[i].key;
    if (last_of_key) documents_[kept++] = documents_[i];
  }
  documents_.resize(kept);
  for (const JudgedDocument& document : documents_) {
    if (document.grade > 0) ideal_grades_.push_back(document.grade);
  }
  std::sort(ideal_grades_.begin(), ideal_grades_.end(), std::greater<>());
}

double Judgements::GradeOf(std::uint64_t key) const {
  const auto found =
      std::lower_bound(documents_.begin(), documents_.end(), key,
                       [](const JudgedDocument& document, std::uint64_t k) { return document.key < k; });
  return found != documents_.end() && found->key == key ? std::max(found->grade, 0.0) : 0.0;
}

double NdcgAt(std::size_t k, absl::Span<const std::uint64_t> ranked, const Judgements& judgements) {
  double ideal = 0;
  for (std::size_t i = 0; i < std::min(k, judgements.relevant_count()); ++i) {
    ideal += judgements.ideal_grades()[i] * Discount(i);
  }
  if (ideal == 0) return 0;
  double gain = 0;
  for (std::size_t i = 0; i < std::min(k, ranked.size()); ++i) {
    const double grade = judgements.GradeOf(ranked[i]);
    if (grade > 0) gain += grade * Discount(i);
  }
  return gain / ideal;
}

double RecallAt(std::size_t k, absl::Span<const std::uint64_t> ranked, const Judgements& judgements) {
  if (judgements.relevant_count() == 0) return 0;
  std::size_t found = 0;
  for (std::uint64_t key : ranked.first(std::min(k, ranked.size()))) found += judgements.GradeOf(key) > 0;
  return static_cast<double>(found) / static_cast<double>(judgements.relevant_count());
}

double ReciprocalRankAt(std::size_t k, absl::Span<const std::uint64_t> ranked, const Judgements& judgements) {
  for (std::size_t i = 0; i < std::min(k, ranked.size()); ++i) {
    if (judgements.GradeOf(ranked[i]) > 0) return 1.0 / static_cast<double>(i + 1);
  }
  return 0;
}

double AveragePrecision(absl::Span<const std::uint64_t> ranked, const Judgements& judgements) {
  if (judgements.relevant_count() == 0) return 0;
  double sum = 0;
  std::size_t found = 0;
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    if (judgements.GradeOf(ranked[i]) <= 0) continue;
    ++found;
    sum += static_cast<double>(found) / static_cast<double>(i + 1);
  }
  return sum / static_cast<double>(judgements.relevant_count());
}

}  // namespace trivium::routing
