// SPDX-License-Identifier: Apache-2.0
// Queries made from the stored documents, for training where nobody has real ones: what a document is called,
// or how it begins.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "api/store_state.h"

namespace trivium {

inline constexpr std::size_t kMostGeneratedQueries = 5000;

// The "title" of `metadata` (a JSON object, or empty) where that is a text, else the first sentence of
// `text`; at most twelve words and 200 bytes of it. Empty where neither has a letter.
std::string HeadingOf(std::string_view text, std::string_view metadata);

// Headings of at most kMostGeneratedQueries documents of `partitions`, drawn at random. Of those that differ
// in case, numbers and punctuation alone only one is taken. kFailedPrecondition: none has a text. Reads as
// many documents as it takes headings, or all.
absl::StatusOr<std::vector<std::string>> GenerateQueries(const StoreState& state,
                                                         const std::set<std::uint32_t>& partitions,
                                                         std::uint64_t seed);

}  // namespace trivium
