// SPDX-License-Identifier: Apache-2.0
// What training the graphs of a store is worth, and where walks of them go.
#include "absl/strings/str_format.h"
#include "api/graph_inspection.h"
#include "api/store_impl.h"
#include "base/status_macros.h"

namespace trivium {
namespace {

struct GraphSegment {
  const VectorSet* set = nullptr;
  std::shared_ptr<const index::VectorSegment> segment;
};

// Sealed segments of an expert's vector sets, or of all, that `wanted` wants.
template <class Wanted>
absl::StatusOr<std::vector<GraphSegment>> FindSegments(const StoreState& state, const std::string& expert,
                                                       const Wanted& wanted) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::set<std::uint32_t> sets, SetsOfExpert(state, expert));
  std::vector<GraphSegment> segments;
  for (const std::uint32_t i : sets) {
    for (const VectorPart& part : state.sets[i]->parts()) {
      if (part.segment != nullptr && wanted(*part.segment)) {
        segments.push_back({state.sets[i].get(), part.segment});
      }
    }
  }
  return segments;
}

std::set<std::uint32_t> SpacesOf(const std::vector<GraphSegment>& segments) {
  std::set<std::uint32_t> spaces;
  for (const GraphSegment& each : segments) spaces.insert(each.set->space());
  return spaces;
}

void NameDocument(const StoreState& state, std::uint64_t number, std::map<std::uint64_t, std::string>* ids) {
  const DocumentDirectory::Entry* entry = state.documents.Find(number);
  if (entry != nullptr) ids->emplace(number, entry->id);  // otherwise deleted since it was sealed
}

}  // namespace

absl::StatusOr<std::vector<SegmentDrift>> Store::GraphDrift(const StoreDriftOptions& options) const {
  TRIVIUM_RETURN_IF_ERROR(options.drift.Validate());
  TRIVIUM_ASSIGN_OR_RETURN(const std::shared_ptr<const StoreState> state, impl_->Read());
  TRIVIUM_ASSIGN_OR_RETURN(const std::vector<GraphSegment> segments,
                           FindSegments(*state, options.expert, [](const index::VectorSegment& segment) {
                             return !segment.training().empty();
                           }));
  if (segments.empty()) {
    return absl::FailedPreconditionError("graph drift: no trained graph, expected one; train graphs first");
  }
  PreparedQueries canaries;
  const std::size_t count = !options.texts.empty()
                                ? options.texts.size()
                                : (options.vectors.empty() ? 0 : options.vectors[0].vectors.rows);
  if (count > 0) {
    TRIVIUM_ASSIGN_OR_RETURN(canaries, impl_->PrepareForSpaces(*state, "graph drift", count, options.vectors,
                                                               options.texts, SpacesOf(segments)));
  }
  std::vector<SegmentDrift> drifts;
  for (const auto& [set, segment] : segments) {
    const base::AlignedMatrix* given = canaries.Find(set->space());
    SegmentDrift told{state->schema.SpaceById(set->space())->name,
                      state->schema.PartitionById(set->partition())->name};
    TRIVIUM_ASSIGN_OR_RETURN(told.drift, InspectDrift(segment->searchable(), segment->training(),
                                                      given != nullptr ? given->view() : base::MatrixView(),
                                                      segment->labels(), options.drift));
    for (const RowUse& use : told.drift.helpful) NameDocument(*state, use.label, &told.ids);
    for (const RowUse& use : told.drift.harmful) NameDocument(*state, use.label, &told.ids);
    drifts.push_back(std::move(told));
  }
  return drifts;
}

absl::StatusOr<std::vector<SegmentWalk>> Store::TraceWalks(const StoreWalkOptions& options) const {
  TRIVIUM_RETURN_IF_ERROR(options.walk.Validate());
  TRIVIUM_ASSIGN_OR_RETURN(const std::shared_ptr<const StoreState> state, impl_->Read());
  TRIVIUM_ASSIGN_OR_RETURN(const std::vector<GraphSegment> segments,
                           FindSegments(*state, options.expert, [](const index::VectorSegment& segment) {
                             return segment.graph().size() > 1;
                           }));
  if (segments.empty()) {
    return absl::FailedPreconditionError("walk: no sealed segment with a graph, expected one; build first");
  }
  for (const SpaceVectors& given : options.vectors) {
    if (given.vectors.rows == 1) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("query vectors of space '%s': %d rows, expected 1", given.space, given.vectors.rows));
  }
  std::vector<std::string> texts;
  if (!options.text.empty()) texts.push_back(options.text);
  TRIVIUM_ASSIGN_OR_RETURN(
      const PreparedQueries query,
      impl_->PrepareForSpaces(*state, "walk", 1, options.vectors, texts, SpacesOf(segments)));
  std::vector<SegmentWalk> walks;
  for (const auto& [set, segment] : segments) {
    const SpaceRecord& space = *state->schema.SpaceById(set->space());
    WalkOptions walk = options.walk;
    if (walk.beam_width == 0) walk.beam_width = space.beam_width;  // 0 where it is not calibrated
    SegmentWalk told{
        space.name, state->schema.PartitionById(set->partition())->name, segment->size(), {}, {}};
    told.trace = InspectWalk(segment->searchable(), segment->training(), query.Find(set->space())->row(0),
                             walk, segment->labels());
    for (const GraphWalk* each : {&told.trace.walk, told.trace.untaught ? &*told.trace.untaught : nullptr}) {
      if (each == nullptr) continue;
      for (const WalkStep& step : each->steps) NameDocument(*state, step.label, &told.ids);
      for (const std::uint64_t found : each->found) NameDocument(*state, found, &told.ids);
    }
    walks.push_back(std::move(told));
  }
  return walks;
}

}  // namespace trivium
