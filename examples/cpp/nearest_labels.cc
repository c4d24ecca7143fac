// SPDX-License-Identifier: Apache-2.0
// The index alone: labelled vectors in memory, a filter, and a file.
//
// Usage: nearest_labels FILE
#include <trivium/vector_index.h>

#include <cstdint>
#include <cstdio>
#include <numeric>
#include <random>
#include <string>
#include <vector>

namespace {

constexpr std::size_t kCount = 2000;
constexpr std::size_t kDimension = 48;

absl::Status PrintNearest(const trivium::VectorIndex& index, const float* query,
                          const trivium::VectorSearchOptions& options) {
  std::vector<std::uint64_t> labels(options.k);
  std::vector<float> scores(options.k);
  trivium::VectorSearchStats stats;
  const auto count =
      index.Search({query, kDimension}, options, absl::MakeSpan(labels), absl::MakeSpan(scores), &stats);
  if (!count.ok()) return count.status();
  for (std::size_t i = 0; i < *count; ++i) {
    std::printf("label %llu  %.3f\n", static_cast<unsigned long long>(labels[i]), scores[i]);
  }
  std::printf("%llu distances\n\n", static_cast<unsigned long long>(stats.distance_computations));
  return absl::OkStatus();
}

absl::Status Run(const std::string& path) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> rows(kCount * kDimension);
  for (float& value : rows) value = normal(random);
  std::vector<std::uint64_t> labels(kCount);
  std::iota(labels.begin(), labels.end(), 0);

  trivium::VectorIndexOptions options;
  options.dimension = kDimension;
  auto made = trivium::VectorIndex::Create(options);
  if (!made.ok()) return made.status();
  if (absl::Status added = made->Add(labels, {rows.data(), kCount, kDimension}); !added.ok()) return added;
  if (absl::Status saved = made->Save(path); !saved.ok()) return saved;

  auto index = trivium::VectorIndex::Load(path);
  if (!index.ok()) return index.status();
  const float* query = &rows[42 * kDimension];
  trivium::VectorSearchOptions search;
  search.k = 3;
  if (absl::Status status = PrintNearest(*index, query, search); !status.ok()) return status;

  search.filter = index->AllowLabels({7, 8, 9});
  return PrintNearest(*index, query, search);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: nearest_labels FILE\n");
    return 2;
  }
  const absl::Status status = Run(argv[1]);
  if (!status.ok()) std::fprintf(stderr, "nearest_labels: %s\n", std::string(status.message()).c_str());
  return status.ok() ? 0 : 1;
}
