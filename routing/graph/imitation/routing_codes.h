// SPDX-License-Identifier: Apache-2.0
// What a graph router knows once trained: a code and a bias for each vertex, a linear map of queries.
//
//   score(v | q) = <W q, p_v> + b_v        larger: nearer to the answer
//
// Source: Baranchuk et al. 2019, section 3.3 (their g is linear too, their f is whatever made p_v).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/aligned_matrix.h"
#include "kernels/distance_table.h"

namespace trivium::routing {

struct RoutingCodes {
  base::AlignedMatrix codes;      // p: n x d'
  std::vector<float> biases;      // b: n
  base::AlignedMatrix query_map;  // W: d' x d; without rows where W is the identity (d' = d)

  std::size_t dimension() const { return codes.columns(); }
  // Distances of d dimensions that W q costs.
  std::size_t projection_cost() const { return query_map.rows(); }

  // `projected` has room for dimension() floats.
  void Project(const float* query, float* projected) const {
    if (query_map.rows() == 0) {
      std::memcpy(projected, query, codes.columns() * sizeof(float));
      return;
    }
    kernels::ActiveDistances().inner_product_f32_rows(query, query_map.row(0), query_map.stride(),
                                                      query_map.rows(), query_map.columns(), projected);
  }

  RoutingCodes Copy() const {
    RoutingCodes copy{base::AlignedMatrix(codes.rows(), codes.columns()), biases,
                      base::AlignedMatrix(query_map.rows(), query_map.columns())};
    std::memcpy(copy.codes.row(0), codes.row(0), codes.rows() * codes.stride() * sizeof(float));
    if (query_map.rows() > 0) {
      std::memcpy(copy.query_map.row(0), query_map.row(0),
                  query_map.rows() * query_map.stride() * sizeof(float));
    }
    return copy;
  }
};

// A VertexScorer (index/beam_search.h): the distance of a vertex is minus its score.
class CodeScorer {
 public:
  CodeScorer(const RoutingCodes& codes, const float* projected) : codes_(codes), projected_(projected) {}

  void Score(const std::uint32_t* vertices, std::size_t count, float* distances) const {
    gather_(projected_, codes_.codes.row(0), codes_.codes.stride(), vertices, count, codes_.codes.columns(),
            distances);
    for (std::size_t i = 0; i < count; ++i) distances[i] = -(distances[i] + codes_.biases[vertices[i]]);
  }
  void Prefetch(std::uint32_t) const {}  // the kernel does

 private:
  const RoutingCodes& codes_;
  const float* projected_;
  decltype(kernels::DistanceTable::inner_product_f32_gather) gather_ =
      kernels::ActiveDistances().inner_product_f32_gather;
};

}  // namespace trivium::routing
