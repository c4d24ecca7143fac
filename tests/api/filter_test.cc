// SPDX-License-Identifier: Apache-2.0
#include "api/filter.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace trivium {
namespace {

using ::testing::HasSubstr;

bool Matches(const std::string& filter, const std::string& metadata) {
  const absl::StatusOr<Filter> parsed = Filter::Parse(filter);
  EXPECT_OK(parsed) << filter;
  return parsed.ok() && parsed->Matches(nlohmann::json::parse(metadata));
}

TEST(Filter, ComparesNumbersWhetherWholeOrNot) {
  EXPECT_TRUE(Matches(R"({"field":"year","op":"==","value":2020})", R"({"year":2020.0})"));
  EXPECT_TRUE(Matches(R"({"field":"year","op":">=","value":2019.5})", R"({"year":2020})"));
  EXPECT_FALSE(Matches(R"({"field":"year","op":"<","value":2020})", R"({"year":2020})"));
  EXPECT_TRUE(Matches(R"({"field":"year","op":"<=","value":2020})", R"({"year":2020})"));
}

TEST(Filter, ValuesOfDifferentTypesAreUnequalAndUnordered) {
  EXPECT_FALSE(Matches(R"({"field":"year","op":"==","value":"2020"})", R"({"year":2020})"));
  EXPECT_TRUE(Matches(R"({"field":"year","op":"!=","value":"2020"})", R"({"year":2020})"));
  EXPECT_FALSE(Matches(R"({"field":"year","op":"<","value":"3"})", R"({"year":2020})"));
  EXPECT_FALSE(Matches(R"({"field":"year","op":">","value":"3"})", R"({"year":2020})"));
}

TEST(Filter, MissingFieldMatchesOnlyTheNegativeOperators) {
  for (const char* op : {"==", "<", "<=", ">", ">="}) {
    EXPECT_FALSE(Matches(std::string(R"({"field":"a","op":")") + op + R"(","value":1})", "{}")) << op;
  }
  EXPECT_FALSE(Matches(R"({"field":"a","op":"in","value":[1]})", "{}"));
  EXPECT_FALSE(Matches(R"({"field":"a","op":"exists","value":true})", "{}"));
  EXPECT_TRUE(Matches(R"({"field":"a","op":"!=","value":1})", "{}"));
  EXPECT_TRUE(Matches(R"({"field":"a","op":"not_in","value":[1]})", "{}"));
  EXPECT_TRUE(Matches(R"({"field":"a","op":"exists","value":false})", "{}"));
}

TEST(Filter, NullIsAValueThatExists) {
  EXPECT_TRUE(Matches(R"({"field":"a","op":"exists","value":true})", R"({"a":null})"));
  EXPECT_TRUE(Matches(R"({"field":"a","op":"==","value":null})", R"({"a":null})"));
}

TEST(Filter, CombinesConditions) {
  const std::string both = R"({"and":[{"field":"a","op":"==","value":1},{"field":"b","op":"==","value":2}]})";
  EXPECT_TRUE(Matches(both, R"({"a":1,"b":2})"));
  EXPECT_FALSE(Matches(both, R"({"a":1})"));
  const std::string either =
      R"({"or":[{"field":"a","op":"==","value":1},{"field":"b","op":"==","value":2}]})";
  EXPECT_TRUE(Matches(either, R"({"b":2})"));
  EXPECT_FALSE(Matches(either, R"({"b":3})"));
  EXPECT_TRUE(Matches(R"({"not":{"field":"a","op":"==","value":1}})", "{}"));
  EXPECT_TRUE(Matches(R"({"and":[]})", "{}"));
  EXPECT_FALSE(Matches(R"({"or":[]})", "{}"));
}

TEST(Filter, DotDescendsUnlessTheWholeNameIsAKey) {
  EXPECT_TRUE(Matches(R"({"field":"a.b","op":"==","value":1})", R"({"a":{"b":1}})"));
  EXPECT_TRUE(Matches(R"({"field":"a.b","op":"==","value":1})", R"({"a.b":1,"a":{"b":2}})"));
  EXPECT_FALSE(Matches(R"({"field":"a.b","op":"==","value":1})", R"({"a":1})"));
}

class BadFilterTest : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(BadFilterTest, IsRefusedNamingWhatIsWrong) {
  EXPECT_THAT(Filter::Parse(GetParam().first),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().second)));
}

INSTANTIATE_TEST_SUITE_P(
    Filters, BadFilterTest,
    ::testing::Values(std::pair("", "expected a JSON object"), std::pair("{", "expected a JSON object"),
                      std::pair("[]", "expected a JSON object"), std::pair("{}", "one of field/op/value"),
                      std::pair(R"({"xor":[]})", "one of field/op/value"),
                      std::pair(R"({"and":{}})", "a list of conditions"),
                      std::pair(R"({"field":1,"op":"==","value":1})", "expected a string"),
                      std::pair(R"({"field":"a","op":"~","value":1})", "== != <"),
                      std::pair(R"({"field":"a","op":"=="})", "a value to compare with"),
                      std::pair(R"({"field":"a","op":"in","value":1})", "expected a list"),
                      std::pair(R"({"field":"a","op":"<","value":[1]})", "a number or a string"),
                      std::pair(R"({"field":"a","op":"exists","value":1})", "true or false"),
                      std::pair(R"({"field":"a","op":"==","value":1,"x":1})", "field, op and value")));

TEST(Filter, RefusesBottomlessNesting) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += R"({"not":)";
  text += R"({"and":[]})" + std::string(100, '}');
  EXPECT_THAT(Filter::Parse(text), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at most 32")));
}

}  // namespace
}  // namespace trivium
