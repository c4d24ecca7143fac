// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/pilot_index.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "routing/expert/expert_router.h"
#include "tests/support/status_matchers.h"
#include "tests/support/synthetic_pilots.h"
#include "tests/support/temp_dir.h"

namespace trivium::routing {
namespace {

using testing_support::ClusteredQueries;
using testing_support::ReadWholeFile;
using testing_support::TempDir;
using testing_support::WriteWholeFile;

constexpr std::size_t kScanOnly = 1'000'000;

double Recall(const PilotIndex& index, ClusteredQueries* source, std::size_t k) {
  PilotSearchScratch scratch;
  std::vector<base::Neighbor> found;
  double hits = 0;
  for (int q = 0; q < 50; ++q) {
    const std::vector<float> query = source->Draw(q % 3);
    std::vector<base::Neighbor> exact;
    for (std::uint32_t i = 0; i < index.size(); ++i) {
      float cosine = 0;
      for (std::size_t c = 0; c < query.size(); ++c) cosine += query[c] * index.rows().row(i)[c];
      exact.push_back({-cosine, i});
    }
    std::sort(exact.begin(), exact.end());
    index.Nearest(query.data(), k, &scratch, &found);
    EXPECT_EQ(found.size(), std::min(k, index.size()));
    EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
    EXPECT_NEAR(found[0].distance, exact[0].distance, 0.02);
    for (const base::Neighbor& neighbor : found) {
      hits += std::any_of(exact.begin(), exact.begin() + found.size(),
                          [&](const base::Neighbor& e) { return e.row == neighbor.row; });
    }
  }
  return hits / (50.0 * static_cast<double>(found.size()));
}

TEST(PilotIndex, ScanOverCodesFindsTheNearest) {
  ClusteredQueries source(61, 3, 1.0, 4);
  for (std::size_t count : {1, 5, 1000}) {
    PilotIndex index;
    ASSERT_OK(index.Build(source.Pilots(count).vectors(), kScanOnly));
    EXPECT_GE(Recall(index, &source, 1), 0.99);
    EXPECT_GE(Recall(index, &source, 40), 0.999);
  }
}

TEST(PilotIndex, KnowsTheCosineOfEveryPilot) {
  ClusteredQueries source(61, 3, 1.0, 4);
  const PilotSet pilots = source.Pilots(300);
  for (std::size_t threshold : {std::size_t{300}, kScanOnly}) {
    PilotIndex index;
    ASSERT_OK(index.Build(pilots.vectors(), threshold));
    PilotSearchScratch scratch;
    std::vector<float> similarities = {7};
    for (int q = 0; q < 10; ++q) {
      const std::vector<float> query = source.Draw(q % 3);
      index.Similarities(query.data(), &scratch, &similarities);
      ASSERT_EQ(similarities.size(), 300u);
      for (std::size_t i = 0; i < 300; ++i) {
        float cosine = 0;
        for (std::size_t c = 0; c < query.size(); ++c) cosine += query[c] * index.rows().row(i)[c];
        EXPECT_NEAR(similarities[i], cosine, threshold == 300 ? 1e-5 : 0.01);
      }
    }
  }
}

TEST(PilotIndex, GraphFindsNearlyAllOfTheNearest) {
  ClusteredQueries source(61, 3, 1.0, 4);
  PilotIndex index;
  ASSERT_OK(index.Build(source.Pilots(3000).vectors(), 3000));
  EXPECT_GE(Recall(index, &source, 40), 0.95);
}

TEST(PilotIndex, OpenedIndexAnswersLikeTheOneThatWasSaved) {
  ClusteredQueries source(61, 3, 1.0, 4);
  for (std::size_t threshold : {std::size_t{100}, kScanOnly}) {
    TempDir dir;
    PilotIndex built, opened, again;
    ASSERT_OK(built.Build(source.Pilots(500).vectors(), threshold));
    ASSERT_OK(built.Save(dir.File("a")));
    ASSERT_OK(opened.Open(dir.File("a")));
    ASSERT_OK(opened.Save(dir.File("b")));
    ASSERT_OK(again.Open(dir.File("b")));
    EXPECT_EQ(built.fingerprint(), opened.fingerprint());
    PilotSearchScratch scratch;
    std::vector<base::Neighbor> a, b, c;
    for (int q = 0; q < 20; ++q) {
      const std::vector<float> query = source.Draw(q % 3);
      built.Nearest(query.data(), 10, &scratch, &a);
      opened.Nearest(query.data(), 10, &scratch, &b);
      again.Nearest(query.data(), 10, &scratch, &c);
      EXPECT_EQ(a, b);
      EXPECT_EQ(a, c);
    }
  }
}

TEST(PilotIndex, DamagedFileIsDataLossOrHarmless) {
  ClusteredQueries source(8, 3, 1.0, 4);
  TempDir dir;
  PilotIndex built;
  ASSERT_OK(built.Build(source.Pilots(40).vectors(), 1));
  ASSERT_OK(built.Save(dir.File("good")));
  const std::string bytes = ReadWholeFile(dir.File("good"));
  const std::vector<float> query = source.Draw(0);
  PilotSearchScratch scratch;
  std::vector<base::Neighbor> expected, found;
  built.Nearest(query.data(), 5, &scratch, &expected);
  const auto check = [&](const std::string& damaged) {
    WriteWholeFile(dir.File("bad"), damaged);
    PilotIndex index;
    const absl::Status status = OpenMatchingIndex(dir.File("bad"), built.fingerprint(), 40, 8, &index);
    if (status.ok()) {  // a byte of padding
      index.Nearest(query.data(), 5, &scratch, &found);
      EXPECT_EQ(found, expected);
    } else {
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    }
  };
  for (std::size_t i = 0; i < bytes.size(); i += 151) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << i % 8));
    check(damaged);
  }
  for (std::size_t size = 0; size < bytes.size(); size += 1009) check(bytes.substr(0, size));
}

TEST(PilotIndex, IndexOfOtherPilotsIsRefused) {
  ClusteredQueries source(8, 3, 1.0, 4);
  TempDir dir;
  for (std::string_view name : {"knn_utility", "max_pilot"}) {
    std::unique_ptr<ExpertRouter> one = *MakeRouter(name), other = *MakeRouter(name);
    ASSERT_OK(one->Train(source.Pilots(20), RouterOptions()));
    ASSERT_OK(other->Train(source.Pilots(20), RouterOptions()));
    const std::string path = dir.File(name);
    ASSERT_OK(one->SaveIndex(path));
    EXPECT_THAT(other->OpenIndex(path),
                StatusIs(absl::StatusCode::kDataLoss, ::testing::HasSubstr("fingerprint")));
    ASSERT_OK(other->Train(source.Pilots(21), RouterOptions()));
    EXPECT_THAT(other->OpenIndex(path),
                StatusIs(absl::StatusCode::kDataLoss, ::testing::HasSubstr("20 x 8")));
    EXPECT_FALSE(other->OpenIndex(dir.File("absent")).ok());
  }
}

}  // namespace
}  // namespace trivium::routing
