// SPDX-License-Identifier: Apache-2.0
// Blocks of a vector segment (little-endian, each 4,096-byte aligned by storage/segment_file.h):
//
//   "header"  Header, 64 bytes
//   "rows"    rows x RowStrideBytes(row format, dimension), the rest of a row is zero; formats: rows_view.h
//   "scales"  rows x float32; absent where rows are not int8
//   "norms"   rows x float32, squared norms of the decoded rows; absent where rows are not int8, or where the
//             metric is not kSquaredL2
//   "labels"  rows x uint64
//   "graph"   rows x ProximityGraph::Stride(degree_bound) uint32, drawn in proximity_graph.h;
//             absent where degree_bound is 0
//   "edges"   rows x EdgeCodes::shape().bytes, drawn in kernels/edge_code_functions.h
//   "entries" EdgeCodes::entry_shape().bytes; both absent where edge_codes is 0
//   "spread"  pull and covariance of query_spread.h, 1 + padded dimension ^ 2 float32; absent where none was
//             learned
//   "codes"   rows x RowCodes::record_bytes(), drawn in row_codes.h
//   "center"  RowCodes::center_size() float32; both absent where row_codes is 0
//   "training", "queries", "learned"
//             what taught the graph, drawn in kept_training.cc; absent where nothing did
//
// Version 1 had no profile, row format nor row codes: zeros, which stand for float32 rows. Files written
// before there was a beam width in the header have zeros there, which stand for none; readers of that time do
// not look at it and search with their default.
#include "index/vector_segment.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "index/graph_builder.h"
#include "index/vector_rows.h"

namespace trivium::index {
namespace {

constexpr char kMagic[8] = {'T', 'R', 'I', 'V', 'V', 'S', 'E', 'G'};
constexpr std::uint32_t kVersion = 2;
constexpr std::uint32_t kOldestVersion = 1;
constexpr std::size_t kCopyBytes = std::size_t{16} << 20;
constexpr std::uint32_t kEdgeCodesVersion = 1;
constexpr std::uint32_t kRowCodesVersion = 1;
constexpr std::size_t kMaxDimension = 65536;
constexpr std::size_t kMinDegreeBound = 4;
constexpr std::size_t kMaxDegreeBound = 256;
constexpr std::uint32_t kMaxBeamWidth = 65536;
constexpr std::size_t kStagingBytes = std::size_t{1} << 20;

struct Header {
  char magic[8];
  std::uint32_t version;
  std::uint32_t metric;
  std::uint64_t rows;
  std::uint32_t dimension;
  std::uint32_t degree_bound;
  std::uint32_t entry;
  std::uint32_t edge_codes;  // 0: none; otherwise kEdgeCodesVersion
  std::uint32_t profile;     // Profile
  std::uint32_t row_format;  // RowFormat
  std::uint32_t row_codes;   // 0: none; otherwise kRowCodesVersion
  std::uint32_t beam_width;  // DefaultBeam; zeros: none
  double target_recall;
};
static_assert(sizeof(Header) == 64);

template <class T>
absl::Span<const std::byte> AsBytes(const T* values, std::size_t count) {
  return {reinterpret_cast<const std::byte*>(values), count * sizeof(T)};
}

// Copies through a small buffer, so that padding is zero and rows of any stride become rows of ours.
absl::Status AppendRows(const RowsView& rows, storage::SegmentFileWriter* writer) {
  const std::size_t stride = RowStrideBytes(rows.format, rows.columns);
  const std::size_t rows_at_once = std::max<std::size_t>(1, kStagingBytes / stride);
  const std::size_t used = RowBytes(rows.format, rows.columns);
  std::vector<std::byte> staging(rows_at_once * stride, std::byte{0});
  for (std::size_t first = 0; first < rows.rows; first += rows_at_once) {
    const std::size_t count = std::min(rows_at_once, rows.rows - first);
    for (std::size_t i = 0; i < count; ++i) std::memcpy(&staging[i * stride], rows.row(first + i), used);
    TRIVIUM_RETURN_IF_ERROR(writer->Append(AsBytes(staging.data(), count * stride)));
  }
  return absl::OkStatus();
}

absl::Status CheckShapes(const RowsView& rows, absl::Span<const std::uint64_t> labels,
                         const KeptTraining& training = {}) {
  if (rows.columns == 0 || rows.columns > kMaxDimension) {
    return absl::InvalidArgumentError(
        absl::StrCat("vector dimension: ", rows.columns, ", expected 1 to ", kMaxDimension));
  }
  if (rows.rows > kMaxVertexCount) {
    return absl::InvalidArgumentError(
        absl::StrCat("rows of one segment: ", rows.rows, ", expected at most ", kMaxVertexCount));
  }
  if (labels.size() != rows.rows) {
    return absl::InvalidArgumentError(absl::StrCat("labels: ", labels.size(), ", expected ", rows.rows));
  }
  if (training.record.size() > kMostRecordBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("bytes of training: ", training.record.size(), ", expected at most ", kMostRecordBytes));
  }
  if (training.queries.rows > 0 && training.queries.columns != rows.columns) {
    return absl::InvalidArgumentError(
        absl::StrCat("training queries: ", training.queries.columns, " columns, expected ", rows.columns));
  }
  return absl::OkStatus();
}

// A block of exactly `count` values of type T.
template <class T>
absl::StatusOr<const T*> TypedBlock(const storage::SegmentFile& file, std::string_view name,
                                    std::uint64_t count) {
  TRIVIUM_ASSIGN_OR_RETURN(const absl::Span<const std::byte> bytes, file.Block(name));
  if (bytes.size() != count * sizeof(T)) {
    return absl::DataLossError(absl::StrCat("segment ", file.path(), ": block ",
                                            absl::string_view(name.data(), name.size()), " has ",
                                            bytes.size(), " bytes, expected ", count * sizeof(T)));
  }
  return reinterpret_cast<const T*>(bytes.data());
}

absl::Status CheckGraph(const ProximityGraph& graph, const std::string& path) {
  for (std::size_t vertex = 0; vertex < graph.size(); ++vertex) {
    const std::uint32_t* record = graph.words() + vertex * graph.stride();
    const std::uint32_t count = record[0];
    if (count > graph.degree_bound()) {
      return absl::DataLossError(absl::StrCat("segment ", path, ": vertex ", vertex, " has ", count,
                                              " neighbours, expected at most ", graph.degree_bound()));
    }
    for (std::uint32_t i = 1; i <= count; ++i) {
      if (record[i] >= graph.size()) {
        return absl::DataLossError(absl::StrCat("segment ", path, ": vertex ", vertex, " has neighbour ",
                                                record[i], ", expected less than ", graph.size()));
      }
    }
  }
  return absl::OkStatus();
}

// `write_edges` adds the blocks of edge codes; empty: there are none.
absl::Status WriteFile(const SearchableRows& contents, Profile profile,
                       absl::Span<const std::uint64_t> labels, const std::string& path,
                       const DefaultBeam& beam, const KeptTraining& training,
                       const std::function<absl::Status(storage::SegmentFileWriter*)>& write_edges) {
  const RowsView& rows = contents.rows;
  const ProximityGraph* graph = contents.graph;
  TRIVIUM_RETURN_IF_ERROR(CheckShapes(rows, labels, training));
  if (graph != nullptr && graph->size() != rows.rows) {
    return absl::InvalidArgumentError(
        absl::StrCat("vertices of the graph: ", graph->size(), ", expected ", rows.rows));
  }
  const RowCodes* row_codes = graph != nullptr ? contents.row_codes : nullptr;
  Header header = {};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.version = kVersion;
  header.metric = static_cast<std::uint32_t>(contents.metric);
  header.rows = rows.rows;
  header.dimension = static_cast<std::uint32_t>(rows.columns);
  header.profile = static_cast<std::uint32_t>(profile);
  header.row_format = static_cast<std::uint32_t>(rows.format);
  if (graph != nullptr) {
    header.degree_bound = static_cast<std::uint32_t>(graph->degree_bound());
    header.entry = graph->entry();
    header.beam_width = static_cast<std::uint32_t>(beam.width);
    header.target_recall = beam.target_recall;
  }
  if (write_edges) header.edge_codes = kEdgeCodesVersion;
  if (row_codes != nullptr) header.row_codes = kRowCodesVersion;

  TRIVIUM_ASSIGN_OR_RETURN(const auto writer, storage::SegmentFileWriter::Create(path));
  TRIVIUM_RETURN_IF_ERROR(writer->AddBlock("header", AsBytes(&header, 1)));
  TRIVIUM_RETURN_IF_ERROR(writer->BeginBlock("rows"));
  TRIVIUM_RETURN_IF_ERROR(AppendRows(rows, writer.get()));
  if (rows.format == RowFormat::kInt8) {
    TRIVIUM_RETURN_IF_ERROR(writer->AddBlock("scales", AsBytes(rows.scales, rows.rows)));
    if (contents.metric == base::Metric::kSquaredL2) {
      TRIVIUM_RETURN_IF_ERROR(writer->AddBlock("norms", AsBytes(rows.squared_norms, rows.rows)));
    }
  }
  TRIVIUM_RETURN_IF_ERROR(writer->AddBlock("labels", AsBytes(labels.data(), labels.size())));
  if (graph != nullptr) {
    const std::size_t words = graph->size() * graph->stride();
    TRIVIUM_RETURN_IF_ERROR(writer->AddBlock("graph", AsBytes(graph->words(), words)));
  }
  if (write_edges) TRIVIUM_RETURN_IF_ERROR(write_edges(writer.get()));
  if (row_codes != nullptr) {
    TRIVIUM_RETURN_IF_ERROR(writer->AddBlock(
        "codes", AsBytes(row_codes->records(), row_codes->size() * row_codes->record_bytes())));
    TRIVIUM_RETURN_IF_ERROR(
        writer->AddBlock("center", AsBytes(row_codes->center(), row_codes->center_size())));
  }
  if (graph != nullptr) TRIVIUM_RETURN_IF_ERROR(WriteTraining(training, writer.get()));
  return writer->Commit();
}

}  // namespace

absl::Status VectorSegment::Build(base::MatrixView rows, absl::Span<const std::uint64_t> labels,
                                  base::Metric metric, const GraphBuildOptions& options,
                                  const std::string& path) {
  TRIVIUM_RETURN_IF_ERROR(CheckShapes(rows, labels));
  const Profile profile = options.profile;
  ProximityGraph graph(DegreeBoundOf(profile, options.degree_bound));
  TRIVIUM_RETURN_IF_ERROR(ExtendGraph(rows, metric, options, &graph));
  SearchableRows contents = {.rows = rows, .metric = metric, .graph = &graph};
  VectorRows encoded(rows.columns, FormatOf(profile), metric);
  if (IsCompressed(profile)) {
    TRIVIUM_RETURN_IF_ERROR(encoded.Append(rows));
    contents.rows = encoded.view();
  }
  std::optional<RowCodes> row_codes;
  if (rows.rows > 0 && UsesRowCodes(profile, rows.columns)) {
    row_codes.emplace(rows.columns, metric);
    row_codes->Update(contents.rows, options.threads);
    contents.row_codes = &*row_codes;
  }
  if (rows.rows == 0 || !UsesEdgeCodes(profile, rows.columns)) return Write(contents, profile, labels, path);
  return WriteFile(
      contents, profile, labels, path, {}, {}, [&](storage::SegmentFileWriter* writer) -> absl::Status {
        EdgeCodes codes(rows.columns, metric, graph.degree_bound());
        TRIVIUM_RETURN_IF_ERROR(writer->BeginBlock("edges"));
        TRIVIUM_RETURN_IF_ERROR(
            codes.Stream(rows, graph, options.threads, [&](absl::Span<const std::uint8_t> blocks) {
              return writer->Append(AsBytes(blocks.data(), blocks.size()));
            }));
        return writer->AddBlock("entries", AsBytes(codes.entry_block(), codes.entry_shape().bytes));
      });
}

absl::Status VectorSegment::Write(const SearchableRows& contents, Profile profile,
                                  absl::Span<const std::uint64_t> labels, const std::string& path,
                                  const DefaultBeam& beam, const KeptTraining& training) {
  const EdgeCodes* codes = contents.graph != nullptr ? contents.edge_codes : nullptr;
  if (codes == nullptr) return WriteFile(contents, profile, labels, path, beam, training, nullptr);
  return WriteFile(contents, profile, labels, path, beam, training,
                   [&](storage::SegmentFileWriter* writer) -> absl::Status {
                     TRIVIUM_RETURN_IF_ERROR(writer->AddBlock(
                         "edges", AsBytes(codes->blocks(), codes->size() * codes->shape().bytes)));
                     TRIVIUM_RETURN_IF_ERROR(writer->AddBlock(
                         "entries", AsBytes(codes->entry_block(), codes->entry_shape().bytes)));
                     if (codes->spread() == nullptr) return absl::OkStatus();
                     std::vector<float> values = {codes->spread()->pull};
                     const std::vector<float>& covariance = codes->spread()->covariance;
                     values.insert(values.end(), covariance.begin(), covariance.end());
                     return writer->AddBlock("spread", AsBytes(values.data(), values.size()));
                   });
}

absl::StatusOr<std::shared_ptr<const VectorSegment>> VectorSegment::Open(const std::string& path,
                                                                         bool verify) {
  const std::shared_ptr<VectorSegment> segment(new VectorSegment());
  TRIVIUM_ASSIGN_OR_RETURN(segment->file_, storage::SegmentFile::Open(path, verify));
  TRIVIUM_RETURN_IF_ERROR(segment->Load());
  return std::shared_ptr<const VectorSegment>(segment);
}

absl::Status VectorSegment::Load() {
  const auto damaged = [&](absl::string_view what, std::uint64_t seen, absl::string_view expected) {
    return absl::DataLossError(
        absl::StrCat("segment ", path(), ": ", what, " ", seen, ", expected ", expected));
  };
  TRIVIUM_ASSIGN_OR_RETURN(const Header* header, TypedBlock<Header>(*file_, "header", 1));
  if (std::memcmp(header->magic, kMagic, sizeof(kMagic)) != 0) {
    return absl::DataLossError(absl::StrCat("segment ", path(), ": not a vector segment"));
  }
  if (header->version < kOldestVersion || header->version > kVersion) {
    return damaged("version", header->version, "1 or 2");
  }
  if (header->metric > static_cast<std::uint32_t>(base::Metric::kSquaredL2)) {
    return damaged("metric", header->metric, "0 to 2");
  }
  if (header->dimension == 0 || header->dimension > kMaxDimension) {
    return damaged("dimension", header->dimension, "1 to 65536");
  }
  if (header->rows > kMaxVertexCount) return damaged("rows", header->rows, "at most 2^31 - 1");
  if (header->degree_bound != 0 &&
      (header->degree_bound < kMinDegreeBound || header->degree_bound > kMaxDegreeBound)) {
    return damaged("degree bound", header->degree_bound, "0 or 4 to 256");
  }
  if (header->degree_bound > 0 && header->rows > 0 && header->entry >= header->rows) {
    return damaged("entry vertex", header->entry, absl::StrCat("less than ", header->rows));
  }

  if (header->profile > static_cast<std::uint32_t>(Profile::kSmall)) {
    return damaged("profile", header->profile, "0 to 3");
  }
  // Version 1 does not say; what it walked by tells.
  profile_ = header->version > 1       ? static_cast<Profile>(header->profile)
             : header->edge_codes != 0 ? Profile::kSpeed
                                       : Profile::kExact;
  const auto format = static_cast<RowFormat>(header->row_format);
  if (header->row_format > 2 || format != FormatOf(profile_)) {
    return damaged(
        "row format", header->row_format,
        absl::StrCat(static_cast<int>(FormatOf(profile_)), " of profile ", static_cast<int>(profile_)));
  }

  // The limits above keep these products far from overflow.
  metric_ = static_cast<base::Metric>(header->metric);
  TRIVIUM_RETURN_IF_ERROR(LoadRows(format, header->rows, header->dimension));
  TRIVIUM_ASSIGN_OR_RETURN(const std::uint64_t* labels,
                           TypedBlock<std::uint64_t>(*file_, "labels", header->rows));
  labels_ = absl::MakeConstSpan(labels, header->rows);
  if (header->degree_bound == 0) return absl::OkStatus();
  const std::uint64_t words = header->rows * ProximityGraph::Stride(header->degree_bound);
  TRIVIUM_ASSIGN_OR_RETURN(const std::uint32_t* records, TypedBlock<std::uint32_t>(*file_, "graph", words));
  graph_ = ProximityGraph(records, header->rows, header->degree_bound, header->entry);
  TRIVIUM_RETURN_IF_ERROR(CheckGraph(graph_, path()));
  TRIVIUM_RETURN_IF_ERROR(LoadBeam(header->beam_width, header->target_recall));
  TRIVIUM_ASSIGN_OR_RETURN(training_, ReadTraining(file_, size(), dimension()));
  if (header->rows == 0) return absl::OkStatus();
  if (header->edge_codes > kEdgeCodesVersion || (header->edge_codes != 0 && IsCompressed(profile_))) {
    return damaged("edge codes", header->edge_codes, IsCompressed(profile_) ? "0" : "0 or 1");
  }
  if (header->row_codes > kRowCodesVersion || (header->row_codes != 0 && !IsCompressed(profile_))) {
    return damaged("row codes", header->row_codes, IsCompressed(profile_) ? "0 or 1" : "0");
  }
  if (header->edge_codes != 0) TRIVIUM_RETURN_IF_ERROR(LoadEdgeCodes());
  if (header->row_codes != 0) TRIVIUM_RETURN_IF_ERROR(LoadRowCodes());
  return absl::OkStatus();
}

absl::Status VectorSegment::LoadRows(RowFormat format, std::size_t size, std::size_t dimension) {
  rows_.format = format;
  rows_.rows = size;
  rows_.columns = dimension;
  rows_.stride_bytes = RowStrideBytes(format, dimension);
  TRIVIUM_ASSIGN_OR_RETURN(rows_.data, TypedBlock<std::byte>(*file_, "rows", size * rows_.stride_bytes));
  if (format != RowFormat::kInt8) return absl::OkStatus();
  TRIVIUM_ASSIGN_OR_RETURN(rows_.scales, TypedBlock<float>(*file_, "scales", size));
  if (metric_ != base::Metric::kSquaredL2) return absl::OkStatus();
  TRIVIUM_ASSIGN_OR_RETURN(rows_.squared_norms, TypedBlock<float>(*file_, "norms", size));
  return absl::OkStatus();
}

absl::Status VectorSegment::LoadBeam(std::uint32_t width, double target_recall) {
  if (width > kMaxBeamWidth) {
    return absl::DataLossError(
        absl::StrCat("segment ", path(), ": beam width ", width, ", expected at most ", kMaxBeamWidth));
  }
  const bool fits = width == 0 ? target_recall == 0 : target_recall > 0 && target_recall <= 1;
  if (!fits) {  // or NaN
    return absl::DataLossError(
        absl::StrCat("segment ", path(), ": target recall ", target_recall,
                     width == 0 ? ", expected 0 without a beam width" : ", expected more than 0, at most 1"));
  }
  beam_ = {width, target_recall};
  return absl::OkStatus();
}

// Vertices in the blocks are checked by the walk that reads them: reading all of them here would bring the
// largest part of the file into memory.
absl::Status VectorSegment::LoadEdgeCodes() {
  const EdgeCodes shape(dimension(), metric_, graph_.degree_bound());
  TRIVIUM_ASSIGN_OR_RETURN(const std::uint8_t* blocks,
                           TypedBlock<std::uint8_t>(*file_, "edges", size() * shape.shape().bytes));
  TRIVIUM_ASSIGN_OR_RETURN(const std::uint8_t* entries,
                           TypedBlock<std::uint8_t>(*file_, "entries", shape.entry_shape().bytes));
  // Copied into huge pages: a walk that reads a random block of a mapped file spends a quarter of its time in
  // page tables.
  auto memory = std::make_shared<base::HugeBytes>(size() * shape.shape().bytes);
  // Piece by piece, giving the mapped pages back: what was read is not held twice.
  for (std::size_t done = 0; done < memory->size(); done += kCopyBytes) {
    const std::size_t bytes = std::min(kCopyBytes, memory->size() - done);
    std::memcpy(memory->data() + done, blocks + done, bytes);
    madvise(const_cast<std::uint8_t*>(blocks) + done, bytes, MADV_DONTNEED);  // a hint
  }
  codes_.emplace(dimension(), metric_, graph_.degree_bound(), size(), memory->data(), entries, memory);
  if (!training_.empty()) codes_->KeepEntries();
  if (!file_->HasBlock("spread")) return absl::OkStatus();
  const std::size_t padded = shape.shape().dimension, count = padded * padded;
  TRIVIUM_ASSIGN_OR_RETURN(const float* spread, TypedBlock<float>(*file_, "spread", 1 + count));
  if (!(spread[0] >= 0 && spread[0] <= 1)) {  // or NaN; of the rest any value only makes bad codes
    return absl::DataLossError(
        absl::StrCat("segment ", path(), ": pull of the spread ", spread[0], ", expected 0 to 1"));
  }
  codes_->SetSpread(std::make_shared<QuerySpread>(
      QuerySpread{padded, spread[0], std::vector<float>(spread + 1, spread + 1 + count)}));
  return absl::OkStatus();
}

absl::Status VectorSegment::LoadRowCodes() {
  const RowCodes shape(dimension(), metric_);
  const std::size_t record_bytes = size() * shape.record_bytes();
  TRIVIUM_ASSIGN_OR_RETURN(const std::uint8_t* records,
                           TypedBlock<std::uint8_t>(*file_, "codes", record_bytes));
  TRIVIUM_ASSIGN_OR_RETURN(const float* center, TypedBlock<float>(*file_, "center", shape.center_size()));
  row_codes_.emplace(dimension(), metric_, size(), records, center, file_);
  return absl::OkStatus();
}

SearchableRows VectorSegment::searchable() const {
  return {
      .rows = rows_, .metric = metric_, .graph = &graph_, .edge_codes = codes(), .row_codes = row_codes()};
}

void VectorSegment::Search(const float* query, const SearchParameters& parameters, SearchScratch* scratch,
                           std::vector<base::Neighbor>* found, SearchCounters* counters) const {
  SearchRowsWithGraph(searchable(), query, parameters, scratch, found, counters);
}

void VectorSegment::SearchMany(base::MatrixView queries, const SearchParameters& parameters,
                               SearchScratch* scratch, std::vector<base::Neighbor>* found,
                               SearchCounters* counters) const {
  SearchRowsWithGraph(searchable(), queries, parameters, scratch, found, counters);
}

}  // namespace trivium::index
