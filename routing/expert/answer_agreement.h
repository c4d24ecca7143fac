// SPDX-License-Identifier: Apache-2.0
// How right each of several answers to one question probably is, judged by nothing but the other answers.
//
// An answer is a vector over documents: the document at rank r has 1 / log2(r + 1), and the vector is scaled
// to norm 1. So the squared distance of two answers is 2 - 2 x their overlap, and experts of any space or
// kind can be compared as long as they rank the same documents. Were the errors of experts independent,
// expert i would lie
//
//   mean over pairs (j, k) of the others of (d_ij + d_ik - d_jk) / 2
//
// from the true answer, squared. Its agreement is 1 - half of that: 1 where all answers are the same, 0 where
// it shares nothing with others that are the same, and now and then somewhat more or less. Being linear in
// the distances, the mean agreement over queries is that of the mean distances.
//
// Source:  Guha et al. 2024 (Smoothie), the triplet estimate of E ||answer - truth||^2, over all pairs.
// Differs: ranked documents instead of embedded texts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace trivium::routing {

// Answers that tell more than that they differ: two do not say which is wrong.
inline constexpr std::size_t kFewestAnswers = 3;

// `answers`: of each expert the documents it found, best first and distinct; empty: it gave none. Overwrites
// `agreement`, one float an expert: NaN for one without an answer, and for all where fewer than
// kFewestAnswers gave one. O(documents x log documents).
void MeasureAgreement(absl::Span<const std::vector<std::uint64_t>> answers, absl::Span<float> agreement);

}  // namespace trivium::routing
