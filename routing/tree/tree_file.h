// SPDX-License-Identifier: Apache-2.0
// A split tree as a file of checksummed blocks (storage/segment_file.h), little-endian:
//
//   tree_header   u64 version | u64 dimension | u64 depth | u64 hidden (0: linear splits) | f64 mass unit |
//                 u64 kind (0: with splits, 1: given, nothing follows); version 1, still read, has no kind
//   splits        f32, (2^depth - 1) x (hidden or dimension), without padding
//   biases        f32, 2^depth - 1
//   layer         f32, hidden x dimension; only of MLP splits, as is the next one
//   layer_biases  f32, hidden
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "routing/tree/split_tree.h"

namespace trivium::routing {

// Writes a new file; durable on return. kAlreadyExists where there is one, else what the file system says; no
// file is left then.
absl::Status WriteTree(const SplitTree& tree, const std::string& path);

// Reads a file, which need not be trusted: kDataLoss where its size is not that which its header asks for, a
// block's checksum is wrong or a value is not finite; kNotFound. O(size of the file).
absl::StatusOr<SplitTree> OpenTree(const std::string& path);

}  // namespace trivium::routing
