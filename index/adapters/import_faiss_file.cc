// SPDX-License-Identifier: Apache-2.0
// A file of FAISS, little-endian:
//
//   index     u32 kind (four letters), header, then by kind
//   header    i32 dimension, i64 rows, 2 x i64 unused, u8 trained, i32 metric
//   IxF2, IxFI, IxFl  u64 floats, the floats
//   IwFl      u64 cells, u64 probes, index of the centroids, u8 map type, u64 n, n x i64,
//             for map type 2: u64 n, n x 2 x i64; then "ilar", u64 cells, u64 row bytes, and
//             "full", u64 cells, a u64 size for each   or   "sprs", u64 2 n, n x (u64 cell, u64 size);
//             for each cell that is not empty its rows, then an i64 id for each
//   IxMp, IxM2  the index inside, u64 rows, an i64 id for each
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "index/adapters/import_index_file.h"
#include "index/adapters/import_parsing.h"
#include "storage/byte_reader.h"

namespace trivium::index {
namespace {

using storage::ByteReader;

constexpr std::uint32_t FourLetters(std::string_view letters) {
  std::uint32_t code = 0;
  for (int i = 3; i >= 0; --i)
    code = code << 8 | static_cast<unsigned char>(letters[static_cast<std::size_t>(i)]);
  return code;
}

std::string Letters(std::uint32_t code) {
  std::string letters;
  for (int i = 0; i < 4; ++i, code >>= 8) {
    const char c = static_cast<char>(code & 0xFF);
    letters += c >= ' ' && c <= '~' ? c : '?';
  }
  return letters;
}

struct FaissRow {
  std::int64_t id;
  const char* floats;
};

// What one index inside the file holds; the rows point into the file.
struct FaissContents {
  std::size_t dimension = 0;
  base::Metric metric = base::Metric::kSquaredL2;
  std::vector<FaissRow> rows;
};

class FaissParser {
 public:
  explicit FaissParser(std::string_view bytes) : reader_(bytes) {}

  absl::StatusOr<ImportedVectors> Parse() {
    TRIVIUM_ASSIGN_OR_RETURN(FaissContents contents, ParseIndex(/*maps_allowed=*/true));
    if (!reader_.AtEnd()) return Damaged("bytes after the FAISS index", reader_.remaining(), "0");
    ImportedVectors vectors{base::AlignedMatrix(contents.dimension), {}, contents.metric};
    vectors.rows.Reserve(contents.rows.size());
    vectors.labels.reserve(contents.rows.size());
    for (const FaissRow& row : contents.rows) {
      TRIVIUM_RETURN_IF_ERROR(AppendRow({row.floats, contents.dimension * sizeof(float)},
                                        static_cast<std::uint64_t>(row.id), &vectors));
    }
    return vectors;
  }

 private:
  struct Header {
    FaissContents contents;
    std::uint64_t row_count = 0;
  };

  absl::StatusOr<FaissContents> ParseIndex(bool maps_allowed) {
    const auto kind = reader_.Read<std::uint32_t>();
    switch (kind) {
      case FourLetters("IxF2"):
      case FourLetters("IxFI"):
      case FourLetters("IxFl"):
        return ParseFlat();
      case FourLetters("IwFl"):
        return ParseCells();
      case FourLetters("IxMp"):
      case FourLetters("IxM2"):
        if (maps_allowed) return ParseMap();
    }
    if (!reader_.ok()) return Truncated("FAISS index");
    return absl::InvalidArgumentError(absl::StrCat("FAISS index kind: ", Letters(kind),
                                                   ", expected IxF2, IxFI, IwFl",
                                                   maps_allowed ? ", IxMp or IxM2" : " inside IxMp or IxM2"));
  }

  absl::StatusOr<Header> ParseHeader() {
    const auto dimension = reader_.Read<std::int32_t>();
    const auto row_count = reader_.Read<std::int64_t>();
    reader_.ReadBytes(2 * sizeof(std::int64_t) + 1);  // unused, trained
    const auto metric = reader_.Read<std::int32_t>();
    if (!reader_.ok()) return Truncated("FAISS header");
    if (dimension <= 0) {
      return absl::DataLossError(absl::StrCat("FAISS dimension: ", dimension, ", expected at least 1"));
    }
    if (row_count < 0) {
      return absl::DataLossError(absl::StrCat("FAISS rows: ", row_count, ", expected at least 0"));
    }
    if (metric != 0 && metric != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("FAISS metric: ", metric, ", expected 0 (inner product) or 1 (L2)"));
    }
    Header header;
    header.contents.dimension = static_cast<std::size_t>(dimension);
    header.contents.metric = metric == 0 ? base::Metric::kInnerProduct : base::Metric::kSquaredL2;
    header.row_count = static_cast<std::uint64_t>(row_count);
    return header;
  }

  absl::StatusOr<FaissContents> ParseFlat() {
    TRIVIUM_ASSIGN_OR_RETURN(Header header, ParseHeader());
    FaissContents& contents = header.contents;
    const std::uint64_t row_bytes = contents.dimension * sizeof(float);
    const auto float_count = reader_.Read<std::uint64_t>();
    if (!reader_.ok() || header.row_count > reader_.remaining() / row_bytes)
      return Truncated("FAISS vectors");
    if (float_count != header.row_count * contents.dimension) {
      return Damaged("FAISS floats", float_count, absl::StrCat(header.row_count, " x ", contents.dimension));
    }
    AddRows(reader_.ReadBytes(header.row_count * row_bytes), row_bytes, {}, &contents.rows);
    return std::move(contents);
  }

  // Ids are counted from 0 where `ids` is empty.
  static void AddRows(std::string_view floats, std::uint64_t row_bytes, const std::vector<std::int64_t>& ids,
                      std::vector<FaissRow>* rows) {
    const std::uint64_t count = floats.size() / row_bytes;
    rows->reserve(rows->size() + count);
    for (std::uint64_t i = 0; i < count; ++i) {
      rows->push_back({ids.empty() ? static_cast<std::int64_t>(i) : ids[i], floats.data() + i * row_bytes});
    }
  }

  absl::StatusOr<FaissContents> ParseCells() {
    TRIVIUM_ASSIGN_OR_RETURN(Header header, ParseHeader());
    const auto cell_count = reader_.Read<std::uint64_t>();
    reader_.Read<std::uint64_t>();  // probes
    TRIVIUM_RETURN_IF_ERROR(SkipCentroids(header.contents.dimension));
    TRIVIUM_RETURN_IF_ERROR(SkipDirectMap());
    TRIVIUM_RETURN_IF_ERROR(ParseLists(cell_count, &header.contents));
    std::vector<FaissRow>& rows = header.contents.rows;
    if (rows.size() != header.row_count) {
      return Damaged("FAISS rows in cells", rows.size(), absl::StrCat(header.row_count));
    }
    std::stable_sort(rows.begin(), rows.end(),
                     [](const FaissRow& a, const FaissRow& b) { return a.id < b.id; });
    return std::move(header.contents);
  }

  absl::Status SkipCentroids(std::size_t dimension) {
    const auto kind = reader_.Read<std::uint32_t>();
    if (!reader_.ok()) return Truncated("FAISS centroids");
    if (kind != FourLetters("IxF2") && kind != FourLetters("IxFI") && kind != FourLetters("IxFl")) {
      return absl::InvalidArgumentError(
          absl::StrCat("FAISS centroids' kind: ", Letters(kind), ", expected IxF2 or IxFI"));
    }
    TRIVIUM_ASSIGN_OR_RETURN(const FaissContents centroids, ParseFlat());
    if (centroids.dimension == dimension) return absl::OkStatus();
    return Damaged("FAISS centroids' dimension", centroids.dimension, absl::StrCat(dimension));
  }

  absl::Status SkipDirectMap() {
    const auto type = reader_.Read<std::uint8_t>();
    if (type > 2) return Damaged("FAISS direct map", type, "0, 1 or 2");
    reader_.ReadArray<std::int64_t>(reader_.Read<std::uint64_t>());
    if (type == 2) {
      const auto pair_count = reader_.Read<std::uint64_t>();
      if (pair_count > reader_.remaining() / (2 * sizeof(std::int64_t))) return Truncated("FAISS direct map");
      reader_.ReadBytes(pair_count * 2 * sizeof(std::int64_t));
    }
    return reader_.ok() ? absl::OkStatus() : Truncated("FAISS direct map");
  }

  absl::Status ParseLists(std::uint64_t cell_count, FaissContents* contents) {
    const std::uint64_t row_bytes = contents->dimension * sizeof(float);
    const auto kind = reader_.Read<std::uint32_t>();
    const auto list_count = reader_.Read<std::uint64_t>();
    const auto code_bytes = reader_.Read<std::uint64_t>();
    const auto layout = reader_.Read<std::uint32_t>();
    const auto sizes = reader_.ReadArray<std::uint64_t>(reader_.Read<std::uint64_t>());
    if (!reader_.ok()) return Truncated("FAISS cells");
    if (kind != FourLetters("ilar")) {
      return absl::InvalidArgumentError(
          absl::StrCat("FAISS cells' kind: ", Letters(kind), ", expected ilar"));
    }
    if (list_count != cell_count) return Damaged("FAISS cells", list_count, absl::StrCat(cell_count));
    if (code_bytes != row_bytes) return Damaged("FAISS row bytes", code_bytes, absl::StrCat(row_bytes));
    const bool sparse = layout == FourLetters("sprs");
    if (!sparse && layout != FourLetters("full")) {
      return absl::DataLossError(
          absl::StrCat("FAISS cells' layout: ", Letters(layout), ", expected full or sprs"));
    }
    if (sparse ? sizes.size() % 2 != 0 : sizes.size() != cell_count) {
      return Damaged("FAISS cell sizes", sizes.size(), sparse ? "an even number" : absl::StrCat(cell_count));
    }
    for (std::size_t i = sparse ? 1 : 0; i < sizes.size(); i += sparse ? 2 : 1) {
      if (sizes[i] > reader_.remaining() / (row_bytes + sizeof(std::int64_t))) return Truncated("FAISS cell");
      const std::string_view floats = reader_.ReadBytes(sizes[i] * row_bytes);
      AddRows(floats, row_bytes, reader_.ReadArray<std::int64_t>(sizes[i]), &contents->rows);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<FaissContents> ParseMap() {
    TRIVIUM_ASSIGN_OR_RETURN(const Header header, ParseHeader());
    TRIVIUM_ASSIGN_OR_RETURN(FaissContents contents, ParseIndex(/*maps_allowed=*/false));
    const auto ids = reader_.ReadArray<std::int64_t>(reader_.Read<std::uint64_t>());
    if (!reader_.ok()) return Truncated("FAISS ids");
    if (contents.dimension != header.contents.dimension) {
      return Damaged("FAISS dimension", contents.dimension, absl::StrCat(header.contents.dimension));
    }
    if (contents.rows.size() != header.row_count) {
      return Damaged("FAISS rows", contents.rows.size(), absl::StrCat(header.row_count));
    }
    if (ids.size() != header.row_count)
      return Damaged("FAISS ids", ids.size(), absl::StrCat(header.row_count));
    for (FaissRow& row : contents.rows) {
      if (row.id < 0 || static_cast<std::uint64_t>(row.id) >= ids.size()) {
        return absl::DataLossError(absl::StrCat("FAISS id: ", row.id, ", expected 0 to ", ids.size() - 1));
      }
      row.id = ids[static_cast<std::size_t>(row.id)];
    }
    return contents;
  }

  ByteReader reader_;
};

}  // namespace

absl::StatusOr<ImportedVectors> ReadFaissFile(const std::string& path) {
  return ReadIndexFile(path, [](std::string_view bytes) { return FaissParser(bytes).Parse(); });
}

}  // namespace trivium::index
