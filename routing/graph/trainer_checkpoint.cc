// SPDX-License-Identifier: Apache-2.0
// Blocks of a checkpoint (little-endian, in a file of storage/segment_file.h):
//
//   "header"    Header
//   "answers"   uint32 each
//   "graph"     vertices x ProximityGraph::Stride(degree bound) uint32: the graph being taught
//   "learned"   uint64 words, a bit for each place of each list
//   "replaced"  vertices x uint16
//   "best"      as "graph": after the best round
//   "curve"     rounds x float64; this and the four before are absent before the first round has ended
#include "routing/graph/trainer_checkpoint.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <type_traits>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "routing/graph/graph_trainer.h"
#include "storage/checksum.h"
#include "storage/file_system.h"
#include "storage/segment_file.h"

namespace trivium::routing {
namespace {

constexpr char kMagic[8] = {'T', 'R', 'I', 'V', 'G', 'T', 'R', 'N'};
// Also part of the fingerprint: another way of learning gets another number.
constexpr std::uint32_t kVersion = 1;

struct Header {
  char magic[8];
  std::uint32_t version;
  std::uint32_t rounds;
  std::uint64_t fingerprint;
  LearnedEdges edges, best_edges;
};
static_assert(sizeof(Header) == 72 && std::is_trivially_copyable_v<Header>);

template <class T>
absl::Span<const std::byte> AsBytes(const T* values, std::size_t count) {
  return {reinterpret_cast<const std::byte*>(values), count * sizeof(T)};
}

std::size_t WordCount(const index::ProximityGraph& graph) { return graph.size() * graph.stride(); }
std::size_t LearnedWords(const base::Bitmap& learned) { return (learned.size() + 63) / 64; }

absl::Status Damaged(const std::string& path, const std::string& what) {
  return absl::DataLossError(absl::StrFormat("checkpoint %s: %s", path, what));
}

template <class T>
absl::StatusOr<absl::Span<const T>> TypedBlock(const storage::SegmentFile& file, const char* name,
                                               std::size_t count) {
  TRIVIUM_ASSIGN_OR_RETURN(const absl::Span<const std::byte> bytes, file.Block(name));
  if (bytes.size() != count * sizeof(T)) {
    return Damaged(file.path(), absl::StrFormat("block %s has %d bytes, expected %d", name, bytes.size(),
                                                count * sizeof(T)));
  }
  return absl::Span<const T>(reinterpret_cast<const T*>(bytes.data()), count);
}

std::string DirectoryOf(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path().string();
  return directory.empty() ? "." : directory;
}

// A copy of a block of lists, each checked.
absl::StatusOr<index::ProximityGraph> ReadGraph(const storage::SegmentFile& file, const char* name,
                                                const index::ProximityGraph& like) {
  TRIVIUM_ASSIGN_OR_RETURN(const auto words, TypedBlock<std::uint32_t>(file, name, WordCount(like)));
  index::ProximityGraph graph(words.data(), like.size(), like.degree_bound(), like.entry());
  for (std::uint32_t vertex = 0; vertex < graph.size(); ++vertex) {
    const std::uint32_t count = words[vertex * graph.stride()];
    bool fits = count <= graph.degree_bound();
    for (std::uint32_t i = 0; fits && i < count; ++i) fits = graph.Neighbors(vertex)[i] < graph.size();
    if (!fits)
      return Damaged(file.path(), absl::StrFormat("neighbours of vertex %d, expected others", vertex));
  }
  graph.Resize(graph.size());  // makes it its own
  return graph;
}

absl::StatusOr<EdgeRounds> ReadRounds(const storage::SegmentFile& file, const Header& header,
                                      const index::ProximityGraph& untaught) {
  EdgeRounds rounds(untaught);
  EdgeLearning& learning = rounds.learning;
  TRIVIUM_ASSIGN_OR_RETURN(learning.graph, ReadGraph(file, "graph", untaught));
  TRIVIUM_ASSIGN_OR_RETURN(const auto learned,
                           TypedBlock<std::uint64_t>(file, "learned", LearnedWords(learning.learned)));
  for (std::size_t place = 0; place < learning.learned.size(); ++place) {
    if (learned[place >> 6] >> (place & 63) & 1) learning.learned.Set(place);
  }
  TRIVIUM_ASSIGN_OR_RETURN(const auto replaced, TypedBlock<std::uint16_t>(file, "replaced", untaught.size()));
  learning.replaced.assign(replaced.begin(), replaced.end());
  learning.edges = header.edges;
  learning.rounds = static_cast<int>(header.rounds);
  TRIVIUM_ASSIGN_OR_RETURN(rounds.best, ReadGraph(file, "best", untaught));
  rounds.best_edges = header.best_edges;
  TRIVIUM_ASSIGN_OR_RETURN(const auto curve, TypedBlock<double>(file, "curve", header.rounds));
  rounds.curve.assign(curve.begin(), curve.end());
  return rounds;
}

}  // namespace

std::uint64_t TrainingFingerprint(const index::SearchableRows& searched, base::MatrixView queries,
                                  const GraphTrainingOptions& options) {
  storage::ChecksumStream sum;
  const auto add = [&](const auto& value) { sum.Update(AsBytes(&value, 1)); };
  const index::RowsView& rows = searched.rows;
  const index::ProximityGraph& graph = *searched.graph;
  add(kVersion);
  add(rows.format);
  add(rows.rows);
  add(rows.columns);
  add(searched.metric);
  sum.Update({rows.data, rows.rows * rows.stride_bytes});
  if (rows.scales != nullptr) sum.Update(AsBytes(rows.scales, rows.rows));
  add(graph.degree_bound());
  add(graph.entry());
  sum.Update(AsBytes(graph.words(), WordCount(graph)));
  if (searched.edge_codes != nullptr) {
    for (const std::uint32_t entry : searched.edge_codes->Entries()) add(entry);
  }
  add(queries.rows);
  for (std::size_t i = 0; i < queries.rows; ++i) sum.Update(AsBytes(queries.row(i), queries.columns));
  add(options.learn_entries);
  add(options.learn_edges);
  add(options.answer_count);
  add(options.edges.beam_width);
  add(options.edges.most_replaced);
  add(options.edges.rounds);
  add(options.validation_share);
  add(options.recall);
  add(options.seed);
  return sum.Digest();
}

absl::Status SaveCheckpoint(const std::string& path, std::uint64_t fingerprint,
                            absl::Span<const std::uint32_t> answers, const EdgeRounds* rounds) {
  Header header = {};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.version = kVersion;
  header.fingerprint = fingerprint;
  if (rounds != nullptr) {
    header.rounds = static_cast<std::uint32_t>(rounds->learning.rounds);
    header.edges = rounds->learning.edges;
    header.best_edges = rounds->best_edges;
  }
  const std::string temporary = storage::TemporaryName(path);
  {
    TRIVIUM_ASSIGN_OR_RETURN(const auto writer, storage::SegmentFileWriter::Create(temporary));
    TRIVIUM_RETURN_IF_ERROR(writer->AddBlock("header", AsBytes(&header, 1)));
    TRIVIUM_RETURN_IF_ERROR(writer->AddBlock("answers", AsBytes(answers.data(), answers.size())));
    if (rounds != nullptr) {
      const EdgeLearning& learning = rounds->learning;
      const std::size_t words = WordCount(learning.graph);
      TRIVIUM_RETURN_IF_ERROR(writer->AddBlock("graph", AsBytes(learning.graph.words(), words)));
      TRIVIUM_RETURN_IF_ERROR(
          writer->AddBlock("learned", AsBytes(learning.learned.words(), LearnedWords(learning.learned))));
      TRIVIUM_RETURN_IF_ERROR(
          writer->AddBlock("replaced", AsBytes(learning.replaced.data(), learning.replaced.size())));
      TRIVIUM_RETURN_IF_ERROR(writer->AddBlock("best", AsBytes(rounds->best.words(), words)));
      TRIVIUM_RETURN_IF_ERROR(writer->AddBlock("curve", AsBytes(rounds->curve.data(), rounds->curve.size())));
    }
    TRIVIUM_RETURN_IF_ERROR(writer->Commit());
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    const absl::Status status = storage::ErrnoStatus(errno, "rename", path);
    storage::RemoveFile(temporary).IgnoreError();
    return status;
  }
  return storage::SyncDirectory(DirectoryOf(path));
}

absl::StatusOr<std::optional<TrainingCheckpoint>> LoadCheckpoint(const std::string& path,
                                                                 std::uint64_t fingerprint,
                                                                 const index::ProximityGraph& graph,
                                                                 std::size_t answer_count) {
  if (!storage::PathExists(path)) {
    if (storage::PathExists(DirectoryOf(path))) return std::optional<TrainingCheckpoint>();
    return absl::NotFoundError(
        absl::StrFormat("checkpoint %s: no such folder, expected it to be there", path));
  }
  TRIVIUM_ASSIGN_OR_RETURN(const auto file, storage::SegmentFile::Open(path, /*verify_blocks=*/true));
  TRIVIUM_ASSIGN_OR_RETURN(const auto headers, TypedBlock<Header>(*file, "header", 1));
  const Header& header = headers.front();
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0 || header.version != kVersion) {
    return Damaged(path, "not one of this version, expected what train graph wrote");
  }
  if (header.fingerprint != fingerprint) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "checkpoint %s: of another training, expected the same vectors, queries and options; remove it to "
        "begin anew",
        path));
  }
  TrainingCheckpoint checkpoint;
  TRIVIUM_ASSIGN_OR_RETURN(const auto answers, TypedBlock<std::uint32_t>(*file, "answers", answer_count));
  for (const std::uint32_t answer : answers) {
    if (answer >= graph.size()) {
      return Damaged(path, absl::StrFormat("answer %d, expected less than %d", answer, graph.size()));
    }
  }
  checkpoint.answers.assign(answers.begin(), answers.end());
  if (file->HasBlock("curve")) {
    TRIVIUM_ASSIGN_OR_RETURN(checkpoint.rounds, ReadRounds(*file, header, graph));
  }
  return std::optional<TrainingCheckpoint>(std::move(checkpoint));
}

}  // namespace trivium::routing
