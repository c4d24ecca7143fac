// SPDX-License-Identifier: Apache-2.0
// Its blocks (little-endian):
//
//   "training"  UTF-8 text, at most 64 KB: the record
//   "queries"   Header, 64 bytes, and its queries x dimension float32
//   "learned"   LearnedEdges, by vertex; it and "queries" are absent in files of the first version with
//   training
#include "index/kept_training.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "index/edge_codes.h"

namespace trivium::index {
namespace {

struct Header {
  std::uint64_t queries;
  std::uint64_t held_out;  // the first ones
  std::uint64_t unused[6];
};
static_assert(sizeof(Header) == 64);

template <class T>
absl::Span<const std::byte> AsBytes(const T* values, std::size_t count) {
  return {reinterpret_cast<const std::byte*>(values), count * sizeof(T)};
}

absl::Status Damaged(const storage::SegmentFile& file, absl::string_view what, std::uint64_t seen,
                     const std::string& expected) {
  return absl::DataLossError(
      absl::StrCat("segment ", file.path(), ": ", what, " ", seen, ", expected ", expected));
}

}  // namespace

void KeptTraining::SetQueries(base::AlignedMatrix values) {
  const auto owned = std::make_shared<const base::AlignedMatrix>(std::move(values));
  queries = owned->view();
  queries_owner = owned;
}

void KeptTraining::SetEdges(std::vector<LearnedEdge> values) {
  const auto owned = std::make_shared<const std::vector<LearnedEdge>>(std::move(values));
  edges = *owned;
  edges_owner = owned;
}

absl::Status WriteTraining(const KeptTraining& training, storage::SegmentFileWriter* writer) {
  if (training.empty()) return absl::OkStatus();
  TRIVIUM_RETURN_IF_ERROR(
      writer->AddBlock("training", AsBytes(training.record.data(), training.record.size())));
  if (training.queries.rows > 0) {
    const Header header = {.queries = training.queries.rows, .held_out = training.held_out, .unused = {}};
    TRIVIUM_RETURN_IF_ERROR(writer->BeginBlock("queries"));
    TRIVIUM_RETURN_IF_ERROR(writer->Append(AsBytes(&header, 1)));
    for (std::size_t i = 0; i < training.queries.rows; ++i) {
      TRIVIUM_RETURN_IF_ERROR(writer->Append(AsBytes(training.queries.row(i), training.queries.columns)));
    }
  }
  return training.edges.empty()
             ? absl::OkStatus()
             : writer->AddBlock("learned", AsBytes(training.edges.data(), training.edges.size()));
}

absl::StatusOr<KeptTraining> ReadTraining(const std::shared_ptr<const storage::SegmentFile>& file,
                                          std::size_t size, std::size_t dimension) {
  KeptTraining training;
  if (!file->HasBlock("training")) return training;
  TRIVIUM_ASSIGN_OR_RETURN(const absl::Span<const std::byte> text, file->Block("training"));
  if (text.empty() || text.size() > kMostRecordBytes) {
    return Damaged(*file, "bytes of training", text.size(), "1 to 65536");
  }
  training.record.assign(reinterpret_cast<const char*>(text.data()), text.size());
  training.queries_owner = training.edges_owner = file;
  if (file->HasBlock("queries")) {
    TRIVIUM_ASSIGN_OR_RETURN(const absl::Span<const std::byte> bytes, file->Block("queries"));
    const std::size_t row_bytes = dimension * sizeof(float);
    const std::size_t rows = bytes.size() < sizeof(Header) ? 0 : (bytes.size() - sizeof(Header)) / row_bytes;
    const auto* header = reinterpret_cast<const Header*>(bytes.data());
    if (rows == 0 || bytes.size() != sizeof(Header) + rows * row_bytes || header->queries != rows) {
      return Damaged(*file, "bytes of training queries", bytes.size(),
                     absl::StrCat("64 and ", row_bytes, " a query"));
    }
    if (header->held_out > rows) {
      return Damaged(*file, "queries held out", header->held_out, absl::StrCat("at most ", rows));
    }
    training.queries =
        base::MatrixView(reinterpret_cast<const float*>(bytes.data() + sizeof(Header)), rows, dimension);
    training.held_out = header->held_out;
  }
  if (!file->HasBlock("learned")) return training;
  TRIVIUM_ASSIGN_OR_RETURN(const absl::Span<const std::byte> bytes, file->Block("learned"));
  if (bytes.size() % sizeof(LearnedEdge) != 0) {
    return Damaged(*file, "bytes of learned edges", bytes.size(), "12 an edge");
  }
  training.edges = absl::MakeConstSpan(reinterpret_cast<const LearnedEdge*>(bytes.data()),
                                       bytes.size() / sizeof(LearnedEdge));
  for (const LearnedEdge& edge : training.edges) {
    if (edge.from < size && edge.to < size && (edge.replaced < size || edge.replaced == kNoVertex)) continue;
    return Damaged(*file, "vertex of a learned edge", std::max({edge.from, edge.to, edge.replaced}),
                   absl::StrCat("less than ", size));
  }
  return training;
}

}  // namespace trivium::index
