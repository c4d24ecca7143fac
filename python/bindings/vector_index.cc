// SPDX-License-Identifier: Apache-2.0
#include "trivium/vector_index.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <mutex>
#include <shared_mutex>

#include "arguments.h"
#include "bindings.h"
#include "engine_call.h"
#include "results.h"

namespace trivium::python {
namespace {

using namespace pybind11::literals;

using LabelArray = py::array_t<std::uint64_t, py::array::c_style | py::array::forcecast>;
using ScoreArray = py::array_t<float, py::array::c_style>;

constexpr std::uint64_t kNoLabel = std::numeric_limits<std::uint64_t>::max();

absl::Span<const std::uint64_t> AsSpan(const LabelArray& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

// The method names of Store.search.
VectorSearchOptions AsSearchOptions(std::int64_t k, const std::optional<std::string>& index,
                                    std::int64_t beam_width, VectorFilter filter) {
  VectorSearchOptions options;
  options.k = AsCount(k, "k");
  options.beam_width = AsCount(beam_width, "beam_width");
  options.filter = std::move(filter);
  if (index) {
    options.exact = *index == "exact";
    options.force_graph = *index == "graph";
    if (!options.exact && !options.force_graph) {
      RaiseInvalid("index: '" + *index + "', expected 'graph', 'exact' or None");
    }
  }
  Check(options.Validate());
  return options;
}

// trivium._trivium.VectorIndex: the index with a lock, since Python threads do not know which methods may run
// at the same time. The lock is only waited for without the GIL.
class PythonVectorIndex {
  template <class Work>
  void Write(Work work) {
    CallEngine([&] {
      const std::unique_lock<std::shared_mutex> lock(mutex_);
      return work();
    });
  }
  template <class Work>
  auto Read(Work work) const {
    return CallEngine([&] {
      const std::shared_lock<std::shared_mutex> lock(mutex_);
      return work();
    });
  }
  // For what cannot fail.
  template <class Work>
  auto Look(Work work) const {
    py::gil_scoped_release release;
    const std::shared_lock<std::shared_mutex> lock(mutex_);
    return work();
  }

  PythonVectorIndex(VectorIndex index, std::shared_ptr<Progress*> progress)
      : index_(std::move(index)), progress_(std::move(progress)) {}

  VectorIndex index_;
  std::shared_ptr<Progress*> progress_;  // of the Add that runs
  mutable std::shared_mutex mutex_;

 public:
  // `make` gets the options and returns StatusOr<VectorIndex>.
  template <class Make>
  static std::unique_ptr<PythonVectorIndex> New(VectorIndexOptions options, Make make) {
    auto current = std::make_shared<Progress*>(nullptr);
    options.progress = [current](std::string_view stage, std::uint64_t done, std::uint64_t total) {
      if (*current != nullptr) (*current)->function()(stage, done, total);
    };
    VectorIndex index = CallEngine([&] { return make(options); });
    return std::unique_ptr<PythonVectorIndex>(new PythonVectorIndex(std::move(index), std::move(current)));
  }

  void Add(const LabelArray& labels, const py::object& vectors, const py::object& progress) {
    const HeldMatrix rows = AsMatrix(vectors, "vectors");
    Progress report(progress);
    CallEngine([&] {
      const std::unique_lock<std::shared_mutex> lock(mutex_);
      *progress_ = &report;
      absl::Status status = index_.Add(AsSpan(labels), rows.view);
      *progress_ = nullptr;
      return status;
    });
  }

  void Remove(const LabelArray& labels) {
    Write([&] { return index_.Remove(AsSpan(labels)); });
  }
  void Compact() {
    Write([&] { return index_.Compact(); });
  }
  py::object Calibrate(const py::object& queries, double target_recall, std::int64_t k, int threads) {
    const HeldMatrix rows = AsMatrix(queries, "queries");
    const VectorCalibrateOptions options{
        .target_recall = target_recall, .k = AsCount(k, "k"), .threads = threads};
    return AsPython(CallEngine([&] {
      const std::unique_lock<std::shared_mutex> lock(mutex_);
      return index_.Calibrate(rows.view, options);
    }));
  }
  py::object TrainGraph(const py::object& queries, GraphTrainingOptions options, const py::object& progress) {
    HeldMatrix rows;
    if (!queries.is_none()) rows = AsMatrix(queries, "queries");
    Progress report(progress);
    options.progress = report.function();
    options.cancelled = report.cancelled();
    return AsPython(CallEngine([&] {
      const std::unique_lock<std::shared_mutex> lock(mutex_);
      return index_.TrainGraph(rows.view, options);
    }));
  }
  py::object GraphDrift(const py::object& queries, double recall, std::int64_t vertices, int threads) const {
    HeldMatrix rows;
    if (!queries.is_none()) rows = AsMatrix(queries, "queries");
    const GraphDriftOptions options{
        .recall = recall, .vertices = AsCount(vertices, "vertices"), .threads = threads};
    return AsPython(Read([&] { return index_.GraphDrift(rows.view, options); }));
  }
  py::object TraceWalk(const py::object& query, std::int64_t k, std::int64_t beam_width) const {
    const HeldMatrix row = AsRow(query, "query");
    const WalkOptions options{.k = AsCount(k, "k"), .beam_width = AsCount(beam_width, "beam_width")};
    return AsPython(Read([&] { return index_.TraceWalk({row.view.data, row.view.columns}, options); }));
  }
  std::string training() const {
    return Look([&] { return index_.training(); });
  }
  void Save(const std::string& path) {
    Write([&] { return index_.Save(path); });
  }

  std::size_t size() const {
    return Look([&] { return index_.size(); });
  }
  std::size_t dimension() const { return index_.dimension(); }
  std::string metric() const { return std::string(MetricName(index_.metric())); }
  std::string algorithm() const { return std::string(VectorIndexAlgorithmName(index_.algorithm())); }
  std::string profile() const { return std::string(ProfileName(index_.profile())); }
  std::size_t beam_width() const {
    return Look([&] { return index_.beam_width(); });
  }
  double target_recall() const {
    return Look([&] { return index_.target_recall(); });
  }

  py::dict MemoryBytes() const {
    const VectorIndexMemory memory = Look([&] { return index_.MemoryBytes(); });
    return py::dict("rows"_a = memory.rows, "graph"_a = memory.graph, "codes"_a = memory.codes,
                    "labels"_a = memory.labels, "training"_a = memory.training);
  }

  bool Contains(std::uint64_t label) const {
    return Look([&] { return index_.Contains(label); });
  }

  LabelArray Labels() const {
    const std::vector<std::uint64_t> labels = Look([&] { return index_.Labels(); });
    return LabelArray(static_cast<py::ssize_t>(labels.size()), labels.data());
  }

  ScoreArray Get(std::uint64_t label) const {
    const std::vector<float> vector = Read([&] { return index_.Get(label); });
    return ScoreArray(static_cast<py::ssize_t>(vector.size()), vector.data());
  }

  VectorFilter AllowLabels(const LabelArray& labels) const {
    return Look([&] { return index_.AllowLabels(AsSpan(labels)); });
  }
  VectorFilter AllowBitmap(const LabelArray& words) const {
    return Look([&] { return index_.AllowBitmap(AsSpan(words)); });
  }

  py::tuple Search(const py::object& query, std::int64_t k, const VectorFilter& filter,
                   const std::optional<std::string>& index, std::int64_t beam_width) const {
    const HeldMatrix row = AsRow(query, "query");
    VectorSearchOptions options = AsSearchOptions(k, index, beam_width, filter);
    options.k = std::min(options.k, std::max<std::size_t>(size(), 1));
    std::vector<std::uint64_t> labels(options.k);
    std::vector<float> scores(options.k);
    VectorSearchStats stats;
    const auto count = static_cast<py::ssize_t>(Read([&] {
      return index_.Search({row.view.data, row.view.columns}, options, absl::MakeSpan(labels),
                           absl::MakeSpan(scores), &stats);
    }));
    return py::make_tuple(LabelArray(count, labels.data()), ScoreArray(count, scores.data()), stats.hops,
                          stats.distance_computations, stats.bytes_read);
  }

  py::tuple SearchBatch(const py::object& queries, std::int64_t k, int threads, const VectorFilter& filter,
                        const std::optional<std::string>& index, std::int64_t beam_width) const {
    const HeldMatrix rows = AsMatrix(queries, "queries");
    const VectorSearchOptions options = AsSearchOptions(k, index, beam_width, filter);
    const auto n = static_cast<py::ssize_t>(rows.view.rows);
    LabelArray labels({n, static_cast<py::ssize_t>(options.k)});
    ScoreArray scores({n, static_cast<py::ssize_t>(options.k)});
    const auto places = static_cast<std::size_t>(labels.size());
    const absl::Span<std::uint64_t> label_span(labels.mutable_data(), places);
    const absl::Span<float> score_span(scores.mutable_data(), places);
    std::fill(label_span.begin(), label_span.end(), kNoLabel);
    std::fill(score_span.begin(), score_span.end(), -std::numeric_limits<float>::infinity());
    std::vector<std::size_t> counts(rows.view.rows);
    VectorSearchStats stats;
    Read([&] {
      return index_.SearchBatch(rows.view, options, threads, label_span, score_span, absl::MakeSpan(counts),
                                &stats);
    });
    return py::make_tuple(labels, scores, stats.hops, stats.distance_computations, stats.bytes_read);
  }
};

VectorIndexOptions MakeOptions(std::int64_t dimension, const std::string& metric,
                               const std::string& algorithm, std::int64_t degree_bound,
                               std::int64_t build_beam_width, std::int64_t cell_count, int threads,
                               std::uint64_t seed, const std::string& profile) {
  VectorIndexOptions options;
  options.dimension = AsCount(dimension, "dimension");
  options.metric = Check(ParseMetric(metric));
  options.algorithm = Check(ParseVectorIndexAlgorithm(algorithm));
  options.degree_bound = AsCount(degree_bound, "degree_bound");
  options.build_beam_width = AsCount(build_beam_width, "build_beam_width");
  options.cell_count = AsCount(cell_count, "cell_count");
  options.threads = threads;
  options.seed = seed;
  options.profile = Check(ParseProfile(profile));
  return options;
}

std::unique_ptr<PythonVectorIndex> Load(const std::string& path, const std::optional<std::string>& algorithm,
                                        bool verify, int threads) {
  VectorIndexLoadOptions options;
  if (algorithm) options.algorithm = Check(ParseVectorIndexAlgorithm(*algorithm));
  options.verify = verify;
  options.threads = threads;
  return PythonVectorIndex::New({},
                                [&](const VectorIndexOptions&) { return VectorIndex::Load(path, options); });
}

}  // namespace

void BindVectorIndex(py::module_& module) {
  static const VectorIndexOptions defaults;
  py::class_<VectorIndexOptions>(module, "VectorIndexOptions")
      .def(py::init(&MakeOptions), "dimension"_a = defaults.dimension,
           "metric"_a = std::string(MetricName(defaults.metric)),
           "algorithm"_a = std::string(VectorIndexAlgorithmName(defaults.algorithm)),
           "degree_bound"_a = defaults.degree_bound, "build_beam_width"_a = defaults.build_beam_width,
           "cell_count"_a = defaults.cell_count, "threads"_a = defaults.threads, "seed"_a = defaults.seed,
           "profile"_a = std::string(ProfileName(defaults.profile)))
      .def_readonly("degree_bound", &VectorIndexOptions::degree_bound)
      .def_readonly("build_beam_width", &VectorIndexOptions::build_beam_width)
      .def_readonly("cell_count", &VectorIndexOptions::cell_count)
      .def_readonly("threads", &VectorIndexOptions::threads)
      .def_readonly("seed", &VectorIndexOptions::seed)
      .def_property_readonly("profile", [](const VectorIndexOptions& options) {
        return std::string(ProfileName(options.profile));
      });

  const GraphTrainingOptions training;
  py::class_<GraphTrainingOptions>(module, "GraphTrainingOptions")
      .def(py::init([](bool entries, bool edges, bool codes, bool fine_tune, double recall,
                       const py::object& seed, int threads, bool ignore_gate, std::string checkpoint) {
             GraphTrainingOptions options;
             options.entries = entries;
             options.edges = edges;
             options.codes = codes;
             options.fine_tune = fine_tune;
             options.recall = recall;
             options.seed = AsSeed(seed);
             options.threads = threads;
             options.ignore_gate = ignore_gate;
             options.checkpoint = std::move(checkpoint);
             return options;
           }),
           "entries"_a = training.entries, "edges"_a = training.edges, "codes"_a = training.codes,
           "fine_tune"_a = training.fine_tune, "recall"_a = training.recall, "seed"_a = training.seed,
           "threads"_a = training.threads, "ignore_gate"_a = training.ignore_gate,
           "checkpoint"_a = training.checkpoint);

  py::class_<VectorFilter>(module, "VectorFilter",
                           "Which labels a search may return; made by VectorIndex.filter.")
      .def(py::init<>());

  py::class_<PythonVectorIndex>(module, "VectorIndex")
      .def_static("create",
                  [](const VectorIndexOptions& options) {
                    return PythonVectorIndex::New(options, &VectorIndex::Create);
                  })
      .def_static("load", &Load)
      .def_static("import_hnswlib",
                  [](const std::string& path, const VectorIndexOptions& options) {
                    return PythonVectorIndex::New(
                        options, [&](const auto& all) { return VectorIndex::ImportHnswlib(path, all); });
                  })
      .def_static("import_faiss",
                  [](const std::string& path, const VectorIndexOptions& options) {
                    return PythonVectorIndex::New(
                        options, [&](const auto& all) { return VectorIndex::ImportFaiss(path, all); });
                  })
      .def("add", &PythonVectorIndex::Add)
      .def("remove", &PythonVectorIndex::Remove)
      .def("compact", &PythonVectorIndex::Compact)
      .def("calibrate", &PythonVectorIndex::Calibrate)
      .def("train_graph", &PythonVectorIndex::TrainGraph)
      .def("graph_drift", &PythonVectorIndex::GraphDrift)
      .def("trace_walk", &PythonVectorIndex::TraceWalk)
      .def("save", &PythonVectorIndex::Save)
      .def("__len__", &PythonVectorIndex::size)
      .def("__contains__", &PythonVectorIndex::Contains)
      .def("labels", &PythonVectorIndex::Labels)
      .def("get", &PythonVectorIndex::Get)
      .def("allow_labels", &PythonVectorIndex::AllowLabels)
      .def("allow_bitmap", &PythonVectorIndex::AllowBitmap)
      .def("search", &PythonVectorIndex::Search)
      .def("search_batch", &PythonVectorIndex::SearchBatch)
      .def_property_readonly("dimension", &PythonVectorIndex::dimension)
      .def_property_readonly("training", &PythonVectorIndex::training)
      .def_property_readonly("metric", &PythonVectorIndex::metric)
      .def_property_readonly("algorithm", &PythonVectorIndex::algorithm)
      .def_property_readonly("profile", &PythonVectorIndex::profile)
      .def_property_readonly("beam_width", &PythonVectorIndex::beam_width)
      .def_property_readonly("target_recall", &PythonVectorIndex::target_recall)
      .def("memory_bytes", &PythonVectorIndex::MemoryBytes);
}

}  // namespace trivium::python
