// SPDX-License-Identifier: Apache-2.0
// What a tree learns from: anchors, the documents near them, and how near the flat vectors say they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned_matrix.h"
#include "base/matrix_view.h"
#include "base/random.h"

namespace trivium::routing {

// The documents of largest inner product with each query, nearest first: at most `count` of them. `except`: a
// document for each query that does not count, or empty. Cost: queries x documents products. The same for any
// number of threads.
std::vector<std::vector<std::uint32_t>> NearestDocuments(base::MatrixView queries, base::MatrixView documents,
                                                         const std::vector<std::uint32_t>& except,
                                                         std::size_t count, int thread_count);

// Rows of a step: anchors, documents, and for each anchor a distribution over the documents.
struct TreeBatch {
  base::AlignedMatrix anchors;    // n x d
  base::AlignedMatrix documents;  // m x d
  base::AlignedMatrix teacher;    // n x m; -1: does not count
};

class TreeAnchors {
 public:
  struct Options {
    std::size_t near = 100;         // documents near an anchor that may be drawn with it
    std::size_t anchor_count = 48;  // of a batch
    std::size_t document_count = 384;
    float teacher_temperature = 0.05f;
    float label_share = 0.5f;  // of the teacher of a judged anchor: its relevant documents, alike
  };
  // All rows are unit vectors and stay borrowed.
  //   documents    n x d
  //   anchors      a x d, each a document or a query
  //   own          a: the document that an anchor is, or n
  //   relevant     a, or empty: documents judged relevant for each
  TreeAnchors(base::MatrixView documents, base::MatrixView anchors, std::vector<std::uint32_t> own,
              std::vector<std::vector<std::uint32_t>> relevant, const Options& options, int thread_count);

  std::size_t size() const { return anchors_.rows; }
  const std::vector<std::vector<std::uint32_t>>& near() const { return near_; }

  // Overwrites `batch` with anchors drawn at random and documents near them.
  void Draw(base::Random* random, TreeBatch* batch) const;

 private:
  base::MatrixView documents_, anchors_;
  std::vector<std::uint32_t> own_;
  std::vector<std::vector<std::uint32_t>> relevant_, near_;
  Options options_;
};

}  // namespace trivium::routing
