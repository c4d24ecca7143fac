// SPDX-License-Identifier: Apache-2.0
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include "arguments.h"
#include "bindings.h"
#include "encoder.h"
#include "engine_call.h"
#include "feedback.h"
#include "query_set.h"
#include "results.h"
#include "trivium/engine.h"

namespace trivium::python {
namespace {

using namespace pybind11::literals;

Durability AsDurability(const std::string& name) {
  if (name == "sync") return Durability::kSync;
  if (name == "async") return Durability::kAsync;
  RaiseInvalid("durability: '" + name + "', expected 'sync' or 'async'");
}

OnConflict AsOnConflict(const std::string& name) {
  if (name == "replace") return OnConflict::kReplace;
  if (name == "error") return OnConflict::kError;
  RaiseInvalid("on_conflict: '" + name + "', expected 'replace' or 'error'");
}

// The values of a square matrix, row-major.
std::vector<float> AsAdapter(const py::object& adapter) {
  const HeldMatrix matrix = AsMatrix(adapter, "adapter");
  if (matrix.view.rows != matrix.view.columns || matrix.view.rows == 0) {
    RaiseInvalid("adapter: shape (" + std::to_string(matrix.view.rows) + ", " +
                 std::to_string(matrix.view.columns) + "), expected (dimension, dimension)");
  }
  return {matrix.view.data, matrix.view.data + matrix.view.rows * matrix.view.columns};
}

// trivium._trivium.Store. Every method that does work releases the GIL.
class PythonStore {
 public:
  PythonStore(const py::object& path, bool read_only, bool create, const std::string& durability,
              const py::dict& encoders) {
    OpenOptions options;
    options.read_only = read_only;
    options.create_if_missing = create;
    options.durability = AsDurability(durability);
    for (const auto& [key, value] : encoders) {
      const std::string name = AsString(key, "encoders");
      if (!PyCallable_Check(value.ptr())) {
        throw py::type_error("encoders['" + name + "']: a " + TypeName(value) + ", expected a callable");
      }
      auto encoder = std::make_shared<PythonEncoder>(name, py::reinterpret_borrow<py::object>(value));
      encoders_[name] = encoder;
      options.encoders[name] = encoder;
    }
    const std::string directory = AsString(path, "path");
    store_ = CallEngine([&] { return Store::Open(directory, std::move(options)); });
    TellEncoders();
  }

  ~PythonStore() {
    py::gil_scoped_release release;
    store_.reset();
  }

  void Close() {
    CallEngine([&] { return store_->Close(); });
  }
  void Refresh() {
    CallEngine([&] { return store_->Refresh(); });
    TellEncoders();
  }

  void AddSpace(const py::object& name, std::int64_t dimension, const std::string& metric,
                const py::object& encoder) {
    SpaceOptions options;
    options.name = AsString(name, "space");
    options.dimension = AsCount(dimension, "dimension");
    options.metric = Check(ParseMetric(metric));
    options.encoder = AsOptionalString(encoder, "encoder").value_or("");
    CallEngine([&] { return store_->AddSpace(options); });
    TellEncoder(options.encoder, options.dimension);
  }

  void AddExpert(const py::object& name, const py::object& space, const py::object& partition,
                 const py::object& description, const py::object& adapter, double cost,
                 const std::string& kind, double k1, double b) {
    ExpertOptions options;
    options.name = AsString(name, "expert");
    options.kind = Check(ParseExpertKind(kind));
    options.space = AsOptionalString(space, "space").value_or("");
    options.k1 = k1;
    options.b = b;
    options.partition = AsOptionalString(partition, "partition");
    options.description = AsString(description, "description");
    options.cost = cost;
    if (!adapter.is_none()) options.adapter = AsAdapter(adapter);
    CallEngine([&] { return store_->AddExpert(options); });
  }

  void RemoveExpert(const py::object& name) {
    const std::string expert = AsString(name, "expert");
    CallEngine([&] { return store_->RemoveExpert(expert); });
  }

  bool HasSpace(const std::string& name) const { return store_->HasSpace(name); }
  bool HasExpert(const std::string& name) const { return store_->HasExpert(name); }

  py::object Upsert(const py::object& ids, const py::object& vectors, const py::object& texts,
                    const py::object& metadata, const py::object& partition, const std::string& on_conflict,
                    bool encode, const py::object& progress) {
    const std::vector<std::string> id_list = AsStrings(ids, "ids");
    const std::vector<std::string> text_list = AsOptionalStrings(texts, "texts");
    const std::vector<std::string> metadata_list = AsOptionalStrings(metadata, "metadata");
    HeldVectors held = AsVectors(vectors, "vectors", &AsMatrix);
    Progress report(progress);
    UpsertBatch batch;
    batch.ids = id_list;
    batch.texts = text_list;
    batch.metadata = metadata_list;
    batch.vectors = std::move(held.views);
    batch.partition = AsString(partition, "partition");
    batch.on_conflict = AsOnConflict(on_conflict);
    batch.encode = encode;
    batch.progress = report.function();
    return AsPython(CallEngine([&] { return store_->Upsert(batch); }));
  }

  py::list Get(const py::object& ids, const py::object& partition) const {
    const std::vector<std::string> id_list = AsStrings(ids, "ids");
    const auto partition_name = AsOptionalString(partition, "partition");
    auto documents = CallEngine([&] { return store_->Get(id_list, partition_name); });
    py::list list(documents.size());
    for (std::size_t i = 0; i < documents.size(); ++i) {
      list[i] = documents[i] ? py::cast(*std::move(documents[i])) : py::object(py::none());
    }
    return list;
  }

  std::uint64_t Delete(const py::object& ids, const py::object& partition, const std::string& filter) {
    std::optional<std::vector<std::string>> id_list;
    if (!ids.is_none()) id_list = AsStrings(ids, "ids");
    const auto partition_name = AsOptionalString(partition, "partition");
    return CallEngine([&] { return store_->Delete(id_list, partition_name, filter); });
  }

  void UpdateMetadata(const py::object& ids, const py::object& metadata, const py::object& partition) {
    const std::vector<std::string> id_list = AsStrings(ids, "ids");
    const std::vector<std::string> metadata_list = AsOptionalStrings(metadata, "metadata");
    const auto partition_name = AsOptionalString(partition, "partition");
    CallEngine([&] { return store_->UpdateMetadata(id_list, metadata_list, partition_name); });
  }

  std::uint64_t Count(const std::string& filter, const py::object& partition) const {
    const auto partition_name = AsOptionalString(partition, "partition");
    return CallEngine([&] { return store_->Count(filter, partition_name); });
  }

  // (partition, id) of every matching document, in the order they were written.
  std::vector<std::pair<std::string, std::string>> Keys(const std::string& filter,
                                                        const py::object& partition) const {
    const auto partition_name = AsOptionalString(partition, "partition");
    std::vector<std::pair<std::string, std::string>> keys;
    CallEngine([&] {
      return store_->Scan(filter, partition_name, [&](const Document& document) {
        keys.emplace_back(document.partition, document.id);
        return true;
      });
    });
    return keys;
  }

  py::object Build(BuildOptions options, const py::object& progress) {
    Progress report(progress);
    options.progress = report.function();
    options.cancelled = report.cancelled();
    return AsPython(CallEngine([&] { return store_->Build(options); }));
  }

  py::object Calibrate(const py::object& queries, double target_recall, std::int64_t k, int threads,
                       const py::object& progress) {
    HeldVectors held;
    if (!queries.is_none()) held = AsVectors(queries, "queries", &AsMatrix);
    Progress report(progress);
    CalibrateOptions options{.target_recall = target_recall,
                             .k = AsCount(k, "k"),
                             .queries = std::move(held.views),
                             .threads = threads,
                             .cancelled = report.cancelled()};
    return AsPython(CallEngine([&] { return store_->Calibrate(options); }));
  }

  py::object TrainGraph(std::vector<std::string> texts, const py::object& vectors, const std::string& expert,
                        GraphTrainingOptions training, const py::object& progress) {
    HeldVectors held;
    if (!vectors.is_none()) held = AsVectors(vectors, "queries", &AsMatrix);
    Progress report(progress);
    training.progress = report.function();
    training.cancelled = report.cancelled();
    const TrainGraphOptions options{.texts = std::move(texts),
                                    .vectors = std::move(held.views),
                                    .expert = expert,
                                    .training = std::move(training)};
    return AsPython(CallEngine([&] { return store_->TrainGraph(options); }));
  }

  py::object GraphDrift(std::vector<std::string> texts, const py::object& vectors, const std::string& expert,
                        double recall, std::int64_t vertices, int threads) const {
    HeldVectors held;
    if (!vectors.is_none()) held = AsVectors(vectors, "queries", &AsMatrix);
    const StoreDriftOptions options{
        .texts = std::move(texts),
        .vectors = std::move(held.views),
        .expert = expert,
        .drift = {.recall = recall, .vertices = AsCount(vertices, "vertices"), .threads = threads}};
    return AsPython(CallEngine([&] { return store_->GraphDrift(options); }));
  }

  py::object TraceWalks(const py::object& query, const std::string& expert, std::int64_t k,
                        std::int64_t beam_width) const {
    std::string text;
    HeldVectors held;
    if (PyUnicode_Check(query.ptr())) {
      text = AsString(query, "query");
    } else {
      held = AsVectors(query, "query", &AsRow);
    }
    const StoreWalkOptions options{
        .text = text,
        .vectors = std::move(held.views),
        .expert = expert,
        .walk = {.k = AsCount(k, "k"), .beam_width = AsCount(beam_width, "beam_width")}};
    return AsPython(CallEngine([&] { return store_->TraceWalks(options); }));
  }

  py::object TrainDispatch(TrainDispatchOptions options, const std::vector<const HeldQuerySet*>& train,
                           const std::vector<const HeldQuerySet*>& validation,
                           const py::object& background_texts, const py::object& background_vectors,
                           const py::object& progress) {
    Progress report(progress);
    HeldVectors held = AsVectors(background_vectors, "background", &AsMatrix);
    options.background.texts = AsStrings(background_texts, "background");
    options.background.vectors = std::move(held.views);
    options.train = AsQuerySets(train);
    options.validation = AsQuerySets(validation);
    options.progress = report.function();
    options.cancelled = report.cancelled();
    return AsPython(CallEngine([&] { return store_->TrainDispatch(options); }));
  }

  py::object TrainAdapter(TrainAdapterOptions options, const std::vector<const HeldQuerySet*>& train,
                          const py::object& progress) {
    Progress report(progress);
    options.train = AsQuerySets(train);
    options.progress = report.function();
    options.cancelled = report.cancelled();
    return AsPython(CallEngine([&] { return store_->TrainAdapter(options); }));
  }

  py::object TrainTree(const std::vector<const HeldQuerySet*>& queries, const std::string& space,
                       TreeTrainingOptions training, const py::object& progress) {
    Progress report(progress);
    training.progress = report.function();
    training.cancelled = report.cancelled();
    const TrainTreeOptions options{
        .queries = AsQuerySets(queries), .space = space, .training = std::move(training)};
    return AsPython(CallEngine([&] { return store_->TrainTree(options); }));
  }

  py::object InspectTree(const std::string& space, std::int64_t levels, std::int64_t node, std::int64_t terms,
                         std::int64_t typical, const py::object& question, const std::string& document,
                         const std::string& partition) const {
    HeldVectors held;
    InspectTreeOptions options{.space = space,
                               .levels = AsCount(levels, "levels"),
                               .node = AsCount(node, "node"),
                               .terms = AsCount(terms, "terms"),
                               .typical = AsCount(typical, "typical"),
                               .question = {},
                               .document = document,
                               .partition = partition};
    if (PyUnicode_Check(question.ptr())) {
      options.question.text = AsString(question, "question");
    } else if (!question.is_none()) {
      held = AsVectors(question, "question", &AsRow);
      options.question.vectors = std::move(held.views);
    }
    return AsPython(CallEngine([&] { return store_->InspectTree(options); }), !document.empty());
  }

  void SetAdapter(const py::object& matrix, const std::string& expert, const std::string& space) {
    SetAdapterOptions options{.expert = expert, .space = space, .matrix = {}};
    if (!matrix.is_none()) options.matrix = AsAdapter(matrix);
    CallEngine([&] { return store_->SetAdapter(options); });
  }

  void SetTree(bool given, const std::string& space, int threads) {
    CallEngine([&] { return store_->SetTree({.space = space, .given = given, .threads = threads}); });
  }

  py::object GetAdapter(const std::string& expert, const std::string& space) const {
    const std::vector<float> matrix = CallEngine([&] { return store_->GetAdapter(expert, space); });
    if (matrix.empty()) return py::none();
    const auto dimension = static_cast<py::ssize_t>(std::lround(std::sqrt(double(matrix.size()))));
    return py::array_t<float>({dimension, dimension}, matrix.data());
  }

  py::object Feedback(const py::list& queries, const py::list& hits, const py::object& relevant,
                      const py::object& clicked, const py::object& sources) {
    const HeldFeedback held = AsFeedback(queries, hits, relevant, clicked, sources);
    return AsPython(CallEngine([&] { return store_->Feedback(held.items); }));
  }

  void Quarantine(const py::object& expert, const py::object& reason) {
    const std::string name = AsString(expert, "expert"), why = AsString(reason, "reason");
    CallEngine([&] { return store_->Quarantine(name, why); });
  }

  void LiftQuarantine(const py::object& expert) {
    const std::string name = AsString(expert, "expert");
    CallEngine([&] { return store_->LiftQuarantine(name); });
  }

  SearchResult Search(const py::object& query, const SearchOptions& options) const {
    Query question;
    HeldVectors held;
    if (PyUnicode_Check(query.ptr())) {
      question.text = AsString(query, "query");
    } else {
      held = AsVectors(query, "query", &AsRow);
      question.vectors = std::move(held.views);
    }
    return CallEngine([&] { return store_->Search(question, options); });
  }

  BatchResult SearchBatch(const py::object& vectors, const py::object& texts, const SearchOptions& options,
                          int threads) const {
    const HeldVectors held = AsVectors(vectors, "queries", &AsMatrix);
    const std::vector<std::string> text_list =
        texts.is_none() ? std::vector<std::string>() : AsStrings(texts, "queries");
    return CallEngine([&] { return store_->SearchBatch(held.views, text_list, options, threads); });
  }

  py::object Evaluate(EvaluateOptions options, const std::vector<const HeldQuerySet*>& sets,
                      const std::vector<const HeldQuerySet*>& training, const py::object& progress) const {
    Progress report(progress);
    options.sets = AsQuerySets(sets);
    options.training = AsQuerySets(training);
    options.search.cancelled = report.cancelled();
    options.progress = report.function();
    return AsPython(CallEngine([&] { return store_->Evaluate(options); }));
  }

  py::object Inspect() const {
    return AsPython(CallEngine([&] { return store_->Inspect(); }));
  }
  py::object Verify() const {
    return AsPython(CallEngine([&] { return store_->Verify(); }));
  }

  py::object Compact(BuildOptions options, const py::object& progress) {
    Progress report(progress);
    options.progress = report.function();
    options.cancelled = report.cancelled();
    return AsPython(CallEngine([&] { return store_->Compact(options); }));
  }

  void Snapshot(const py::object& destination) {
    const std::string directory = AsString(destination, "destination");
    CallEngine([&] { return store_->Snapshot(directory); });
  }

 private:
  // Encoders learn their dimension from the spaces that name them.
  void TellEncoders() {
    if (encoders_.empty()) return;
    for (const SpaceInfo& space : CallEngine([&] { return store_->Inspect(); }).spaces) {
      TellEncoder(space.encoder, space.dimension);
    }
  }

  void TellEncoder(const std::string& name, std::size_t dimension) {
    const auto found = encoders_.find(name);
    if (found != encoders_.end()) found->second->SetDimensionIfUnknown(dimension);
  }

  std::map<std::string, std::shared_ptr<PythonEncoder>> encoders_;
  std::unique_ptr<Store> store_;
};

void Restore(const py::object& source, const py::object& destination) {
  const std::string from = AsString(source, "source");
  const std::string to = AsString(destination, "destination");
  CallEngine([&] { return Store::Restore(from, to); });
}

}  // namespace

void BindStore(py::module_& module) {
  py::class_<PythonStore>(module, "Store")
      .def(py::init<const py::object&, bool, bool, const std::string&, const py::dict&>())
      .def("close", &PythonStore::Close)
      .def("refresh", &PythonStore::Refresh)
      .def("add_space", &PythonStore::AddSpace)
      .def("add_expert", &PythonStore::AddExpert)
      .def("remove_expert", &PythonStore::RemoveExpert)
      .def("has_space", &PythonStore::HasSpace)
      .def("has_expert", &PythonStore::HasExpert)
      .def("upsert", &PythonStore::Upsert)
      .def("get", &PythonStore::Get)
      .def("delete", &PythonStore::Delete)
      .def("update_metadata", &PythonStore::UpdateMetadata)
      .def("count", &PythonStore::Count)
      .def("keys", &PythonStore::Keys)
      .def("build", &PythonStore::Build)
      .def("calibrate", &PythonStore::Calibrate)
      .def("train_graph", &PythonStore::TrainGraph)
      .def("graph_drift", &PythonStore::GraphDrift)
      .def("trace_walks", &PythonStore::TraceWalks)
      .def("train_dispatch", &PythonStore::TrainDispatch)
      .def("train_adapter", &PythonStore::TrainAdapter)
      .def("train_tree", &PythonStore::TrainTree)
      .def("inspect_tree", &PythonStore::InspectTree)
      .def("set_adapter", &PythonStore::SetAdapter)
      .def("set_tree", &PythonStore::SetTree)
      .def("get_adapter", &PythonStore::GetAdapter)
      .def("feedback", &PythonStore::Feedback)
      .def("quarantine", &PythonStore::Quarantine)
      .def("lift_quarantine", &PythonStore::LiftQuarantine)
      .def("search", &PythonStore::Search)
      .def("search_batch", &PythonStore::SearchBatch)
      .def("evaluate", &PythonStore::Evaluate)
      .def("inspect", &PythonStore::Inspect)
      .def("verify", &PythonStore::Verify)
      .def("compact", &PythonStore::Compact)
      .def("snapshot", &PythonStore::Snapshot);
  module.def("restore", &Restore);
}

}  // namespace trivium::python
