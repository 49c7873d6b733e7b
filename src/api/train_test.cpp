#include "eke/train.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iostream>

#include "eke/model.h"
#include "graph/graph.h"
#include "onnx/onnx.h"

namespace {

namespace fs = std::filesystem;

// ---- the example: thirty lines from images to a trained int8 model and its answer ----
int example(const std::string& folder) {
  try {
    eke::TrainOptions options;
    options.data = folder + "/data";  // a folder for each class
    options.output = folder + "/mine.onnx";
    options.normalization = "unit";  // pixels / 255, as the base network learned
    options.head = "ridge";
    options.validation = 0.25;
    options.progress = [](const eke::TrainState& state) {
      std::cout << "epoch " << state.epoch << ": loss " << state.loss << '\n';
      return true;  // false would stop, and leave a checkpoint
    };
    const eke::TrainReport report = eke::train(folder + "/base.onnx", options);
    for (const std::string& why : report.skipped_images) std::cout << "skipped " << why << '\n';
    std::cout << report.validation_correct << " of " << report.validation_images << " are right\n";

    options.output = folder + "/mine.int8.onnx";
    options.quantized = true;  // the int8 form of the model that was just trained
    options.epochs = 2;
    const eke::TrainReport int8 = eke::train(folder + "/mine.onnx", options);
    std::cout << int8.post_training_correct << " in int8, " << int8.validation_correct << " after training\n";
    if (int8.validation_correct < int8.validation_images) return 1;

    eke::Model model(options.output);
    const std::vector<float> scores = model.run_image(folder + "/data/left/100.pgm").at(0);
    std::cout << "it is " << model.labels().at(scores[0] > scores[1] ? 0 : 1) << '\n';
    return scores[0] > scores[1] ? 0 : 2;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 3;
  }
}
// ---- end of the example ----

void write_image(const fs::path& path, bool left, int variant) {
  std::ofstream file(path, std::ios::binary);
  file << "P5 8 8 255 ";
  for (int p = 0; p < 64; ++p) {
    file.put(static_cast<char>(((p % 8 < 4) == left ? 150 : 60) + (p * 7 + variant * 13) % 60));
  }
}

TEST(Train, TheExampleOfThirtyLinesRuns) {
  std::string pattern = (fs::temp_directory_path() / "eke_train_XXXXXX").string();
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  for (const bool left : {true, false}) {
    const fs::path folder = fs::path(pattern) / "data" / (left ? "left" : "right");
    fs::create_directories(folder);
    for (int i = 0; i < 12; ++i) write_image(folder / (std::to_string(100 + i) + ".pgm"), left, i);
  }
  std::ofstream(pattern + "/data/left/bad.pgm") << "P5 8 8 255 ";
  eke::save_onnx(
      eke::parse_text("graph \"g\"\n"
                      "input %x: f32[?,1,8,8] dims(\"N\",\"\",\"\",\"\")\n"
                      "const %w: f32[2,1,1,1] = [1,-2]\n"
                      "%c: f32[?,2,8,8] = Conv \"stem\" (%x, %w)\n"
                      "%p: f32[?,2,1,2] = AveragePool \"pool\" (%c) {kernel_shape=[8,4] strides=[8,4]}\n"
                      "%f: f32[?,4] = Flatten \"flat\" (%p)\n"
                      "const %v: f32[3,4] = [1,2,3,4,5,6,7,8,9,1,2,3]\n"
                      "%y: f32[?,3] = Gemm \"fc\" (%f, %v) {transB=1}\n"
                      "output %y\n"),
      pattern + "/base.onnx");
  EXPECT_EQ(example(pattern), 0);
  EXPECT_EQ(std::distance(fs::directory_iterator(pattern), {}), 4);  // no lock and no temporary file stays
  EXPECT_THROW(eke::train(pattern + "/base.onnx", {.data = pattern + "/data"}), std::exception);

  // The int8 form for another engine, from a model that knows its classes and its preprocessing.
  eke::TrainOptions options{.data = pattern + "/data", .output = pattern + "/dla.onnx", .validation = 0.25};
  options.quantized = true;
  options.engine = "dla-orin";
  EXPECT_THROW(eke::train(pattern + "/mine.onnx", options), std::exception);  // no epochs
  options.epochs = 2;
  options.distill = 0.5;
  const eke::TrainReport report = eke::train(pattern + "/mine.onnx", options);
  EXPECT_TRUE(report.finished);
  EXPECT_GE(report.validation_correct, report.post_training_correct);
  EXPECT_EQ(report.float_correct, 6u);
  EXPECT_EQ(eke::Model(options.output).labels(), (std::vector<std::string>{"left", "right"}));
  options.engine = "tpu";
  EXPECT_THROW(eke::train(pattern + "/mine.onnx", options), std::exception);
  options.engine = "cpu";
  options.precision = "bf16";
  EXPECT_THROW(eke::train(pattern + "/mine.onnx", options), std::exception);  // int8 comes from float32
  options.quantized = false;
  options.output = pattern + "/bf16.onnx";
  EXPECT_TRUE(eke::train(pattern + "/mine.onnx", options).finished);
  options.precision = "fp16";
  EXPECT_THROW(eke::train(pattern + "/mine.onnx", options), std::exception);
  fs::remove_all(pattern);
}

}  // namespace
