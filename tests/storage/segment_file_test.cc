// SPDX-License-Identifier: Apache-2.0
#include "storage/segment_file.h"

#include <fcntl.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/checksum.h"
#include "storage/file_system.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium::storage {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::trivium::testing_support::ReadWholeFile;
using ::trivium::testing_support::TempDir;
using ::trivium::testing_support::WriteWholeFile;

absl::Span<const std::byte> Bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

std::string Text(absl::Span<const std::byte> bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// Three blocks: one short, one empty, one that fills its pages exactly.
std::string WriteSample(const std::string& path) {
  auto writer = SegmentFileWriter::Create(path);
  EXPECT_OK(writer);
  EXPECT_OK((*writer)->AddBlock("short", Bytes("a few bytes")));
  EXPECT_OK((*writer)->AddBlock("empty", {}));
  EXPECT_OK((*writer)->AddBlock("full", Bytes(std::string(kBlockAlignmentBytes, 'x'))));
  EXPECT_OK((*writer)->Commit());
  return path;
}

TEST(SegmentFile, GivesBackAlignedBlocks) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(auto file, SegmentFile::Open(WriteSample(dir.File("sample")), true));
  ASSERT_OK_AND_ASSIGN(auto block, file->Block("short"));
  EXPECT_EQ(Text(block), "a few bytes");
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block.data()) % kBlockAlignmentBytes, 0u);
  ASSERT_OK_AND_ASSIGN(block, file->Block("empty"));
  EXPECT_TRUE(block.empty());
  ASSERT_OK_AND_ASSIGN(block, file->Block("full"));
  EXPECT_EQ(Text(block), std::string(kBlockAlignmentBytes, 'x'));
  EXPECT_TRUE(file->HasBlock("short"));
  EXPECT_FALSE(file->HasBlock("absent"));
  EXPECT_THAT(file->Block("absent"), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("'absent'")));
  EXPECT_EQ(file->size_bytes(), std::filesystem::file_size(file->path()));
}

TEST(SegmentFile, JoinsThePiecesOfABlock) {
  TempDir dir;
  std::string expected;
  ASSERT_OK_AND_ASSIGN(auto writer, SegmentFileWriter::Create(dir.File("pieces")));
  ASSERT_OK(writer->BeginBlock("pieces"));
  for (std::size_t size : {1, 0, 4095, 70000, 300000, 3}) {  // below and above the writer's buffer
    const std::string piece(size, static_cast<char>('a' + size % 26));
    ASSERT_OK(writer->Append(Bytes(piece)));
    expected += piece;
  }
  ASSERT_OK(writer->AddBlock("next", Bytes("next")));
  ASSERT_OK(writer->Commit());
  ASSERT_OK_AND_ASSIGN(auto file, SegmentFile::Open(dir.File("pieces"), true));
  EXPECT_EQ(Text(*file->Block("pieces")), expected);
  EXPECT_EQ(Text(*file->Block("next")), "next");
}

TEST(SegmentFile, MayHoldNoBlockAtAll) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(auto writer, SegmentFileWriter::Create(dir.File("none")));
  ASSERT_OK(writer->Commit());
  EXPECT_OK(SegmentFile::Open(dir.File("none"), true));
}

TEST(SegmentFile, NeverReplacesAFile) {
  TempDir dir;
  WriteWholeFile(dir.File("taken"), "precious");
  {
    ASSERT_OK_AND_ASSIGN(auto writer, SegmentFileWriter::Create(dir.File("taken")));
    EXPECT_THAT(writer->Commit(), StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("taken")));
  }
  EXPECT_EQ(ReadWholeFile(dir.File("taken")), "precious");
  EXPECT_THAT(*ListDirectory(dir.path()), ::testing::ElementsAre("taken"));
}

TEST(SegmentFile, LeavesNothingBehindWhenNotCommitted) {
  TempDir dir;
  {
    ASSERT_OK_AND_ASSIGN(auto writer, SegmentFileWriter::Create(dir.File("abandoned")));
    ASSERT_OK(writer->AddBlock("block", Bytes("bytes")));
    ASSERT_THAT(*ListDirectory(dir.path()), ::testing::SizeIs(1));
  }
  EXPECT_THAT(*ListDirectory(dir.path()), IsEmpty());
}

TEST(SegmentFile, RefusesWrongUse) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(auto early, SegmentFileWriter::Create(dir.File("early")));
  EXPECT_THAT(early->Append(Bytes("x")), StatusIs(absl::StatusCode::kFailedPrecondition));
  for (std::string name :
       {std::string(), std::string(32, 'n'), std::string("a b"), std::string("\xc3\xa9")}) {
    ASSERT_OK_AND_ASSIGN(auto writer, SegmentFileWriter::Create(dir.File("named")));
    EXPECT_THAT(writer->BeginBlock(name), StatusIs(absl::StatusCode::kInvalidArgument)) << name;
    EXPECT_THAT(writer->Commit(), StatusIs(absl::StatusCode::kInvalidArgument)) << "an error must stick";
  }
  ASSERT_OK_AND_ASSIGN(auto twice, SegmentFileWriter::Create(dir.File("twice")));
  ASSERT_OK(twice->AddBlock("same", {}));
  EXPECT_THAT(twice->BeginBlock("same"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("twice")));
  EXPECT_THAT(SegmentFileWriter::Create(dir.File("no/such/directory")),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(SegmentFile::Open(dir.File("absent"), true), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(SegmentFile::Open(dir.path(), true), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(SegmentFile, NamesANewerFormatVersion) {
  TempDir dir;
  std::string bytes = ReadWholeFile(WriteSample(dir.File("sample")));
  bytes[8] = 2;
  const std::uint64_t sum = Checksum(std::string_view(bytes).substr(0, 4088));
  std::memcpy(bytes.data() + 4088, &sum, sizeof(sum));
  WriteWholeFile(dir.File("newer"), bytes);
  EXPECT_THAT(
      SegmentFile::Open(dir.File("newer"), true),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("format version: 2, expected at most 1")));
}

TEST(SegmentFile, FindsTruncationAtEveryLength) {
  TempDir dir;
  const std::string path = WriteSample(dir.File("sample"));
  for (auto size = std::filesystem::file_size(path); size-- > 0;) {
    std::filesystem::resize_file(path, size);
    // Without reading the blocks: the recorded length alone must tell.
    ASSERT_THAT(SegmentFile::Open(path, false), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path)))
        << size;
  }
}

TEST(SegmentFile, FindsAppendedBytes) {
  TempDir dir;
  const std::string path = WriteSample(dir.File("sample"));
  WriteWholeFile(path, ReadWholeFile(path) + '\0');
  EXPECT_THAT(SegmentFile::Open(path, false), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path)));
}

TEST(SegmentFile, FindsEveryFlippedBit) {
  TempDir dir;
  const std::string path = WriteSample(dir.File("sample"));
  const std::string good = ReadWholeFile(path);
  ASSERT_OK_AND_ASSIGN(const FileDescriptor file, OpenFile(path, O_RDWR));
  const auto write = [&](std::size_t offset, char value) {
    ASSERT_OK(WriteAllAt(file, offset, Bytes(std::string_view(&value, 1)), path));
  };
  for (std::size_t offset = 0; offset < good.size(); ++offset) {
    for (int bit = 0; bit < 8; ++bit) {
      write(offset, static_cast<char>(good[offset] ^ (1 << bit)));
      ASSERT_THAT(SegmentFile::Open(path, true), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path)))
          << "byte " << offset << ", bit " << bit;
    }
    write(offset, good[offset]);
  }
  EXPECT_OK(SegmentFile::Open(path, true));
}

TEST(SegmentFile, OpensADamagedBlockOnlyUnverified) {
  TempDir dir;
  const std::string path = WriteSample(dir.File("sample"));
  std::string bytes = ReadWholeFile(path);
  bytes[4096] ^= 1;
  WriteWholeFile(path, bytes);
  ASSERT_OK_AND_ASSIGN(auto file, SegmentFile::Open(path, false));
  EXPECT_THAT(file->VerifyBlocks(),
              StatusIs(absl::StatusCode::kDataLoss, AllOf(HasSubstr(path), HasSubstr("'short'"))));
}

}  // namespace
}  // namespace trivium::storage
