// SPDX-License-Identifier: Apache-2.0
// Instantiates every kernel for one instruction set, and the conversions between float32 and binary16.
#pragma once

#include "kernels/distance_kernel.h"
#include "kernels/edge_code_kernel.h"
#include "kernels/inner_product_kernel.h"
#include "kernels/rotation_kernel.h"
#include "kernels/shared_mass_kernel.h"
#include "kernels/sign_code_kernel.h"
#include "kernels/sign_pack_kernel.h"
#include "kernels/squared_l2_kernel.h"

namespace trivium::kernels {

template <class Lanes>
void F16FromF32(const float* in, std::size_t count, Half* out) {
  std::size_t i = 0;
  for (; i + Lanes::kFloats <= count; i += Lanes::kFloats) Lanes::StoreHalves(out + i, Lanes::Load(in + i));
  if (i < count) Lanes::StoreFirstHalves(out + i, Lanes::LoadFirst(in + i, count - i), count - i);
}

template <class Lanes>
void F32FromF16(const Half* in, std::size_t count, float* out) {
  std::size_t i = 0;
  for (; i + Lanes::kFloats <= count; i += Lanes::kFloats) Lanes::Store(out + i, Lanes::LoadHalves(in + i));
  if (i < count) Lanes::StoreFirst(out + i, Lanes::LoadFirstHalves(in + i, count - i), count - i);
}

// Terms may bring a gathering form of their own.
template <class ProductI8>
constexpr auto GatherI8() {
  if constexpr (requires { &ProductI8::Gather; }) {
    return &ProductI8::Gather;
  } else {
    return &OneToCachedGathered<ProductI8>;
  }
}

// `ProductI8` may replace the widening int8 inner product by one the instruction set has an instruction for.
template <class Lanes, class CodeLanes, class ProductI8 = InnerProductI8<Lanes>>
constexpr DistanceTable MakeTable(const char* name) {
  return DistanceTable{
      .name = name,
      .inner_product_f32 = &OneToOne<InnerProductF32<Lanes>>,
      .squared_l2_f32 = &OneToOne<SquaredL2F32<Lanes>>,
      .inner_product_f16 = &OneToOne<InnerProductF16<Lanes>>,
      .squared_l2_f16 = &OneToOne<SquaredL2F16<Lanes>>,
      .inner_product_i8 = &OneToOne<ProductI8>,
      .squared_l2_i8 = &OneToOne<SquaredL2I8<Lanes>>,
      .inner_product_f32_rows = &OneToRows<InnerProductF32<Lanes>>,
      .squared_l2_f32_rows = &OneToRows<SquaredL2F32<Lanes>>,
      .inner_product_f16_rows = &OneToRows<InnerProductF16<Lanes>>,
      .squared_l2_f16_rows = &OneToRows<SquaredL2F16<Lanes>>,
      .inner_product_i8_rows = &OneToRows<ProductI8>,
      .squared_l2_i8_rows = &OneToRows<SquaredL2I8<Lanes>>,
      .inner_product_f32_gather = &OneToGathered<InnerProductF32<Lanes>>,
      .squared_l2_f32_gather = &OneToGathered<SquaredL2F32<Lanes>>,
      .inner_product_i8_gather = GatherI8<ProductI8>(),
      .inner_product_f16_gather = &OneToGathered<InnerProductF16<Lanes>>,
      .squared_l2_f16_gather = &OneToGathered<SquaredL2F16<Lanes>>,
      .inner_product_i16_i8_rows = &OneToRows<InnerProductI16I8<Lanes>>,
      .inner_product_i16_i8_gather = &OneToGathered<InnerProductI16I8<Lanes>>,
      .sum_selected = &SumSelected<CodeLanes>,
      .score_packs = &ScorePacks<CodeLanes>,
      .score_edges = &ScoreEdges<CodeLanes>,
      .encode_edge = &EncodeEdge<Lanes>,
      .fill_sign_table = &FillSignTable<Lanes>,
      .round_to_bytes = &RoundToBytes<Lanes>,
      .rotate = &Rotate<Lanes>,
      .shared_mass_f32 = &SharedMassF32<Lanes>,
      .add_shared_mass_gradient = &AddSharedMassGradient<Lanes>,
      .shared_mass_rows = &SharedMassRows<Lanes>,
      .shared_mass_code_rows = &SharedMassCodeRows<Lanes>,
      .f16_from_f32 = &F16FromF32<Lanes>,
      .f32_from_f16 = &F32FromF16<Lanes>,
  };
}

}  // namespace trivium::kernels
