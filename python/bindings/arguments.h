// SPDX-License-Identifier: Apache-2.0
// Python arguments as the engine's: arrays become borrowed views, sequences of str become vectors of UTF-8.
//
// `what` is the argument's name in messages. Errors are InvalidArgument for values, TypeError for types.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "trivium/options.h"
#include "trivium/types.h"

namespace trivium::python {

namespace py = pybind11;

// A matrix of float32 that Python owns; the view is valid while this lives.
struct HeldMatrix {
  py::array owner;
  MatrixView view;
};

// An n x d array of floats. float32 in C order is borrowed, other floats and orders are copied; integers,
// booleans and objects are refused, since they are more often a mistake than vectors.
HeldMatrix AsMatrix(py::handle object, const std::string& what);

// One vector, of shape (d,) or (1, d), as a matrix of one row.
HeldMatrix AsRow(py::handle object, const std::string& what);

// Vectors by space; a bare array belongs to the store's only space.
struct HeldVectors {
  std::vector<HeldMatrix> owners;
  std::vector<SpaceVectors> views;
};
HeldVectors AsVectors(py::handle object, const std::string& what,
                      HeldMatrix (*convert)(py::handle, const std::string&));

// A str as UTF-8. `row` >= 0 is named in messages.
std::string AsString(py::handle object, const std::string& what, std::int64_t row = -1);

// A sequence of str. A single str is refused: it is a sequence of characters only by accident.
std::vector<std::string> AsStrings(py::handle object, const std::string& what);

// The like, where None stands for "".
std::vector<std::string> AsOptionalStrings(py::handle object, const std::string& what);

std::optional<std::string> AsOptionalString(const py::object& object, const std::string& what);

// A count; negative numbers get a message instead of a TypeError.
std::size_t AsCount(std::int64_t value, const std::string& what);

// An integer of any size, which is refused with a message where 64 bits without a sign cannot hold it.
std::uint64_t AsSeed(const py::object& value);

// `type(object).__name__`.
std::string TypeName(py::handle object);

}  // namespace trivium::python
