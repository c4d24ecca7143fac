// SPDX-License-Identifier: Apache-2.0
#include "api/tree_inspection.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <set>

namespace trivium {
namespace {

constexpr double kPriorMass = 100;
constexpr double kSurprising = 1.96;

// Bits.
double Entropy(double p) {
  if (p <= 0 || p >= 1) return 0;
  return -(p * std::log2(p) + (1 - p) * std::log2(1 - p));
}

std::size_t LevelOf(std::uint32_t node) { return std::bit_width(node) - 1u; }

}  // namespace

void TermCounts::Add(const std::vector<std::string>& terms) {
  const std::set<std::string> distinct(terms.begin(), terms.end());
  for (const std::string& term : distinct) ++counts_[term];
  total_ += distinct.size();
}

std::uint64_t TermCounts::Count(const std::string& term) const {
  const auto found = counts_.find(term);
  return found == counts_.end() ? 0 : found->second;
}

std::vector<TreeTerm> DistinguishingTerms(const TermCounts& own, const TermCounts& other, std::size_t count) {
  std::vector<TreeTerm> terms;
  const double own_total = static_cast<double>(own.total()), other_total = static_cast<double>(other.total());
  for (const auto& [term, number] : own.counts()) {
    const double mine = number, theirs = static_cast<double>(other.Count(term));
    const double prior = kPriorMass * (mine + theirs) / (own_total + other_total);
    const double odds = (mine + prior) / (own_total + kPriorMass - mine - prior);
    const double other_odds = (theirs + prior) / (other_total + kPriorMass - theirs - prior);
    const double deviation = std::sqrt(1 / (mine + prior) + 1 / (theirs + prior));
    const double score = (std::log(odds) - std::log(other_odds)) / deviation;
    if (score > kSurprising) terms.push_back({term, score});
  }
  std::sort(terms.begin(), terms.end(), [](const TreeTerm& a, const TreeTerm& b) {
    return a.score != b.score ? a.score > b.score : a.term < b.term;
  });
  if (terms.size() > count) terms.resize(count);
  return terms;
}

void NodeProbabilities(const std::uint8_t* leaves, std::size_t depth, std::vector<float>* probabilities) {
  const std::size_t count = std::size_t{1} << depth;
  const auto total = std::max(1.0f, static_cast<float>(std::accumulate(leaves, leaves + count, 0u)));
  probabilities->assign(2 * count, 0);
  std::vector<float>& nodes = *probabilities;
  for (std::size_t i = 0; i < count; ++i) nodes[count + i] = static_cast<float>(leaves[i]) / total;
  for (std::size_t v = count - 1; v >= 1; --v) nodes[v] = nodes[2 * v] + nodes[2 * v + 1];
}

std::vector<std::uint32_t> GreedyPath(const std::vector<float>& probabilities, std::size_t depth) {
  std::vector<std::uint32_t> path = {1};
  for (std::size_t level = 0; level < depth; ++level) {
    const std::uint32_t first = 2 * path.back();
    path.push_back(probabilities[first + 1] > probabilities[first] ? first + 1 : first);
  }
  return path;
}

NodeSummaries::NodeSummaries(const std::vector<std::uint32_t>& nodes, std::size_t depth,
                             std::size_t dimension)
    : depth_(depth) {
  for (const std::uint32_t node : nodes) {
    sums_[node].mean.assign(dimension, 0);
    if (node > 1) sums_[node ^ 1u].mean.assign(dimension, 0);
  }
}

void NodeSummaries::Add(const std::vector<float>& probabilities, const std::vector<std::uint32_t>& path,
                        const std::string& partition, const float* vector) {
  for (auto& [node, sums] : sums_) {
    const double p = probabilities[node];
    sums.documents += p;
    if (LevelOf(node) == depth_ || p <= 0) continue;
    const double second = probabilities[2 * node + 1];
    sums.second += second;
    sums.entropy += p * Entropy(second / p);
  }
  for (const std::uint32_t node : path) {
    const auto found = sums_.find(node);
    if (found == sums_.end()) continue;
    ++found->second.greedy;
    ++found->second.partitions[partition];
    std::vector<double>& mean = found->second.mean;
    for (std::size_t j = 0; j < mean.size(); ++j) mean[j] += vector[j];
  }
}

void NodeSummaries::AddTerms(const std::vector<std::uint32_t>& path, const std::vector<std::string>& terms) {
  for (const std::uint32_t node : path) {
    if (const auto found = sums_.find(node); found != sums_.end()) found->second.terms.Add(terms);
  }
}

void NodeSummaries::Compare(const std::vector<float>& probabilities, const std::vector<std::uint32_t>& path,
                            std::uint64_t key, const float* vector, std::size_t count) {
  for (const std::uint32_t node : path) {
    const auto found = sums_.find(node);
    if (found == sums_.end()) continue;
    const std::vector<double>& mean = found->second.mean;
    Typical document{0, probabilities[node], key};
    for (std::size_t j = 0; j < mean.size(); ++j) document.nearness += mean[j] * vector[j];
    std::vector<Typical>& typical = found->second.typical;
    const auto place = std::find_if(typical.begin(), typical.end(),
                                    [&](const Typical& other) { return document.nearness > other.nearness; });
    typical.insert(place, document);
    if (typical.size() > count) typical.pop_back();
  }
}

TreeNode NodeSummaries::Describe(std::uint32_t node, std::size_t term_count) const {
  const Sums& sums = sums_.at(node);
  TreeNode told;
  told.node = node;
  told.level = LevelOf(node);
  told.documents = sums.documents;
  told.greedy = sums.greedy;
  if (sums.documents > 0) {
    told.balance = sums.second / sums.documents;
    told.split_entropy = sums.entropy / sums.documents;
  }
  for (const auto& [partition, number] : sums.partitions) {
    const double share = static_cast<double>(number) / static_cast<double>(sums.greedy);
    if (share <= told.purity) continue;
    told.purity = share;
    told.partition = partition;
  }
  if (node > 1) told.terms = DistinguishingTerms(sums.terms, sums_.at(node ^ 1u).terms, term_count);
  return told;
}

}  // namespace trivium
