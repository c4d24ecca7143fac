// SPDX-License-Identifier: Apache-2.0
#include "api/cli/build_config.h"

#include <filesystem>
#include <fstream>
#include <initializer_list>

#include "absl/strings/str_format.h"
#include "api/cli/arguments.h"
#include "api/cli/status_macros.h"
#include "nlohmann/json.hpp"

namespace trivium::cli {
namespace {

using nlohmann::json;

// One object of the file, read key by key; the first thing that is wrong is kept.
class ObjectReader {
 public:
  ObjectReader(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object_.is_object()) Fail("", "not an object", "an object");
  }

  std::string String(const char* key, bool required) {
    const json* value = Find(key, required);
    if (value == nullptr) return "";
    if (!value->is_string() || value->get_ref<const std::string&>().empty()) {
      Fail(key, value->dump(), "a string");
      return "";
    }
    return value->get<std::string>();
  }

  double Number(const char* key, double absent) {
    const json* value = Find(key, /*required=*/false);
    if (value == nullptr) return absent;
    if (!value->is_number()) Fail(key, value->dump(), "a number");
    return value->is_number() ? value->get<double>() : absent;
  }

  std::size_t Count(const char* key) {
    const json* value = Find(key, /*required=*/false);
    if (value == nullptr) return 0;
    if (!value->is_number_unsigned()) Fail(key, value->dump(), "a positive integer");
    return value->is_number_unsigned() ? value->get<std::size_t>() : 0;
  }

  // Null where absent.
  const json* Array(const char* key, bool required) {
    return Typed(key, required, json::value_t::array, "an array");
  }
  const json* Object(const char* key) {
    return Typed(key, /*required=*/false, json::value_t::object, "an object");
  }

  // Last: the keys that nobody asked for are errors.
  absl::Status Finish(std::initializer_list<const char*> keys) {
    if (!object_.is_object()) return status_;
    for (const auto& [key, value] : object_.items()) {
      bool known = false;
      for (const char* candidate : keys) known |= key == candidate;
      if (!known) Fail(key, "unknown", "another key");
    }
    return status_;
  }

 private:
  const json* Find(const char* key, bool required) {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(key);
    if (found != object_.end()) return &*found;
    if (required) Fail(key, "absent", "one");
    return nullptr;
  }

  const json* Typed(const char* key, bool required, json::value_t type, const char* expected) {
    const json* value = Find(key, required);
    if (value == nullptr || value->type() == type) return value;
    Fail(key, value->dump(), expected);
    return nullptr;
  }

  void Fail(const std::string& key, const std::string& seen, const char* expected) {
    if (!status_.ok()) return;
    status_ = absl::InvalidArgumentError(
        absl::StrFormat("configuration key '%s%s': %s, expected %s", where_, key, Quoted(seen), expected));
  }

  const json& object_;
  const std::string where_;  // of its keys: "spaces[0]."
  absl::Status status_;
};

std::string Where(const char* list, std::size_t index) { return absl::StrFormat("%s[%d].", list, index); }

class ConfigReader {
 public:
  explicit ConfigReader(const std::string& path) : folder_(std::filesystem::path(path).parent_path()) {}

  absl::StatusOr<BuildPlan> Read(const json& document) {
    ObjectReader root(document, "");
    const json* spaces = root.Array("spaces", /*required=*/false);
    const json* corpora = root.Array("corpora", /*required=*/true);
    const json* experts = root.Array("experts", /*required=*/false);
    TRIVIUM_CLI_RETURN_IF_ERROR(root.Finish({"spaces", "corpora", "experts"}));
    BuildPlan plan;
    for (std::size_t i = 0; spaces != nullptr && i < spaces->size(); ++i) {
      TRIVIUM_CLI_ASSIGN_OR_RETURN(SpacePlan space, ReadSpace((*spaces)[i], Where("spaces", i)));
      if (FindSpace(plan, space.name) != nullptr) {
        return absl::InvalidArgumentError(
            absl::StrFormat("configuration: space %s twice, expected distinct names", Quoted(space.name)));
      }
      plan.spaces.push_back(std::move(space));
    }
    for (std::size_t i = 0; i < corpora->size(); ++i) {
      TRIVIUM_CLI_ASSIGN_OR_RETURN(CorpusPlan corpus, ReadCorpusEntry((*corpora)[i], Where("corpora", i)));
      plan.corpora.push_back(std::move(corpus));
    }
    if (experts != nullptr) plan.experts.emplace();
    for (std::size_t i = 0; experts != nullptr && i < experts->size(); ++i) {
      TRIVIUM_CLI_ASSIGN_OR_RETURN(ExpertPlan expert, ReadExpert((*experts)[i], Where("experts", i)));
      for (const ExpertPlan& other : *plan.experts) {
        if (other.name != expert.name) continue;
        return absl::InvalidArgumentError(
            absl::StrFormat("configuration: expert %s twice, expected distinct names", Quoted(expert.name)));
      }
      plan.experts->push_back(std::move(expert));
    }
    return plan;
  }

 private:
  std::string Resolve(const std::string& file) const { return file.empty() ? "" : (folder_ / file).string(); }

  static absl::StatusOr<SpacePlan> ReadSpace(const json& object, const std::string& where) {
    ObjectReader reader(object, where);
    SpacePlan space;
    space.name = reader.String("name", /*required=*/true);
    space.dimension = reader.Count("dimension");
    const std::string metric = reader.String("metric", /*required=*/false);
    space.encoder = reader.String("encoder", /*required=*/false);
    TRIVIUM_CLI_RETURN_IF_ERROR(reader.Finish({"name", "dimension", "metric", "encoder"}));
    if (!metric.empty()) {
      TRIVIUM_CLI_ASSIGN_OR_RETURN(space.metric, ParseMetric(metric));
    }
    return space;
  }

  absl::StatusOr<CorpusPlan> ReadCorpusEntry(const json& object, const std::string& where) const {
    ObjectReader reader(object, where);
    CorpusPlan corpus;
    corpus.partition = reader.String("partition", /*required=*/true);
    corpus.file = Resolve(reader.String("file", /*required=*/true));
    const json* vectors = reader.Object("vectors");
    TRIVIUM_CLI_RETURN_IF_ERROR(reader.Finish({"partition", "file", "vectors"}));
    if (vectors == nullptr) return corpus;
    ObjectReader files(*vectors, where + "vectors.");
    for (const auto& [space, value] : vectors->items()) {
      corpus.vectors.emplace_back(space, Resolve(files.String(space.c_str(), /*required=*/true)));
      if (corpus.vectors.back().second.empty()) return files.Finish({});
    }
    return corpus;
  }

  absl::StatusOr<ExpertPlan> ReadExpert(const json& object, const std::string& where) const {
    ObjectReader reader(object, where);
    ExpertPlan expert;
    expert.name = reader.String("name", /*required=*/true);
    const std::string kind = reader.String("kind", /*required=*/false);
    if (!kind.empty()) {
      TRIVIUM_CLI_ASSIGN_OR_RETURN(expert.kind, ParseExpertKind(kind));
    }
    expert.space = reader.String("space", /*required=*/expert.kind == ExpertKind::kDense);
    if (const std::string partition = reader.String("partition", /*required=*/false); !partition.empty()) {
      expert.partition = partition;
    }
    expert.description = reader.String("description", /*required=*/false);
    expert.adapter_file = Resolve(reader.String("adapter", /*required=*/false));
    expert.cost = reader.Number("cost", expert.cost);
    if (expert.kind == ExpertKind::kLexical) {
      expert.k1 = reader.Number("k1", expert.k1);
      expert.b = reader.Number("b", expert.b);
      TRIVIUM_CLI_RETURN_IF_ERROR(
          reader.Finish({"name", "kind", "partition", "description", "cost", "k1", "b"}));
    } else {
      TRIVIUM_CLI_RETURN_IF_ERROR(
          reader.Finish({"name", "kind", "space", "partition", "description", "adapter", "cost"}));
    }
    return expert;
  }

  const std::filesystem::path folder_;
};

}  // namespace

absl::StatusOr<BuildPlan> ReadBuildConfig(const std::string& path) {
  std::ifstream in(path);
  if (!in.is_open()) return absl::NotFoundError(absl::StrFormat("configuration: no file to read (%s)", path));
  const json document = json::parse(in, nullptr, /*allow_exceptions=*/false);
  absl::StatusOr<BuildPlan> plan =
      document.is_discarded() ? absl::InvalidArgumentError("configuration: not JSON, expected an object")
                              : ConfigReader(path).Read(document);
  if (plan.ok()) return plan;
  return absl::Status(plan.status().code(),
                      absl::StrFormat("%s (%s)", std::string(plan.status().message()), path));
}

}  // namespace trivium::cli
