// SPDX-License-Identifier: Apache-2.0
#include "arguments.h"

#include "errors.h"

namespace trivium::python {
namespace {

using FloatArray = py::array_t<float, py::array::c_style | py::array::forcecast>;

std::string AtRow(std::int64_t row) { return row < 0 ? "" : " (row " + std::to_string(row) + ")"; }

std::string ShapeText(const py::array& array) { return py::str(array.attr("shape")).cast<std::string>(); }

FloatArray AsFloats(py::handle object, const std::string& what) {
  py::array array;
  try {
    array = py::module_::import("numpy").attr("asarray")(object).cast<py::array>();
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_ValueError)) throw;
    RaiseInvalid(what + ": rows of different lengths, expected an array of floats");
  }
  if (array.dtype().kind() != 'f') {
    RaiseInvalid(what + ": dtype " + py::str(static_cast<py::object>(array.dtype())).cast<std::string>() +
                 ", expected float32, float64 or float16");
  }
  return FloatArray(py::object(array));
}

std::vector<std::string> ToStrings(py::handle object, const std::string& what, bool none_is_empty) {
  if (PyUnicode_Check(object.ptr()) || PyBytes_Check(object.ptr()) || PyDict_Check(object.ptr())) {
    throw py::type_error(what + ": a " + TypeName(object) + ", expected a list of str");
  }
  PyObject* fast =
      PySequence_Fast(object.ptr(), (what + ": a " + TypeName(object) + ", expected a list of str").c_str());
  if (fast == nullptr) throw py::error_already_set();
  const py::object items = py::reinterpret_steal<py::object>(fast);
  const Py_ssize_t count = PySequence_Fast_GET_SIZE(fast);
  std::vector<std::string> strings;
  strings.reserve(static_cast<std::size_t>(count));
  for (Py_ssize_t i = 0; i < count; ++i) {
    const py::handle item = PySequence_Fast_GET_ITEM(fast, i);
    strings.push_back(none_is_empty && item.is_none() ? std::string() : AsString(item, what, i));
  }
  return strings;
}

}  // namespace

HeldMatrix AsMatrix(py::handle object, const std::string& what) {
  FloatArray floats = AsFloats(object, what);
  if (floats.ndim() != 2) RaiseInvalid(what + ": shape " + ShapeText(floats) + ", expected (n, dimension)");
  const MatrixView view{floats.data(), static_cast<std::size_t>(floats.shape(0)),
                        static_cast<std::size_t>(floats.shape(1))};
  return {std::move(floats), view};
}

HeldMatrix AsRow(py::handle object, const std::string& what) {
  FloatArray floats = AsFloats(object, what);
  const bool row = floats.ndim() == 1 || (floats.ndim() == 2 && floats.shape(0) == 1);
  if (!row) RaiseInvalid(what + ": shape " + ShapeText(floats) + ", expected (dimension,)");
  const MatrixView view{floats.data(), 1, static_cast<std::size_t>(floats.size())};
  return {std::move(floats), view};
}

HeldVectors AsVectors(py::handle object, const std::string& what,
                      HeldMatrix (*convert)(py::handle, const std::string&)) {
  HeldVectors held;
  if (object.is_none()) return held;
  if (!PyDict_Check(object.ptr())) {
    held.owners.push_back(convert(object, what));
    held.views.push_back({"", held.owners.back().view});
    return held;
  }
  for (const auto& [key, value] : py::reinterpret_borrow<py::dict>(object)) {
    std::string space = AsString(key, what + ": space");
    held.owners.push_back(convert(value, what + "['" + space + "']"));
    held.views.push_back({std::move(space), held.owners.back().view});
  }
  return held;
}

std::string AsString(py::handle object, const std::string& what, std::int64_t row) {
  if (!PyUnicode_Check(object.ptr())) {
    throw py::type_error(what + ": a " + TypeName(object) + ", expected a str" + AtRow(row));
  }
  Py_ssize_t size = 0;
  const char* text = PyUnicode_AsUTF8AndSize(object.ptr(), &size);
  if (text == nullptr) {
    PyErr_Clear();
    RaiseInvalid(what + ": a lone surrogate, expected text that UTF-8 can encode" + AtRow(row));
  }
  return std::string(text, static_cast<std::size_t>(size));
}

std::vector<std::string> AsStrings(py::handle object, const std::string& what) {
  return ToStrings(object, what, /*none_is_empty=*/false);
}

std::vector<std::string> AsOptionalStrings(py::handle object, const std::string& what) {
  if (object.is_none()) return {};
  return ToStrings(object, what, /*none_is_empty=*/true);
}

std::optional<std::string> AsOptionalString(const py::object& object, const std::string& what) {
  if (object.is_none()) return std::nullopt;
  return AsString(object, what);
}

std::size_t AsCount(std::int64_t value, const std::string& what) {
  if (value < 0) RaiseInvalid(what + ": " + std::to_string(value) + ", expected 0 or more");
  return static_cast<std::size_t>(value);
}

std::uint64_t AsSeed(const py::object& value) {
  const auto integer = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
  if (!integer) throw py::error_already_set();  // a TypeError that names the type
  const std::uint64_t seed = PyLong_AsUnsignedLongLong(integer.ptr());
  if (PyErr_Occurred() == nullptr) return seed;
  PyErr_Clear();
  RaiseInvalid("seed: " + std::string(py::str(integer)).substr(0, 40) + ", expected 0 to 2^64 - 1");
}

std::string TypeName(py::handle object) {
  return py::str(py::type::handle_of(object).attr("__name__")).cast<std::string>();
}

}  // namespace trivium::python
