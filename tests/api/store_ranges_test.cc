// SPDX-License-Identifier: Apache-2.0
// Components beyond binary16 and the profile balanced: refused at the first door at which that is known.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "trivium/engine.h"

namespace trivium {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing_support::StatusIs;
using testing_support::TempDir;

constexpr std::size_t kColumns = 8;
constexpr float kLargest = 65504;

class StoreRanges : public testing::Test {
 protected:
  void Open(Metric metric) {
    store_ = nullptr;
    auto opened = Store::Open(dir_.File(std::string(MetricName(metric))));
    ASSERT_OK(opened);
    store_ = *std::move(opened);
    ASSERT_OK(store_->AddSpace({.name = "dense", .dimension = kColumns, .metric = metric}));
  }

  // Two documents, <prefix>0 as small as can be, <prefix>1 with `largest` as its component 5.
  absl::Status Write(const std::string& prefix, float largest, const std::string& partition = "main") {
    std::vector<float> rows(2 * kColumns, 1.0f);
    rows[kColumns + 5] = largest;
    const std::vector<std::string> ids = {prefix + "0", prefix + "1"};
    UpsertBatch batch;
    batch.ids = ids;
    batch.vectors.push_back({"dense", {rows.data(), 2, kColumns}});
    batch.partition = partition;
    return store_->Upsert(batch).status();
  }

  std::uint64_t Documents() const { return store_->Inspect()->documents; }
  Profile SpaceProfile() const { return store_->Inspect()->spaces[0].profile; }
  std::uint64_t Segments() const {
    std::uint64_t count = 0;
    const StoreInfo info = *store_->Inspect();
    for (const VectorSetInfo& set : info.vector_sets) count += set.segments;
    return count;
  }

  static auto Refused(const std::string& id) {
    return StatusIs(absl::StatusCode::kInvalidArgument,
                    AllOf(HasSubstr("'" + id + "'"), HasSubstr("component 5: -70000"), HasSubstr("65504"),
                          HasSubstr("balanced")));
  }

  const BuildOptions balanced_ = {.threads = 1, .profile = Profile::kBalanced};
  const TempDir dir_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreRanges, ABalancedSpaceRefusesThemWhenTheyAreWritten) {
  for (const Metric metric : {Metric::kInnerProduct, Metric::kSquaredL2}) {
    Open(metric);
    ASSERT_OK(store_->Build(balanced_));
    EXPECT_THAT(Write("a", -70000), Refused("a1"));
    EXPECT_EQ(Documents(), 0u);
    EXPECT_OK(Write("b", kLargest));
    EXPECT_OK(Write("c", -kLargest));
    EXPECT_OK(store_->Build({.threads = 1}));
    EXPECT_EQ(Segments(), 1u);
  }
}

TEST_F(StoreRanges, OtherProfilesAndUnitVectorsHaveNone) {
  for (const Profile profile : {Profile::kSpeed, Profile::kSmall}) {
    Open(Metric::kSquaredL2);
    ASSERT_OK(store_->Build({.threads = 1, .profile = profile}));
    ASSERT_OK(Write("a", 1e20f));
    EXPECT_OK(store_->Build({.threads = 1}));
    store_ = nullptr;
    std::filesystem::remove_all(dir_.File("squared_l2"));
  }
  Open(Metric::kCosine);
  ASSERT_OK(store_->Build(balanced_));
  ASSERT_OK(Write("a", 1e10f));
  EXPECT_OK(store_->Build({.threads = 1}));
}

TEST_F(StoreRanges, ABuildThatWouldMakeASpaceBalancedChangesNothingWhereOneIsStored) {
  for (const bool sealed : {false, true}) {
    for (const bool compact : {false, true}) {
      Open(Metric::kSquaredL2);
      ASSERT_OK(Write("a", 3, "first"));
      ASSERT_OK(Write("b", -70000, "second"));
      if (sealed) {
        ASSERT_OK(store_->Build({.threads = 1}));
      }
      const std::uint64_t segments = Segments();
      const auto build = [&]() -> absl::Status {
        if (compact) return store_->Compact(balanced_).status();
        return store_->Build(balanced_).status();
      };
      EXPECT_THAT(build(), Refused("b1"));
      EXPECT_THAT(build(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("partition 'second'")));
      EXPECT_EQ(SpaceProfile(), Profile::kSpeed);
      EXPECT_EQ(Segments(), segments);
      EXPECT_OK(Write("c", -70000));  // nothing has been promised
      EXPECT_OK(store_->Build({.threads = 1}));

      // Once they are gone it is done.
      ASSERT_OK(store_->Delete(std::vector<std::string>{"b1", "c1"}, std::nullopt, ""));
      EXPECT_OK(build());
      EXPECT_EQ(SpaceProfile(), Profile::kBalanced);
      EXPECT_OK(store_->Compact(balanced_));
      EXPECT_OK(store_->Verify());
      store_ = nullptr;
      std::filesystem::remove_all(dir_.File("squared_l2"));
    }
  }
}

}  // namespace
}  // namespace trivium
