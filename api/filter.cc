// SPDX-License-Identifier: Apache-2.0
#include "api/filter.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace trivium {
namespace {

constexpr int kMaxDepth = 32;
constexpr int kMaxBrackets = 128;

absl::Status Wrong(std::string_view what, const nlohmann::json& seen, std::string_view expected) {
  std::string shown = seen.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (shown.size() > 80) shown = shown.substr(0, 77) + "...";
  return absl::InvalidArgumentError(absl::StrFormat("filter %s: %s, expected %s", what, shown, expected));
}

// Refuses what would overflow the stack of a recursive reader, before any reads it.
absl::Status CheckNesting(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\') ++i;
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if (depth > kMaxBrackets) {
      return absl::InvalidArgumentError(
          absl::StrFormat("filter depth: over %d brackets, expected at most that", kMaxBrackets));
    }
  }
  return absl::OkStatus();
}

const nlohmann::json* Find(const nlohmann::json& object, std::string_view field) {
  if (!object.is_object()) return nullptr;
  if (const auto whole = object.find(std::string(field)); whole != object.end()) return &*whole;
  const std::size_t dot = field.find('.');
  if (dot == std::string_view::npos) return nullptr;
  const auto inner = object.find(std::string(field.substr(0, dot)));
  return inner == object.end() ? nullptr : Find(*inner, field.substr(dot + 1));
}

bool Comparable(const nlohmann::json& a, const nlohmann::json& b) {
  return (a.is_number() && b.is_number()) || (a.is_string() && b.is_string());
}

bool Contains(const nlohmann::json& list, const nlohmann::json& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

}  // namespace

absl::StatusOr<Filter> Filter::Parse(std::string_view text) {
  TRIVIUM_RETURN_IF_ERROR(CheckNesting(text));
  const nlohmann::json json = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (json.is_discarded()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("filter: '%s', expected a JSON object", text.substr(0, 80)));
  }
  Filter filter;
  TRIVIUM_ASSIGN_OR_RETURN(filter.root_, ParseNode(json, 0));
  return filter;
}

absl::StatusOr<Filter::Node> Filter::ParseNode(const nlohmann::json& json, int depth) {
  if (depth > kMaxDepth) return absl::InvalidArgumentError("filter depth: over 32, expected at most 32");
  if (!json.is_object()) return Wrong("node", json, "a JSON object");
  if (json.contains("field") || json.contains("op")) return ParseCondition(json);
  if (json.size() != 1) return Wrong("node", json, "one of field/op/value, and, or, not");
  Node node;
  const std::string& key = json.begin().key();
  const nlohmann::json& value = json.begin().value();
  if (key == "not") {
    node.op = Op::kNot;
    TRIVIUM_ASSIGN_OR_RETURN(Node child, ParseNode(value, depth + 1));
    node.children.push_back(std::move(child));
    return node;
  }
  if (key != "and" && key != "or") return Wrong("node", json, "one of field/op/value, and, or, not");
  if (!value.is_array()) return Wrong(key, value, "a list of conditions");
  node.op = key == "and" ? Op::kAnd : Op::kOr;
  for (const nlohmann::json& item : value) {
    TRIVIUM_ASSIGN_OR_RETURN(Node child, ParseNode(item, depth + 1));
    node.children.push_back(std::move(child));
  }
  return node;
}

absl::StatusOr<Filter::Node> Filter::ParseCondition(const nlohmann::json& json) {
  static constexpr std::array<std::pair<std::string_view, Op>, 9> kOps = {{{"==", Op::kEqual},
                                                                           {"!=", Op::kNotEqual},
                                                                           {"<", Op::kLess},
                                                                           {"<=", Op::kLessEqual},
                                                                           {">", Op::kGreater},
                                                                           {">=", Op::kGreaterEqual},
                                                                           {"in", Op::kIn},
                                                                           {"not_in", Op::kNotIn},
                                                                           {"exists", Op::kExists}}};
  for (const auto& [key, unused] : json.items()) {
    if (key != "field" && key != "op" && key != "value") return Wrong("key", key, "field, op and value");
  }
  Node node;
  if (!json.contains("field") || !json["field"].is_string()) return Wrong("field", json, "a string");
  if (!json.contains("op") || !json["op"].is_string()) return Wrong("op", json, "a string");
  if (!json.contains("value")) return Wrong("value", json, "a value to compare with");
  node.field = json["field"].get<std::string>();
  node.value = json["value"];
  const std::string name = json["op"].get<std::string>();
  const auto op =
      std::find_if(kOps.begin(), kOps.end(), [&](const auto& entry) { return entry.first == name; });
  if (op == kOps.end()) return Wrong("op", json["op"], "== != < <= > >= in not_in exists");
  node.op = op->second;
  if ((node.op == Op::kIn || node.op == Op::kNotIn) && !node.value.is_array()) {
    return Wrong("value of " + name, node.value, "a list");
  }
  if (node.op == Op::kExists && !node.value.is_boolean()) {
    return Wrong("value of exists", node.value, "true or false");
  }
  const bool ordered = node.op == Op::kLess || node.op == Op::kLessEqual || node.op == Op::kGreater ||
                       node.op == Op::kGreaterEqual;
  if (ordered && !node.value.is_number() && !node.value.is_string()) {
    return Wrong("value of " + name, node.value, "a number or a string");
  }
  return node;
}

bool Filter::Matches(const Node& node, const nlohmann::json& metadata) {
  const auto matches = [&](const Node& child) { return Matches(child, metadata); };
  switch (node.op) {
    case Op::kAnd:
      return std::all_of(node.children.begin(), node.children.end(), matches);
    case Op::kOr:
      return std::any_of(node.children.begin(), node.children.end(), matches);
    case Op::kNot:
      return !Matches(node.children.front(), metadata);
    default:
      return MatchesField(node, Find(metadata, node.field));
  }
}

bool Filter::MatchesField(const Node& node, const nlohmann::json* value) {
  if (value == nullptr) {
    return node.op == Op::kNotEqual || node.op == Op::kNotIn ||
           (node.op == Op::kExists && !node.value.get<bool>());
  }
  switch (node.op) {
    case Op::kEqual:
      return *value == node.value;
    case Op::kNotEqual:
      return *value != node.value;
    case Op::kLess:
      return Comparable(*value, node.value) && *value < node.value;
    case Op::kLessEqual:
      return Comparable(*value, node.value) && *value <= node.value;
    case Op::kGreater:
      return Comparable(*value, node.value) && *value > node.value;
    case Op::kGreaterEqual:
      return Comparable(*value, node.value) && *value >= node.value;
    case Op::kIn:
      return Contains(node.value, *value);
    case Op::kNotIn:
      return !Contains(node.value, *value);
    case Op::kExists:
      return node.value.get<bool>();
    case Op::kAnd:
    case Op::kOr:
    case Op::kNot:
      break;  // handled by Matches
  }
  return false;
}

}  // namespace trivium
