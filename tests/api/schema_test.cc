// SPDX-License-Identifier: Apache-2.0
#include "api/schema.h"

#include <cstdint>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace trivium {
namespace {

TEST(Schema, FindsPartitionsByTheirIds) {
  Schema schema;
  EXPECT_EQ(schema.PartitionById(1), nullptr);
  for (std::uint32_t id = 2; id < 100; id += 3) schema.partitions.push_back({id, std::to_string(id)});
  ASSERT_OK_AND_ASSIGN(const Schema read, Schema::FromJson(schema.ToJson()));
  for (std::uint32_t id = 0; id < 105; ++id) {
    const PartitionRecord* found = read.PartitionById(id);
    ASSERT_EQ(found != nullptr, id % 3 == 2 && id < 100) << id;
    if (found == nullptr) continue;
    EXPECT_EQ(found->name, std::to_string(id));
  }
}

TEST(Schema, RefusesPartitionsOutOfOrder) {
  Schema schema;
  schema.partitions = {{4, "b"}, {3, "a"}};
  EXPECT_THAT(Schema::FromJson(schema.ToJson()).status(),
              StatusIs(absl::StatusCode::kDataLoss, ::testing::HasSubstr("partition 3 after 4")));
  schema.partitions = {{4, "b"}, {4, "a"}};
  EXPECT_THAT(Schema::FromJson(schema.ToJson()).status(), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(Schema, KeepsASecondLookAndReadsRoutersWithoutOne) {
  Schema schema;
  schema.dispatch.emplace();
  schema.dispatch->routers.resize(2);
  schema.dispatch->routers[0].settings.router = "logistic";
  schema.dispatch->routers[1].settings.router = "linear";
  schema.dispatch->routers[0].settings.answer.second_look = routing::SecondLook{.route_weight = 0.3f,
                                                                                .score_weight = 17.1f,
                                                                                .bias = {0.1f, -2.7f},
                                                                                .prior_weight = 0.06f,
                                                                                .widen_below = 0.75f,
                                                                                .wider_top_p = 0.98f,
                                                                                .wider_max_experts = 6};
  std::string json = schema.ToJson();
  ASSERT_OK_AND_ASSIGN(const Schema read, Schema::FromJson(json));
  const auto& look = read.dispatch->routers[0].settings.answer.second_look;
  ASSERT_TRUE(look.has_value());
  EXPECT_EQ(look->route_weight, 0.3f);
  EXPECT_EQ(look->score_weight, 17.1f);
  EXPECT_EQ(look->bias, (std::vector<float>{0.1f, -2.7f}));
  EXPECT_EQ(look->prior_weight, 0.06f);
  EXPECT_EQ(look->widen_below, 0.75f);
  EXPECT_EQ(look->wider_top_p, 0.98f);
  EXPECT_EQ(look->wider_max_experts, 6u);
  EXPECT_FALSE(read.dispatch->routers[1].settings.answer.second_look.has_value());

  // As stores were written before there was one.
  const std::string absent = ",\"second_look\":null";
  for (std::size_t at = json.find(absent); at != std::string::npos; at = json.find(absent)) {
    json.erase(at, absent.size());
  }
  ASSERT_OK_AND_ASSIGN(const Schema older, Schema::FromJson(json));
  EXPECT_FALSE(older.dispatch->routers[1].settings.answer.second_look.has_value());
}

}  // namespace
}  // namespace trivium
