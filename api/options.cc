// SPDX-License-Identifier: Apache-2.0
#include "trivium/options.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "index/lexical/lexical_search.h"
#include "storage/utf8.h"

namespace trivium {
namespace {

constexpr std::size_t kMaxNameBytes = 64;
constexpr std::size_t kMaxDimension = 65536;

absl::Status OutOfRange(std::string_view what, const std::string& seen, std::string_view expected) {
  return absl::InvalidArgumentError(absl::StrFormat("%s: %s, expected %s", what, seen, expected));
}

}  // namespace

std::string_view IndexName(IndexChoice index) {
  switch (index) {
    case IndexChoice::kStore:
      return "";
    case IndexChoice::kGraph:
      return "graph";
    case IndexChoice::kExact:
      return "exact";
    case IndexChoice::kTree:
      return "tree";
    case IndexChoice::kCells:
      return "cells";
  }
  return "";
}

absl::StatusOr<IndexChoice> ParseIndex(std::string_view name) {
  for (const IndexChoice index :
       {IndexChoice::kGraph, IndexChoice::kExact, IndexChoice::kTree, IndexChoice::kCells}) {
    if (name == IndexName(index)) return index;
  }
  return OutOfRange("index", absl::StrFormat("'%s'", name.substr(0, 80)), "graph, exact, tree or cells");
}

std::string_view OnRejectName(OnReject answer) {
  switch (answer) {
    case OnReject::kAll:
      return "all";
    case OnReject::kPlain:
      return "plain";
    case OnReject::kNothing:
      return "nothing";
  }
  return "";
}

absl::StatusOr<OnReject> ParseOnReject(std::string_view name) {
  for (const OnReject answer : {OnReject::kAll, OnReject::kPlain, OnReject::kNothing}) {
    if (name == OnRejectName(answer)) return answer;
  }
  return OutOfRange("on_reject", "'" + std::string(name.substr(0, 80)) + "'", "all, plain or nothing");
}

absl::Status ValidateName(std::string_view what, std::string_view name) {
  const auto allowed = [](unsigned char c) {
    return c < 128 && (std::isalnum(c) || c == '_' || c == '-' || c == '.');
  };
  const bool ok = !name.empty() && name.size() <= kMaxNameBytes && name[0] != '.' && name[0] != '-' &&
                  std::all_of(name.begin(), name.end(), allowed);
  if (ok) return absl::OkStatus();
  std::string shown;
  for (char c : name.substr(0, 80)) shown += std::isprint(static_cast<unsigned char>(c)) ? c : '?';
  return absl::InvalidArgumentError(absl::StrFormat(
      "%s: '%s', expected 1 to %d letters, digits, '_', '-' or '.', not beginning with '.' or '-'", what,
      shown, kMaxNameBytes));
}

std::string_view ExpertKindName(ExpertKind kind) { return kind == ExpertKind::kDense ? "dense" : "lexical"; }

absl::StatusOr<ExpertKind> ParseExpertKind(std::string_view name) {
  for (const ExpertKind kind : {ExpertKind::kDense, ExpertKind::kLexical}) {
    if (name == ExpertKindName(kind)) return kind;
  }
  return OutOfRange("kind", absl::StrFormat("'%s'", name.substr(0, 80)), "dense or lexical");
}

std::string_view FusionName(FusionChoice fusion) {
  return fusion == FusionChoice::kReciprocalRank ? "rrf" : "convex";
}

absl::StatusOr<FusionChoice> ParseFusion(std::string_view name) {
  for (const FusionChoice fusion : {FusionChoice::kReciprocalRank, FusionChoice::kConvex}) {
    if (name == FusionName(fusion)) return fusion;
  }
  return OutOfRange("fusion", absl::StrFormat("'%s'", name.substr(0, 80)), "rrf or convex");
}

absl::Status SpaceOptions::Validate() const {
  TRIVIUM_RETURN_IF_ERROR(ValidateName("space", name));
  if (dimension < 1 || dimension > kMaxDimension) {
    return OutOfRange("dimension", absl::StrFormat("%d", dimension), "1 to 65536");
  }
  return encoder.empty() ? absl::OkStatus() : ValidateName("encoder", encoder);
}

absl::Status TrainAdapterOptions::Validate() const {
  if (train.empty()) return OutOfRange("query sets", "none", "at least one");
  if (rank > kMaxDimension) return OutOfRange("rank", absl::StrFormat("%d", rank), "0 to the dimension");
  if (threads < 0) return OutOfRange("threads", absl::StrFormat("%d", threads), "0 (all) or more");
  return absl::OkStatus();
}

absl::Status ExpertOptions::Validate() const {
  TRIVIUM_RETURN_IF_ERROR(ValidateName("expert", name));
  if (name == "auto" || name == "all") {
    return OutOfRange("expert", "'" + name + "'", "a name other than auto and all, which select experts");
  }
  if (kind == ExpertKind::kDense) {
    TRIVIUM_RETURN_IF_ERROR(ValidateName("space", space));
  } else {
    if (!space.empty())
      return OutOfRange("space", "'" + space.substr(0, 80) + "'", "none: the expert is lexical");
    if (!adapter.empty()) return OutOfRange("adapter", "given", "none: the expert is lexical");
    const index::Bm25Options bm25{static_cast<float>(k1), static_cast<float>(b)};
    TRIVIUM_RETURN_IF_ERROR(bm25.Validate());
  }
  if (partition) TRIVIUM_RETURN_IF_ERROR(ValidateName("partition", *partition));
  if (!storage::IsValidUtf8(description)) {
    return OutOfRange("description", "invalid UTF-8", "UTF-8");
  }
  if (!(cost >= 0) || !std::isfinite(cost)) {
    return OutOfRange("cost", absl::StrFormat("%g", cost), "a finite number >= 0");
  }
  return absl::OkStatus();
}

absl::Status CalibrateOptions::Validate() const {
  if (!(target_recall > 0 && target_recall < 1)) {
    return OutOfRange("target_recall", absl::StrFormat("%g", target_recall), "between 0 and 1");
  }
  if (k < 1 || k > 1000) return OutOfRange("k", absl::StrFormat("%d", k), "1 to 1000");
  if (threads < 0) return OutOfRange("threads", absl::StrFormat("%d", threads), "0 (all) or more");
  return absl::OkStatus();
}

absl::Status BuildOptions::Validate() const {
  if (threads < 0) return OutOfRange("threads", absl::StrFormat("%d", threads), "0 (all) or more");
  if (degree_bound < 4 || degree_bound > 256) {
    return OutOfRange("degree_bound", absl::StrFormat("%d", degree_bound), "4 to 256");
  }
  return absl::OkStatus();
}

namespace {

// Which other option says what this one says already; empty: none.
std::string_view OtherChoice(const SearchOptions& options) {
  if (options.experts.mode != ExpertSelection::Mode::kAuto) return "experts";
  if (options.top_p) return "top_p";
  if (options.max_experts) return "max_experts";
  return "";
}

absl::Status ValidateSpending(const SearchOptions& options) {
  const char* name = options.cost ? "cost" : "budget";
  if (!options.cost && !options.budget) return absl::OkStatus();
  if (options.cost && options.budget) return OutOfRange("cost", "given with a budget", "one of them");
  if (options.cost && !(*options.cost >= 0 && *options.cost <= 1)) {
    return OutOfRange("cost", absl::StrFormat("%g", *options.cost), "0 (one expert) to 1 (all)");
  }
  if (options.budget && *options.budget < 1) return OutOfRange("budget", "0", "1 distance or more");
  const std::string_view other = OtherChoice(options);
  if (other.empty()) return absl::OkStatus();
  return OutOfRange(name, absl::StrFormat("given with %s", other), "it alone, with experts auto");
}

absl::Status ValidateRoute(const SearchOptions& options) {
  if (!options.route) return absl::OkStatus();
  std::string_view other = OtherChoice(options);
  if (options.cost || options.budget) other = options.cost ? "cost" : "budget";
  if (!options.router.empty()) other = "router";
  if (!other.empty()) return OutOfRange("route", absl::StrFormat("given with %s", other), "it alone");
  return options.route->Validate();
}

}  // namespace

absl::Status SearchOptions::Validate() const {
  if (k < 1 || k > 10000) return OutOfRange("k", absl::StrFormat("%d", k), "1 to 10000");
  if (beam_width > 100000) {
    return OutOfRange("beam_width", absl::StrFormat("%d", beam_width), "0 (the default) to 100000");
  }
  if (level > 0 && index != IndexChoice::kTree) {
    return OutOfRange("level", absl::StrFormat("%d without index tree", level), "it with index tree");
  }
  if (probes > 0 && index != IndexChoice::kCells) {
    return OutOfRange("probes", absl::StrFormat("%d without index cells", probes), "it with index cells");
  }
  if (lexical_weight && !(*lexical_weight >= 0 && *lexical_weight <= 1)) {
    return OutOfRange("lexical_weight", absl::StrFormat("%g", *lexical_weight), "0 to 1");
  }
  if (top_p && !(*top_p > 0 && *top_p <= 1)) {
    return OutOfRange("top_p", absl::StrFormat("%g", *top_p), "more than 0, at most 1");
  }
  if (max_experts && *max_experts < 1) {
    return OutOfRange("max_experts", absl::StrFormat("%d", *max_experts), "1 or more");
  }
  if (experts.mode == ExpertSelection::Mode::kNamed && experts.names.empty()) {
    return OutOfRange("experts", "an empty list", "auto, all or at least one name");
  }
  TRIVIUM_RETURN_IF_ERROR(ValidateSpending(*this));
  return ValidateRoute(*this);
}

ExpertSelection ExpertSelection::Parse(std::string_view text) {
  ExpertSelection selection;
  if (text == "auto") return selection;
  if (text == "all") {
    selection.mode = Mode::kAll;
    return selection;
  }
  selection.mode = Mode::kNamed;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    if (comma > 0) selection.names.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return selection;
}

}  // namespace trivium
