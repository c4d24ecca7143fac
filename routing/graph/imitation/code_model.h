// SPDX-License-Identifier: Apache-2.0
// Where the codes of the vertices come from, and how they are moved down the gradient of a loss.
//
//   free     a code and a bias of its own for each vertex
//   linear   [p_v ; b_v] = A f_v                    f_v: features of the vertex, vertex_features.h
//   hidden   [p_v ; b_v] = A f_v + B elu(C f_v)     one hidden layer beside the linear path
//
// Source:  Baranchuk et al. 2019, section 3.3 and 4.1: graph convolutions, then a feed-forward network with
//          skip connections and ELU.
// Differs: `hidden` has one fixed neighbourhood average where the paper learns convolutions, and one hidden
//          layer; it starts from projected distances (projected_start.h) instead of at random. `free` is not
//          in the paper: as many weights as codes, so it needs queries that pass every vertex. The maps are
//          applied to all vertices after every step, so steps should be few and batches large.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/aligned_matrix.h"
#include "base/matrix_view.h"
#include "index/proximity_graph.h"
#include "routing/graph/imitation/projected_start.h"
#include "routing/graph/imitation/routing_codes.h"

namespace trivium::routing {

enum class CodeSource : std::uint8_t { kFree, kLinear, kHidden };

// Derivatives of the loss of a batch. Rows of vertices that are not in `touched` are zero.
struct CodeGradient {
  base::AlignedMatrix codes;           // n x d'
  std::vector<float> biases;           // n
  std::vector<std::uint32_t> touched;  // distinct
};

class CodeModel {
 public:
  virtual ~CodeModel() = default;

  // Overwrites codes->codes and codes->biases.
  virtual void Encode(RoutingCodes* codes) const = 0;

  // Moves the weights by about `rate` of their size and encodes anew.
  virtual void Step(const CodeGradient& gradient, double rate, RoutingCodes* codes) = 0;

  // The weights, for tests of the gradient: the shared maps one after the other, empty for free codes; and
  // the derivative of the loss by them, in the same order.
  virtual std::vector<base::AlignedMatrix*> weights() { return {}; }
  virtual std::vector<base::AlignedMatrix> WeightGradient(const CodeGradient& gradient) const = 0;
};

// `graph` and `rows` outlive the model. Memory: free codes 8 bytes a vertex; shared maps (2 d + 2 padded to
// 16) x 4 bytes a vertex for the features, and `hidden_width` x 8 bytes more with a hidden layer.
//   score_scale   multiplies p and b of the start
std::unique_ptr<CodeModel> MakeCodeModel(CodeSource source, const index::ProximityGraph& graph,
                                         base::MatrixView rows, const FeatureScale& scale,
                                         const ProjectedStart& start, double score_scale,
                                         std::size_t hidden_width, int thread_count, std::uint64_t seed);

}  // namespace trivium::routing
