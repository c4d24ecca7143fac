// SPDX-License-Identifier: Apache-2.0
// JSON lines with what users made of answers: each what `search --json` printed ("hits", "route") with
//
//   "query"     the text that was asked, or
//   "vector"    its vector, or {space: vector}
//   "relevant"  ids of hits that were of use, or {"id","partition"}, or
//   "clicked"   likewise
//   "source"    optional: who says so
//
// Of a hit "id" and "partition" are read, of "route" the experts that were chosen, with their probability.
#pragma once

#include <list>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "trivium/feedback.h"

namespace trivium::cli {

struct FeedbackFile {
  std::list<std::vector<float>> vectors;  // what `items` borrow
  std::vector<AnswerFeedback> items;
};

// kNotFound: no such file. kInvalidArgument names the line.
absl::StatusOr<FeedbackFile> ReadFeedback(const std::string& path);

}  // namespace trivium::cli
