// SPDX-License-Identifier: Apache-2.0
#include "storage/file_system.h"

#include <fcntl.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium::storage {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::trivium::testing_support::ReadWholeFile;
using ::trivium::testing_support::TempDir;
using ::trivium::testing_support::WriteWholeFile;

TEST(ErrnoStatus, NamesCallErrorAndPath) {
  EXPECT_THAT(ErrnoStatus(ENOENT, "open", "a/b"),
              StatusIs(absl::StatusCode::kNotFound, "open: No such file or directory (a/b)"));
}

TEST(ErrnoStatus, TellsWhatTheCallerCanDo) {
  for (int error : {ENOSPC, EDQUOT, ENOMEM, EFBIG}) {
    EXPECT_EQ(ErrnoStatus(error, "write", "p").code(), absl::StatusCode::kResourceExhausted) << error;
  }
  for (int error : {EACCES, EPERM, EROFS}) {
    EXPECT_EQ(ErrnoStatus(error, "open", "p").code(), absl::StatusCode::kPermissionDenied) << error;
  }
  EXPECT_EQ(ErrnoStatus(EEXIST, "rename", "p").code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ErrnoStatus(ENOTDIR, "open", "p").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrnoStatus(EIO, "read", "p").code(), absl::StatusCode::kInternal);
}

TEST(ReplaceFile, PutsNewContentsUnderTheName) {
  TempDir dir;
  ASSERT_OK(ReplaceFile(dir.File("f"), "one"));
  ASSERT_OK(ReplaceFile(dir.File("f"), "two"));
  EXPECT_THAT(ReadFile(dir.File("f"), 3), IsOkAndHolds("two"));
  EXPECT_THAT(ListDirectory(dir.path()), IsOkAndHolds(ElementsAre("f")));
  EXPECT_THAT(ReplaceFile(dir.File("no/f"), "x"), StatusIs(absl::StatusCode::kNotFound));
}

TEST(ReadFile, RefusesWhatIsLargerThanTheLimit) {
  TempDir dir;
  WriteWholeFile(dir.File("f"), "four");
  EXPECT_THAT(ReadFile(dir.File("f"), 3),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("4 bytes, expected at most 3")));
  EXPECT_THAT(ReadFile(dir.path(), 3), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ReadExactAt, NamesAFileThatEndsEarly) {
  TempDir dir;
  WriteWholeFile(dir.File("f"), "four");
  ASSERT_OK_AND_ASSIGN(const FileDescriptor file, OpenFile(dir.File("f"), O_RDONLY));
  std::byte out[4];
  EXPECT_OK(ReadExactAt(file, 0, absl::MakeSpan(out), dir.File("f")));
  EXPECT_THAT(ReadExactAt(file, 1, absl::MakeSpan(out), dir.File("f")),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(dir.File("f"))));
}

TEST(RenameToFreeName, KeepsWhatIsThere) {
  TempDir dir;
  WriteWholeFile(dir.File("a"), "a");
  WriteWholeFile(dir.File("b"), "b");
  EXPECT_THAT(RenameToFreeName(dir.File("a"), dir.File("b")), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_EQ(ReadWholeFile(dir.File("b")), "b");
  EXPECT_OK(RenameToFreeName(dir.File("a"), dir.File("c")));
  EXPECT_THAT(ListDirectory(dir.path()), IsOkAndHolds(ElementsAre("b", "c")));
}

TEST(TemporaryName, IsNewEachTimeAndRecognised) {
  EXPECT_NE(TemporaryName("f"), TemporaryName("f"));
  EXPECT_TRUE(IsTemporaryName(TemporaryName("f")));
  EXPECT_FALSE(IsTemporaryName("f.tmp"));
}

TEST(CopyTree, CopiesFilesAndFoldersButNothingTemporary) {
  TempDir dir;
  std::filesystem::create_directories(dir.File("from/inner/empty"));
  WriteWholeFile(dir.File("from/a"), std::string(3000000, 'a'));
  WriteWholeFile(dir.File("from/inner/b"), "");
  WriteWholeFile(TemporaryName(dir.File("from/a")), "left by a crash");
  ASSERT_OK(CopyTree(dir.File("from"), dir.File("to")));
  EXPECT_EQ(ReadWholeFile(dir.File("to/a")), std::string(3000000, 'a'));
  EXPECT_EQ(ReadWholeFile(dir.File("to/inner/b")), "");
  EXPECT_THAT(ListDirectory(dir.File("to")), IsOkAndHolds(ElementsAre("a", "inner")));
  EXPECT_TRUE(std::filesystem::is_directory(dir.File("to/inner/empty")));
  EXPECT_THAT(CopyTree(dir.File("from"), dir.File("to")), StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST(CopyTree, RefusesSymbolicLinks) {
  TempDir dir;
  std::filesystem::create_directories(dir.File("from"));
  std::filesystem::create_symlink("/etc/passwd", dir.File("from/link"));
  EXPECT_THAT(CopyTree(dir.File("from"), dir.File("to")),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("from/link")));
}

}  // namespace
}  // namespace trivium::storage
