// SPDX-License-Identifier: Apache-2.0
#include "query_set.h"

#include <pybind11/stl.h>

#include "bindings.h"
#include "errors.h"

namespace trivium::python {
namespace {

using namespace pybind11::literals;

// `key`: id or (partition, id).
Judgement AsJudgement(py::handle key, py::handle grade, std::int64_t query) {
  Judgement judgement;
  if (PyTuple_Check(key.ptr()) && PyTuple_GET_SIZE(key.ptr()) == 2) {
    judgement.partition = AsString(PyTuple_GET_ITEM(key.ptr(), 0), "qrels: partition", query);
    judgement.id = AsString(PyTuple_GET_ITEM(key.ptr(), 1), "qrels: id", query);
  } else if (PyUnicode_Check(key.ptr())) {
    judgement.id = AsString(key, "qrels: id", query);
  } else {
    throw py::type_error("qrels: a key of type " + TypeName(key) + ", expected id or (partition, id) (row " +
                         std::to_string(query) + ")");
  }
  judgement.grade = PyFloat_AsDouble(grade.ptr());
  if (PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    throw py::type_error("qrels: a grade of type " + TypeName(grade) + ", expected a number (row " +
                         std::to_string(query) + ")");
  }
  return judgement;
}

std::vector<std::vector<Judgement>> AsJudgements(const py::list& qrels) {
  std::vector<std::vector<Judgement>> judgements;
  judgements.reserve(qrels.size());
  for (const py::handle item : qrels) {
    const auto query = static_cast<std::int64_t>(judgements.size());
    if (!PyDict_Check(item.ptr())) {
      throw py::type_error("qrels: a " + TypeName(item) + ", expected a dict of grades by id (row " +
                           std::to_string(query) + ")");
    }
    std::vector<Judgement>& list = judgements.emplace_back();
    for (const auto& [key, grade] : py::reinterpret_borrow<py::dict>(item)) {
      list.push_back(AsJudgement(key, grade, query));
    }
  }
  return judgements;
}

std::unique_ptr<HeldQuerySet> MakeQuerySet(const std::string& name, const py::object& texts,
                                           const py::object& vectors, const py::list& qrels,
                                           const py::object& ids, bool drop_self) {
  auto held = std::make_unique<HeldQuerySet>();
  HeldVectors matrices = AsVectors(vectors, "queries", &AsMatrix);
  held->owners = std::move(matrices.owners);
  held->set.name = name;
  held->set.vectors = std::move(matrices.views);
  if (!texts.is_none()) held->set.texts = AsStrings(texts, "queries");
  if (!ids.is_none()) held->set.ids = AsStrings(ids, "query_ids");
  held->set.judgements = AsJudgements(qrels);
  held->set.drop_self = drop_self;
  return held;
}

}  // namespace

std::vector<QuerySet> AsQuerySets(const std::vector<const HeldQuerySet*>& held) {
  std::vector<QuerySet> sets;
  sets.reserve(held.size());
  for (const HeldQuerySet* set : held) sets.push_back(set->set);
  return sets;
}

void BindQuerySet(py::module_& module) {
  py::class_<HeldQuerySet>(module, "QuerySet")
      .def(py::init(&MakeQuerySet), "name"_a, "texts"_a, "vectors"_a, "qrels"_a, "ids"_a, "drop_self"_a);
}

}  // namespace trivium::python
