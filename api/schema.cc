// SPDX-License-Identifier: Apache-2.0
#include "api/schema.h"

#include <algorithm>
#include <exception>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace trivium {
namespace {

using Json = nlohmann::json;

template <class Records, class Predicate>
auto FindIn(const Records& records, Predicate predicate) -> decltype(records.data()) {
  const auto found = std::find_if(records.begin(), records.end(), predicate);
  return found == records.end() ? nullptr : &*found;
}

Json AdapterToJson(const std::optional<AdapterRecord>& adapter) {
  if (!adapter) return nullptr;
  return {{"enabled", adapter->enabled}, {"queries", adapter->queries}, {"reason", adapter->reason}};
}

std::optional<AdapterRecord> AdapterFromJson(const Json& json) {
  if (json.is_null()) return std::nullopt;
  if (json.is_boolean())
    return json.get<bool>() ? std::optional(AdapterRecord()) : std::nullopt;  // version 0.1
  return AdapterRecord{json.at("enabled"), json.at("queries"), json.at("reason")};
}

Json TreeToJson(const TreeRecord& tree) {
  Json levels = Json::array();
  for (const TreeLevel& level : tree.info.levels) {
    levels.push_back({level.level, level.overlap, level.untrained, level.entropy, level.bytes_per_document});
  }
  return {{"file", tree.file},
          {"enabled", tree.info.enabled},
          {"depth", tree.info.depth},
          {"documents", tree.info.documents},
          {"queries", tree.info.queries},
          {"levels", std::move(levels)},
          {"reason", tree.info.reason},
          {"given", tree.info.given}};
}

std::optional<TreeRecord> TreeFromJson(const Json& json) {
  if (json.is_null()) return std::nullopt;
  TreeRecord tree;
  json.at("file").get_to(tree.file);
  tree.info.present = true;
  json.at("enabled").get_to(tree.info.enabled);
  json.at("depth").get_to(tree.info.depth);
  json.at("documents").get_to(tree.info.documents);
  json.at("queries").get_to(tree.info.queries);
  json.at("reason").get_to(tree.info.reason);
  tree.info.given = json.value("given", false);  // absent before there were such trees
  for (const Json& level : json.at("levels")) {
    tree.info.levels.push_back({level.at(0), level.at(1), level.at(2), level.at(3), level.at(4)});
  }
  return tree;
}

Json CellsToJson(const CellsRecord& cells) {
  return {{"file", cells.file},
          {"enabled", cells.info.enabled},
          {"cells", cells.info.cells},
          {"documents", cells.info.documents},
          {"queries", cells.info.queries},
          {"router", cells.info.router},
          {"reason", cells.info.reason}};
}

std::optional<CellsRecord> CellsFromJson(const Json& json) {
  if (json.is_null()) return std::nullopt;
  return CellsRecord{json.at("file"),
                     {true, json.at("enabled"), json.at("cells"), json.at("documents"), json.at("queries"),
                      json.at("router"), json.at("reason")}};
}

Json SecondLookToJson(const std::optional<routing::SecondLook>& look) {
  if (!look) return nullptr;
  return {{"route_weight", look->route_weight},
          {"score_weight", look->score_weight},
          {"bias", look->bias},
          {"prior_weight", look->prior_weight},
          {"widen_below", look->widen_below},
          {"wider_top_p", look->wider_top_p},
          {"wider_max_experts", look->wider_max_experts}};
}

std::optional<routing::SecondLook> SecondLookFromJson(const Json& json) {
  if (json.is_null()) return std::nullopt;
  return routing::SecondLook{.route_weight = json.at("route_weight"),
                             .score_weight = json.at("score_weight"),
                             .bias = json.at("bias"),
                             .prior_weight = json.at("prior_weight"),
                             .widen_below = json.at("widen_below"),
                             .wider_top_p = json.at("wider_top_p"),
                             .wider_max_experts = json.at("wider_max_experts")};
}

Json MemoryToJson(const std::optional<routing::MemorySettings>& memory) {
  if (!memory) return nullptr;
  return {{"threshold", memory->threshold}, {"weights", memory->weights}};
}

std::optional<routing::MemorySettings> MemoryFromJson(const Json& json) {
  if (json.is_null()) return std::nullopt;
  return routing::MemorySettings{.threshold = json.at("threshold"), .weights = json.at("weights")};
}

Json SettingsToJson(const routing::DispatchSettings& settings) {
  const routing::RouterOptions& options = settings.router_options;
  const routing::DispatchOptions& policy = settings.policy;
  const std::optional<routing::QueryMixture>& mixture = settings.answer.mixture;
  return {{"router", settings.router},
          {"class_balance", options.class_balance},
          {"neighbor_count", options.neighbor_count},
          {"neighbor_temperature", options.temperature},
          {"shrinkage", options.shrinkage},
          {"graph_threshold", options.graph_threshold},
          {"cluster_count", options.cluster_count},
          {"depth", options.depth},
          {"ridge", options.ridge},
          {"owner_power", options.owner_power},
          {"document_share", options.document_share},
          {"pilot_share", options.pilot_share},
          {"temperature", policy.temperature},
          {"top_p", policy.top_p},
          {"max_experts", policy.max_experts},
          {"cost_weight", policy.cost_weight},
          {"ask_unknown", policy.ask_unknown},
          {"prior_weight", settings.answer.prior_weight},
          {"lexical_weights", settings.answer.lexical_weights},
          {"second_look", SecondLookToJson(settings.answer.second_look)},
          {"memory", MemoryToJson(settings.answer.memory)},
          {"mixture", mixture ? Json{{"own", mixture->own}, {"plain", mixture->plain}} : Json()}};
}

routing::DispatchSettings SettingsFromJson(const Json& json) {
  routing::DispatchSettings settings;
  settings.router = json.at("router").get<std::string>();
  json.at("class_balance").get_to(settings.router_options.class_balance);
  json.at("neighbor_count").get_to(settings.router_options.neighbor_count);
  json.at("neighbor_temperature").get_to(settings.router_options.temperature);
  json.at("shrinkage").get_to(settings.router_options.shrinkage);
  json.at("graph_threshold").get_to(settings.router_options.graph_threshold);
  json.at("ridge").get_to(settings.router_options.ridge);
  const routing::RouterOptions defaults;  // of stores written before there were such routers
  settings.router_options.cluster_count = json.value("cluster_count", defaults.cluster_count);
  settings.router_options.depth = json.value("depth", defaults.depth);
  settings.router_options.owner_power = json.value("owner_power", defaults.owner_power);
  settings.router_options.pilot_share = json.value("pilot_share", defaults.pilot_share);
  settings.router_options.document_share = json.value("document_share", defaults.document_share);
  json.at("temperature").get_to(settings.policy.temperature);
  json.at("top_p").get_to(settings.policy.top_p);
  json.at("max_experts").get_to(settings.policy.max_experts);
  json.at("cost_weight").get_to(settings.policy.cost_weight);
  json.at("ask_unknown").get_to(settings.policy.ask_unknown);
  json.at("prior_weight").get_to(settings.answer.prior_weight);
  if (const auto mixture = json.find("mixture"); mixture != json.end() && !mixture->is_null()) {
    settings.answer.mixture = {mixture->at("own").get<float>(), mixture->at("plain").get<float>()};
  }
  settings.answer.lexical_weights = json.value("lexical_weights", std::vector<float>());  // absent before
  settings.answer.second_look = SecondLookFromJson(json.value("second_look", Json()));    // likewise
  settings.answer.memory = MemoryFromJson(json.value("memory", Json()));                  // likewise
  return settings;
}

Json GuardToJson(const GuardRecord& guard) {
  const GuardReport& report = guard.report;
  return {{"queries", report.queries},        {"background", report.background},
          {"threshold", report.threshold},    {"acceptance", report.acceptance},
          {"rejection", report.rejection},    {"auroc", {report.auroc, report.auroc_low, report.auroc_high}},
          {"enabled", report.enabled},        {"reason", report.reason},
          {"pilots_file", guard.pilots_file}, {"background_file", guard.background_file}};
}

GuardRecord GuardFromJson(const Json& json) {
  GuardRecord guard;
  json.at("queries").get_to(guard.report.queries);
  json.at("background").get_to(guard.report.background);
  json.at("threshold").get_to(guard.report.threshold);
  json.at("acceptance").get_to(guard.report.acceptance);
  json.at("rejection").get_to(guard.report.rejection);
  json.at("auroc").at(0).get_to(guard.report.auroc);
  json.at("auroc").at(1).get_to(guard.report.auroc_low);
  json.at("auroc").at(2).get_to(guard.report.auroc_high);
  json.at("enabled").get_to(guard.report.enabled);
  json.at("reason").get_to(guard.report.reason);
  json.at("pilots_file").get_to(guard.pilots_file);
  json.at("background_file").get_to(guard.background_file);
  return guard;
}

Json DispatchToJson(const DispatchRecord& dispatch) {
  Json routers = Json::array();
  for (const RouterRecord& router : dispatch.routers) {
    routers.push_back({{"settings", SettingsToJson(router.settings)}, {"index_file", router.index_file}});
  }
  return {{"enabled", dispatch.enabled},
          {"router", dispatch.router},
          {"reason", dispatch.reason},
          {"space", dispatch.space},
          {"pilots", dispatch.pilots},
          {"routers", std::move(routers)},
          {"expert_ids", dispatch.expert_ids},
          {"lexical_weight", dispatch.lexical_weight ? Json(*dispatch.lexical_weight) : Json(nullptr)},
          {"memory_file", dispatch.memory_file},
          {"guard", dispatch.guard ? GuardToJson(*dispatch.guard) : Json(nullptr)}};
}

DispatchRecord DispatchFromJson(const Json& json) {
  DispatchRecord dispatch;
  json.at("enabled").get_to(dispatch.enabled);
  json.at("router").get_to(dispatch.router);
  json.at("reason").get_to(dispatch.reason);
  json.at("space").get_to(dispatch.space);
  json.at("pilots").get_to(dispatch.pilots);
  json.at("expert_ids").get_to(dispatch.expert_ids);
  for (const Json& router : json.at("routers")) {
    dispatch.routers.push_back(
        {SettingsFromJson(router.at("settings")), router.at("index_file").get<std::string>()});
  }
  const Json weight = json.value("lexical_weight", Json());  // absent before shares were learned
  if (!weight.is_null()) dispatch.lexical_weight = weight.get<float>();
  const Json guard = json.value("guard", Json());  // absent before there were guards
  if (!guard.is_null()) dispatch.guard = GuardFromJson(guard);
  dispatch.memory_file = json.value("memory_file", std::string());  // absent before answers were remembered
  return dispatch;
}

Schema Parse(const Json& json) {
  Schema schema;
  json.at("next_id").get_to(schema.next_id);
  json.at("next_file").get_to(schema.next_file);
  for (const Json& space : json.at("spaces")) {
    const absl::StatusOr<Metric> metric = ParseMetric(space.at("metric").get<std::string>());
    if (!metric.ok()) throw std::invalid_argument(std::string(metric.status().message()));
    // Absent in stores of version 0.1.
    const absl::StatusOr<Profile> profile = ParseProfile(space.value("profile", std::string("speed")));
    if (!profile.ok()) throw std::invalid_argument(std::string(profile.status().message()));
    schema.spaces.push_back(
        {space.at("id"), space.at("name"), space.at("dimension"), *metric, space.at("encoder"),
         space.at("encoder_fingerprint"), space.value("beam_width", std::size_t{0}),
         space.value("target_recall", 0.0), *profile, AdapterFromJson(space.value("adapter", Json())),
         TreeFromJson(space.value("tree", Json())), CellsFromJson(space.value("cells", Json()))});
  }
  for (const Json& partition : json.at("partitions")) {
    const std::uint32_t before = schema.partitions.empty() ? 0 : schema.partitions.back().id;
    schema.partitions.push_back({partition.at("id"), partition.at("name")});
    if (schema.partitions.back().id <= before) {
      throw std::invalid_argument(absl::StrFormat("partition %d after %d, expected ascending ids",
                                                  schema.partitions.back().id, before));
    }
  }
  for (const Json& expert : json.at("experts")) {
    ExpertRecord record{expert.at("id"),
                        expert.at("name"),
                        expert.at("space"),
                        std::nullopt,
                        expert.at("description"),
                        expert.at("cost"),
                        AdapterFromJson(expert.at("adapter"))};
    if (expert.contains("lexical")) {
      record.kind = ExpertKind::kLexical;
      record.k1 = expert.at("lexical").at("k1");
      record.b = expert.at("lexical").at("b");
    }
    record.quarantine = expert.value("quarantine", std::string());  // absent where there never was one
    record.monitored_from = expert.value("monitored_from", std::uint64_t{0});
    if (!expert.at("partition").is_null()) record.partition = expert.at("partition").get<std::uint32_t>();
    schema.experts.push_back(std::move(record));
  }
  for (const Json& segment : json.at("segments")) {
    schema.segments.push_back({segment.at("file"), segment.at("space"), segment.at("partition"),
                               segment.value("leaves_file", std::string()),  // absent without a tree
                               segment.value("cells_file", std::string())});
  }
  for (const Json& segment : json.value("text_segments", Json::array())) {  // absent where none was sealed
    schema.text_segments.push_back({segment.at("file"), segment.at("partition"), segment.at("through")});
  }
  if (!json.at("dispatch").is_null()) schema.dispatch = DispatchFromJson(json.at("dispatch"));
  return schema;
}

}  // namespace

std::vector<std::string> DispatchRecord::files() const {
  std::vector<std::string> files;
  for (const RouterRecord& router : routers) {
    if (!router.index_file.empty()) files.push_back(router.index_file);
  }
  if (guard) {
    files.push_back(guard->pilots_file);
    files.push_back(guard->background_file);
  }
  if (!memory_file.empty()) files.push_back(memory_file);
  return files;
}

const SpaceRecord* Schema::FindSpace(std::string_view name) const {
  return FindIn(spaces, [&](const SpaceRecord& space) { return space.name == name; });
}
const SpaceRecord* Schema::SpaceById(std::uint32_t id) const {
  return FindIn(spaces, [&](const SpaceRecord& space) { return space.id == id; });
}
const PartitionRecord* Schema::FindPartition(std::string_view name) const {
  return FindIn(partitions, [&](const PartitionRecord& partition) { return partition.name == name; });
}
const PartitionRecord* Schema::PartitionById(std::uint32_t id) const {
  const auto found = std::lower_bound(
      partitions.begin(), partitions.end(), id,
      [](const PartitionRecord& partition, std::uint32_t wanted) { return partition.id < wanted; });
  return found == partitions.end() || found->id != id ? nullptr : &*found;
}
const ExpertRecord* Schema::FindExpert(std::string_view name) const {
  return FindIn(experts, [&](const ExpertRecord& expert) { return expert.name == name; });
}

bool Schema::IndexesTexts(std::uint32_t partition) const {
  return std::any_of(experts.begin(), experts.end(), [&](const ExpertRecord& expert) {
    return expert.kind == ExpertKind::kLexical && (!expert.partition || *expert.partition == partition);
  });
}

std::vector<std::string> SegmentRecord::companions() const {
  std::vector<std::string> files;
  for (const std::string& name : {leaves_file, cells_file}) {
    if (!name.empty()) files.push_back(name);
  }
  return files;
}

std::vector<std::string> Schema::files() const {
  std::vector<std::string> files;
  const auto add = [&](const std::vector<std::string>& more) {
    files.insert(files.end(), more.begin(), more.end());
  };
  for (const SegmentRecord& segment : segments) {
    files.push_back(segment.file);
    add(segment.companions());
  }
  for (const TextSegmentRecord& segment : text_segments) files.push_back(segment.file);
  for (const SpaceRecord& space : spaces) {
    if (space.tree) files.push_back(space.tree->file);
    if (space.cells) files.push_back(space.cells->file);
  }
  if (dispatch) add(dispatch->files());
  return files;
}

std::string Schema::ToJson() const {
  Json json = {{"next_id", next_id},          {"next_file", next_file},   {"spaces", Json::array()},
               {"partitions", Json::array()}, {"experts", Json::array()}, {"segments", Json::array()},
               {"dispatch", nullptr}};
  for (const SpaceRecord& space : spaces) {
    json["spaces"].push_back({{"id", space.id},
                              {"name", space.name},
                              {"dimension", space.dimension},
                              {"metric", std::string(MetricName(space.metric))},
                              {"encoder", space.encoder},
                              {"encoder_fingerprint", space.encoder_fingerprint},
                              {"beam_width", space.beam_width},
                              {"target_recall", space.target_recall},
                              {"profile", std::string(ProfileName(space.profile))},
                              {"adapter", AdapterToJson(space.adapter)}});
    if (space.tree) json["spaces"].back()["tree"] = TreeToJson(*space.tree);
    if (space.cells) json["spaces"].back()["cells"] = CellsToJson(*space.cells);
  }
  for (const PartitionRecord& partition : partitions) {
    json["partitions"].push_back({{"id", partition.id}, {"name", partition.name}});
  }
  for (const ExpertRecord& expert : experts) {
    json["experts"].push_back({{"id", expert.id},
                               {"name", expert.name},
                               {"space", expert.space},
                               {"partition", expert.partition ? Json(*expert.partition) : Json(nullptr)},
                               {"description", expert.description},
                               {"cost", expert.cost},
                               {"adapter", AdapterToJson(expert.adapter)}});
    if (expert.kind == ExpertKind::kLexical) {
      json["experts"].back()["lexical"] = {{"k1", expert.k1}, {"b", expert.b}};
    }
    if (!expert.quarantine.empty()) json["experts"].back()["quarantine"] = expert.quarantine;
    if (expert.monitored_from > 0) json["experts"].back()["monitored_from"] = expert.monitored_from;
  }
  for (const TextSegmentRecord& segment : text_segments) {
    json["text_segments"].push_back(
        {{"file", segment.file}, {"partition", segment.partition}, {"through", segment.through}});
  }
  for (const SegmentRecord& segment : segments) {
    json["segments"].push_back(
        {{"file", segment.file}, {"space", segment.space}, {"partition", segment.partition}});
    if (!segment.leaves_file.empty()) json["segments"].back()["leaves_file"] = segment.leaves_file;
    if (!segment.cells_file.empty()) json["segments"].back()["cells_file"] = segment.cells_file;
  }
  if (dispatch) json["dispatch"] = DispatchToJson(*dispatch);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::StatusOr<Schema> Schema::FromJson(std::string_view text) {
  const Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  if (json.is_discarded()) return absl::DataLossError("manifest: not JSON, expected the store's schema (db)");
  try {
    return Parse(json);
  } catch (const std::exception& error) {
    return absl::DataLossError(
        absl::StrFormat("manifest: %s, expected the store's schema (db)", error.what()));
  }
}

}  // namespace trivium
