// SPDX-License-Identifier: Apache-2.0
#include "storage/text_files.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "storage/line_reader.h"
#include "storage/utf8.h"

namespace trivium::storage {
namespace {

using nlohmann::json;

constexpr std::string_view kJudgementHeader = "query-id\tcorpus-id\tscore";
// nlohmann::json writes a value recursively: deeper nesting could exhaust the stack.
constexpr int kMaxNesting = 100;

bool IsNestedTooDeep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxNesting) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

absl::StatusOr<json> ParseObject(const LineReader& reader, std::string_view line) {
  if (IsNestedTooDeep(line)) {
    return reader.Error(absl::StrFormat("JSON: nested too deep, expected at most %d levels", kMaxNesting));
  }
  try {
    json object = json::parse(line);
    if (object.is_object()) return object;
    return reader.Error(absl::StrFormat("JSON: %s, expected an object", Quoted(line)));
  } catch (const json::parse_error& error) {
    return reader.Error(
        absl::StrFormat("JSON: syntax error at byte %d of %s, expected an object", error.byte, Quoted(line)));
  } catch (const json::exception&) {
    return reader.Error(
        absl::StrFormat("JSON: a number out of range in %s, expected a double", Quoted(line)));
  }
}

absl::StatusOr<std::string> ParseId(const LineReader& reader, const json& object) {
  const auto found = object.find("_id");
  if (found == object.end()) return reader.Error("_id: absent, expected a string or an integer");
  if (found->is_number_integer()) return found->dump();
  if (found->is_string() && !found->get_ref<const std::string&>().empty()) return found->get<std::string>();
  return reader.Error(
      absl::StrFormat("_id: %s, expected a non-empty string or an integer", Quoted(found->dump())));
}

// The string `key`, or null where it is absent or a JSON null.
absl::StatusOr<const std::string*> FindText(const LineReader& reader, const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return nullptr;
  if (found->is_string()) return found->get_ptr<const std::string*>();
  return reader.Error(absl::StrFormat("%s: %s, expected a string", key, Quoted(found->dump())));
}

absl::StatusOr<CorpusRecord> ParseDocument(const LineReader& reader, std::string_view line) {
  TRIVIUM_ASSIGN_OR_RETURN(const json object, ParseObject(reader, line));
  CorpusRecord record;
  TRIVIUM_ASSIGN_OR_RETURN(record.id, ParseId(reader, object));
  TRIVIUM_ASSIGN_OR_RETURN(const std::string* title, FindText(reader, object, "title"));
  TRIVIUM_ASSIGN_OR_RETURN(const std::string* text, FindText(reader, object, "text"));
  if (title == nullptr && text == nullptr) {
    return reader.Error(
        absl::StrFormat("document: neither title nor text in %s, expected one of them", Quoted(record.id)));
  }
  if (title != nullptr) record.text = *title;
  if (text != nullptr) {
    if (!record.text.empty() && !text->empty()) record.text += ". ";
    record.text += *text;
  }
  if (const auto found = object.find("metadata"); found != object.end() && !found->is_null()) {
    if (!found->is_object()) {
      return reader.Error(absl::StrFormat("metadata: %s, expected an object", Quoted(found->dump())));
    }
    if (!found->empty()) record.metadata = found->dump();
  }
  return record;
}

absl::StatusOr<QueryRecord> ParseQuery(const LineReader& reader, std::string_view line) {
  TRIVIUM_ASSIGN_OR_RETURN(const json object, ParseObject(reader, line));
  QueryRecord record;
  TRIVIUM_ASSIGN_OR_RETURN(record.id, ParseId(reader, object));
  TRIVIUM_ASSIGN_OR_RETURN(const std::string* text, FindText(reader, object, "text"));
  if (text == nullptr)
    return reader.Error(absl::StrFormat("query: no text in %s, expected one", Quoted(record.id)));
  record.text = *text;
  return record;
}

absl::StatusOr<Judgement> ParseJudgement(const LineReader& reader, std::string_view line) {
  std::array<std::string_view, 3> fields;
  const auto tabs = std::count(line.begin(), line.end(), '\t');
  if (tabs != 2) {
    return reader.Error(absl::StrFormat("judgement: %d columns, expected 3 separated by tabs", tabs + 1));
  }
  for (std::string_view& field : fields) {
    field = line.substr(0, line.find('\t'));
    line.remove_prefix(std::min(line.size(), field.size() + 1));
  }
  if (fields[0].empty()) return reader.Error("query-id: empty, expected an id");
  if (fields[1].empty()) return reader.Error("corpus-id: empty, expected an id");
  Judgement judgement{.query_id = std::string(fields[0]), .document_id = std::string(fields[1])};
  if (!absl::SimpleAtod(absl::string_view(fields[2].data(), fields[2].size()), &judgement.grade) ||
      !std::isfinite(judgement.grade)) {
    return reader.Error(absl::StrFormat("score: %s, expected a finite number", Quoted(fields[2])));
  }
  return judgement;
}

}  // namespace

absl::Status ReadCorpus(const std::string& path, const std::function<absl::Status(CorpusRecord)>& visit) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::unique_ptr<LineReader> reader, LineReader::Open(path));
  std::string_view line;
  for (;;) {
    TRIVIUM_ASSIGN_OR_RETURN(const bool found, reader->Next(&line));
    if (!found) return absl::OkStatus();
    TRIVIUM_ASSIGN_OR_RETURN(CorpusRecord record, ParseDocument(*reader, line));
    TRIVIUM_RETURN_IF_ERROR(visit(std::move(record)));
  }
}

absl::StatusOr<std::vector<QueryRecord>> ReadQueries(const std::string& path) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::unique_ptr<LineReader> reader, LineReader::Open(path));
  std::vector<QueryRecord> queries;
  std::string_view line;
  for (;;) {
    TRIVIUM_ASSIGN_OR_RETURN(const bool found, reader->Next(&line));
    if (!found) return queries;
    TRIVIUM_ASSIGN_OR_RETURN(QueryRecord query, ParseQuery(*reader, line));
    queries.push_back(std::move(query));
  }
}

absl::StatusOr<std::vector<Judgement>> ReadJudgements(const std::string& path) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::unique_ptr<LineReader> reader, LineReader::Open(path));
  std::string_view line;
  TRIVIUM_ASSIGN_OR_RETURN(const bool has_header, reader->Next(&line));
  if (!has_header || line != kJudgementHeader) {
    return reader->Error(absl::StrFormat("header: %s, expected 'query-id<TAB>corpus-id<TAB>score'",
                                         has_header ? Quoted(line) : "none"));
  }
  std::vector<Judgement> judgements;
  for (;;) {
    TRIVIUM_ASSIGN_OR_RETURN(const bool found, reader->Next(&line));
    if (!found) return judgements;
    TRIVIUM_ASSIGN_OR_RETURN(Judgement judgement, ParseJudgement(*reader, line));
    judgements.push_back(std::move(judgement));
  }
}

}  // namespace trivium::storage
