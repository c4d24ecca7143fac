// SPDX-License-Identifier: Apache-2.0
// VectorIndex in each profile: memory, what comes back, files, changes.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "trivium/vector_index.h"

namespace trivium {
namespace {

using ::testing::HasSubstr;
using testing_support::TempDir;

constexpr std::size_t kRows = 3000, kColumns = 96;

struct Data {
  Data() {
    const auto matrix = testing_support::ClusteredVectors(kRows, kColumns, base::Metric::kCosine, 1);
    for (std::size_t i = 0; i < kRows; ++i) {
      values.insert(values.end(), matrix.row(i), matrix.row(i) + kColumns);
      labels.push_back(5 + 2 * i);
    }
  }
  MatrixView view(std::size_t first, std::size_t count) const {
    return {values.data() + first * kColumns, count, kColumns};
  }
  absl::Span<const std::uint64_t> some(std::size_t first, std::size_t count) const {
    return absl::MakeConstSpan(labels).subspan(first, count);
  }
  std::vector<float> values;
  std::vector<std::uint64_t> labels;
};

VectorIndexOptions Options(Profile profile) {
  VectorIndexOptions options;
  options.dimension = kColumns;
  options.profile = profile;
  options.build_beam_width = 80;
  options.threads = 2;
  return options;
}

std::vector<std::uint64_t> Ask(const VectorIndex& index, const Data& data,
                               const VectorSearchOptions& options) {
  constexpr std::size_t kQueries = 40;
  std::vector<std::uint64_t> labels(kQueries * options.k);
  std::vector<float> scores(labels.size());
  std::vector<std::size_t> counts(kQueries);
  EXPECT_OK(index.SearchBatch(data.view(100, kQueries), options, 1, absl::MakeSpan(labels),
                              absl::MakeSpan(scores), absl::MakeSpan(counts)));
  for (const std::size_t count : counts) EXPECT_EQ(count, options.k);
  return labels;
}

double Share(const std::vector<std::uint64_t>& found, const std::vector<std::uint64_t>& wanted) {
  std::size_t hits = 0;
  for (std::size_t i = 0; i < found.size(); i += 10) {
    for (std::size_t j = i; j < i + 10; ++j) {
      hits += std::count(found.begin() + i, found.begin() + i + 10, wanted[j]);
    }
  }
  return static_cast<double>(hits) / static_cast<double>(found.size());
}

class VectorIndexProfiles : public ::testing::TestWithParam<Profile> {
 protected:
  const Data data_;
};
INSTANTIATE_TEST_SUITE_P(All, VectorIndexProfiles,
                         ::testing::Values(Profile::kSpeed, Profile::kBalanced, Profile::kSmall),
                         [](const auto& info) { return std::string(ProfileName(info.param)); });

TEST_P(VectorIndexProfiles, FindsTheNeighboursAndGivesVectorsBack) {
  ASSERT_OK_AND_ASSIGN(VectorIndex index, VectorIndex::Create(Options(GetParam())));
  EXPECT_EQ(index.profile(), GetParam());
  ASSERT_OK(index.Add(data_.labels, data_.view(0, kRows)));
  const auto exact = Ask(index, data_, {.exact = true});
  EXPECT_GE(Share(Ask(index, data_, {.beam_width = 64, .force_graph = true}), exact), 0.9);
  ASSERT_OK_AND_ASSIGN(const std::vector<float> vector, index.Get(data_.labels[7]));
  for (std::size_t j = 0; j < kColumns; ++j) EXPECT_NEAR(vector[j], data_.values[7 * kColumns + j], 0.003);
}

TEST_P(VectorIndexProfiles, IsSavedWithItsProfileAndMemory) {
  const TempDir dir;
  ASSERT_OK_AND_ASSIGN(VectorIndex index, VectorIndex::Create(Options(GetParam())));
  ASSERT_OK(index.Add(data_.labels, data_.view(0, kRows)));
  ASSERT_OK(index.Save(dir.File("index")));
  ASSERT_OK_AND_ASSIGN(VectorIndex loaded, VectorIndex::Load(dir.File("index")));
  EXPECT_EQ(loaded.profile(), GetParam());
  EXPECT_EQ(Ask(loaded, data_, {.force_graph = true}), Ask(index, data_, {.force_graph = true}));
  EXPECT_EQ(loaded.MemoryBytes().total(), index.MemoryBytes().total());
  EXPECT_GT(loaded.MemoryBytes().labels, 13 * kRows);
  EXPECT_LT(loaded.MemoryBytes().labels, 20 * kRows);
  EXPECT_GT(loaded.MemoryBytes().codes, 0u);

  // Other algorithms read the rows too.
  ASSERT_OK_AND_ASSIGN(VectorIndex exact,
                       VectorIndex::Load(dir.File("index"), {.algorithm = VectorIndexAlgorithm::kExact}));
  EXPECT_EQ(exact.profile(), GetParam());
  EXPECT_EQ(exact.MemoryBytes().graph, 0u);
  EXPECT_EQ(Ask(exact, data_, {}), Ask(index, data_, {.exact = true}));
  ASSERT_OK_AND_ASSIGN(VectorIndex faiss,
                       VectorIndex::Load(dir.File("index"), {.algorithm = VectorIndexAlgorithm::kFaissFlat}));
  EXPECT_EQ(faiss.profile(), Profile::kSpeed);
  EXPECT_GE(Share(Ask(faiss, data_, {}), Ask(index, data_, {.exact = true})), 0.98);
}

TEST_P(VectorIndexProfiles, KeepsItsAnswersThroughChangesAndCompacting) {
  const TempDir dir;
  ASSERT_OK_AND_ASSIGN(VectorIndex index, VectorIndex::Create(Options(GetParam())));
  ASSERT_OK(index.Add(data_.some(0, 2000), data_.view(0, 2000)));
  ASSERT_OK(index.Save(dir.File("index")));
  ASSERT_OK_AND_ASSIGN(index, VectorIndex::Load(dir.File("index")));
  ASSERT_OK(index.Add(data_.some(2000, 1000), data_.view(2000, 1000)));
  ASSERT_OK(index.Remove(data_.some(500, 1000)));
  const auto before = Ask(index, data_, {.exact = true});
  EXPECT_GE(Share(Ask(index, data_, {.force_graph = true}), before), 0.9);
  ASSERT_OK(index.Compact());
  EXPECT_EQ(index.profile(), GetParam());
  EXPECT_EQ(Ask(index, data_, {.exact = true}), before);
  EXPECT_GE(Share(Ask(index, data_, {.force_graph = true}), before), 0.9);
  EXPECT_LT(index.MemoryBytes().labels, 20u * 2000);
}

TEST_P(VectorIndexProfiles, AFilterGetsAllItsRows) {
  ASSERT_OK_AND_ASSIGN(VectorIndex index, VectorIndex::Create(Options(GetParam())));
  ASSERT_OK(index.Add(data_.labels, data_.view(0, kRows)));
  std::vector<std::uint64_t> allowed;
  for (std::size_t i = 0; i < kRows; i += 9) allowed.push_back(data_.labels[i]);
  const VectorFilter filter = index.AllowLabels(allowed);
  const auto exact = Ask(index, data_, {.exact = true, .filter = filter});
  for (const std::uint64_t label : exact) EXPECT_EQ((label - 5) % 18, 0u);
  EXPECT_GE(Share(Ask(index, data_, {.force_graph = true, .filter = filter}), exact), 0.95);
}

TEST(VectorIndexMemory, ARowTakesAtMostItsShareOfVectorsWithAnHnswGraph) {
  constexpr std::size_t kWide = 384, kCount = 2000;
  constexpr double kPeerBytes = kWide * 4 + 144;
  const auto matrix = testing_support::ClusteredVectors(kCount, kWide, base::Metric::kCosine, 1);
  std::vector<std::uint64_t> labels(kCount);
  for (std::size_t i = 0; i < kCount; ++i) labels[i] = i;
  ASSERT_EQ(matrix.stride(), kWide);
  for (const auto& [profile, share] :
       {std::pair{Profile::kBalanced, 0.6}, std::pair{Profile::kSmall, 0.35}}) {
    VectorIndexOptions options = Options(profile);
    options.dimension = kWide;
    ASSERT_OK_AND_ASSIGN(VectorIndex index, VectorIndex::Create(options));
    ASSERT_OK(index.Add(labels, {matrix.row(0), kCount, kWide}));
    const VectorIndexMemory memory = index.MemoryBytes();
    // The sample that searches start from and the centre do not grow with the rows.
    constexpr double kFixedBytes = 256 * 64 + 385 * 4;
    EXPECT_LE((static_cast<double>(memory.total() - memory.labels) - kFixedBytes) / kCount,
              share * kPeerBytes);
  }
}

TEST(VectorIndexProfile, HasNamesAndRefusesOthers) {
  for (const Profile profile : {Profile::kSpeed, Profile::kBalanced, Profile::kSmall}) {
    ASSERT_OK_AND_ASSIGN(const Profile parsed, ParseProfile(ProfileName(profile)));
    EXPECT_EQ(parsed, profile);
  }
  EXPECT_THAT(ParseProfile("tiny"), StatusIs(absl::StatusCode::kInvalidArgument,
                                             HasSubstr("'tiny', expected speed, balanced or small")));
  VectorIndexOptions options = Options(Profile::kSmall);
  options.algorithm = VectorIndexAlgorithm::kHnswlib;
  EXPECT_THAT(VectorIndex::Create(options),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("profile: small")));
}

TEST(VectorIndexProfile, BalancedRefusesWhatBinary16CannotHoldAndStaysAsItWas) {
  VectorIndexOptions options = Options(Profile::kBalanced);
  options.metric = Metric::kSquaredL2;
  ASSERT_OK_AND_ASSIGN(VectorIndex index, VectorIndex::Create(options));
  std::vector<float> row(kColumns, 1e5f);
  const std::uint64_t label = 1;
  EXPECT_THAT(index.Add({&label, 1}, {row.data(), 1, kColumns}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("65504")));
  EXPECT_EQ(index.size(), 0u);
  row.assign(kColumns, 6e4f);
  EXPECT_OK(index.Add({&label, 1}, {row.data(), 1, kColumns}));
}

}  // namespace
}  // namespace trivium
