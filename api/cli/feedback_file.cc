// SPDX-License-Identifier: Apache-2.0
#include "api/cli/feedback_file.h"

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>

#include "absl/strings/str_format.h"
#include "api/cli/arguments.h"
#include "api/cli/output.h"

namespace trivium::cli {
namespace {

// Reading throws what is wrong; ReadFeedback adds the line.
[[noreturn]] void Wrong(const std::string& what) { throw std::invalid_argument(what); }

const Json& Field(const Json& json, const char* name, const char* expected) {
  const auto found = json.find(name);
  if (found == json.end()) Wrong(absl::StrFormat("%s: absent, expected %s", name, expected));
  return *found;
}

std::string Text(const Json& json, const char* name) {
  const Json& value = Field(json, name, "a text");
  if (!value.is_string()) Wrong(absl::StrFormat("%s: %s, expected a text", name, Quoted(value.dump())));
  return value.get<std::string>();
}

const Json& List(const Json& json, const char* name) {
  const Json& value = Field(json, name, "a list");
  if (!value.is_array()) Wrong(absl::StrFormat("%s: %s, expected a list", name, Quoted(value.dump())));
  return value;
}

std::vector<DocumentName> Named(const Json& json, const char* name) {
  std::vector<DocumentName> documents;
  for (const Json& item : List(json, name)) {
    if (item.is_string()) {
      documents.push_back({item.get<std::string>(), ""});
    } else if (item.is_object()) {
      documents.push_back({Text(item, "id"), item.contains("partition") ? Text(item, "partition") : ""});
    } else {
      Wrong(absl::StrFormat("%s: %s, expected ids or {\"id\",\"partition\"}", name, Quoted(item.dump())));
    }
  }
  return documents;
}

void AddVector(const std::string& space, const Json& values, FeedbackFile* file, Query* query) {
  if (!values.is_array()) {
    Wrong(absl::StrFormat("vector: %s, expected numbers, or an object of them by space",
                          Quoted(values.dump())));
  }
  std::vector<float>& vector = file->vectors.emplace_back();
  for (const Json& value : values) {
    if (!value.is_number()) Wrong(absl::StrFormat("vector: %s, expected a number", Quoted(value.dump())));
    vector.push_back(value.get<float>());
  }
  query->vectors.push_back({space, {vector.data(), 1, vector.size()}});
}

Query ReadQuery(const Json& json, FeedbackFile* file) {
  Query query;
  if (json.contains("query")) query.text = Text(json, "query");
  const auto vector = json.find("vector");
  if (vector != json.end() && vector->is_object()) {
    for (const auto& [space, values] : vector->items()) AddVector(space, values, file, &query);
  } else if (vector != json.end()) {
    AddVector("", *vector, file, &query);
  }
  return query;
}

void ReadItem(const Json& json, FeedbackFile* file) {
  if (!json.is_object()) Wrong("not a JSON object, expected one with hits, route and relevant or clicked");
  AnswerFeedback item;
  item.query = ReadQuery(json, file);
  for (const Json& hit : List(json, "hits")) item.hits.push_back({Text(hit, "id"), Text(hit, "partition")});
  for (const Json& expert : List(Field(json, "route", "what search --json prints"), "experts")) {
    const Json& chosen = Field(expert, "chosen", "true or false");
    if (!chosen.is_boolean() || !chosen.get<bool>()) continue;
    const Json& probability = Field(expert, "probability", "a number");
    if (!probability.is_number()) {
      Wrong(absl::StrFormat("probability: %s, expected a number", Quoted(probability.dump())));
    }
    item.asked.push_back({Text(expert, "expert"), probability.get<double>()});
  }
  if (json.contains("relevant")) item.relevant = Named(json, "relevant");
  if (json.contains("clicked")) item.clicked = Named(json, "clicked");
  if (json.contains("source")) item.source = Text(json, "source");
  file->items.push_back(std::move(item));
}

}  // namespace

absl::StatusOr<FeedbackFile> ReadFeedback(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::error_code ignored;
  if (!in.is_open() || std::filesystem::is_directory(path, ignored)) {
    return absl::NotFoundError(absl::StrFormat("feedback: no file to read, expected one (%s)", path));
  }
  FeedbackFile file;
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      ReadItem(Json::parse(line, nullptr, /*allow_exceptions=*/false), &file);
    } catch (const std::invalid_argument& error) {
      return absl::InvalidArgumentError(absl::StrFormat("feedback: %s (%s:%d)", error.what(), path, number));
    }
  }
  if (file.items.empty()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("feedback: none, expected at least one line (%s)", path));
  }
  return file;
}

}  // namespace trivium::cli
