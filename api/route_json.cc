// SPDX-License-Identifier: Apache-2.0
// Routes as JSON, and what a route must be to be asked again.
#include <cmath>
#include <limits>
#include <set>
#include <string>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "trivium/search_result.h"

namespace trivium {
namespace {

using Json = nlohmann::ordered_json;

Json Optional(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

Json ToJson(const std::optional<RouteMargin>& margin) {
  if (!margin) return Json();
  return {{"expert", margin->expert}, {"utility", margin->utility}, {"needed", margin->needed}};
}

Json ToJson(const std::optional<RouteExplanation>& explanation) {
  if (!explanation) return Json();
  Json pilots = Json::array();
  for (const NearPilot& pilot : explanation->pilots) {
    pilots.push_back({{"number", pilot.number},
                      {"cosine", pilot.cosine},
                      {"source", pilot.source},
                      {"owner", pilot.owner},
                      {"best", pilot.best},
                      {"best_utility", pilot.best_utility},
                      {"weight", pilot.weight},
                      {"contribution", Optional(pilot.contribution)},
                      {"share", Optional(pilot.share)}});
  }
  return {{"expert", explanation->expert},
          {"pilots", std::move(pilots)},
          {"other_contribution", Optional(explanation->other_contribution)},
          {"prior_contribution", Optional(explanation->prior_contribution)},
          {"left_out", ToJson(explanation->left_out)},
          {"last_chosen", ToJson(explanation->last_chosen)}};
}

absl::Status Malformed(std::string_view field, const std::string& seen, std::string_view expected) {
  return absl::InvalidArgumentError(absl::StrFormat("route: %s: %s, expected %s", field, seen, expected));
}

// Reads members of one object; the first that is wrong is kept as `status`.
class Reader {
 public:
  Reader(const Json& object, std::string prefix) : object_(object), prefix_(std::move(prefix)) {}

  void Read(const char* name, std::string* value) {
    if (const Json* member = Find(name, "a string", [](const Json& m) { return m.is_string(); })) {
      *value = member->get<std::string>();
    }
  }
  void Read(const char* name, bool* value) {
    if (const Json* member = Find(name, "true or false", [](const Json& m) { return m.is_boolean(); })) {
      *value = member->get<bool>();
    }
  }
  // Null counts as absent.
  template <class Number>
  void ReadNumber(const char* name, Number* value) {
    const auto is_number = [](const Json& m) { return m.is_number() || m.is_null(); };
    const Json* member = Find(name, "a number", is_number);
    if (member != nullptr && !member->is_null()) *value = static_cast<Number>(member->get<double>());
  }
  void Require(const char* name) {
    if (!object_.contains(name)) Fail(name, "missing", "it");
  }
  const absl::Status& status() const { return status_; }

 private:
  template <class Accepts>
  const Json* Find(const char* name, std::string_view expected, Accepts accepts) {
    const auto found = object_.find(name);
    if (found == object_.end()) return nullptr;
    if (accepts(*found)) return &*found;
    Fail(name, std::string("of type ") + found->type_name(), expected);
    return nullptr;
  }
  void Fail(const char* name, const std::string& seen, std::string_view expected) {
    if (status_.ok()) status_ = Malformed(prefix_ + name, seen, expected);
  }

  const Json& object_;
  std::string prefix_;
  absl::Status status_;
};

absl::StatusOr<ExpertConsidered> ReadExpert(const Json& json, std::size_t row) {
  const std::string where = absl::StrFormat("experts[%d]", row);
  if (!json.is_object()) return Malformed(where, std::string("of type ") + json.type_name(), "an object");
  ExpertConsidered expert;
  expert.utility = expert.uncertainty = std::numeric_limits<float>::quiet_NaN();
  Reader reader(json, where + ".");
  for (const char* name : {"expert", "chosen", "probability"}) reader.Require(name);
  reader.Read("expert", &expert.expert);
  reader.Read("chosen", &expert.chosen);
  reader.ReadNumber("probability", &expert.probability);
  reader.ReadNumber("utility", &expert.utility);
  reader.ReadNumber("uncertainty", &expert.uncertainty);
  reader.ReadNumber("cost", &expert.cost);
  reader.Read("reason", &expert.reason);
  reader.ReadNumber("revised", &expert.revised);
  TRIVIUM_RETURN_IF_ERROR(reader.status());
  return expert;
}

absl::StatusOr<ReadingMixture> ReadMixture(const Json& json) {
  if (!json.is_object()) return Malformed("mixture", std::string("of type ") + json.type_name(), "an object");
  ReadingMixture mixture;
  Reader reader(json, "mixture.");
  for (const char* name : {"own", "plain"}) reader.Require(name);
  reader.ReadNumber("own", &mixture.own);
  reader.ReadNumber("plain", &mixture.plain);
  TRIVIUM_RETURN_IF_ERROR(reader.status());
  return mixture;
}

bool IsShare(double value) { return value >= 0 && value <= 1; }

}  // namespace

std::string Route::ToJson() const {
  Json json = {{"mode", mode},
               {"router", router},
               {"reading", reading},
               {"fusion", fusion},
               {"rejected", rejected},
               {"in_domain", Optional(in_domain)},
               {"untrained", untrained},
               {"prior_weight", prior_weight},
               {"widened", widened},
               {"remembered", remembered},
               {"mixture", mixture ? Json{{"own", mixture->own}, {"plain", mixture->plain}} : Json()},
               {"lexical_weight", Optional(lexical_weight)},
               {"experts", Json::array()}};
  for (const ExpertConsidered& expert : experts) {
    json["experts"].push_back({{"expert", expert.expert},
                               {"chosen", expert.chosen},
                               {"utility", expert.utility},
                               {"uncertainty", expert.uncertainty},
                               {"probability", expert.probability},
                               {"revised", expert.revised},
                               {"cost", expert.cost},
                               {"reason", expert.reason}});
  }
  json["explanation"] = trivium::ToJson(explanation);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::StatusOr<Route> Route::FromJson(std::string_view text) {
  const Json parsed = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "route: %s, expected a JSON object", parsed.is_discarded() ? "no JSON" : parsed.type_name()));
  }
  const bool whole_answer = parsed.contains("route") && parsed["route"].is_object();
  const Json& json = whole_answer ? parsed["route"] : parsed;
  Route route;
  Reader reader(json, "");
  for (const char* name : {"mode", "experts"}) reader.Require(name);
  reader.Read("mode", &route.mode);
  reader.Read("router", &route.router);
  reader.Read("reading", &route.reading);
  reader.Read("fusion", &route.fusion);
  reader.Read("rejected", &route.rejected);
  reader.Read("untrained", &route.untrained);
  reader.Read("widened", &route.widened);
  reader.ReadNumber("prior_weight", &route.prior_weight);
  double in_domain = -1, lexical_weight = -1, remembered = 0;
  reader.ReadNumber("remembered", &remembered);
  reader.ReadNumber("in_domain", &in_domain);
  reader.ReadNumber("lexical_weight", &lexical_weight);
  TRIVIUM_RETURN_IF_ERROR(reader.status());
  if (!(remembered >= 0 && remembered < 1e15)) {
    return Malformed("remembered", absl::StrFormat("%g", remembered), "a number of documents");
  }
  route.remembered = static_cast<std::uint64_t>(remembered);
  if (in_domain != -1) route.in_domain = in_domain;
  if (lexical_weight != -1) route.lexical_weight = lexical_weight;
  if (json.contains("mixture") && !json["mixture"].is_null()) {
    TRIVIUM_ASSIGN_OR_RETURN(route.mixture, ReadMixture(json["mixture"]));
  }
  if (!json["experts"].is_array()) {
    return Malformed("experts", std::string("of type ") + json["experts"].type_name(), "an array");
  }
  for (std::size_t i = 0; i < json["experts"].size(); ++i) {
    TRIVIUM_ASSIGN_OR_RETURN(route.experts.emplace_back(), ReadExpert(json["experts"][i], i));
  }
  TRIVIUM_RETURN_IF_ERROR(route.Validate());
  return route;
}

absl::Status Route::Validate() const {
  if (mode != "auto" && mode != "all" && mode != "named") {
    return Malformed("mode", "'" + mode.substr(0, 80) + "'", "auto, all or named");
  }
  if (reading != "" && reading != "plain" && reading != "adapted" && reading != "mixed") {
    return Malformed("reading", "'" + reading.substr(0, 80) + "'", "plain, adapted or mixed");
  }
  if ((reading == "mixed") != mixture.has_value()) {
    return Malformed("mixture", mixture ? "given" : "none",
                     mixture ? "none where the reading is not mixed" : "one where the reading is mixed");
  }
  if (mixture && (!IsShare(mixture->own) || !IsShare(mixture->plain))) {
    return Malformed("mixture", absl::StrFormat("own %g, plain %g", mixture->own, mixture->plain), "0 to 1");
  }
  if (!(prior_weight >= 0) || !std::isfinite(prior_weight)) {
    return Malformed("prior_weight", absl::StrFormat("%g", prior_weight), "a finite number >= 0");
  }
  if (lexical_weight && !IsShare(*lexical_weight)) {
    return Malformed("lexical_weight", absl::StrFormat("%g", *lexical_weight), "0 to 1");
  }
  std::set<std::string_view> names;
  bool any_chosen = false;
  for (const ExpertConsidered& expert : experts) {
    if (!IsShare(expert.probability)) {
      return Malformed("probability of '" + expert.expert.substr(0, 80) + "'",
                       absl::StrFormat("%g", expert.probability), "0 to 1");
    }
    if (!std::isnan(expert.revised) && !IsShare(expert.revised)) {
      return Malformed("revised of '" + expert.expert.substr(0, 80) + "'",
                       absl::StrFormat("%g", expert.revised), "0 to 1");
    }
    if (!names.insert(expert.expert).second) {
      return Malformed("experts", "'" + expert.expert.substr(0, 80) + "' twice", "each once");
    }
    any_chosen = any_chosen || expert.chosen;
  }
  if (any_chosen || rejected) return absl::OkStatus();
  return Malformed("experts", "none chosen", "at least one, or a query rejected");
}

}  // namespace trivium
