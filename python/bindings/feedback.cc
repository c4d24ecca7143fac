// SPDX-License-Identifier: Apache-2.0
#include "feedback.h"

#include <optional>
#include <string>
#include <utility>

#include "errors.h"

namespace trivium::python {
namespace {

DocumentName AsDocumentName(py::handle item, const std::string& what, std::int64_t row) {
  if (PyUnicode_Check(item.ptr())) return {AsString(item, what, row), ""};
  if (PyTuple_Check(item.ptr()) && PyTuple_GET_SIZE(item.ptr()) == 2) {
    return {AsString(PyTuple_GET_ITEM(item.ptr(), 1), what + ": id", row),
            AsString(PyTuple_GET_ITEM(item.ptr(), 0), what + ": partition", row)};
  }
  throw py::type_error(what + ": a " + TypeName(item) + ", expected id or (partition, id) (row " +
                       std::to_string(row) + ")");
}

// The item of `lists` for this row.
std::optional<std::vector<DocumentName>> AsDocumentNames(const py::object& lists, const std::string& what,
                                                         std::int64_t row) {
  if (lists.is_none()) return std::nullopt;
  const py::object list = py::reinterpret_borrow<py::list>(lists)[static_cast<std::size_t>(row)];
  if (list.is_none()) return std::nullopt;
  if (PyUnicode_Check(list.ptr()) || !py::isinstance<py::iterable>(list)) {
    throw py::type_error(what + ": a " + TypeName(list) +
                         ", expected a list of ids or (partition, id) (row " + std::to_string(row) + ")");
  }
  std::vector<DocumentName> names;
  for (const py::handle item : list) names.push_back(AsDocumentName(item, what, row));
  return names;
}

}  // namespace

HeldFeedback AsFeedback(const py::list& queries, const py::list& hits, const py::object& relevant,
                        const py::object& clicked, const py::object& sources) {
  HeldFeedback held;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i);
    Query query;
    const py::object asked = queries[i];
    HeldVectors& vectors = held.owners.emplace_back();
    if (PyUnicode_Check(asked.ptr())) {
      query.text = AsString(asked, "query", row);
    } else {
      vectors = AsVectors(asked, "query", &AsRow);
      query.vectors = vectors.views;
    }
    const py::object answer = hits[i];
    if (!py::isinstance<SearchResult>(answer)) {
      throw py::type_error("hits: a " + TypeName(answer) + ", expected what search returned (row " +
                           std::to_string(i) + ")");
    }
    AnswerFeedback& item =
        held.items.emplace_back(AnswerFeedback::Of(std::move(query), answer.cast<const SearchResult&>()));
    item.relevant = AsDocumentNames(relevant, "relevant", row);
    item.clicked = AsDocumentNames(clicked, "clicked", row);
    if (!sources.is_none()) {
      item.source = AsOptionalString(py::reinterpret_borrow<py::list>(sources)[i], "source").value_or("");
    }
  }
  return held;
}

}  // namespace trivium::python
