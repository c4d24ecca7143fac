// SPDX-License-Identifier: Apache-2.0
// The files of trees: one a space, and one beside each of its segments.
#include "absl/strings/str_format.h"
#include "api/store_impl.h"
#include "base/status_macros.h"
#include "routing/tree/tree_file.h"
#include "storage/file_system.h"

namespace trivium {

absl::Status Store::Impl::LoadTree(const SpaceRecord& space, StoreState* state) const {
  const std::string path = SegmentsDirectory() + "/" + space.tree->file;
  absl::StatusOr<routing::SplitTree> tree = routing::OpenTree(path);
  TRIVIUM_RETURN_IF_ERROR(MissingIsDataLoss(tree.status()));
  if (tree->dimension != space.dimension || tree->depth != space.tree->info.depth) {
    return absl::DataLossError(absl::StrFormat(
        "tree: dimension %d and depth %d, expected %d and %d, of space '%s' (%s)", tree->dimension,
        tree->depth, space.dimension, space.tree->info.depth, space.name, path));
  }
  state->trees[space.id] = std::make_shared<const routing::SplitTree>(*std::move(tree));
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const routing::LeafTable>> Store::Impl::OpenLeaves(
    const std::string& file, const routing::SplitTree& tree, std::size_t rows, bool verify) const {
  auto leaves = routing::LeafTable::Open(SegmentsDirectory() + "/" + file, tree, rows, verify);
  TRIVIUM_RETURN_IF_ERROR(MissingIsDataLoss(leaves.status()));
  return leaves;
}

absl::StatusOr<std::string> Store::Impl::WriteLeaves(
    const routing::SplitTree& tree, Schema* schema, std::shared_ptr<const routing::LeafTable>* leaves) const {
  const std::string file = absl::StrFormat("%06d.leaves", schema->next_file++);
  const std::string path = SegmentsDirectory() + "/" + file;
  TRIVIUM_RETURN_IF_ERROR(storage::RemoveFile(path));  // left by a build that was killed
  TRIVIUM_RETURN_IF_ERROR((*leaves)->Write(path));
  auto mapped = OpenLeaves(file, tree, (*leaves)->size(), /*verify=*/false);
  if (!mapped.ok()) {
    Discard({file});
    return mapped.status();
  }
  *leaves = *std::move(mapped);
  return file;
}

void Store::Impl::Discard(const std::vector<std::string>& files) const {
  for (const std::string& file : files) {
    storage::RemoveFile(SegmentsDirectory() + "/" + file).IgnoreError();
  }
}

}  // namespace trivium
