#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/isa.h"
#include "base/threads.h"

namespace eke {
namespace {

namespace fs = std::filesystem;

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

struct Folder {
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "eke_base_test.XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~Folder() { fs::remove_all(path); }
  std::string file(const char* name) const { return (path / name).string(); }
  fs::path path;
};

TEST(Error, ContextGoesInFront) {
  const auto f = [] { with_context([] { return "file 'a'"; }, [] { fail("{} is wrong", 3); }); };
  EXPECT_EQ(message_of(f), "file 'a': 3 is wrong");
}

TEST(Isa, NamesRoundTrip) {
  for (const Isa isa :
       {Isa::scalar, Isa::avx2, Isa::avxvnni, Isa::avx512vnni, Isa::avx512bf16, Isa::neon, Isa::neon_dotprod})
    EXPECT_EQ(parse_isa(to_string(isa)), isa);
  EXPECT_FALSE(parse_isa("sse9"));
}

TEST(Isa, EnvironmentSelectsATier) {
  ASSERT_EQ(supported_isas().front(), Isa::scalar);
  ::setenv("EKE_ISA", "scalar", 1);
  EXPECT_EQ(selected_isa(), Isa::scalar);
  ::setenv("EKE_ISA", "sse9", 1);
  EXPECT_THROW(selected_isa(), UsageError);
  ::unsetenv("EKE_ISA");
  EXPECT_EQ(selected_isa(), supported_isas().back());
}

TEST(Threads, EveryItemOnceAtEveryCount) {
  for (const int count : {1, 2, 3, 7}) {
    const Threads threads(count);
    for (const std::size_t items : {0u, 1u, 2u, 6u, 7u, 8u, 1000u}) {
      std::vector<int> seen(items, 0);
      threads.for_ranges(items, [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) ++seen[i];
      });
      EXPECT_EQ(seen, std::vector<int>(items, 1)) << count << " threads";
    }
  }
}

// Jobs that follow each other closely, and threads that sleep in between or come too late: each item is done once, by the time
// that the call returns.
TEST(Threads, JobsDoNotMix) {
  for (const int count : {2, 3, 7}) {
    const Threads threads(count);
    for (std::size_t job = 0; job < 3000; ++job) {
      const std::size_t items = 1 + job % 11;
      std::vector<std::size_t> done(items, 0);
      threads.for_ranges(items, [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) done[i] += job + 1;
      });
      ASSERT_EQ(done, std::vector<std::size_t>(items, job + 1)) << count << " threads, job " << job;
      if (job % 500 == 0) usleep(200);
    }
  }
}

TEST(Threads, RefusesBadCounts) {
  EXPECT_THROW(Threads(0), Error);
  EXPECT_THROW(Threads(-3), Error);
  EXPECT_THROW(Threads(1 << 20), Error);
  EXPECT_GE(usable_cores(), 1);
}

TEST(File, WritesAndReads) {
  const Folder folder;
  const std::string path = folder.file("a.bin");
  for (const std::string& bytes : {std::string(""), std::string("a\0b", 3), std::string(100000, 'x')}) {
    write_file_atomically(path, bytes);
    EXPECT_EQ(read_file(path, 1 << 20), bytes);
    const MappedFile mapped(path);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size()),
              bytes);
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()), 1);
}

TEST(File, ErrorsNameThePathAndTheReason) {
  const Folder folder;
  const std::string path = folder.file("a.bin");
  EXPECT_NE(message_of([&] { read_file(path, 10); }).find("No such file"), std::string::npos);
  EXPECT_NE(message_of([&] { read_file(folder.path.string(), 10); }).find("directory"), std::string::npos);
  EXPECT_NE(message_of([&] { MappedFile(folder.path.string()); }).find("directory"), std::string::npos);
  EXPECT_NE(message_of([&] { read_file("/dev/null", 10); }).find("regular"), std::string::npos);
  write_file_atomically(path, "12345678901");
  const std::string message = message_of([&] { read_file(path, 10); });
  EXPECT_NE(message.find(path), std::string::npos);
  EXPECT_NE(message.find("11 bytes"), std::string::npos);
  EXPECT_THROW(write_file_atomically(folder.file("none/a.bin"), "x"), Error);
}

TEST(File, FailureKeepsTheOldFile) {
  const Folder folder;
  const std::string path = folder.file("taken");
  fs::create_directory(path);  // the rename onto it fails
  EXPECT_THROW(write_file_atomically(path, "x"), Error);
  EXPECT_TRUE(fs::is_directory(path));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()), 1);
}

TEST(File, LeavesAloneWhatIsNoFile) {
  const Folder folder;
  const std::string pipe = folder.file("pipe"), link = folder.file("link"), path = folder.file("a.bin");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_NE(message_of([&] { write_file_atomically(pipe, "x"); }).find("regular"), std::string::npos);
  EXPECT_TRUE(fs::is_fifo(pipe));
  fs::create_symlink(path, link);
  EXPECT_NE(message_of([&] { write_file_atomically(link, "x"); }).find("nowhere"), std::string::npos);
  write_file_atomically(path, "old");
  write_file_atomically(link, "new");
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(read_file(path, 10), "new");
}

TEST(File, KeepsTheModeOfTheFileThatItReplaces) {
  const Folder folder;
  const std::string path = folder.file("a.bin");
  write_file_atomically(path, "x");
  ::chmod(path.c_str(), 0640);
  write_file_atomically(path, "y");
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
}

}  // namespace
}  // namespace eke
