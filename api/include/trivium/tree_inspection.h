// SPDX-License-Identifier: Apache-2.0
// Looking at a tree: what its nodes hold, and the way of a question through it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "trivium/export.h"

namespace trivium {

// A word of the texts of a node that those of its sibling use less.
struct TreeTerm {
  std::string term;
  double score = 0;  // log-odds ratio over its standard deviation: 1.96 is surprising
};

struct TreeDocument {
  std::string id, partition;
  double probability = 0;  // of the node
};

// Nodes are counted from 1, the root: the children of v are 2 v and 2 v + 1.
struct TreeNode {
  std::uint64_t node = 0;
  std::size_t level = 0;
  double documents = 0;      // sum of their probabilities
  std::uint64_t greedy = 0;  // documents that come here when each goes the more probable way
  // Of the node's split; 0 for a leaf.
  double balance = 0;        // share of `documents` that goes to the second child
  double split_entropy = 0;  // bits, mean over documents by their probability: 0 where all are sure
  // Against partitions, of the greedy documents.
  std::string partition;  // the most frequent
  double purity = 0;      // its share
  std::vector<TreeTerm> terms;
  // Greedy documents nearest to their mean vector.
  std::vector<TreeDocument> typical;
};

// The more probable child, level by level.
struct TreeStep {
  std::uint64_t node = 0;
  double probability = 0;  // of the question
  double document = 0;     // of the document asked for; 0 without one
  bool left = false;       // whether this is where that document goes another way, greedily
};

struct TreeInspection {
  std::string space;
  std::size_t depth = 0;
  std::uint64_t documents = 0;
  std::vector<TreeNode> nodes;
  std::vector<TreeStep> path;  // of the question; empty without one
};

}  // namespace trivium
