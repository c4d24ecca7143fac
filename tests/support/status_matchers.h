// SPDX-License-Identifier: Apache-2.0
// Matchers for absl::Status and absl::StatusOr (the packaged Abseil has none).
//   EXPECT_OK(status);  ASSERT_OK(status_or);  ASSERT_OK_AND_ASSIGN(auto value, MakeValue());
//   EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss, HasSubstr("segment")));
//   EXPECT_THAT(status_or, IsOkAndHolds(3));
#pragma once

#include <ostream>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trivium::testing_support {

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <class T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

class StatusIsMatcher {
 public:
  StatusIsMatcher(absl::StatusCode code, ::testing::Matcher<const std::string&> message)
      : code_(code), message_(std::move(message)) {}

  void DescribeTo(std::ostream* os) const {
    *os << "has code " << absl::StatusCodeToString(code_) << " and a message that ";
    message_.DescribeTo(os);
  }
  void DescribeNegationTo(std::ostream* os) const {
    *os << "not (";
    DescribeTo(os);
    *os << ")";
  }
  template <class StatusLike>
  bool MatchAndExplain(const StatusLike& value, ::testing::MatchResultListener* listener) const {
    const absl::Status& status = StatusOf(value);
    *listener << "whose status is " << status.ToString();
    return status.code() == code_ && message_.Matches(std::string(status.message()));
  }

 private:
  absl::StatusCode code_;
  ::testing::Matcher<const std::string&> message_;
};

inline auto StatusIs(absl::StatusCode code, ::testing::Matcher<const std::string&> message = ::testing::_) {
  return ::testing::MakePolymorphicMatcher(StatusIsMatcher(code, std::move(message)));
}

inline auto IsOk() { return StatusIs(absl::StatusCode::kOk); }

MATCHER_P(IsOkAndHolds, inner, "is OK and holds a value that matches") {
  if (!arg.ok()) {
    *result_listener << "whose status is " << arg.status().ToString();
    return false;
  }
  return ::testing::ExplainMatchResult(inner, *arg, result_listener);
}

}  // namespace trivium::testing_support

using ::trivium::testing_support::IsOk;          // NOLINT: short names for tests
using ::trivium::testing_support::IsOkAndHolds;  // NOLINT
using ::trivium::testing_support::StatusIs;      // NOLINT

#define EXPECT_OK(expression) EXPECT_THAT(expression, ::trivium::testing_support::IsOk())
#define ASSERT_OK(expression) ASSERT_THAT(expression, ::trivium::testing_support::IsOk())

#define TRIVIUM_TEST_CONCAT_INNER(a, b) a##b
#define TRIVIUM_TEST_CONCAT(a, b) TRIVIUM_TEST_CONCAT_INNER(a, b)
#define ASSERT_OK_AND_ASSIGN(declaration, expression) \
  ASSERT_OK_AND_ASSIGN_INNER(TRIVIUM_TEST_CONCAT(status_or_, __LINE__), declaration, expression)
#define ASSERT_OK_AND_ASSIGN_INNER(temporary, declaration, expression) \
  auto temporary = (expression);                                       \
  ASSERT_TRUE(temporary.ok()) << temporary.status();                   \
  declaration = *std::move(temporary)
