// SPDX-License-Identifier: Apache-2.0
// Time of a distance for every table this machine can run:
//   one/...     one row at a time, all in the first-level cache
//   rows/...    32 neighbouring rows a call, in the second-level cache
//   gather/...  32 random rows a call out of 400 MB, as a graph search reads them
//   scan/...    neighbouring rows streamed from the same 400 MB
// 384 dimensions. "items_per_second" counts distances. Run: trivium_bench_kernels --benchmark_filter=gather
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/aligned_matrix.h"
#include "base/random.h"
#include "kernels/distance_table.h"

namespace trivium::kernels {
namespace {

constexpr std::size_t kDimension = 384;
constexpr std::size_t kRows = 32;
constexpr std::size_t kLargeRows = 400'000'000 / (kDimension * sizeof(float));

template <class T>
std::vector<T> RandomElements(std::size_t count) {
  base::Random random(1);
  std::vector<T> elements(count);
  for (T& element : elements) element = static_cast<T>(static_cast<int>(random.Below(100)) - 50);
  return elements;
}

template <class Query, class Row, class Result>
void One(benchmark::State& state, Result (*distance)(const Query*, const Row*, std::size_t)) {
  const auto query = RandomElements<Query>(kDimension);
  const auto row = RandomElements<Row>(kDimension);
  for (auto _ : state) benchmark::DoNotOptimize(distance(query.data(), row.data(), kDimension));
  state.SetItemsProcessed(state.iterations());
}

template <class Query, class Row, class Result>
void Rows(benchmark::State& state,
          void (*distances)(const Query*, const Row*, std::size_t, std::size_t, std::size_t, Result*)) {
  const auto query = RandomElements<Query>(kDimension);
  const auto rows = RandomElements<Row>(kDimension * kRows);
  std::vector<Result> out(kRows);
  for (auto _ : state) {
    distances(query.data(), rows.data(), kDimension, kRows, kDimension, out.data());
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}

const base::AlignedMatrix& LargeMatrix() {
  static const base::AlignedMatrix* const matrix = [] {
    auto* fresh = new base::AlignedMatrix(kLargeRows, kDimension);
    for (std::size_t i = 0; i < kLargeRows; ++i) fresh->row(i)[i % kDimension] = 1;
    return fresh;
  }();
  return *matrix;
}

using Gather = decltype(DistanceTable::inner_product_f32_gather);
using Scan = decltype(DistanceTable::inner_product_f32_rows);

void GatherRandomRows(benchmark::State& state, Gather distances) {
  const base::AlignedMatrix& matrix = LargeMatrix();
  const auto query = RandomElements<float>(kDimension);
  base::Random random(2);
  std::vector<std::uint32_t> ids(kRows * 4096);
  for (std::uint32_t& id : ids) id = static_cast<std::uint32_t>(random.Below(kLargeRows));
  std::vector<float> out(kRows);
  std::size_t start = 0;
  for (auto _ : state) {
    distances(query.data(), matrix.row(0), matrix.stride(), ids.data() + start, kRows, kDimension,
              out.data());
    benchmark::DoNotOptimize(out.data());
    start = (start + kRows) % ids.size();
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}

void ScanNeighbouringRows(benchmark::State& state, Scan distances) {
  const base::AlignedMatrix& matrix = LargeMatrix();
  const auto query = RandomElements<float>(kDimension);
  constexpr std::size_t kBlock = 1024;
  std::vector<float> out(kBlock);
  std::size_t start = 0;
  for (auto _ : state) {
    distances(query.data(), matrix.row(start), matrix.stride(), kBlock, kDimension, out.data());
    benchmark::DoNotOptimize(out.data());
    start = start + 2 * kBlock <= kLargeRows ? start + kBlock : 0;
  }
  state.SetItemsProcessed(state.iterations() * kBlock);
}

void RegisterTable(const DistanceTable& table) {
  const auto name = [&](const char* what) { return std::string(what) + "/" + table.name; };
  const auto add = [&](const char* what, auto run, auto function) {
    benchmark::RegisterBenchmark(name(what).c_str(), run, function);
  };
  add("one/inner_product_f32", One<float, float, float>, table.inner_product_f32);
  add("one/squared_l2_f32", One<float, float, float>, table.squared_l2_f32);
  add("one/inner_product_f16", One<float, Half, float>, table.inner_product_f16);
  add("one/inner_product_i8", One<std::int8_t, std::int8_t, std::int32_t>, table.inner_product_i8);
  add("one/squared_l2_i8", One<std::int8_t, std::int8_t, std::int32_t>, table.squared_l2_i8);
  add("rows/inner_product_f32", Rows<float, float, float>, table.inner_product_f32_rows);
  add("rows/squared_l2_f32", Rows<float, float, float>, table.squared_l2_f32_rows);
  add("rows/inner_product_f16", Rows<float, Half, float>, table.inner_product_f16_rows);
  add("rows/inner_product_i8", Rows<std::int8_t, std::int8_t, std::int32_t>, table.inner_product_i8_rows);
  add("rows/squared_l2_i8", Rows<std::int8_t, std::int8_t, std::int32_t>, table.squared_l2_i8_rows);
  add("gather/inner_product_f32", GatherRandomRows, table.inner_product_f32_gather);
  add("scan/inner_product_f32", ScanNeighbouringRows, table.inner_product_f32_rows);
}

}  // namespace
}  // namespace trivium::kernels

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  for (const char* name : {"baseline", "avx2", "avx512"}) {
    if (const auto* table = trivium::kernels::FindDistances(name)) trivium::kernels::RegisterTable(*table);
  }
  benchmark::RunSpecifiedBenchmarks();
}
