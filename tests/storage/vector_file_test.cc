// SPDX-License-Identifier: Apache-2.0
#include "storage/vector_files/vector_file.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/byte_writer.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium::storage {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::trivium::testing_support::TempDir;
using ::trivium::testing_support::WriteWholeFile;

std::string Npy(std::string_view dictionary, std::string_view data, int version = 1) {
  ByteWriter writer;
  writer.PutBytes("\x93NUMPY");
  writer.Put(static_cast<std::uint8_t>(version));
  writer.Put(std::uint8_t{0});
  const std::string padded = std::string(dictionary) + std::string(64 - dictionary.size() % 64, ' ') + "\n";
  if (version == 1) {
    writer.Put(static_cast<std::uint16_t>(padded.size()));
  } else {
    writer.Put(static_cast<std::uint32_t>(padded.size()));
  }
  writer.PutBytes(padded);
  writer.PutBytes(data);
  return writer.Take();
}

std::string Floats(const std::vector<float>& values) {
  ByteWriter writer;
  writer.PutArray(values.data(), values.size());
  return writer.Take();
}

std::string Fvecs(const std::vector<std::vector<float>>& rows) {
  ByteWriter writer;
  for (const std::vector<float>& row : rows) {
    writer.Put(static_cast<std::int32_t>(row.size()));
    writer.PutArray(row.data(), row.size());
  }
  return writer.Take();
}

std::string Fbin(std::uint32_t rows, std::uint32_t columns, const std::vector<float>& values) {
  ByteWriter writer;
  writer.Put(rows);
  writer.Put(columns);
  writer.PutArray(values.data(), values.size());
  return writer.Take();
}

const char kThreeByTwo[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }";
const std::vector<float> kValues = {1, 2, 3, 4, 5, 6};

class VectorFileTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, std::string_view contents) {
    WriteWholeFile(dir_.File(name), contents);
    return dir_.File(name);
  }
  absl::Status Refused(const std::string& name, std::string_view contents) {
    return OpenVectorFile(Write(name, contents)).status();
  }

  TempDir dir_;
};

auto IsRefused(std::string_view what) {
  return StatusIs(absl::StatusCode::kInvalidArgument,
                  AllOf(HasSubstr(std::string(what)), HasSubstr(", expected "), HasSubstr("/file.")));
}

TEST_F(VectorFileTest, ReadsRangesOfRowsOfEveryFormat) {
  const std::vector<std::pair<std::string, std::string>> files = {
      {"v1.npy", Npy(kThreeByTwo, Floats(kValues), 1)},
      {"v2.npy", Npy(kThreeByTwo, Floats(kValues), 2)},
      {"v3.npy", Npy(kThreeByTwo, Floats(kValues), 3)},
      {"keys.npy", Npy("{\"shape\":(3,2),\"fortran_order\":False,\"descr\":\"<f4\"}", Floats(kValues))},
      {"a.fvecs", Fvecs({{1, 2}, {3, 4}, {5, 6}})},
      {"a.fbin", Fbin(3, 2, kValues)},
  };
  for (const auto& [name, contents] : files) {
    ASSERT_OK_AND_ASSIGN(const auto file, OpenVectorFile(Write(name, contents)));
    ASSERT_EQ(file->rows(), 3u) << name;
    ASSERT_EQ(file->columns(), 2u) << name;
    std::vector<float> all(6);
    ASSERT_OK(file->Read(0, 3, all.data()));
    EXPECT_EQ(all, kValues) << name;
    std::vector<float> middle(2);
    ASSERT_OK(file->Read(1, 1, middle.data()));
    EXPECT_THAT(middle, ElementsAre(3, 4)) << name;
    EXPECT_OK(file->Read(3, 0, nullptr));
    EXPECT_THAT(file->Read(2, 2, all.data()), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(name)));
    EXPECT_THAT(file->Read(4, 0, all.data()), StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

// The slow obvious way to read a binary16.
float HalfByDefinition(std::uint16_t half) {
  const int exponent = half >> 10 & 31;
  const int fraction = half & 1023;
  const double sign = half >> 15 ? -1 : 1;
  if (exponent == 31) return static_cast<float>(fraction == 0 ? sign * INFINITY : NAN);
  if (exponent == 0) return static_cast<float>(sign * std::ldexp(fraction, -24));
  return static_cast<float>(sign * std::ldexp(1024 + fraction, exponent - 25));
}

TEST_F(VectorFileTest, ReadsEveryHalf) {
  ByteWriter data;
  for (std::uint32_t half = 0; half < 65536; ++half) data.Put(static_cast<std::uint16_t>(half));
  ASSERT_OK_AND_ASSIGN(
      const auto file,
      OpenVectorFile(Write(
          "f2.npy", Npy("{'descr': '<f2', 'fortran_order': False, 'shape': (64, 1024), }", data.bytes()))));
  std::vector<float> values(65536);
  ASSERT_OK(file->Read(0, 64, values.data()));
  for (std::uint32_t half = 0; half < 65536; ++half) {
    const float expected = HalfByDefinition(static_cast<std::uint16_t>(half));
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(values[half])) << half;
    } else {
      ASSERT_EQ(values[half], expected) << half;
      ASSERT_EQ(std::signbit(values[half]), std::signbit(expected)) << half;
    }
  }
}

TEST_F(VectorFileTest, ReadsMoreThanOneBufferOfConvertedRows) {
  std::vector<std::vector<float>> rows(3001, std::vector<float>(100));
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].assign(100, static_cast<float>(i));
  ASSERT_OK_AND_ASSIGN(const auto file, OpenVectorFile(Write("big.fvecs", Fvecs(rows))));
  ASSERT_EQ(file->rows(), 3001u);
  std::vector<float> values(3000 * 100);
  ASSERT_OK(file->Read(1, 3000, values.data()));
  for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], static_cast<float>(i / 100 + 1));
}

TEST_F(VectorFileTest, AcceptsAMatrixWithoutRows) {
  ASSERT_OK_AND_ASSIGN(
      const auto file,
      OpenVectorFile(
          Write("none.npy", Npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 5), }", ""))));
  EXPECT_EQ(file->rows(), 0u);
  EXPECT_EQ(file->columns(), 5u);
}

TEST_F(VectorFileTest, RefusesOtherArrays) {
  const auto refused = [&](std::string_view dictionary) {
    return Refused("file.npy", Npy(dictionary, Floats(kValues)));
  };
  EXPECT_THAT(refused("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 1), }"),
              IsRefused("npy type: '<f8'"));
  EXPECT_THAT(refused("{'descr': '>f4', 'fortran_order': False, 'shape': (3, 2), }"),
              IsRefused("npy type: '>f4'"));
  EXPECT_THAT(refused("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (3, 2), }"),
              IsRefused("npy type: not a plain type"));
  EXPECT_THAT(refused("{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2), }"), IsRefused("Fortran"));
  EXPECT_THAT(refused("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }"),
              IsRefused("1 dimensions"));
  EXPECT_THAT(refused("{'descr': '<f4', 'fortran_order': False, 'shape': (), }"), IsRefused("0 dimensions"));
  EXPECT_THAT(refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 2), }"),
              IsRefused("3 dimensions"));
  EXPECT_THAT(refused("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 0), }"),
              IsRefused("dimension: 0"));
  EXPECT_THAT(refused("{'descr': '<f4', 'fortran_order': False, 'shape': (3, -2), }"),
              IsRefused("npy header"));
  EXPECT_THAT(refused("{'descr': '<f4', 'fortran_order': False, 'shape': (3 2), }"), IsRefused("npy header"));
  EXPECT_THAT(refused("{'descr': '<f4', 'shape': (3, 2), }"), IsRefused("npy header"));
  EXPECT_THAT(refused("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2"), IsRefused("npy header"));
  EXPECT_THAT(refused("{'evil': '<f4', 'fortran_order': False, 'shape': (3, 2), }"), IsRefused("npy header"));
  EXPECT_THAT(refused("import os"), IsRefused("npy header"));
  EXPECT_THAT(refused(""), IsRefused("npy header"));
  EXPECT_THAT(Refused("file.npy", "just text"), IsRefused("npy: first bytes"));
  EXPECT_THAT(Refused("file.npy", Npy(kThreeByTwo, Floats(kValues), 4)), IsRefused("npy version: 4.0"));
}

TEST_F(VectorFileTest, RefusesSizesThatOverflow) {
  EXPECT_THAT(
      Refused("file.npy", Npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387905, 4), }",
                              Floats(kValues))),
      IsRefused("file length"));
  EXPECT_THAT(Refused("file.npy", Npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 99999999999), }",
                                      Floats(kValues))),
              IsRefused("dimension: 99999999999"));
  EXPECT_THAT(Refused("file.npy",
                      Npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 99999999999999999999), }",
                          Floats(kValues))),
              IsRefused("npy header"));
  EXPECT_THAT(Refused("file.fbin", Fbin(4294967295u, 1000000u, kValues)), IsRefused("file length"));
  EXPECT_THAT(Refused("file.fvecs", std::string("\xFF\xFF\xFF\x7F", 4)), IsRefused("dimension: 2147483647"));
  EXPECT_THAT(Refused("file.fvecs", std::string("\xFF\xFF\xFF\xFF", 4)), IsRefused("fvecs dimension: -1"));
}

TEST_F(VectorFileTest, FindsEveryTruncation) {
  for (const auto& [name, contents] : std::vector<std::pair<std::string, std::string>>{
           {"file.npy", Npy(kThreeByTwo, Floats(kValues))}, {"file.fbin", Fbin(3, 2, kValues)}}) {
    for (std::size_t size = 0; size < contents.size(); ++size) {
      ASSERT_THAT(Refused(name, contents.substr(0, size)), IsRefused("")) << name << " cut at " << size;
    }
    ASSERT_THAT(Refused(name, contents + "x"), IsRefused("file length")) << name;
  }
  // .fvecs carries no row count: a file cut between rows is a file with fewer rows.
  const std::string fvecs = Fvecs({{1, 2}, {3, 4}, {5, 6}});
  for (std::size_t size = 0; size < fvecs.size(); ++size) {
    if (size % 12 != 0 || size == 0) {
      ASSERT_THAT(Refused("file.fvecs", fvecs.substr(0, size)), IsRefused("")) << size;
    }
  }
}

TEST_F(VectorFileTest, SurvivesEveryFlippedBitOfTheHeader) {
  for (const auto& [name, contents] :
       std::vector<std::pair<std::string, std::string>>{{"file.npy", Npy(kThreeByTwo, Floats(kValues))},
                                                        {"file.fbin", Fbin(3, 2, kValues)},
                                                        {"file.fvecs", Fvecs({{1, 2}, {3, 4}, {5, 6}})}}) {
    for (std::size_t bit = 0; bit < (contents.size() - 24) * 8; ++bit) {
      std::string flipped = contents;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
      auto file = OpenVectorFile(Write(name, flipped));
      if (file.ok()) {  // a format without checksums cannot tell (3, 2) from (2, 3)
        std::vector<float> values((*file)->rows() * (*file)->columns());
        ASSERT_LE(values.size() * sizeof(float), flipped.size());
        (void)(*file)->Read(0, (*file)->rows(), values.data());
      } else {
        ASSERT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument) << name << " bit " << bit;
      }
    }
  }
}

TEST_F(VectorFileTest, NamesTheRowOfAnotherDimension) {
  std::string contents = Fvecs({{1, 2}, {3, 4}, {5, 6}});
  contents[12] = 3;
  ASSERT_OK_AND_ASSIGN(const auto file, OpenVectorFile(Write("file.fvecs", contents)));
  std::vector<float> values(6);
  EXPECT_THAT(file->Read(0, 3, values.data()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("dimension: 3, expected 2"), HasSubstr("file.fvecs:1)"))));
}

TEST_F(VectorFileTest, NamesUnknownAndAbsentFiles) {
  EXPECT_THAT(Refused("file.csv", "1,2"), IsRefused("unknown extension"));
  EXPECT_THAT(OpenVectorFile(dir_.File("absent.npy")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("absent.npy")));
}

}  // namespace
}  // namespace trivium::storage
