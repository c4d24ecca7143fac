// SPDX-License-Identifier: Apache-2.0
// The files of trees and cells: one a space, and one beside each of its segments.
#include "absl/strings/str_format.h"
#include "api/store_impl.h"
#include "base/status_macros.h"
#include "routing/tree/tree_file.h"
#include "storage/file_system.h"

namespace trivium {
namespace {

absl::StatusOr<std::shared_ptr<const routing::SplitTree>> LoadTree(const SpaceRecord& space,
                                                                   const std::string& path) {
  absl::StatusOr<routing::SplitTree> tree = routing::OpenTree(path);
  TRIVIUM_RETURN_IF_ERROR(MissingIsDataLoss(tree.status()));
  const TreeInfo& info = space.tree->info;
  if (tree->dimension != space.dimension || tree->depth != info.depth || tree->given() != info.given) {
    const auto kind = [](bool given) { return given ? "given" : "learned"; };
    return absl::DataLossError(absl::StrFormat(
        "tree: dimension %d and depth %d, %s, expected %d and %d, %s, of space '%s' (%s)", tree->dimension,
        tree->depth, kind(tree->given()), space.dimension, info.depth, kind(info.given), space.name, path));
  }
  return std::make_shared<const routing::SplitTree>(*std::move(tree));
}

absl::StatusOr<std::shared_ptr<const routing::CellModel>> LoadCells(const SpaceRecord& space,
                                                                    const std::string& path) {
  auto cells = routing::CellModel::Open(path, /*verify=*/true);
  TRIVIUM_RETURN_IF_ERROR(MissingIsDataLoss(cells.status()));
  if ((*cells)->dimension() != space.dimension || (*cells)->cell_count() != space.cells->info.cells ||
      (*cells)->metric() != BaseMetric(space.metric)) {
    return absl::DataLossError(absl::StrFormat(
        "cells: %d of dimension %d, expected %d of dimension %d and the metric of space '%s' (%s)",
        (*cells)->cell_count(), (*cells)->dimension(), space.cells->info.cells, space.dimension, space.name,
        path));
  }
  return cells;
}

absl::StatusOr<routing::CellRouterKind> RouterNamed(const std::string& name) {
  for (std::size_t kind = 0; kind < routing::kCellRouterKinds; ++kind) {
    const auto router = static_cast<routing::CellRouterKind>(kind);
    if (name == routing::CellRouterName(router)) return router;
  }
  return absl::DataLossError(
      absl::StrFormat("cells: router '%s', expected one that there is (db)", name.substr(0, 80)));
}

}  // namespace

absl::Status Store::Impl::LoadTrees(const SpaceRecord& space, StoreState* state) const {
  if (space.tree) {
    TRIVIUM_ASSIGN_OR_RETURN(state->trees[space.id].tree,
                             LoadTree(space, SegmentsDirectory() + "/" + space.tree->file));
  }
  if (space.cells) {
    SpaceTrees& trees = state->trees[space.id];
    TRIVIUM_ASSIGN_OR_RETURN(trees.cells, LoadCells(space, SegmentsDirectory() + "/" + space.cells->file));
    TRIVIUM_ASSIGN_OR_RETURN(trees.router, RouterNamed(space.cells->info.router));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const routing::LeafTable>> Store::Impl::OpenLeaves(
    const std::string& file, const routing::SplitTree& tree, std::size_t rows) const {
  auto leaves = routing::LeafTable::Open(SegmentsDirectory() + "/" + file, tree, rows, /*verify=*/false);
  TRIVIUM_RETURN_IF_ERROR(MissingIsDataLoss(leaves.status()));
  return leaves;
}

absl::StatusOr<std::shared_ptr<const routing::CellLists>> Store::Impl::OpenLists(
    const std::string& file, std::size_t rows, std::size_t cell_count) const {
  const std::string path = SegmentsDirectory() + "/" + file;
  auto lists = routing::CellLists::Open(path, /*verify=*/false);
  TRIVIUM_RETURN_IF_ERROR(MissingIsDataLoss(lists.status()));
  if ((*lists)->size() != rows || (*lists)->cell_count() != cell_count) {
    return absl::DataLossError(absl::StrFormat("cell lists: %d rows in %d cells, expected %d in %d (%s)",
                                               (*lists)->size(), (*lists)->cell_count(), rows, cell_count,
                                               path));
  }
  return lists;
}

absl::StatusOr<std::string> Store::Impl::WriteLeaves(
    const routing::SplitTree& tree, Schema* schema, std::shared_ptr<const routing::LeafTable>* leaves) const {
  const std::string file = absl::StrFormat("%06d.leaves", schema->next_file++);
  const std::string path = SegmentsDirectory() + "/" + file;
  TRIVIUM_RETURN_IF_ERROR(storage::RemoveFile(path));  // left by a build that was killed
  TRIVIUM_RETURN_IF_ERROR((*leaves)->Write(path));
  auto mapped = OpenLeaves(file, tree, (*leaves)->size());
  if (!mapped.ok()) Discard({file});
  TRIVIUM_RETURN_IF_ERROR(mapped.status());
  *leaves = *std::move(mapped);
  return file;
}

absl::StatusOr<std::string> Store::Impl::WriteLists(Schema* schema,
                                                    std::shared_ptr<const routing::CellLists>* lists) const {
  const std::string file = absl::StrFormat("%06d.lists", schema->next_file++);
  const std::string path = SegmentsDirectory() + "/" + file;
  TRIVIUM_RETURN_IF_ERROR(storage::RemoveFile(path));  // left by a build that was killed
  TRIVIUM_RETURN_IF_ERROR((*lists)->Write(path));
  auto mapped = OpenLists(file, (*lists)->size(), (*lists)->cell_count());
  if (!mapped.ok()) Discard({file});
  TRIVIUM_RETURN_IF_ERROR(mapped.status());
  *lists = *std::move(mapped);
  return file;
}

void Store::Impl::Discard(const std::vector<std::string>& files) const {
  for (const std::string& file : files) {
    storage::RemoveFile(SegmentsDirectory() + "/" + file).IgnoreError();
  }
}

}  // namespace trivium
