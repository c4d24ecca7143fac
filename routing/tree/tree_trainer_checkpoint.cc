// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/tree_trainer_checkpoint.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "routing/expert/router_bytes.h"
#include "routing/tree/tree_trainer.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"
#include "storage/checksum.h"
#include "storage/file_system.h"

namespace trivium::routing {
namespace {

constexpr std::string_view kName = "tree training";
// Also part of the fingerprint: another way of learning gets another number.
constexpr std::uint32_t kVersion = 2;

template <class Visit>
void EachRow(SplitTree* tree, Visit visit) {
  for (std::size_t i = 0; i < tree->splits.rows(); ++i) visit(tree->splits.row(i), tree->splits.columns());
  for (std::size_t i = 0; i < tree->layer.rows(); ++i) visit(tree->layer.row(i), tree->layer.columns());
  visit(tree->biases.data(), tree->biases.size());
  visit(tree->layer_biases.data(), tree->layer_biases.size());
}

absl::Status Damaged(const std::string& path, std::string_view what) {
  return absl::DataLossError(absl::StrFormat("checkpoint %s: %s", path, what));
}

}  // namespace

std::uint64_t TreeTrainingFingerprint(const TreeTrainingData& data, const TreeTrainingOptions& options) {
  storage::ChecksumStream sum;
  const auto bytes = [&](const void* begin, std::size_t size) {
    sum.Update({static_cast<const std::byte*>(begin), size});
  };
  const auto add = [&](const auto& value) { bytes(&value, sizeof(value)); };
  add(kVersion);
  for (const base::MatrixView& rows : {data.documents, data.queries}) {
    add(rows.rows);
    for (std::size_t i = 0; i < rows.rows; ++i) bytes(rows.row(i), rows.columns * sizeof(float));
  }
  for (const std::vector<std::uint32_t>& relevant : data.relevant) {
    add(relevant.size());
    bytes(relevant.data(), relevant.size() * sizeof(std::uint32_t));
  }
  for (const std::size_t value :
       {options.depth, std::size_t{options.mlp}, options.step_count, options.anchor_count,
        options.document_count, options.near, options.most_anchors, options.levels_a_step, options.look_every,
        options.patience, options.held_out}) {
    add(value);
  }
  for (const double value : {double{options.teacher_temperature}, double{options.label_share},
                             double{options.steepness}, double{options.temperature}, options.rate,
                             options.level_power, options.entropy_weight, options.balance_weight}) {
    add(value);
  }
  add(options.seed);
  return sum.Digest();
}

// In the envelope of routers (routing/expert/router_bytes.h):
//   u64 fingerprint | u64 step, best step, looks since | f64 best | f32 its steepness, temperature |
//   the best tree: splits, layer, biases, layer biases | the learner | f32[depth] temperatures | their
//   optimiser
absl::Status SaveTreeCheckpoint(const std::string& path, std::uint64_t fingerprint,
                                const TreeTrainingState& state) {
  storage::ByteWriter writer;
  writer.Put(fingerprint);
  writer.Put<std::uint64_t>(state.step);
  writer.Put<std::uint64_t>(state.best_step);
  writer.Put<std::uint64_t>(state.since_best);
  writer.Put(state.best);
  writer.Put(state.best_steepness);
  writer.Put(state.best_temperature);
  EachRow(const_cast<SplitTree*>(&state.best_tree),
          [&](const float* values, std::size_t count) { writer.PutArray(values, count); });
  state.learner.Save(&writer);
  writer.PutArray(state.temperatures.row(0), state.temperatures.columns());
  state.temperature_steps.Save(&writer);
  return storage::ReplaceFile(path, SealRouterBytes(kName, writer.bytes()));
}

absl::StatusOr<bool> LoadTreeCheckpoint(const std::string& path, std::uint64_t fingerprint,
                                        TreeTrainingState* state) {
  if (!storage::PathExists(path)) return false;
  TRIVIUM_ASSIGN_OR_RETURN(const std::string bytes,
                           storage::ReadFile(path, std::numeric_limits<std::uint32_t>::max()));
  const absl::StatusOr<std::string_view> payload = OpenRouterBytes(kName, bytes);
  if (!payload.ok()) return Damaged(path, std::string(payload.status().message()));
  storage::ByteReader reader(*payload);
  if (reader.Read<std::uint64_t>() != fingerprint) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "checkpoint %s: of another training, expected one of these vectors, queries and options", path));
  }
  state->step = reader.Read<std::uint64_t>();
  state->best_step = reader.Read<std::uint64_t>();
  state->since_best = reader.Read<std::uint64_t>();
  state->best = reader.Read<double>();
  state->best_steepness = reader.Read<float>();
  state->best_temperature = reader.Read<float>();
  EachRow(&state->best_tree, [&](float* values, std::size_t count) {
    const std::vector<float> read = reader.ReadArray<float>(count);
    std::copy(read.begin(), read.end(), values);
  });
  const bool whole = state->learner.Load(&reader);
  const std::size_t depth = state->temperatures.columns();
  const std::vector<float> temperatures = reader.ReadArray<float>(depth);
  std::copy(temperatures.begin(), temperatures.end(), state->temperatures.row(0));
  if (!whole || !state->temperature_steps.Load(&reader, depth) || !reader.AtEnd()) {
    return Damaged(path, "sizes, expected those of this training");
  }
  return true;
}

}  // namespace trivium::routing
