// SPDX-License-Identifier: Apache-2.0
#include "results.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include "bindings.h"

namespace trivium::python {
namespace {

py::object ParseJson(const std::string& json) { return py::module_::import("json").attr("loads")(json); }

std::string Repr(const py::object& object) { return py::repr(object).cast<std::string>(); }
std::string Repr(const std::string& text) { return Repr(py::str(text)); }
std::string Repr(double value) { return py::str("{:.4g}").format(value).cast<std::string>(); }

// Enough of a text to know it by.
std::string Shorten(const std::string& text) {
  const py::str whole(text);
  if (py::len(whole) <= 60) return Repr(whole);
  return Repr(py::object(whole[py::slice(0, 57, 1)]) + py::str("..."));
}

py::array_t<float> AsArray(const std::vector<float>& values) {
  return py::array_t<float>(static_cast<py::ssize_t>(values.size()), values.data());
}

void BindDocument(py::module_& module) {
  py::class_<Document>(module, "Document", "A document: id, partition, text, metadata.")
      .def_readonly("id", &Document::id)
      .def_readonly("partition", &Document::partition)
      .def_readonly("text", &Document::text, "The text; \"\" where there is none.")
      .def_property_readonly(
          "metadata", [](const Document& document) { return ParseJson(document.metadata); },
          "The metadata as a dict, parsed anew each time; {} where there is none.")
      .def("__repr__", [](const Document& document) {
        return "Document(id=" + Repr(document.id) + ", partition=" + Repr(document.partition) +
               ", text=" + Shorten(document.text) + ", metadata=" + document.metadata + ")";
      });
}

void BindHit(py::module_& module) {
  py::class_<Hit>(module, "Hit", "A document that was found, and how near it is.")
      .def_readonly("id", &Hit::id)
      .def_readonly("partition", &Hit::partition)
      .def_readonly("score", &Hit::score, "Final; larger is better; comparable within one result only.")
      .def_readonly("similarity", &Hit::similarity,
                    "The metric's own figure for `expert`'s reading of the query: cosine, inner product or "
                    "squared distance.")
      .def_readonly("expert", &Hit::expert, "The expert that ranked it highest.")
      .def_readonly("text", &Hit::text)
      .def_property_readonly(
          "metadata",
          [](const Hit& hit) {
            return hit.metadata.empty() ? py::object(py::dict()) : ParseJson(hit.metadata);
          },
          "The metadata as a dict, parsed anew each time.")
      .def_property_readonly(
          "vectors",
          [](const Hit& hit) {
            py::dict vectors;
            for (const auto& [space, values] : hit.vectors) vectors[py::str(space)] = AsArray(values);
            return vectors;
          },
          "float32 arrays (dimension,) by space; empty unless include names \"vectors\".")
      .def("__repr__", [](const Hit& hit) {
        return "Hit(id=" + Repr(hit.id) + ", partition=" + Repr(hit.partition) +
               ", score=" + Repr(hit.score) + ", similarity=" + Repr(hit.similarity) +
               ", expert=" + Repr(hit.expert) + ", text=" + Shorten(hit.text) + ")";
      });
}

void BindTrace(py::module_& module) {
  const auto stages = [](const Trace& trace) {
    py::dict stages;
    for (const auto& [stage, time] : trace.stages_us) stages[py::str(stage)] = time;
    return stages;
  };
  py::class_<Trace>(module, "Trace", "What the answer cost. Counters are deterministic, times are not.")
      .def_readonly("hops", &Trace::hops, "Graph vertices expanded.")
      .def_readonly("distances", &Trace::distances, "Distance computations by kind: graph, scan, code.")
      .def_readonly("distance_computations", &Trace::distance_computations, "Those of all kinds.")
      .def_readonly("bytes_read", &Trace::bytes_read,
                    "Bytes of the index read: blocks, neighbour lists, codes and rows.")
      .def_readonly("vector_sets", &Trace::vector_sets, "Distinct vector sets searched.")
      .def_readonly("searches", &Trace::searches, "Searches of a vector set.")
      .def_readonly("encoder_calls", &Trace::encoder_calls)
      .def_property_readonly("stages_us", stages,
                             "Microseconds by stage: encode, dispatch, filter, search, ...")
      .def_readonly("total_us", &Trace::total_us, "Microseconds in all.")
      .def("__repr__", [](const Trace& trace) {
        return "Trace(distance_computations=" + std::to_string(trace.distance_computations) +
               ", hops=" + std::to_string(trace.hops) + ", bytes_read=" + std::to_string(trace.bytes_read) +
               ", vector_sets=" + std::to_string(trace.vector_sets) + ", total_us=" + Repr(trace.total_us) +
               ")";
      });
}

const Hit& HitAt(const SearchResult& result, py::ssize_t index) {
  const auto size = static_cast<py::ssize_t>(result.hits.size());
  if (index < 0) index += size;
  if (index < 0 || index >= size) throw py::index_error("hit index out of range");
  return result.hits[static_cast<std::size_t>(index)];
}

py::list Slice(const py::object& hits, const py::slice& slice) {
  const auto& result = hits.cast<const SearchResult&>();
  py::ssize_t start = 0, stop = 0, step = 0, length = 0;
  if (!slice.compute(static_cast<py::ssize_t>(result.hits.size()), &start, &stop, &step, &length)) {
    throw py::error_already_set();
  }
  py::list items;
  for (py::ssize_t i = 0; i < length; ++i) {
    items.append(
        py::cast(HitAt(result, start + i * step), py::return_value_policy::reference_internal, hits));
  }
  return items;
}

std::vector<std::string> Column(const SearchResult& result, std::string Hit::*member) {
  std::vector<std::string> column;
  for (const Hit& hit : result.hits) column.push_back(hit.*member);
  return column;
}

void BindHits(py::module_& module) {
  py::class_<SearchResult>(module, "Hits", "The hits of one query, best first: a sequence of Hit.")
      .def("__len__", [](const SearchResult& result) { return result.hits.size(); })
      .def("__getitem__", &HitAt, py::return_value_policy::reference_internal)
      .def("__getitem__", &Slice)
      .def(
          "__iter__",
          [](const SearchResult& result) {
            return py::make_iterator(result.hits.begin(), result.hits.end());
          },
          py::keep_alive<0, 1>())
      .def_property_readonly(
          "ids", [](const SearchResult& result) { return Column(result, &Hit::id); }, "list of str.")
      .def_property_readonly(
          "partitions", [](const SearchResult& result) { return Column(result, &Hit::partition); },
          "list of str, aligned with ids.")
      .def_property_readonly(
          "scores",
          [](const SearchResult& result) {
            std::vector<float> scores;
            for (const Hit& hit : result.hits) scores.push_back(hit.score);
            return AsArray(scores);
          },
          "float32 array (hits,), descending.")
      .def_readonly("route", &SearchResult::route)
      .def_readonly("trace", &SearchResult::trace)
      .def("__repr__", [](const SearchResult& result) {
        std::string text = "<" + std::to_string(result.hits.size()) + " hits";
        for (std::size_t i = 0; i < result.hits.size() && i < 5; ++i) {
          const Hit& hit = result.hits[i];
          text += (i == 0 ? ": " : ", ") + hit.partition + "/" + hit.id + " " + Repr(hit.score);
        }
        return text + (result.hits.size() > 5 ? ", ...>" : ">");
      });
}

void BindBatch(py::module_& module) {
  py::class_<BatchResult>(module, "Batch", "The hits of many queries, aligned with them.")
      .def_readonly("k", &BatchResult::k)
      .def_readonly("ids", &BatchResult::ids, "A list of up to k ids for each query, best first.")
      .def_readonly("partitions", &BatchResult::partitions, "Aligned with ids.")
      .def_property_readonly(
          "scores",
          [](const BatchResult& batch) {
            const py::ssize_t rows = static_cast<py::ssize_t>(batch.ids.size());
            return py::array_t<float>({rows, static_cast<py::ssize_t>(batch.k)}, batch.scores.data());
          },
          "float32 array (n, k); -inf where there is no hit.")
      .def("__len__", [](const BatchResult& batch) { return batch.ids.size(); })
      .def("__repr__", [](const BatchResult& batch) {
        return "<Batch of " + std::to_string(batch.ids.size()) + " queries, k=" + std::to_string(batch.k) +
               ">";
      });
}

}  // namespace

void BindResults(py::module_& module) {
  BindDocument(module);
  BindHit(module);
  BindTrace(module);
  BindHits(module);
  BindBatch(module);
}

}  // namespace trivium::python
