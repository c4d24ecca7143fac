// SPDX-License-Identifier: Apache-2.0
// The best-first search of a proximity graph, one step of it. There is one loop in the whole engine, this
// one: which vertices an expansion offers and how far away they are (full precision, codes, learned) is the
// expander's business. A search is a sequence of steps, so that several can take turns while their memory
// reads are under way.
//
// Source:  Malkov and Yashunin 2018 (HNSW), Alg. 2 on one layer; the sorted pool is that of Fu et al. 2019.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>

#include "index/candidate_pool.h"

namespace trivium::index {

// What to do with the nearest candidate that was not looked at yet.
enum class Visit : std::uint8_t { kExpand, kSkip, kStop };

// Knows the query. Expand inserts what is worth following from `vertex`, never at distance NaN.
template <class E>
concept VertexExpander = requires(E& expander, std::uint32_t vertex, float distance, CandidatePool* pool) {
  { expander.OnNearest(vertex, distance) } -> std::same_as<Visit>;
  { expander.Expand(vertex, pool) } -> std::same_as<void>;
};

// Expands the nearest candidate of `pool`; false where the search is over.
template <VertexExpander Expander>
bool BeamStep(Expander& expander, CandidatePool* pool) {
  while (const std::optional<Candidate> nearest = pool->PopNearest()) {
    const std::uint32_t vertex = nearest->vertex;
    const Visit visit = expander.OnNearest(vertex, nearest->distance);
    if (visit == Visit::kStop) return false;
    if (visit == Visit::kSkip) continue;
    expander.Expand(vertex, pool);
    return true;
  }
  return false;
}

}  // namespace trivium::index
