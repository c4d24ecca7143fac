// SPDX-License-Identifier: Apache-2.0
// A condition on a document's metadata, parsed once from JSON and then asked of many documents.
//
//   {"field": F, "op": O, "value": V}   O: == != < <= > >= in not_in exists
//   {"and": [...]}  {"or": [...]}  {"not": {...}}
//
// F is a key of the metadata object; a dot descends into objects ("author.name"), unless the whole string is
// a key. A missing field matches only !=, not_in and exists:false. Values of different types are unequal and
// have no order; numbers compare as numbers whether whole or not.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace trivium {

class Filter {
 public:
  // kInvalidArgument names the part that is wrong. Depth is limited to 32.
  static absl::StatusOr<Filter> Parse(std::string_view text);

  // `metadata` is an object. Safe to call concurrently.
  bool Matches(const nlohmann::json& metadata) const { return Matches(root_, metadata); }

 private:
  enum class Op : std::uint8_t {
    kEqual,
    kNotEqual,
    kLess,
    kLessEqual,
    kGreater,
    kGreaterEqual,
    kIn,
    kNotIn,
    kExists,
    kAnd,
    kOr,
    kNot
  };
  struct Node {
    Op op = Op::kAnd;
    std::string field;
    nlohmann::json value;
    std::vector<Node> children;
  };

  static absl::StatusOr<Node> ParseNode(const nlohmann::json& json, int depth);
  static absl::StatusOr<Node> ParseCondition(const nlohmann::json& json);
  static bool Matches(const Node& node, const nlohmann::json& metadata);
  static bool MatchesField(const Node& node, const nlohmann::json* value);

  Node root_;
};

}  // namespace trivium
