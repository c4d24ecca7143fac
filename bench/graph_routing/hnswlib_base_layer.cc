// SPDX-License-Identifier: Apache-2.0
// The graph that Baranchuk et al. 2019 walk: the lowest layer of hnswlib's, in the file format of
// graph_routing_bench.cc.
//
// Usage: trivium_bench_hnswlib_base_layer BASE.f32 DIMENSION l2|cosine M BUILD_BEAM_WIDTH OUTPUT
//
// One thread, so that the graph is the same each time. The entry is hnswlib's entry of the highest layer.
#include <hnswlib/hnswlib.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 7) {
    std::cerr << "usage: trivium_bench_hnswlib_base_layer BASE.f32 DIMENSION l2|cosine M WIDTH OUTPUT\n";
    return 2;
  }
  const std::size_t dimension = std::strtoull(argv[2], nullptr, 10);
  const std::size_t m = std::strtoull(argv[4], nullptr, 10);
  std::ifstream file(argv[1], std::ios::binary | std::ios::ate);
  if (!file || dimension == 0 || m == 0) {
    std::cerr << "trivium_bench_hnswlib_base_layer: " << argv[1] << ", " << argv[2] << ", " << argv[4]
              << ": expected a file, a dimension and M\n";
    return 2;
  }
  std::vector<float> values(static_cast<std::size_t>(file.tellg()) / sizeof(float));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(float)));
  const std::size_t count = values.size() / dimension;

  std::unique_ptr<hnswlib::SpaceInterface<float>> space;
  if (std::string(argv[3]) == "l2") {
    space = std::make_unique<hnswlib::L2Space>(dimension);
  } else {
    space = std::make_unique<hnswlib::InnerProductSpace>(dimension);
  }
  hnswlib::HierarchicalNSW<float> hnsw(space.get(), count, m, std::strtoull(argv[5], nullptr, 10));
  for (std::size_t i = 0; i < count; ++i) {
    static_cast<hnswlib::AlgorithmInterface<float>&>(hnsw).addPoint(&values[i * dimension], i);
  }
  // Labels are places, for rows entered one after the other.
  const auto bound = static_cast<std::uint32_t>(2 * m);
  const std::size_t stride = (1 + bound + 15) / 16 * 16;
  std::vector<std::uint32_t> words(3 + count * stride, 0);
  words[0] = static_cast<std::uint32_t>(count);
  words[1] = bound;
  words[2] = hnsw.enterpoint_node_;
  for (std::size_t v = 0; v < count; ++v) {
    hnswlib::linklistsizeint* list = hnsw.get_linklist0(static_cast<hnswlib::tableint>(v));
    std::uint32_t* record = &words[3 + v * stride];
    record[0] = hnsw.getListCount(list);
    for (std::uint32_t i = 0; i < record[0]; ++i) record[1 + i] = list[1 + i];
  }
  std::ofstream(argv[6], std::ios::binary)
      .write(reinterpret_cast<const char*>(words.data()),
             static_cast<std::streamsize>(words.size() * sizeof(std::uint32_t)));
  return 0;
}
