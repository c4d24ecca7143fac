// SPDX-License-Identifier: Apache-2.0
// What is told of the nodes of a tree: collected over documents, one after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "routing/tree/split_tree.h"
#include "trivium/tree_inspection.h"

namespace trivium {

// Numbers of documents that have a term, by term; each counts once, however often it has it, so that a long
// text does not speak for all.
class TermCounts {
 public:
  void Add(const std::vector<std::string>& terms);  // of one document
  std::uint64_t total() const { return total_; }
  std::uint64_t Count(const std::string& term) const;
  const std::unordered_map<std::string, std::uint32_t>& counts() const { return counts_; }

 private:
  std::unordered_map<std::string, std::uint32_t> counts_;
  std::uint64_t total_ = 0;
};

// The `count` terms of `own` that `other` has less, most telling first: by the log-odds ratio over its
// standard deviation, with a Dirichlet prior in proportion to both together. Only those above 1.96.
// Source: Monroe, Colaresi and Quinn 2008 (Fightin' Words), Eq. 16 to 22, with prior mass 100.
std::vector<TreeTerm> DistinguishingTerms(const TermCounts& own, const TermCounts& other, std::size_t count);

// Masses of the leaves of a row as probabilities of all nodes (SplitTree::nodes()): shares of all its masses.
void NodeProbabilities(const std::uint8_t* leaves, std::size_t depth, std::vector<float>* probabilities);

// The nodes that are reached by always going to the more probable child, root first.
std::vector<std::uint32_t> GreedyPath(const std::vector<float>& probabilities, std::size_t depth);

// One caller at a time.
class NodeSummaries {
 public:
  // `nodes`: those to tell of, of a tree of `depth`; siblings are looked at, too.
  NodeSummaries(const std::vector<std::uint32_t>& nodes, std::size_t depth, std::size_t dimension);

  // First all documents, in any order.
  void Add(const std::vector<float>& probabilities, const std::vector<std::uint32_t>& path,
           const std::string& partition, const float* vector);
  // Terms of a document's text, at any time.
  void AddTerms(const std::vector<std::uint32_t>& path, const std::vector<std::string>& terms);
  // Then again, to find the typical ones, at most `count` a node. `key` is told by typical().
  void Compare(const std::vector<float>& probabilities, const std::vector<std::uint32_t>& path,
               std::uint64_t key, const float* vector, std::size_t count);

  struct Typical {
    double nearness = 0;
    double probability = 0;
    std::uint64_t key = 0;
  };
  // Without typical documents.
  TreeNode Describe(std::uint32_t node, std::size_t term_count) const;
  const std::vector<Typical>& typical(std::uint32_t node) const { return sums_.at(node).typical; }

 private:
  struct Sums {
    double documents = 0, second = 0, entropy = 0;
    std::uint64_t greedy = 0;
    std::map<std::string, std::uint64_t> partitions;
    std::vector<double> mean;  // not divided
    TermCounts terms;
    std::vector<Typical> typical;  // best first
  };

  std::size_t depth_;
  std::map<std::uint32_t, Sums> sums_;
};

}  // namespace trivium
