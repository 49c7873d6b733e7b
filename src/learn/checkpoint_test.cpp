#include "learn/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "learn/run_lock.h"
#include "learn/schedule.h"

namespace eke {
namespace {

using ::testing::HasSubstr;

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "eke_learn_XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

Checkpoint sample() {
  Checkpoint c{.network = 42, .settings = "epochs 3\nseed 1\n"};
  c.counters = {{"epoch", 2}, {"best", -1}};
  c.figures = {{"loss", 0.25}};
  c.tensors = {{"w", Tensor::from<float>({2, 2}, {1, 2, 3, 4})},
               {"steps", Tensor::scalar<std::int64_t>(7)},
               {"none", Tensor(DType::f32, {0})}};
  return c;
}

std::string error_of(auto&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Checkpoint, RoundTrips) {
  EXPECT_EQ(parse_checkpoint(to_bytes(sample())), sample());
  EXPECT_EQ(parse_checkpoint(to_bytes({})), Checkpoint{});
  const Folder folder;
  save_checkpoint(folder.path("c"), sample());
  EXPECT_EQ(load_checkpoint(folder.path("c"), 42, "epochs 3\nseed 1\n"), sample());
}

TEST(Checkpoint, TensorsMayComeOneByOne) {
  const Folder folder;
  Checkpoint fields = sample();
  fields.tensors.erase("w");
  save_checkpoint(folder.path("c"), fields, [](const TakeTensor& take) {
    take("w", Tensor::from<float>({2, 2}, {1, 2, 3, 4}));
  });
  EXPECT_EQ(load_checkpoint(folder.path("c"), 42, "epochs 3\nseed 1\n"), sample());
}

TEST(Checkpoint, EveryCutAndEveryFlippedByteIsAnError) {
  const std::string bytes = to_bytes(sample());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_THROW(parse_checkpoint(bytes.substr(0, i)), Error) << i;
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x10);
    EXPECT_THROW(parse_checkpoint(flipped), Error) << i;
  }
}

TEST(Checkpoint, RefusesOthersWithWords) {
  const Folder folder;
  const std::string path = folder.path("c");
  save_checkpoint(path, sample());
  EXPECT_THAT(error_of([&] { load_checkpoint(path, 43, sample().settings); }), HasSubstr("another network"));
  EXPECT_THAT(error_of([&] { load_checkpoint(path, 42, "epochs 3\nseed 2\n"); }),
              HasSubstr("'seed 1' then, 'seed 2' now"));
  std::string newer = to_bytes(sample());
  newer[15] = 3;
  EXPECT_THAT(error_of([&] { parse_checkpoint(newer); }), HasSubstr("version 3"));
  EXPECT_THAT(error_of([&] { parse_checkpoint("other"); }), HasSubstr("no checkpoint"));
}

TEST(Checkpoint, AFullDiskLeavesThePreviousOne) {
  const Folder folder;
  const std::string path = folder.path("c");
  save_checkpoint(path, sample());
  // A limit on the size of files stands for the full disk.
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{64, 64};
    setrlimit(RLIMIT_FSIZE, &limit);
    Checkpoint large = sample();
    large.tensors["big"] = Tensor(DType::f32, {1000});
    try {
      save_checkpoint(path, large);
    } catch (const Error&) {
      _exit(7);
    }
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_EQ(load_checkpoint(path, 42, sample().settings), sample());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path("")), {}), 1);
}

TEST(RunLock, OneHolderAtATime) {
  const Folder folder;
  const std::string path = folder.path("out.lock");
  {
    const RunLock lock(path);
    EXPECT_THAT(error_of([&] { const RunLock second(path); }), HasSubstr(std::to_string(getpid())));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  const RunLock again(path);
  EXPECT_THAT(error_of([&] { const RunLock other(folder.path("no/such/folder.lock")); }),
              HasSubstr("cannot create"));
}

TEST(RunLock, AKilledHolderLeavesNothingLocked) {
  const Folder folder;
  const std::string path = folder.path("out.lock");
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const RunLock lock(path);
    [[maybe_unused]] const ssize_t sent = write(ready[1], "x", 1);
    pause();
    _exit(0);
  }
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_THAT(error_of([&] { const RunLock lock(path); }), HasSubstr(std::to_string(child)));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  const RunLock lock(path);
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(LearningRate, FollowsTheSchedule) {
  const struct {
    Decay decay;
    std::int64_t step;
    double rate;
  } kCases[] = {
      {Decay::cosine, 0, 0.1}, {Decay::cosine, 9, 1},   {Decay::cosine, 10, 1},    {Decay::cosine, 60, 0.5},
      {Decay::cosine, 110, 0}, {Decay::cosine, 200, 0}, {Decay::constant, 4, 0.5}, {Decay::constant, 99, 1},
      {Decay::step, 59, 1},    {Decay::step, 60, 0.1},  {Decay::step, 85, 0.01},
  };
  for (const auto& c : kCases) {
    EXPECT_NEAR(learning_rate({c.decay, 1, 110, 10}, c.step), c.rate, 1e-12) << to_string(c.decay) << c.step;
  }
  EXPECT_EQ(parse_decay("cosine"), Decay::cosine);
  EXPECT_THROW(parse_decay("linear"), UsageError);
}

}  // namespace
}  // namespace eke
