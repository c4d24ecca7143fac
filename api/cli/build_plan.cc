// SPDX-License-Identifier: Apache-2.0
#include "api/cli/build_plan.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "api/cli/arguments.h"
#include "api/cli/status_macros.h"

namespace trivium::cli {
namespace {

constexpr const char* kDefaultSpace = "default";

bool HasVectors(const CorpusPlan& corpus, const std::string& space) {
  return std::any_of(corpus.vectors.begin(), corpus.vectors.end(),
                     [&](const auto& entry) { return entry.first == space; });
}

SpacePlan* FindMutableSpace(BuildPlan& plan, const std::string& name) {
  return const_cast<SpacePlan*>(FindSpace(plan, name));
}

SpacePlan* AddSpaceOnce(const std::string& name, BuildPlan* plan) {
  if (SpacePlan* known = FindMutableSpace(*plan, name); known != nullptr) return known;
  plan->spaces.push_back({.name = name});
  return &plan->spaces.back();
}

// The space that flags mean which name none.
absl::StatusOr<std::string> MainSpace(const BuildFlags& flags, const std::vector<NamedFile>& vectors,
                                      const StoreInfo& info) {
  if (!flags.space.empty()) {
    TRIVIUM_CLI_RETURN_IF_ERROR(ValidateName("--space", flags.space));
    return flags.space;
  }
  if (info.spaces.size() == 1) return info.spaces.front().name;
  const bool needed =
      !flags.encoder.empty() ||
      std::any_of(vectors.begin(), vectors.end(), [](const NamedFile& file) { return file.space.empty(); });
  if (needed && info.spaces.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrFormat("--space: not given, expected one of the store's %d", info.spaces.size()));
  }
  if (!info.spaces.empty()) return info.spaces.front().name;
  return !needed && !vectors.empty() ? vectors.front().space : kDefaultSpace;
}

absl::Status Contradiction(const std::string& space, const char* what, std::string_view seen,
                           std::string_view expected) {
  return absl::InvalidArgumentError(
      absl::StrFormat("space '%s': %s %s, expected the store's %s", space, what, seen, expected));
}

// Takes over what the store says about its spaces.
absl::Status MergeSpaces(const StoreInfo& info, BuildPlan* plan) {
  for (const SpaceInfo& existing : info.spaces) {
    SpacePlan* space = AddSpaceOnce(existing.name, plan);
    space->exists = true;
    if (space->dimension != 0 && space->dimension != existing.dimension) {
      return Contradiction(space->name, "dimension", std::to_string(space->dimension),
                           std::to_string(existing.dimension));
    }
    if (space->metric && *space->metric != existing.metric) {
      return Contradiction(space->name, "metric", MetricName(*space->metric), MetricName(existing.metric));
    }
    if (!space->encoder.empty() && space->encoder != existing.encoder) {
      return Contradiction(space->name, "encoder", Quoted(space->encoder),
                           existing.encoder.empty() ? "vectors without one" : Quoted(existing.encoder));
    }
    space->dimension = existing.dimension;
    space->metric = existing.metric;
    space->encoder = existing.encoder;
    space->given_tree = existing.tree.given;
  }
  for (SpacePlan& space : plan->spaces) {
    TRIVIUM_CLI_RETURN_IF_ERROR(ValidateName("space", space.name));
    if (!space.metric) space.metric = Metric::kCosine;
  }
  return absl::OkStatus();
}

// Whether a lexical expert of the plan does.
bool SearchesTexts(const BuildPlan& plan, const std::string& partition) {
  return plan.lexical ||
         (plan.experts &&
          std::any_of(plan.experts->begin(), plan.experts->end(), [&](const ExpertPlan& expert) {
            return expert.kind == ExpertKind::kLexical &&
                   (!expert.partition || *expert.partition == partition);
          }));
}

absl::Status CheckCorpora(const BuildPlan& plan) {
  if (plan.corpora.empty()) return absl::InvalidArgumentError("build: no corpus, expected at least one");
  for (std::size_t i = 0; i < plan.corpora.size(); ++i) {
    const CorpusPlan& corpus = plan.corpora[i];
    TRIVIUM_CLI_RETURN_IF_ERROR(ValidateName("partition", corpus.partition));
    for (std::size_t j = 0; j < i; ++j) {
      if (plan.corpora[j].partition != corpus.partition) continue;
      return absl::InvalidArgumentError(
          absl::StrFormat("corpus: '%s' twice, expected one file a name", corpus.partition));
    }
    for (const auto& [space, file] : corpus.vectors) {
      if (FindSpace(plan, space) != nullptr) continue;
      return absl::NotFoundError(
          absl::StrFormat("space: '%s', expected one that is defined (%s)", space, file));
    }
    const bool covered = std::any_of(plan.spaces.begin(), plan.spaces.end(), [&](const SpacePlan& space) {
      return !space.encoder.empty() || HasVectors(corpus, space.name);
    });
    if (!covered && !SearchesTexts(plan, corpus.partition)) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "corpus '%s': neither vectors nor an encoder, expected --vectors, --encoder or --lexical",
          corpus.partition));
    }
  }
  return absl::OkStatus();
}

const ExpertInfo* FindExpert(const StoreInfo& info, const std::string& name) {
  const auto found = std::find_if(info.experts.begin(), info.experts.end(),
                                  [&](const ExpertInfo& expert) { return expert.name == name; });
  return found == info.experts.end() ? nullptr : &*found;
}

// An expert per corpus and space that covers it, unless the store has one already. It is called as the
// corpus; where that is taken by an expert of another space, CORPUS.SPACE.
std::vector<ExpertPlan> DefaultExperts(const StoreInfo& info, const BuildPlan& plan) {
  std::vector<ExpertPlan> experts;
  for (const CorpusPlan& corpus : plan.corpora) {
    for (const SpacePlan& space : plan.spaces) {
      if (space.encoder.empty() && !HasVectors(corpus, space.name)) continue;
      const bool present =
          std::any_of(info.experts.begin(), info.experts.end(), [&](const ExpertInfo& expert) {
            return expert.space == space.name && expert.partition == corpus.partition &&
                   !expert.adapter.present;
          });
      if (present) continue;
      const bool taken = FindExpert(info, corpus.partition) != nullptr ||
                         std::any_of(experts.begin(), experts.end(), [&](const ExpertPlan& expert) {
                           return expert.name == corpus.partition;
                         });
      ExpertPlan expert;
      expert.name = taken ? corpus.partition + "." + space.name : corpus.partition;
      expert.space = space.name;
      expert.partition = corpus.partition;
      experts.push_back(std::move(expert));
    }
  }
  return experts;
}

absl::Status CheckExperts(const StoreInfo& info, BuildPlan* plan) {
  std::vector<ExpertPlan> missing;
  for (ExpertPlan& expert : *plan->experts) {
    if (expert.kind == ExpertKind::kDense && FindSpace(*plan, expert.space) == nullptr) {
      return absl::NotFoundError(absl::StrFormat("expert '%s': space %s, expected one that is defined",
                                                 expert.name, Quoted(expert.space)));
    }
    TRIVIUM_CLI_RETURN_IF_ERROR(ToOptions(expert).Validate());
    const ExpertInfo* existing = FindExpert(info, expert.name);
    if (existing == nullptr) {
      missing.push_back(std::move(expert));
      continue;
    }
    const bool same_ranking =
        existing->kind == expert.kind && existing->space == expert.space &&
        (expert.kind == ExpertKind::kDense || (existing->k1 == expert.k1 && existing->b == expert.b));
    if (!same_ranking || existing->partition != expert.partition ||
        existing->description != expert.description || existing->cost != expert.cost ||
        existing->adapter.present || !expert.adapter_file.empty()) {
      return absl::AlreadyExistsError(absl::StrFormat(
          "expert: '%s' is in the store with another definition or an adapter, expected a new name",
          expert.name));
    }
  }
  plan->experts = std::move(missing);
  return absl::OkStatus();
}

}  // namespace

ExpertOptions ToOptions(const ExpertPlan& expert) {
  return {.name = expert.name,
          .kind = expert.kind,
          .space = expert.space,
          .partition = expert.partition,
          .description = expert.description,
          .cost = expert.cost,
          .adapter = {},
          .k1 = expert.k1,
          .b = expert.b};
}

const SpacePlan* FindSpace(const BuildPlan& plan, const std::string& name) {
  const auto found = std::find_if(plan.spaces.begin(), plan.spaces.end(),
                                  [&](const SpacePlan& space) { return space.name == name; });
  return found == plan.spaces.end() ? nullptr : &*found;
}

absl::StatusOr<BuildPlan> PlanFromFlags(const BuildFlags& flags, const StoreInfo& info) {
  std::vector<NamedFile> vectors;
  for (const std::string& text : flags.vectors) {
    TRIVIUM_CLI_ASSIGN_OR_RETURN(NamedFile file, ParseNamedFile("--vectors", text, /*allow_space=*/true));
    vectors.push_back(std::move(file));
  }
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::string main_space, MainSpace(flags, vectors, info));
  BuildPlan plan;
  plan.lexical = flags.lexical;
  if (!flags.lexical || !flags.encoder.empty() || !flags.vectors.empty()) {  // else texts may be all there is
    AddSpaceOnce(main_space, &plan)->encoder = flags.encoder;
  }
  for (NamedFile& file : vectors) {
    if (file.space.empty()) file.space = main_space;
    AddSpaceOnce(file.space, &plan);
  }
  if (!flags.metric.empty()) {
    TRIVIUM_CLI_ASSIGN_OR_RETURN(const Metric metric, ParseMetric(flags.metric));
    for (SpacePlan& space : plan.spaces) space.metric = metric;
  }
  for (const std::string& text : flags.corpora) {
    TRIVIUM_CLI_ASSIGN_OR_RETURN(const NamedFile file,
                                 ParseNamedFile("--corpus", text, /*allow_space=*/false));
    plan.corpora.push_back({file.name, file.file, {}});
  }
  for (const NamedFile& file : vectors) {
    const auto corpus =
        std::find_if(plan.corpora.begin(), plan.corpora.end(),
                     [&](const CorpusPlan& candidate) { return candidate.partition == file.name; });
    if (corpus == plan.corpora.end()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("--vectors: '%s', expected the name of a --corpus (%s)", file.name, file.file));
    }
    if (HasVectors(*corpus, file.space)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("--vectors: '%s' twice, expected one file a corpus and space", file.name));
    }
    corpus->vectors.emplace_back(file.space, file.file);
  }
  return plan;
}

absl::Status Settle(const StoreInfo& info, BuildPlan* plan) {
  TRIVIUM_CLI_RETURN_IF_ERROR(MergeSpaces(info, plan));
  TRIVIUM_CLI_RETURN_IF_ERROR(CheckCorpora(*plan));
  if (!plan->experts) plan->experts = DefaultExperts(info, *plan);
  if (plan->lexical) {
    plan->experts->push_back(
        {.name = kLexicalExpert, .partition = std::nullopt, .kind = ExpertKind::kLexical});
  }
  return CheckExperts(info, plan);
}

}  // namespace trivium::cli
