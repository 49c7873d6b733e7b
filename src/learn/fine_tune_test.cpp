#include "learn/fine_tune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "learn/run_images.h"
#include "learn/testing/halves.h"
#include "onnx/onnx.h"

namespace eke {
namespace {

using ::testing::HasSubstr;

std::string drawn(std::size_t count, std::uint64_t seed) {
  std::string text = "[";
  Random random(seed);
  for (std::size_t i = 0; i < count; ++i) text += (i ? "," : "") + std::to_string(0.3 * random.normal());
  return text + "]";
}

Graph network() {
  return parse_text(
      "graph \"g\"\n"
      "input %x: f32[?,3,8,8] dims(\"N\",\"\",\"\",\"\")\n"
      "const %w: f32[2,3,3,3] = " +
      drawn(54, 5) + "\nconst %u: f32[2,4] = " + drawn(8, 6) +
      "\n"
      "const %s: f32[2] = [1,1]\n"
      "const %b: f32[2] = [0,0]\n"
      "const %m: f32[2] = [0,0]\n"
      "const %v: f32[2] = [1,1]\n"
      "%c: f32[?,2,8,8] = Conv \"stem\" (%x, %w) {kernel_shape=[3,3] pads=[1,1,1,1]}\n"
      "%n: f32[?,2,8,8] = BatchNormalization \"bn\" (%c, %s, %b, %m, %v)\n"
      "%r: f32[?,2,8,8] = Relu \"relu\" (%n)\n"
      "%p: f32[?,2,1,2] = AveragePool \"pool\" (%r) {kernel_shape=[8,4] strides=[8,4]}\n"
      "%f: f32[?,4] = Flatten \"flat\" (%p)\n"
      "%y: f32[?,2] = Gemm \"fc\" (%f, %u) {transB=1}\n"
      "output %y\n");
}

FineTuneOptions options_for(const std::string& checkpoint = {}) {
  FineTuneOptions options;
  options.step.batch = 4;
  options.step.image = Shape{3, 8, 8};
  options.step.optimizer = {.kind = OptimizerKind::sgd, .nesterov = true};
  options.epochs = 6;
  options.rate = 0.05;
  options.augmentation = parse_augmentation("colour=0.1,shift=0.05");
  options.checkpoint = checkpoint;
  return options;
}

class FineTune : public ::testing::Test {
 protected:
  FineTune() : images_(halves_.open(), small_preprocess(), threads_) {}
  Halves halves_;
  Threads threads_{2};
  FittedImages images_;
};

TEST_F(FineTune, LearnsAndReports) {
  int steps = 0;
  std::vector<EpochRecord> records;
  const FineTuned tuned = fine_tune(network(), images_, &images_, options_for(), threads_,
                                    {.on_step = [&](const StepProgress& p) { EXPECT_EQ(p.step, ++steps); },
                                     .on_epoch = [&](const EpochRecord& r) { records.push_back(r); }});
  EXPECT_EQ(steps, 6 * 6);
  ASSERT_EQ(records.size(), 6u);
  EXPECT_LT(records.back().loss, records.front().loss);
  EXPECT_EQ(count_correct(tuned.graph, images_, threads_), 24u);
  EXPECT_GT(tuned.planned_bytes, 0u);
}

TEST_F(FineTune, BitsDoNotDependOnThreads) {
  const Graph one = fine_tune(network(), images_, &images_, options_for(), Threads(1)).graph;
  EXPECT_EQ(fine_tune(network(), images_, &images_, options_for(), threads_).graph, one);
  FineTuneOptions other = options_for();
  other.seed = 2;
  EXPECT_NE(fine_tune(network(), images_, &images_, other, threads_).graph, one);
}

TEST_F(FineTune, StoppedAnywhereAndResumedGivesTheSameBits) {
  const Graph expected = fine_tune(network(), images_, &images_, options_for(), threads_).graph;
  for (const int stop_after : {1, 6, 9, 35}) {
    FineTuneOptions options = options_for(halves_.path("c" + std::to_string(stop_after)));
    int steps = 0;
    const FineTuned stopped = fine_tune(network(), images_, &images_, options, threads_,
                                        {.should_stop = [&] { return ++steps == stop_after; }});
    EXPECT_TRUE(stopped.stopped);
    options.resume = true;
    const FineTuned resumed = fine_tune(network(), images_, &images_, options, Threads(1));
    EXPECT_EQ(resumed.resumed_at_step, stop_after);
    EXPECT_EQ(resumed.graph, expected) << stop_after;
    EXPECT_EQ(resumed.epochs.size(), 6u);
  }
}

TEST_F(FineTune, KilledAndResumedGivesTheSameBits) {
  const Graph expected = fine_tune(network(), images_, &images_, options_for(), threads_).graph;
  FineTuneOptions options = options_for(halves_.path("killed"));
  options.checkpoint_seconds = 0;
  for (const int kill_after : {5, 13}) {
    const pid_t child = fork();
    if (child == 0) {
      int steps = 0;
      const Threads threads(1);
      fine_tune(network(), images_, &images_, options, threads, {.on_step = [&](const StepProgress&) {
                  if (++steps == kill_after) kill(getpid(), SIGKILL);
                }});
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    options.resume = true;
  }
  EXPECT_EQ(fine_tune(network(), images_, &images_, options, threads_).graph, expected);
}

TEST_F(FineTune, RefusesTheCheckpointOfOtherSettings) {
  FineTuneOptions options = options_for(halves_.path("c"));
  fine_tune(network(), images_, &images_, options, threads_, {.should_stop = [] { return true; }});
  options.resume = true;
  options.seed = 9;
  try {
    fine_tune(network(), images_, &images_, options, threads_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("'seed 1' then, 'seed 9' now"));
  }
}

TEST_F(FineTune, RefusesTheCheckpointOfAnotherPrecision) {
  FineTuneOptions options = options_for(halves_.path("c"));
  options.step.floats = Floats::bf16;
  fine_tune(network(), images_, &images_, options, threads_, {.should_stop = [] { return true; }});
  options.resume = true;
  options.step.floats = Floats::f32;
  try {
    fine_tune(network(), images_, &images_, options, threads_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("'precision bf16' then, 'precision f32' now"));
  }
}

TEST_F(FineTune, DivergenceNamesTheStepAndKeepsTheCheckpoint) {
  FineTuneOptions options = options_for(halves_.path("c"));
  options.rate = 1e30;
  options.warm_up_epochs = 0;
  try {
    fine_tune(network(), images_, &images_, options, threads_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("diverged at step"));
    EXPECT_THAT(error.what(), HasSubstr("lower learning rate"));
  }
}

TEST_F(FineTune, PatienceStopsEarlyAndTheBestEpochIsKept) {
  FineTuneOptions options = options_for();
  options.epochs = 50;
  options.patience = 2;
  std::int64_t calls = 0;
  const FineTuned tuned = fine_tune(network(), images_, nullptr, options, threads_,
                                    {.score = [&](const Graph&) { return ++calls == 3 ? 10 : 5; }});
  EXPECT_TRUE(tuned.stopped_early);
  EXPECT_EQ(tuned.best_epoch, 3);
  EXPECT_EQ(tuned.epochs.size(), 5u);
}

TEST_F(FineTune, OfEqualEpochsTheLastIsKeptAndPatienceCountsFromTheFirst) {
  FineTuneOptions options = options_for();
  options.epochs = 50;
  options.patience = 3;
  const FineTuned tuned =
      fine_tune(network(), images_, nullptr, options, threads_, {.score = [](const Graph&) { return 7; }});
  EXPECT_TRUE(tuned.stopped_early);
  EXPECT_EQ(tuned.epochs.size(), 4u);
  EXPECT_EQ(tuned.best_epoch, 4);
}

}  // namespace
}  // namespace eke
