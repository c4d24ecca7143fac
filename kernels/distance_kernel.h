// SPDX-License-Identifier: Apache-2.0
// The one loop behind every distance: sums a term over the elements of a query and of one or more rows.
//
// Each instruction set compiles this loop in a file of its own with its own compiler flags. An inline
// function seen by two such files would be merged by the linker into one body, picked by link order, and
// could run AVX-512 on a machine without it. So: the files include only intrinsics, <cstddef>, <cstdint> and
// headers of this folder, and all templates here are instantiated with a Lanes type from an unnamed
// namespace, which gives them internal linkage. tests/kernels checks that the object files export nothing
// else.
//
// A *Lanes* type (lanes_*.h) wraps one instruction set:
//   Float, kFloats                     a register of floats, and how many it holds
//   Load, LoadFirst(p, n)              kFloats elements; only the first n < kFloats, the others zero
//   LoadHalves, LoadFirstHalves(p, n)  the same, from binary16
//   Store, StoreFirst, StoreHalves, StoreFirstHalves(p, v, n)
//   ZeroFloats, Add, Subtract, MultiplyAdd(a, b, sum), Sum(v)
//   Words, kWords                      a register of int16, and how many it holds
//   LoadWords, LoadFirstWords(p, n)    from int8
//   Ints, ZeroInts, AddInts, SubtractWords, AddWordProducts(sum, a, b), SumInts
//   kRowsAtOnce                        rows whose accumulators fit the register file together
//
// A *Terms* type (inner_product_kernel.h, squared_l2_kernel.h) says what is summed, in steps of kStep
// elements:
//   Query, Row, Result                 element types and the type of the sum
//   Accumulator, Zero, Accumulate(sum, query, row), Join(sum, sum), Total(sum)
//   LoadQuery, LoadFirstQuery, LoadRow, LoadFirstRow
#pragma once

#include "kernels/distance_functions.h"

namespace trivium::kernels {

// Independent accumulators a row: an addition takes 4 cycles and two can start in each, so fewer would wait
// for one another. More would only lengthen the tail.
inline constexpr int kChains = 4;

// OneToGathered asks for the first lines of the rows it will need; the processor streams the rest of a row
// once it is read in order. Tuned on one machine (Intel model 207, AVX-512, 384-d rows out of 400 MB, two
// runs a setting): 7.4 to 7.5 million rows a second like this, 5.0 to 6.3 where 2 to 16 whole rows are asked
// for.
inline constexpr std::size_t kPrefetchRows = 16;
inline constexpr std::size_t kPrefetchBytes = 128;

// totals[r] = the sum over `rows[r]`, r < kRows. Rows share each load of the query. The order of additions in
// a row does not depend on kRows.
template <class Terms, int kRows>
inline __attribute__((always_inline)) void SumTerms(const typename Terms::Query* query,
                                                    const typename Terms::Row* const* rows,
                                                    std::size_t dimension, typename Terms::Result* totals) {
  constexpr std::size_t kStep = Terms::kStep;
  typename Terms::Accumulator sums[kRows][kChains];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int c = 0; c < kChains; ++c) sums[r][c] = Terms::Zero();
  }

  std::size_t i = 0;
  for (; i + kChains * kStep <= dimension; i += kChains * kStep) {
#pragma GCC unroll 4
    for (int c = 0; c < kChains; ++c) {
      const auto q = Terms::LoadQuery(query + i + c * kStep);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        sums[r][c] = Terms::Accumulate(sums[r][c], q, Terms::LoadRow(rows[r] + i + c * kStep));
      }
    }
  }
#pragma GCC unroll 4
  for (int c = 0; c < kChains - 1; ++c) {
    if (i + kStep > dimension) break;
    const auto q = Terms::LoadQuery(query + i);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      sums[r][c] = Terms::Accumulate(sums[r][c], q, Terms::LoadRow(rows[r] + i));
    }
    i += kStep;
  }
  if (i < dimension) {
    const std::size_t rest = dimension - i;
    const auto q = Terms::LoadFirstQuery(query + i, rest);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      sums[r][kChains - 1] =
          Terms::Accumulate(sums[r][kChains - 1], q, Terms::LoadFirstRow(rows[r] + i, rest));
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    totals[r] =
        Terms::Total(Terms::Join(Terms::Join(sums[r][0], sums[r][1]), Terms::Join(sums[r][2], sums[r][3])));
  }
}

template <class Terms>
typename Terms::Result OneToOne(const typename Terms::Query* query, const typename Terms::Row* row,
                                std::size_t dimension) {
  typename Terms::Result total;
  SumTerms<Terms, 1>(query, &row, dimension, &total);
  return total;
}

template <class Terms>
void OneToRows(const typename Terms::Query* query, const typename Terms::Row* rows, std::size_t stride,
               std::size_t count, std::size_t dimension, typename Terms::Result* out) {
  constexpr int kRows = Terms::kRowsAtOnce;
  std::size_t i = 0;
  for (; i + kRows <= count; i += kRows) {
    const typename Terms::Row* block[kRows];
    for (int r = 0; r < kRows; ++r) block[r] = rows + (i + r) * stride;
    SumTerms<Terms, kRows>(query, block, dimension, out + i);
  }
  for (; i < count; ++i) out[i] = OneToOne<Terms>(query, rows + i * stride, dimension);
}

// Without prefetches.
template <class Terms>
void OneToCachedGathered(const typename Terms::Query* query, const typename Terms::Row* rows,
                         std::size_t stride, const std::uint32_t* ids, std::size_t count,
                         std::size_t dimension, typename Terms::Result* out) {
  constexpr int kRows = Terms::kRowsAtOnce;
  std::size_t i = 0;
  for (; i + kRows <= count; i += kRows) {
    const typename Terms::Row* block[kRows];
    for (int r = 0; r < kRows; ++r) block[r] = rows + ids[i + r] * stride;
    SumTerms<Terms, kRows>(query, block, dimension, out + i);
  }
  for (; i < count; ++i) out[i] = OneToOne<Terms>(query, rows + ids[i] * stride, dimension);
}

template <class Terms>
void OneToGathered(const typename Terms::Query* query, const typename Terms::Row* rows, std::size_t stride,
                   const std::uint32_t* ids, std::size_t count, std::size_t dimension,
                   typename Terms::Result* out) {
  constexpr int kRows = Terms::kRowsAtOnce;
  const auto prefetch = [&](std::size_t i) {
    const char* row = reinterpret_cast<const char*>(rows + ids[i] * stride);
    for (std::size_t byte = 0; byte < kPrefetchBytes; byte += 64) __builtin_prefetch(row + byte);
  };
  std::size_t prefetched = 0;
  for (; prefetched < count && prefetched < kPrefetchRows; ++prefetched) prefetch(prefetched);

  std::size_t i = 0;
  for (; i + kRows <= count; i += kRows) {
    const typename Terms::Row* block[kRows];
    for (int r = 0; r < kRows; ++r) {
      block[r] = rows + ids[i + r] * stride;
      if (prefetched < count) prefetch(prefetched++);
    }
    SumTerms<Terms, kRows>(query, block, dimension, out + i);
  }
  for (; i < count; ++i) out[i] = OneToOne<Terms>(query, rows + ids[i] * stride, dimension);
}

}  // namespace trivium::kernels
