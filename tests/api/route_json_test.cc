// SPDX-License-Identifier: Apache-2.0
// Routes survive JSON bit for bit, and nothing that is no route gets in.
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "trivium/search_result.h"

namespace trivium {
namespace {

using ::testing::HasSubstr;

Route Taken() {
  Route route;
  route.mode = "auto";
  route.router = "linear";
  route.reading = "mixed";
  route.fusion = "score+prior";
  route.in_domain = 0.1;
  route.prior_weight = 0.02f;
  route.mixture = {0.7f, 0.3f};
  route.widened = true;
  route.remembered = 12;
  route.experts.push_back({"law", true, 0.5f, 0.1f, 0.7f, 1.0, "top-p", 0.6f});
  route.experts.push_back({"art", false, std::numeric_limits<float>::quiet_NaN(), 0, 0.3f, 2.5, "cap"});
  return route;
}

TEST(RouteJson, KeepsWhatARouteSays) {
  const Route route = Taken();
  ASSERT_OK_AND_ASSIGN(const Route again, Route::FromJson(route.ToJson()));
  EXPECT_EQ(again.ToJson(), route.ToJson());
  EXPECT_EQ(again.in_domain, 0.1);
  EXPECT_TRUE(std::isnan(again.experts[1].utility));
  EXPECT_EQ(again.experts[1].cost, 2.5);
  EXPECT_EQ(again.experts[0].reason, "top-p");
  EXPECT_TRUE(again.widened);
  EXPECT_EQ(again.remembered, 12u);
  EXPECT_EQ(again.experts[0].revised, 0.6f);
  EXPECT_TRUE(std::isnan(again.experts[1].revised));
  ASSERT_OK_AND_ASSIGN(const Route within,
                       Route::FromJson("{\"hits\": [], \"route\": " + route.ToJson() + "}"));
  EXPECT_EQ(within.ToJson(), route.ToJson());
}

TEST(RouteJson, KeepsEveryBitOfTheNumbers) {
  base::Random random(3);
  for (int round = 0; round < 2000; ++round) {
    Route route = Taken();
    route.experts[0].probability = static_cast<float>(random.Uniform());
    route.prior_weight = static_cast<float>(random.Uniform());
    route.mixture->own = static_cast<float>(random.Uniform());
    ASSERT_OK_AND_ASSIGN(const Route again, Route::FromJson(route.ToJson()));
    EXPECT_EQ(std::bit_cast<std::uint32_t>(again.experts[0].probability),
              std::bit_cast<std::uint32_t>(route.experts[0].probability));
    EXPECT_EQ(std::bit_cast<std::uint64_t>(again.prior_weight),
              std::bit_cast<std::uint64_t>(route.prior_weight));
    EXPECT_EQ(again.mixture->own, route.mixture->own);
  }
}

TEST(RouteJson, RefusesDamagedTextWithoutACrash) {
  const std::string text = Taken().ToJson();
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(Route::FromJson(text.substr(0, size)).status().code(), absl::StatusCode::kInvalidArgument);
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (const char other : {'"', '{', '0', ','}) {
      std::string damaged = text;
      damaged[i] = other;
      const absl::Status status = Route::FromJson(damaged).status();
      EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kInvalidArgument) << status;
    }
  }
}

TEST(RouteJson, RemembersAWholeNumberOfDocumentsOrNone) {
  const std::string text = Taken().ToJson(), field = "\"remembered\":12";
  ASSERT_NE(text.find(field), std::string::npos);
  const auto with = [&](const std::string& value) {
    std::string changed = text;
    return Route::FromJson(changed.replace(text.find(field), field.size(), "\"remembered\":" + value));
  };
  EXPECT_EQ(with("null")->remembered, 0u);
  EXPECT_THAT(with("-1").status(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("remembered: -1")));
  EXPECT_THAT(with("1e300").status(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("remembered")));
  EXPECT_THAT(with("\"many\"").status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("remembered: of type string")));
}

TEST(RouteJson, NamesTheFieldThatIsWrong) {
  Route route = Taken();
  route.experts[0].chosen = false;
  EXPECT_THAT(route.Validate(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("none chosen")));
  route.rejected = true;
  EXPECT_OK(route.Validate());
  route.experts[0].revised = 1.5f;
  EXPECT_THAT(route.Validate(), StatusIs(absl::StatusCode::kInvalidArgument,
                                         HasSubstr("revised of 'law': 1.5, expected 0 to 1")));
  route.experts[0].revised = std::numeric_limits<float>::quiet_NaN();
  route.experts[1].probability = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(route.Validate(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'art': nan")));
}

}  // namespace
}  // namespace trivium
