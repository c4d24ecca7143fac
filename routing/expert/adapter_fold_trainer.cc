// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/adapter_fold_trainer.h"

#include <algorithm>

namespace trivium::routing {
namespace {

std::vector<std::vector<std::uint32_t>> BySet(const AdapterQueries& queries,
                                              const std::vector<std::uint32_t>& chosen) {
  std::vector<std::vector<std::uint32_t>> sets;
  std::unordered_map<std::uint32_t, std::size_t> position;
  for (std::uint32_t query : chosen) {
    const auto [entry, fresh] =
        position.try_emplace(queries.sets.empty() ? 0 : queries.sets[query], sets.size());
    if (fresh) sets.emplace_back();
    sets[entry->second].push_back(query);
  }
  return sets;
}

}  // namespace

AdapterFoldTrainer::AdapterFoldTrainer(const AdapterQueries& queries,
                                       const std::vector<std::uint32_t>& chosen,
                                       const AdapterTrainingOptions& options, std::uint64_t seed)
    : queries_(queries),
      options_(options),
      batch_size_(std::min(options.batch_size, chosen.size())),
      sampler_(BySet(queries, chosen), seed),
      random_(seed + 1),
      weights_(queries.queries.columns, options.rank, options.rate, seed),
      mean_(weights_.matrix().rows(), weights_.matrix().columns()) {
  for (std::size_t i = 0; i < mean_.rows(); ++i) mean_.row(i)[i] = 1;
}

std::uint32_t AdapterFoldTrainer::AddCandidate(std::uint32_t document) {
  const auto [entry, fresh] = candidate_of_.try_emplace(document, candidate_of_.size());
  if (fresh) candidates_.Append(queries_.documents.row(document));
  return entry->second;
}

void AdapterFoldTrainer::DrawBatch() {
  rows_ = base::AlignedMatrix(queries_.queries.columns);
  candidates_ = base::AlignedMatrix(queries_.queries.columns);
  candidates_.Reserve(batch_size_ * (1 + options_.hard_negatives));
  candidate_of_.clear();
  drawn_.clear();
  positives_.clear();
  ignored_.clear();
  for (std::size_t i = 0; i < batch_size_; ++i) {
    const std::uint32_t query = sampler_.Next();
    const std::vector<std::uint32_t>& relevant = queries_.relevant[query];
    const std::vector<std::uint32_t>& negatives = queries_.negatives[query];
    drawn_.push_back(query);
    rows_.Append(queries_.queries.row(query));
    positives_.push_back(AddCandidate(relevant[random_.Below(relevant.size())]));
    for (std::size_t n = 0; n < options_.hard_negatives; ++n) {
      AddCandidate(negatives[random_.Below(negatives.size())]);
    }
  }
  for (std::uint32_t i = 0; i < batch_size_; ++i) {
    for (const auto* list : {&queries_.relevant[drawn_[i]], &queries_.ignored[drawn_[i]]}) {
      for (std::uint32_t document : *list) {
        const auto found = candidate_of_.find(document);
        if (found == candidate_of_.end() || found->second == positives_[i]) continue;
        ignored_.emplace_back(i, found->second);
      }
    }
  }
}

double AdapterFoldTrainer::Step() {
  DrawBatch();
  const base::AlignedMatrix& matrix = weights_.matrix();
  base::AlignedMatrix gradient(matrix.rows(), matrix.columns());
  const double loss = MappedLoss(
      matrix, {rows_.view(), candidates_.view(), positives_, ignored_, options_.temperature}, &gradient);
  const auto ridge = static_cast<float>(options_.ridge);
  const auto kept = static_cast<float>(options_.rank > 0 ? 0 : options_.averaging);
  for (std::size_t i = 0; i < matrix.rows(); ++i) {
    for (std::size_t j = 0; j < matrix.columns(); ++j) {
      gradient.row(i)[j] += ridge * (matrix.row(i)[j] - (i == j ? 1.0f : 0.0f));
    }
  }
  weights_.Descend(gradient);
  for (std::size_t i = 0; i < matrix.rows(); ++i) {
    for (std::size_t j = 0; j < matrix.columns(); ++j) {
      mean_.row(i)[j] = kept * mean_.row(i)[j] + (1 - kept) * matrix.row(i)[j];
    }
  }
  return loss;
}

}  // namespace trivium::routing
