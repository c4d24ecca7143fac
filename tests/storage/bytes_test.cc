// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"
#include "storage/checksum.h"

namespace trivium::storage {
namespace {

TEST(ByteReader, ReadsBackWhatWasWritten) {
  ByteWriter writer;
  writer.Put(std::uint8_t{7});
  writer.Put(std::int64_t{-5});
  writer.Put(1.5f);
  writer.PutString("name");
  writer.PutString("");
  const std::vector<float> values = {1, 2, 3};
  writer.PutArray(values.data(), values.size());
  ByteReader reader(writer.bytes());
  EXPECT_EQ(reader.Read<std::uint8_t>(), 7);
  EXPECT_EQ(reader.Read<std::int64_t>(), -5);
  EXPECT_EQ(reader.Read<float>(), 1.5f);
  EXPECT_EQ(reader.ReadString(), "name");
  EXPECT_EQ(reader.ReadString(), "");
  EXPECT_EQ(reader.ReadArray<float>(3), values);
  EXPECT_TRUE(reader.AtEnd());
}

TEST(ByteWriter, WritesLittleEndian) {
  ByteWriter writer;
  writer.Put(std::uint32_t{0x01020304});
  EXPECT_EQ(writer.Take(), "\x04\x03\x02\x01");
}

TEST(ByteReader, FailsForGoodOncePastTheEnd) {
  const std::string bytes("\x01\x02\x03", 3);
  ByteReader reader(bytes);
  EXPECT_EQ(reader.Read<std::uint32_t>(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.Read<std::uint8_t>(), 0) << "bytes are left, but the reader has failed";
  EXPECT_FALSE(reader.AtEnd());
}

TEST(ByteReader, RefusesSizesThatWouldOverflow) {
  const std::string bytes(16, 'x');
  ByteReader huge(bytes);
  EXPECT_TRUE(huge.ReadArray<std::uint64_t>(std::numeric_limits<std::uint64_t>::max() / 8 + 1).empty());
  EXPECT_FALSE(huge.ok());
  ByteReader larger(bytes);
  EXPECT_TRUE(larger.ReadBytes(std::numeric_limits<std::uint64_t>::max()).empty());
  EXPECT_FALSE(larger.ok());
  ByteReader string(bytes);  // its length prefix is 0x78787878
  EXPECT_TRUE(string.ReadString().empty());
  EXPECT_FALSE(string.ok());
}

TEST(Checksum, OfPiecesIsThatOfTheWhole) {
  std::string text;
  ChecksumStream stream;
  for (int i = 0; i < 500; ++i) {
    const std::string piece(static_cast<std::size_t>(i % 37), static_cast<char>(i));
    stream.Update({reinterpret_cast<const std::byte*>(piece.data()), piece.size()});
    text += piece;
  }
  EXPECT_EQ(stream.Digest(), Checksum(text));
  stream.Reset();
  EXPECT_EQ(stream.Digest(), Checksum(""));
}

TEST(Checksum, IsTheOneOfTheFileFormat) { EXPECT_EQ(Checksum(""), 0x2D06800538D394C2ull); }

}  // namespace
}  // namespace trivium::storage
