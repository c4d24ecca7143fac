// SPDX-License-Identifier: Apache-2.0
// The option structs: Python reads its keyword defaults from them, so that they are said once, in C++.
#include "trivium/options.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>

#include "arguments.h"
#include "bindings.h"
#include "errors.h"

namespace trivium::python {
namespace {

using namespace pybind11::literals;

ExpertSelection AsExperts(const py::object& experts) {
  if (PyUnicode_Check(experts.ptr())) return ExpertSelection::Parse(AsString(experts, "experts"));
  ExpertSelection selection;
  selection.mode = ExpertSelection::Mode::kNamed;
  selection.names = AsStrings(experts, "experts");
  return selection;
}

// None: no limit. An empty list would leave nobody, and is refused before it can mean everybody.
std::vector<std::string> AsNames(const py::object& names, const char* what) {
  if (names.is_none()) return {};
  std::vector<std::string> list = AsStrings(names, what);
  if (list.empty()) RaiseInvalid(std::string(what) + ": an empty list, expected at least one name, or None");
  return list;
}

IndexChoice AsIndexChoice(const std::optional<std::string>& name) {
  return name ? Check(ParseIndex(*name)) : IndexChoice::kStore;
}

std::chrono::steady_clock::time_point DeadlineIn(double seconds) {
  if (!(seconds > 0) || !std::isfinite(seconds)) {
    RaiseInvalid("timeout: " + std::to_string(seconds) + ", expected seconds, more than 0");
  }
  // A century is as good as never, and fits the clock.
  const std::chrono::duration<double> capped(std::min(seconds, 3e9));
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<std::chrono::steady_clock::duration>(capped);
}

SearchOptions MakeSearchOptions(std::int64_t k, const py::object& experts, std::string filter,
                                const std::optional<std::string>& index, std::int64_t beam_width,
                                bool load_documents, bool load_vectors, std::string router,
                                std::optional<double> top_p, std::optional<int> max_experts,
                                std::optional<double> timeout, std::optional<bool> adapters,
                                const std::optional<std::string>& fusion,
                                std::optional<double> lexical_weight, const std::string& on_reject,
                                const py::object& allowed_experts, const py::object& partitions,
                                std::optional<double> cost, std::optional<std::int64_t> budget,
                                std::optional<Route> route, bool explain, std::int64_t level,
                                std::int64_t probes, bool second_look, bool memory) {
  SearchOptions options;
  options.level = AsCount(level, "level");
  options.second_look = second_look;
  options.memory = memory;
  options.probes = AsCount(probes, "probes");
  if (adapters) options.adapters = *adapters ? AdapterUse::kAlways : AdapterUse::kNever;
  if (fusion) options.fusion = Check(ParseFusion(*fusion));
  options.lexical_weight = lexical_weight;
  options.k = AsCount(k, "k");
  options.experts = AsExperts(experts);
  options.filter = std::move(filter);
  options.index = AsIndexChoice(index);
  options.beam_width = AsCount(beam_width, "beam_width");
  options.load_documents = load_documents;
  options.load_vectors = load_vectors;
  options.router = std::move(router);
  options.top_p = top_p;
  options.max_experts = max_experts;
  options.on_reject = Check(ParseOnReject(on_reject));
  options.allowed_experts = AsNames(allowed_experts, "allowed_experts");
  options.partitions = AsNames(partitions, "partitions");
  options.cost = cost;
  if (budget) options.budget = AsCount(*budget, "budget");
  options.route = std::move(route);
  options.explain = explain;
  if (timeout) options.deadline = DeadlineIn(*timeout);
  Check(options.Validate());
  return options;
}

BuildOptions MakeBuildOptions(int threads, std::int64_t degree_bound, std::int64_t build_beam_width,
                              const std::optional<std::string>& profile) {
  BuildOptions options;
  options.threads = threads;
  options.degree_bound = AsCount(degree_bound, "degree_bound");
  options.build_beam_width = AsCount(build_beam_width, "build_beam_width");
  if (profile) options.profile = Check(ParseProfile(*profile));
  Check(options.Validate());
  return options;
}

}  // namespace

void BindOptions(py::module_& module) {
  static const SearchOptions search;
  py::class_<SearchOptions>(module, "SearchOptions")
      .def(py::init(&MakeSearchOptions), "k"_a = search.k, "experts"_a = "auto", "filter"_a = search.filter,
           "index"_a = py::none(), "beam_width"_a = search.beam_width,
           "load_documents"_a = search.load_documents, "load_vectors"_a = search.load_vectors,
           "router"_a = search.router, "top_p"_a = search.top_p, "max_experts"_a = search.max_experts,
           "timeout"_a = py::none(), "adapters"_a = py::none(), "fusion"_a = py::none(),
           "lexical_weight"_a = py::none(), "on_reject"_a = std::string(OnRejectName(search.on_reject)),
           "allowed_experts"_a = py::none(), "partitions"_a = py::none(), "cost"_a = py::none(),
           "budget"_a = py::none(), "route"_a = py::none(), "explain"_a = search.explain,
           "level"_a = search.level, "probes"_a = search.probes, "second_look"_a = search.second_look,
           "memory"_a = search.memory)
      .def_readonly("k", &SearchOptions::k)
      .def_readonly("beam_width", &SearchOptions::beam_width)
      .def_readonly("level", &SearchOptions::level)
      .def_readonly("probes", &SearchOptions::probes)
      .def_readonly("load_documents", &SearchOptions::load_documents)
      .def_readonly("load_vectors", &SearchOptions::load_vectors)
      .def_readonly("second_look", &SearchOptions::second_look)
      .def_readonly("memory", &SearchOptions::memory);

  static const BuildOptions build;
  py::class_<BuildOptions>(module, "BuildOptions")
      .def(py::init(&MakeBuildOptions), "threads"_a = build.threads, "degree_bound"_a = build.degree_bound,
           "build_beam_width"_a = build.build_beam_width, "profile"_a = py::none())
      .def_readonly("threads", &BuildOptions::threads)
      .def_readonly("degree_bound", &BuildOptions::degree_bound)
      .def_readonly("build_beam_width", &BuildOptions::build_beam_width);

  static const TrainDispatchOptions train;
  py::class_<TrainDispatchOptions>(module, "TrainDispatchOptions")
      .def(py::init([](const py::object& routers, const py::object& seed, int threads,
                       double guard_acceptance, bool label_free) {
             TrainDispatchOptions options;
             options.label_free = label_free;
             options.guard_acceptance = guard_acceptance;
             if (!routers.is_none()) options.routers = AsStrings(routers, "routers");
             options.seed = AsSeed(seed);
             options.threads = threads;
             return options;
           }),
           "routers"_a = py::none(), "seed"_a = train.seed, "threads"_a = train.threads,
           "guard_acceptance"_a = train.guard_acceptance, "label_free"_a = train.label_free)
      .def_readonly("guard_acceptance", &TrainDispatchOptions::guard_acceptance)
      .def_readonly("seed", &TrainDispatchOptions::seed)
      .def_readonly("threads", &TrainDispatchOptions::threads);

  static const TrainAdapterOptions adapter;
  py::class_<TrainAdapterOptions>(module, "TrainAdapterOptions")
      .def(py::init([](std::string expert, std::int64_t rank, std::uint64_t seed, int threads) {
             TrainAdapterOptions options;
             options.expert = std::move(expert);
             options.rank = AsCount(rank, "rank");
             options.seed = seed;
             options.threads = threads;
             return options;
           }),
           "expert"_a = adapter.expert, "rank"_a = adapter.rank, "seed"_a = adapter.seed,
           "threads"_a = adapter.threads)
      .def_readonly("rank", &TrainAdapterOptions::rank)
      .def_readonly("seed", &TrainAdapterOptions::seed)
      .def_readonly("threads", &TrainAdapterOptions::threads);

  static const TreeTrainingOptions tree;
  py::class_<TreeTrainingOptions>(module, "TreeTrainingOptions")
      .def(py::init([](const std::string& use, std::int64_t depth, bool mlp, std::int64_t steps,
                       const py::object& seed, int threads, bool ignore_gate, std::string checkpoint,
                       double entropy_weight) {
             TreeTrainingOptions options;
             options.use = Check(ParseTreeUse(use));
             options.depth = AsCount(depth, "depth");
             options.mlp = mlp;
             options.steps = AsCount(steps, "steps");
             options.seed = AsSeed(seed);
             options.threads = threads;
             options.ignore_gate = ignore_gate;
             options.checkpoint = std::move(checkpoint);
             options.entropy_weight = entropy_weight;
             Check(options.Validate());
             return options;
           }),
           "use"_a = std::string(TreeUseName(tree.use)), "depth"_a = tree.depth, "mlp"_a = tree.mlp,
           "steps"_a = tree.steps, "seed"_a = tree.seed, "threads"_a = tree.threads,
           "ignore_gate"_a = tree.ignore_gate, "checkpoint"_a = tree.checkpoint,
           "entropy_weight"_a = tree.entropy_weight)
      .def_readonly("depth", &TreeTrainingOptions::depth)
      .def_readonly("steps", &TreeTrainingOptions::steps)
      .def_readonly("seed", &TreeTrainingOptions::seed)
      .def_readonly("threads", &TreeTrainingOptions::threads);

  static const EvaluateOptions evaluate;
  py::class_<EvaluateOptions>(module, "EvaluateOptions")
      .def(py::init([](const SearchOptions& options, std::int64_t depth, bool compare, bool keep_runs,
                       std::int64_t typos) {
             EvaluateOptions evaluate_options;
             evaluate_options.search = options;
             evaluate_options.depth = AsCount(depth, "depth");
             evaluate_options.compare = compare;
             evaluate_options.keep_runs = keep_runs;
             evaluate_options.typos = AsCount(typos, "typos");
             return evaluate_options;
           }),
           "search"_a = search, "depth"_a = evaluate.depth, "compare"_a = evaluate.compare,
           "keep_runs"_a = evaluate.keep_runs, "typos"_a = evaluate.typos)
      .def_readonly("depth", &EvaluateOptions::depth)
      .def_readonly("compare", &EvaluateOptions::compare)
      .def_readonly("keep_runs", &EvaluateOptions::keep_runs)
      .def_readonly("typos", &EvaluateOptions::typos);
}

}  // namespace trivium::python
