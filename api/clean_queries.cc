// SPDX-License-Identifier: Apache-2.0
#include "api/clean_queries.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "api/vector_rules.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "kernels/distance_table.h"

namespace trivium {
namespace {

// Rows at unit length; a zero row stays one, and is nobody's twin.
base::AlignedMatrix UnitRows(const base::AlignedMatrix& rows) {
  base::AlignedMatrix unit(rows.rows(), rows.columns());
  std::vector<float> row;
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    if (UnitCopy(rows.row(i), rows.columns(), &row)) std::copy(row.begin(), row.end(), unit.row(i));
  }
  return unit;
}

}  // namespace

absl::StatusOr<TrainingQueries> TrainingQueries::Load(const StoreState& state, EncoderSet* encoders,
                                                      const std::vector<QuerySet>& sets) {
  TrainingQueries training(&state);
  for (const QuerySet& set : sets) {
    TRIVIUM_ASSIGN_OR_RETURN(const JudgedSet judged, ResolveJudgements(state, set));
    TRIVIUM_ASSIGN_OR_RETURN(PreparedQueries prepared, PrepareJudged(state, encoders, judged));
    if (judged.queries.empty()) continue;
    training.prepared_.push_back(std::move(prepared));
    for (const JudgedQuery& query : judged.queries) {
      for (const routing::JudgedDocument& document : query.judgements.documents()) {
        if (document.key < kFirstUnknownKey) training.relevant_.insert(document.key);
      }
    }
  }
  return training;
}

absl::StatusOr<std::vector<bool>> TrainingQueries::FindClean(const JudgedSet& judged,
                                                             const PreparedQueries& prepared,
                                                             int thread_count) const {
  std::vector<std::uint32_t> spaces;
  if (state_->dispatcher != nullptr) {
    spaces.push_back(state_->dispatcher->space());
  } else {
    for (const SpaceRecord& space : state_->schema.spaces) spaces.push_back(space.id);
  }
  const auto space = std::find_if(spaces.begin(), spaces.end(), [&](std::uint32_t id) {
    return prepared.Find(id) != nullptr &&
           std::all_of(prepared_.begin(), prepared_.end(),
                       [&](const PreparedQueries& queries) { return queries.Find(id) != nullptr; });
  });
  if (space == spaces.end()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("training queries: vectors in no space that routes and queries '%s' share, expected "
                        "them or an encoder",
                        judged.set->name));
  }
  const base::AlignedMatrix rows = UnitRows(*prepared.Find(*space));
  std::vector<base::AlignedMatrix> learned;
  for (const PreparedQueries& queries : prepared_) learned.push_back(UnitRows(*queries.Find(*space)));

  const auto inner_product = kernels::ActiveDistances().inner_product_f32;
  const auto is_clean = [&](std::size_t i) {
    for (const routing::JudgedDocument& document : judged.queries[i].judgements.documents()) {
      if (relevant_.count(document.key) > 0) return false;
    }
    for (const base::AlignedMatrix& set : learned) {
      for (std::size_t j = 0; j < set.rows(); ++j) {
        if (inner_product(rows.row(i), set.row(j), set.columns()) >= kTwinCosine) return false;
      }
    }
    return true;
  };
  std::vector<char> clean(judged.queries.size());  // vector<bool> cannot be written by several threads
  base::ParallelFor(clean.size(), thread_count, 16,
                    [&](std::size_t i, int) { clean[i] = is_clean(i) ? 1 : 0; });
  return std::vector<bool>(clean.begin(), clean.end());
}

}  // namespace trivium
