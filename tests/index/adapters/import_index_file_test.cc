// SPDX-License-Identifier: Apache-2.0
// Files are written by the libraries themselves; then every byte of them is damaged in turn.
#define NO_MANUAL_VECTORIZATION  // as in hnswlib_index.cc
#include "index/adapters/import_index_file.h"

#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIDMap.h>
#include <faiss/IndexIVFFlat.h>
#include <faiss/IndexPQ.h>
#include <faiss/index_io.h>
#include <fcntl.h>
#include <hnswlib/hnswlib.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/index/adapters/random_rows.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium::index {
namespace {

using base::Metric;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using testing_support::RandomRows;
using testing_support::ReadWholeFile;
using testing_support::TempDir;
using testing_support::WriteWholeFile;

constexpr std::size_t kDimension = 5;
constexpr std::size_t kRows = 23;

std::vector<float> PackedRows(const base::AlignedMatrix& rows) {
  std::vector<float> packed;
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    packed.insert(packed.end(), rows.row(i), rows.row(i) + rows.columns());
  }
  return packed;
}

class ImportIndexFile : public ::testing::Test {
 protected:
  using Read = std::function<absl::StatusOr<ImportedVectors>(const std::string&)>;

  std::string Path() const { return directory_.File("index.bin"); }
  const float* data() const { return packed_.data(); }

  static absl::StatusOr<ImportedVectors> ReadFaiss(const std::string& path) { return ReadFaissFile(path); }
  static absl::StatusOr<ImportedVectors> ReadHnswlib(const std::string& path) {
    return ReadHnswlibFile(path, kDimension, Metric::kCosine);
  }

  void WriteHnswlib(const std::vector<std::size_t>& deleted = {}) {
    hnswlib::L2Space space(kDimension);
    hnswlib::HierarchicalNSW<float> index(&space, kRows + 10, /*M=*/4, /*ef_construction=*/20);
    for (std::size_t i = 0; i < kRows; ++i) {
      static_cast<hnswlib::AlgorithmInterface<float>&>(index).addPoint(rows_.row(i), 1000 + 7 * i);
    }
    for (std::size_t label : deleted) index.markDelete(label);
    index.saveIndex(Path());
  }

  // `vectors` are the rows of this fixture, `label_of(i)` for row i, in order.
  void ExpectAllRows(const absl::StatusOr<ImportedVectors>& vectors, Metric metric,
                     const std::function<std::uint64_t(std::size_t)>& label_of) {
    ASSERT_OK(vectors);
    EXPECT_EQ(vectors->metric, metric);
    ASSERT_EQ(vectors->rows.rows(), kRows);
    ASSERT_EQ(vectors->rows.columns(), kDimension);
    ASSERT_EQ(vectors->labels.size(), kRows);
    for (std::size_t i = 0; i < kRows; ++i) {
      EXPECT_EQ(vectors->labels[i], label_of(i));
      EXPECT_EQ(std::memcmp(vectors->rows.row(i), rows_.row(i), kDimension * sizeof(float)), 0) << i;
    }
  }

  // The file at Path() carries more, has one bit flipped, or ends early: a clean status or harmless vectors.
  // Changed in place, for writing thousands of files anew takes half a minute on some file systems.
  void DamageEverywhere(const Read& read) {
    const std::string whole = ReadWholeFile(Path());
    const int fd = ::open(Path().c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    const auto put = [&](char byte, std::size_t at) { ASSERT_EQ(::pwrite(fd, &byte, 1, at), 1); };

    put('x', whole.size());
    EXPECT_THAT(read(Path()), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(": 1, expected 0")));
    ASSERT_EQ(::ftruncate(fd, whole.size()), 0);

    int refused = 0;
    for (std::size_t i = 0; i < whole.size(); ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        put(static_cast<char>(whole[i] ^ (1 << bit)), i);
        const absl::StatusOr<ImportedVectors> vectors = read(Path());
        if (vectors.ok()) {
          ASSERT_EQ(vectors->rows.rows(), vectors->labels.size());
          ASSERT_LE(vectors->rows.rows(), kRows);
        } else {
          ++refused;
          EXPECT_THAT(vectors.status().code(),
                      AnyOf(absl::StatusCode::kDataLoss, absl::StatusCode::kInvalidArgument))
              << vectors.status();
        }
      }
      put(whole[i], i);
    }
    EXPECT_GT(refused, 200);

    for (std::size_t length = whole.size(); length-- > 0;) {
      ASSERT_EQ(::ftruncate(fd, length), 0);
      EXPECT_THAT(read(Path()), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("index.bin"))) << length;
    }
    ::close(fd);
  }

  TempDir directory_;
  base::AlignedMatrix rows_ = RandomRows(kRows, kDimension, Metric::kSquaredL2, 1);
  std::vector<float> packed_ = PackedRows(rows_);
};

TEST_F(ImportIndexFile, HnswlibGivesItsRowsAndLabels) {
  WriteHnswlib();
  ExpectAllRows(ReadHnswlib(Path()), Metric::kCosine, [](std::size_t i) { return 1000 + 7 * i; });
}

TEST_F(ImportIndexFile, HnswlibLeavesDeletedElementsOut) {
  WriteHnswlib({1000, 1000 + 7 * 5});
  const auto vectors = ReadHnswlib(Path());
  ASSERT_OK(vectors);
  ASSERT_EQ(vectors->labels.size(), kRows - 2);
  EXPECT_EQ(vectors->labels[0], 1007);
  EXPECT_EQ(vectors->labels[4], 1000 + 7 * 6);
  EXPECT_EQ(vectors->rows.row(4)[0], rows_.row(6)[0]);
}

TEST_F(ImportIndexFile, HnswlibOfAnotherDimensionIsRefused) {
  WriteHnswlib();
  EXPECT_THAT(ReadHnswlibFile(Path(), kDimension + 1, Metric::kCosine),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("20 bytes, expected 6 float32")));
  EXPECT_THAT(ReadHnswlibFile(Path(), 0, Metric::kCosine), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(ImportIndexFile, DamagedHnswlibFilesAreRefusedOrHarmless) {
  WriteHnswlib();
  DamageEverywhere(ReadHnswlib);
}

TEST_F(ImportIndexFile, FaissFlatGivesItsRowsInOrder) {
  for (const auto metric : {faiss::METRIC_L2, faiss::METRIC_INNER_PRODUCT}) {
    faiss::IndexFlat index(kDimension, metric);
    index.add(kRows, data());
    faiss::write_index(&index, Path().c_str());
    ExpectAllRows(ReadFaiss(Path()), metric == faiss::METRIC_L2 ? Metric::kSquaredL2 : Metric::kInnerProduct,
                  [](std::size_t i) { return i; });
  }
}

TEST_F(ImportIndexFile, FaissCellsGiveTheirRowsInOrderOfInsertion) {
  for (std::size_t cell_count : {4, 20}) {  // 20: most cells are empty, the sizes are stored sparsely
    faiss::IndexFlatL2 centroids(kDimension);
    faiss::IndexIVFFlat index(&centroids, kDimension, cell_count);
    index.cp.min_points_per_centroid = 1;
    if (cell_count == 20) {
      base::AlignedMatrix apart(cell_count, kDimension);
      for (std::size_t i = 3; i < cell_count; ++i) std::fill_n(apart.row(i), kDimension, 1000.0f * i);
      centroids.add(cell_count, PackedRows(apart).data());
      index.is_trained = true;
    } else {
      index.train(kRows, data());
    }
    index.add(kRows, data());
    faiss::write_index(&index, Path().c_str());
    EXPECT_NE(ReadWholeFile(Path()).find(cell_count == 20 ? "sprs" : "full"), std::string::npos);
    ExpectAllRows(ReadFaiss(Path()), Metric::kSquaredL2, [](std::size_t i) { return i; });
  }
}

TEST_F(ImportIndexFile, FaissCellsWithDirectMapsAreRead) {
  for (const auto type : {faiss::DirectMap::Array, faiss::DirectMap::Hashtable}) {
    faiss::IndexFlatIP centroids(kDimension);
    faiss::IndexIVFFlat index(&centroids, kDimension, 3, faiss::METRIC_INNER_PRODUCT);
    index.cp.min_points_per_centroid = 1;
    index.train(kRows, data());
    index.add(kRows, data());
    index.set_direct_map_type(type);
    faiss::write_index(&index, Path().c_str());
    ExpectAllRows(ReadFaiss(Path()), Metric::kInnerProduct, [](std::size_t i) { return i; });
  }
}

TEST_F(ImportIndexFile, FaissIdMapsGiveTheirIds) {
  std::vector<faiss::Index::idx_t> ids(kRows);
  for (std::size_t i = 0; i < kRows; ++i) ids[i] = 5'000'000'000 - 3 * static_cast<std::int64_t>(i);
  ids[2] = -4;
  const auto label_of = [&](std::size_t i) { return static_cast<std::uint64_t>(ids[i]); };

  faiss::IndexFlatIP flat(kDimension);
  faiss::IndexIDMap map(&flat);
  map.add_with_ids(kRows, data(), ids.data());
  faiss::write_index(&map, Path().c_str());
  ExpectAllRows(ReadFaiss(Path()), Metric::kInnerProduct, label_of);

  faiss::IndexFlatL2 centroids(kDimension);
  faiss::IndexIVFFlat cells(&centroids, kDimension, 3);
  cells.cp.min_points_per_centroid = 1;
  cells.train(kRows, data());
  faiss::IndexIDMap2 map_of_cells(&cells);
  map_of_cells.add_with_ids(kRows, data(), ids.data());
  faiss::write_index(&map_of_cells, Path().c_str());
  ExpectAllRows(ReadFaiss(Path()), Metric::kSquaredL2, label_of);
}

TEST_F(ImportIndexFile, EmptyIndexesGiveNoRows) {
  faiss::IndexFlatL2 flat(kDimension);
  faiss::write_index(&flat, Path().c_str());
  const auto from_faiss = ReadFaiss(Path());
  ASSERT_OK(from_faiss);
  EXPECT_EQ(from_faiss->rows.rows(), 0);

  hnswlib::L2Space space(kDimension);
  hnswlib::HierarchicalNSW<float> hnsw(&space, 10);
  hnsw.saveIndex(Path());
  const auto from_hnswlib = ReadHnswlib(Path());
  ASSERT_OK(from_hnswlib);
  EXPECT_EQ(from_hnswlib->rows.rows(), 0);
}

TEST_F(ImportIndexFile, FaissKindsThatHoldNoPlainVectorsAreNamed) {
  faiss::IndexPQ codes(kDimension, 1, 4);
  faiss::write_index(&codes, Path().c_str());
  EXPECT_THAT(ReadFaiss(Path()), StatusIs(absl::StatusCode::kInvalidArgument,
                                          HasSubstr("FAISS index kind: IxPq, expected IxF2")));

  faiss::IndexHNSWFlat centroids(kDimension, 4);
  faiss::IndexIVFFlat cells(&centroids, kDimension, 3);
  faiss::write_index(&cells, Path().c_str());
  EXPECT_THAT(ReadFaiss(Path()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("FAISS centroids' kind: IHNf")));

  faiss::IndexFlat manhattan(kDimension, faiss::METRIC_L1);
  faiss::write_index(&manhattan, Path().c_str());
  EXPECT_THAT(ReadFaiss(Path()), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("FAISS metric: 2")));
}

TEST_F(ImportIndexFile, ComponentsThatAreNotFiniteAreRefusedWithTheirRow) {
  packed_[7 * kDimension + 2] = std::numeric_limits<float>::quiet_NaN();
  faiss::IndexFlatL2 index(kDimension);
  index.add(kRows, data());
  faiss::write_index(&index, Path().c_str());
  EXPECT_THAT(ReadFaiss(Path()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("expected a finite number (row 7)")));
}

TEST_F(ImportIndexFile, MissingAndForeignFilesAreRefused) {
  EXPECT_THAT(ReadFaiss(Path()), StatusIs(absl::StatusCode::kNotFound, HasSubstr("index.bin")));
  EXPECT_THAT(ReadHnswlib(Path()), StatusIs(absl::StatusCode::kNotFound, HasSubstr("index.bin")));
  WriteWholeFile(Path(), std::string(4096, 'x'));
  EXPECT_THAT(ReadFaiss(Path()), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("kind: xxxx")));
  EXPECT_THAT(ReadHnswlib(Path()), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("first offset")));
  WriteWholeFile(Path(), std::string(4096, '\0'));
  EXPECT_THAT(ReadHnswlib(Path()), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(ImportIndexFile, DamagedFaissFlatFilesAreRefusedOrHarmless) {
  faiss::IndexFlatL2 flat(kDimension);
  flat.add(kRows, data());
  faiss::write_index(&flat, Path().c_str());
  DamageEverywhere(ReadFaiss);
}

TEST_F(ImportIndexFile, DamagedFaissMapsOfCellsAreRefusedOrHarmless) {
  faiss::IndexFlatL2 centroids(kDimension);
  faiss::IndexIVFFlat cells(&centroids, kDimension, 3);
  cells.cp.min_points_per_centroid = 1;
  cells.train(kRows, data());
  faiss::IndexIDMap map(&cells);
  std::vector<faiss::Index::idx_t> ids(kRows, 9);
  map.add_with_ids(kRows, data(), ids.data());
  cells.set_direct_map_type(faiss::DirectMap::Hashtable);
  faiss::write_index(&map, Path().c_str());
  DamageEverywhere(ReadFaiss);
}

}  // namespace
}  // namespace trivium::index
