// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/result_fusion.h"

#include <algorithm>

namespace trivium::routing {
namespace {

bool BetterHit(const FusedHit& a, const FusedHit& b) {
  return a.score != b.score ? a.score > b.score : a.key < b.key;
}

bool Comparable(const ExpertResult& a, const ExpertResult& b) {
  return a.kind == ExpertKind::kDense && b.kind == ExpertKind::kDense && a.space == b.space;
}

// Joins the candidates of one key into the one of the best score; with `add` it gets the sum of their scores.
void JoinByKey(bool add, std::vector<FusedHit>* candidates) {
  std::sort(candidates->begin(), candidates->end(), [](const FusedHit& a, const FusedHit& b) {
    if (a.key != b.key) return a.key < b.key;
    return a.score != b.score ? a.score > b.score : a.expert < b.expert;
  });
  std::size_t kept = 0;
  for (const FusedHit& hit : *candidates) {
    if (kept > 0 && (*candidates)[kept - 1].key == hit.key) {
      if (add) (*candidates)[kept - 1].score += hit.score;
    } else {
      (*candidates)[kept++] = hit;
    }
  }
  candidates->resize(kept);
}

void AppendScores(const ExpertResult& result, std::vector<FusedHit>* hits) {
  for (const ScoredDocument& hit : result.hits) {
    hits->push_back({hit.key, hit.score + hit.raised + result.prior, hit.score, result.expert});
  }
}

// Scores of a sorted list to votes: best 1, worst 0, times `weight`.
void ScaleScores(float weight, std::vector<FusedHit>* voter) {
  if (voter->empty()) return;
  const float best = voter->front().score, worst = voter->back().score;
  for (FusedHit& hit : *voter) {
    hit.score = weight * (best > worst ? (hit.score - worst) / (best - worst) : 1.0f);
  }
}

// Adds the votes of one voter: a single list, or with `merge` the lists from `results[first]` on that are
// comparable with it, merged by score.
// They are by rank or, with `scaled`, by score. Returns the weight of the voter.
float AppendVotes(absl::Span<const ExpertResult> results, std::size_t first, bool merge, bool scaled,
                  FusionScratch* scratch) {
  std::vector<FusedHit>& voter = scratch->voter;
  voter.clear();
  AppendScores(results[first], &voter);
  float weight = results[first].weight;
  std::size_t list_count = 1, depth = results[first].hits.size();
  for (std::size_t j = first + 1; merge && j < results.size(); ++j) {
    if (!Comparable(results[first], results[j])) continue;
    AppendScores(results[j], &voter);
    weight = std::max(weight, results[j].weight);
    depth = std::max(depth, results[j].hits.size());
    ++list_count;
  }
  if (list_count > 1) {  // a single list keeps its own order, whatever its scores mean
    JoinByKey(/*add=*/false, &voter);
    std::sort(voter.begin(), voter.end(), BetterHit);
    if (scaled && voter.size() > depth) voter.resize(depth);  // as deep as a voter of one list
  }
  if (scaled) ScaleScores(weight, &voter);
  for (std::size_t i = 0; !scaled && i < voter.size(); ++i) {
    voter[i].score = weight / (kReciprocalRankOffset + static_cast<float>(i + 1));
  }
  scratch->candidates.insert(scratch->candidates.end(), voter.begin(), voter.end());
  return voter.empty() ? 0 : weight;
}

}  // namespace

void FuseResults(absl::Span<const ExpertResult> results, std::size_t k, FusionMethod method,
                 FusionScratch* scratch, std::vector<FusedHit>* fused) {
  std::vector<FusedHit>& candidates = scratch->candidates;
  candidates.clear();
  const auto comparable_with_first = [&](const ExpertResult& r) { return Comparable(results[0], r); };
  const bool by_score =
      method == FusionMethod::kScore ||
      (method == FusionMethod::kAuto &&
       (results.size() <= 1 || std::all_of(results.begin(), results.end(), comparable_with_first)));
  const bool merge = method != FusionMethod::kReciprocalRank, scaled = method == FusionMethod::kConvex;
  float weights = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const auto same_voter = [&](const ExpertResult& r) { return Comparable(r, results[i]); };
    if (by_score) {
      AppendScores(results[i], &candidates);
    } else if (!merge || std::none_of(results.begin(), results.begin() + i, same_voter)) {
      weights += AppendVotes(results, i, merge, scaled, scratch);
    }
  }
  JoinByKey(/*add=*/!by_score, &candidates);
  for (FusedHit& hit : candidates) hit.score /= scaled && weights > 0 ? weights : 1;
  const std::size_t kept = std::min(k, candidates.size());
  std::partial_sort(candidates.begin(), candidates.begin() + kept, candidates.end(), BetterHit);
  fused->assign(candidates.begin(), candidates.begin() + kept);
}

}  // namespace trivium::routing
