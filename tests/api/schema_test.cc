// SPDX-License-Identifier: Apache-2.0
#include "api/schema.h"

#include <cstdint>
#include <string>

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

}  // namespace
}  // namespace trivium
