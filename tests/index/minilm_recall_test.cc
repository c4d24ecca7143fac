// SPDX-License-Identifier: Apache-2.0
// Recall on real sentence embeddings, where they are at hand.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "index/flat_index.h"
#include "index/graph_index.h"
#include "index/search_scratch.h"
#include "storage/vector_files/vector_file.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"

namespace trivium::index {
namespace {

std::filesystem::path EmbeddingFolder() {
  const char* data = std::getenv("TRIVIUM_DATA");
  return std::filesystem::path(data != nullptr ? data : TRIVIUM_SHARED_DATA) / "embeddings" / "minilm-384";
}

// Every `step`-th row of all files whose name ends in `suffix`, in the order of their names, unit length.
base::AlignedMatrix LoadRows(const std::string& suffix, std::size_t step) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(EmbeddingFolder())) {
    if (entry.path().string().ends_with(suffix)) paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  base::AlignedMatrix matrix(384);
  std::size_t number = 0;
  for (const std::string& path : paths) {
    auto file = storage::OpenVectorFile(path);
    EXPECT_OK(file);
    std::vector<float> values((*file)->rows() * 384);
    EXPECT_EQ((*file)->columns(), 384u);
    EXPECT_OK((*file)->Read(0, (*file)->rows(), values.data()));
    for (std::size_t i = 0; i < (*file)->rows(); ++i) {
      if (number++ % step == 0) matrix.Append(&values[i * 384]);
    }
  }
  testing_support::Normalise(&matrix);
  return matrix;
}

TEST(MiniLmRecall, GraphFindsNineteenOfTwentyTrueNeighboursAtTheDefaultBeam) {
  if (!std::filesystem::exists(EmbeddingFolder())) {
    GTEST_SKIP() << "no MiniLM vectors at " << EmbeddingFolder() << "; set TRIVIUM_DATA to the data folder";
  }
  const base::AlignedMatrix documents = LoadRows(".documents.npy", 6);
  const base::AlignedMatrix queries = LoadRows(".queries.npy", 25);
  ASSERT_GT(documents.rows(), 9000u);
  ASSERT_GT(queries.rows(), 400u);

  FlatIndex exact(384, base::Metric::kCosine);
  GraphIndex graph(384, base::Metric::kCosine, {});
  ASSERT_OK(exact.Add(documents.view(), 1));
  ASSERT_OK(graph.Add(documents.view(), 2));
  SearchScratch scratch;
  SearchParameters parameters;
  SearchCounters counters;
  parameters.method = SearchMethod::kGraph;
  std::vector<base::Neighbor> found, expected;
  std::size_t hits = 0;
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    exact.Search(queries.row(i), parameters, &scratch, &expected, nullptr);
    graph.Search(queries.row(i), parameters, &scratch, &found, &counters);
    ASSERT_EQ(found.size(), 10u);
    hits += testing_support::CountFound(found, expected);
  }
  EXPECT_GE(static_cast<double>(hits) / (10.0 * queries.rows()), 0.95);
  EXPECT_LT(counters.graph_distances / queries.rows(), 1500u);
}

}  // namespace
}  // namespace trivium::index
