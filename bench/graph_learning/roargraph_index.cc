// SPDX-License-Identifier: Apache-2.0
// Gives the rows of a saved vector index the graph of roargraph.h in place of their own.
//
// Usage: trivium_bench_roargraph INDEX QUERIES.f32 OUTPUT NEIGHBORS PROJECTED_DEGREE BEAM_WIDTH ALPHA THREADS
//
// INDEX and OUTPUT are files of VectorIndex::Save with a graph and float32 rows, QUERIES raw float32 rows of
// unit length for the cosine metric, NEIGHBORS the rows that are asked for a query. Codes and the sample that
// walks start from are made as for any graph. Says on stdout, as JSON, the seconds that it took.
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "base/aligned_matrix.h"
#include "bench/graph_learning/roargraph.h"
#include "index/vector_segment.h"
#include "storage/file_system.h"

namespace {

using trivium::base::AlignedMatrix;
using trivium::index::VectorSegment;

int Fail(const std::string& what) {
  std::cerr << "trivium_bench_roargraph: " << what << "\n";
  return 1;
}

AlignedMatrix ReadRows(const std::string& path, std::size_t dimension) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  AlignedMatrix rows(dimension);
  if (!file) return rows;
  rows.Resize(static_cast<std::size_t>(file.tellg()) / (dimension * sizeof(float)));
  file.seekg(0);
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    file.read(reinterpret_cast<char*>(rows.row(i)), static_cast<std::streamsize>(dimension * sizeof(float)));
  }
  return rows;
}

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 9)
    return Fail("expected INDEX QUERIES.f32 OUTPUT NEIGHBORS PROJECTED BEAM_WIDTH ALPHA THREADS");
  const auto segment = VectorSegment::Open(argv[1], /*verify=*/false);
  if (!segment.ok()) return Fail(std::string(segment.status().message()));
  const VectorSegment& old = **segment;
  if (old.stored_rows().format != trivium::index::RowFormat::kFloat32 || old.graph().size() != old.size()) {
    return Fail(std::string(argv[1]) + ": expected float32 rows and a graph");
  }
  const AlignedMatrix queries = ReadRows(argv[2], old.dimension());
  if (queries.rows() == 0) return Fail(std::string(argv[2]) + ": no rows");
  trivium::bench::RoarGraphOptions options;
  options.degree_bound = old.graph().degree_bound();
  options.projected_degree = std::strtoull(argv[5], nullptr, 10);
  options.beam_width = std::strtoull(argv[6], nullptr, 10);
  options.alpha = std::strtof(argv[7], nullptr);
  options.thread_count = std::atoi(argv[8]);
  if (options.projected_degree == 0 || options.projected_degree > options.degree_bound ||
      options.beam_width == 0 || options.thread_count <= 0) {
    return Fail("projected degree, beam width, threads: expected 1 to the degree bound, and 1 or more");
  }
  auto start = std::chrono::steady_clock::now();
  const auto answers = trivium::bench::NearestRows(old.rows(), old.metric(), queries.view(),
                                                   std::strtoull(argv[4], nullptr, 10), options.thread_count);
  const double answered = SecondsSince(start);
  start = std::chrono::steady_clock::now();
  const trivium::index::ProximityGraph graph =
      trivium::bench::BuildRoarGraph(old.rows(), old.metric(), answers, options);
  const double built = SecondsSince(start);

  trivium::index::SearchableRows contents = old.searchable();
  contents.graph = &graph;
  std::optional<trivium::index::EdgeCodes> codes;
  if (old.codes() != nullptr) {
    codes.emplace(old.dimension(), old.metric(), graph.degree_bound());
    codes->Update(old.rows(), graph, options.thread_count);
    contents.edge_codes = &*codes;
  }
  trivium::storage::RemoveFile(argv[3]).IgnoreError();
  const absl::Status written = VectorSegment::Write(contents, old.profile(), old.labels(), argv[3]);
  if (!written.ok()) return Fail(std::string(written.message()));
  std::cout << "{\"answers_seconds\": " << answered << ", \"seconds\": " << built << "}\n";
  return 0;
}
