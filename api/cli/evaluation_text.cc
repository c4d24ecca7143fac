// SPDX-License-Identifier: Apache-2.0
#include "api/cli/evaluation_text.h"

#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"

namespace trivium::cli {
namespace {

std::string Signed(double value) { return std::isnan(value) ? "-" : absl::StrFormat("%+.4f", value); }

std::string Percent(double share) {
  return std::isnan(share) ? "-" : absl::StrFormat("%.0f %%", 100 * share);
}

// "+0.0123 [+0.0045, +0.0201]"
std::string SignedInterval(const Estimate& estimate) {
  if (std::isnan(estimate.low)) return Signed(estimate.value);
  return absl::StrFormat("%+.4f [%+.4f, %+.4f]", estimate.value, estimate.low, estimate.high);
}

std::string PercentInterval(const Estimate& estimate) {
  if (std::isnan(estimate.low)) return Percent(estimate.value);
  return absl::StrFormat("%.0f [%.0f, %.0f] %%", 100 * estimate.value, 100 * estimate.low,
                         100 * estimate.high);
}

bool ExcludesZero(const Estimate& estimate) { return estimate.low > 0 || estimate.high < 0; }

void AddMetrics(const SetMetrics& metrics, const std::string& name, Table* table) {
  std::vector<std::string> cells = {name,
                                    Grouped(metrics.queries),
                                    Fixed(metrics.ndcg_at_10, 4),
                                    Fixed(metrics.recall_at_10, 4),
                                    Fixed(metrics.recall_at_100, 4),
                                    Fixed(metrics.mrr_at_10, 4),
                                    Fixed(metrics.experts_per_query, 2),
                                    Fixed(metrics.distance_computations_per_query, 0),
                                    Fixed(metrics.latency_p50_us, 0),
                                    Fixed(metrics.latency_p95_us, 0),
                                    Fixed(metrics.latency_p99_us, 0)};
  if (metrics.clean) {
    cells.push_back(Grouped(metrics.clean->queries));
    cells.push_back(metrics.clean->queries > 0 ? Fixed(metrics.clean->ndcg_at_10, 4) : "-");
  }
  table->Add(std::move(cells));
}

std::string MetricsText(const EvaluationReport& report) {
  std::vector<std::string> headings = {"set",         ">queries", ">ndcg@10",       ">recall@10",
                                       ">recall@100", ">mrr@10",  ">experts/query", ">distances/query",
                                       ">p50 us",     ">p95 us",  ">p99 us"};
  if (report.macro.clean) headings.insert(headings.end(), {">clean queries", ">clean ndcg@10"});
  Table table(std::move(headings));
  for (const SetMetrics& set : report.sets) AddMetrics(set, set.name, &table);
  if (report.sets.size() > 1) AddMetrics(report.macro, "(macro average)", &table);
  return table.ToString();
}

std::string ComparisonText(const EvaluationReport& report) {
  std::vector<std::string> headings = {"compared",         ">ndcg@10",           ">experts/query",
                                       ">distances/query", ">difference to all", ">of the oracle's gain"};
  if (report.macro.clean) headings.insert(headings.end(), {">clean ndcg@10", ">clean difference to all"});
  Table table(std::move(headings));
  for (const ComparisonRow& row : report.macro.compare) {
    std::vector<std::string> cells = {row.name, Fixed(row.ndcg_at_10, 4), Fixed(row.experts_per_query, 2),
                                      Fixed(row.distance_computations_per_query, 0)};
    const bool is_all = row.name == "all";
    cells.push_back(is_all ? "" : SignedInterval(row.gain));
    cells.push_back(is_all ? "" : PercentInterval(row.oracle_share));
    if (row.clean) {
      cells.push_back(Fixed(row.clean->ndcg_at_10, 4));
      cells.push_back(is_all ? "" : SignedInterval(row.clean->gain));
    }
    table.Add(std::move(cells));
  }
  return table.ToString();
}

// Where each way of answering wins and loses.
std::string DifferencesText(const EvaluationReport& report) {
  std::vector<std::string> headings = {"difference to all", ">queries", ">all"};
  for (const ComparisonRow& row : report.macro.compare) {
    if (row.name != "all") headings.push_back(">" + row.name);
  }
  Table table(std::move(headings));
  for (const SetMetrics& set : report.sets) {
    std::vector<std::string> cells = {set.name, Grouped(set.queries), ""};
    for (const ComparisonRow& row : set.compare) {
      if (row.name == "all") {
        cells[2] = Fixed(row.ndcg_at_10, 4);
      } else {
        cells.push_back(Signed(row.gain.value) + (ExcludesZero(row.gain) ? "*" : " "));
      }
    }
    table.Add(std::move(cells));
  }
  return table.ToString() + "* the 95 % interval excludes zero\n";
}

std::string RoutersText(const EvaluationReport& report) {
  Table table({"router", ">aiq (distances)", ">aiq (experts)", ">first expert holds", ">ece", ">is best",
               ">ece", ">flips by typos"});
  for (const RouterMetrics& router : report.routers) {
    table.Add({router.name, Fixed(router.aiq_distances, 4), Fixed(router.aiq_experts, 4),
               Percent(router.holds_relevant), Fixed(router.holds_relevant_calibration_error, 3),
               Percent(router.best), Fixed(router.best_calibration_error, 3),
               router.route_flips != router.route_flips
                   ? "-"
                   : absl::StrFormat("%.1f %%", 100 * router.route_flips)});
  }
  return table.ToString();
}

Json ToJson(const Estimate& estimate) { return {estimate.low, estimate.high}; }

Json ToJson(const ComparisonRow& row) {
  Json json = {{"name", row.name},
               {"ndcg@10", row.ndcg_at_10},
               {"experts_per_query", row.experts_per_query},
               {"distance_computations_per_query", row.distance_computations_per_query},
               {"gain", row.gain.value},
               {"gain_interval", ToJson(row.gain)},
               {"oracle_share", row.oracle_share.value},
               {"oracle_share_interval", ToJson(row.oracle_share)}};
  if (row.clean) {
    json["clean"] = {{"ndcg@10", row.clean->ndcg_at_10},
                     {"gain", row.clean->gain.value},
                     {"gain_interval", ToJson(row.clean->gain)}};
  }
  return json;
}

Json ToJson(const SetMetrics& metrics, bool compare) {
  Json json = {
      {"name", metrics.name},
      {"queries", metrics.queries},
      {"skipped_queries", metrics.skipped_queries},
      {"rejected_queries", metrics.rejected_queries},
      {"skipped_rejected_queries", metrics.skipped_rejected_queries},
      {"unknown_judgements", metrics.unknown_judgements},
      {"ndcg@10", metrics.ndcg_at_10},
      {"recall@10", metrics.recall_at_10},
      {"recall@100", metrics.recall_at_100},
      {"mrr@10", metrics.mrr_at_10},
      {"experts_per_query", metrics.experts_per_query},
      {"distance_computations_per_query", metrics.distance_computations_per_query},
      {"distances", metrics.distances},
      {"bytes_read_per_query", metrics.bytes_read_per_query},
      {"searches_per_query", metrics.searches_per_query},
      {"encoder_calls_per_query", metrics.encoder_calls_per_query},
      {"latency_us",
       {{"p50", metrics.latency_p50_us}, {"p95", metrics.latency_p95_us}, {"p99", metrics.latency_p99_us}}}};
  if (metrics.clean) {
    json["clean"] = {{"sets", metrics.clean->sets},
                     {"queries", metrics.clean->queries},
                     {"ndcg@10", metrics.clean->ndcg_at_10},
                     {"recall@10", metrics.clean->recall_at_10},
                     {"recall@100", metrics.clean->recall_at_100},
                     {"mrr@10", metrics.clean->mrr_at_10}};
  }
  if (!compare) return json;
  json["compare"] = Json::array();
  for (const ComparisonRow& row : metrics.compare) json["compare"].push_back(ToJson(row));
  return json;
}

Json ToJson(const RouterMetrics& router) {
  Json budgets = Json::array();
  for (const ComparisonRow& row : router.budgets) {
    budgets.push_back({{"name", row.name},
                       {"ndcg@10", row.ndcg_at_10},
                       {"experts_per_query", row.experts_per_query},
                       {"distance_computations_per_query", row.distance_computations_per_query}});
  }
  return {{"name", router.name},
          {"queries", router.queries},
          {"first_expert", {{"holds_relevant", router.holds_relevant}, {"best", router.best}}},
          {"calibration_error",
           {{"holds_relevant", router.holds_relevant_calibration_error},
            {"best", router.best_calibration_error}}},
          {"route_flips", router.route_flips},
          {"aiq", {{"distances", router.aiq_distances}, {"experts", router.aiq_experts}}},
          {"budgets", budgets}};
}

}  // namespace

std::string EvaluationText(const EvaluationReport& report) {
  std::string text = MetricsText(report);
  if (!report.macro.compare.empty()) {
    text += "\n" + ComparisonText(report);
    if (report.sets.size() > 1) text += "\n" + DifferencesText(report);
  }
  if (!report.routers.empty()) text += "\n" + RoutersText(report);
  if (report.macro.unknown_judgements > 0) {
    text += absl::StrFormat("\njudgements of documents that the store does not hold: %s\n",
                            Grouped(report.macro.unknown_judgements));
  }
  return text;
}

Json EvaluationJson(const EvaluationReport& report, bool compare) {
  Json json = {{"sets", Json::array()}, {"macro", ToJson(report.macro, compare)}};
  for (const SetMetrics& set : report.sets) json["sets"].push_back(ToJson(set, compare));
  if (!compare) return json;
  json["routers"] = Json::array();
  for (const RouterMetrics& router : report.routers) json["routers"].push_back(ToJson(router));
  return json;
}

}  // namespace trivium::cli
