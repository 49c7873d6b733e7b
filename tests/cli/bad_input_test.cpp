// What a user may get wrong, and what others may hand them: one clear error, no partial file, nothing replaced.
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>

#include "fixture.h"
#include "onnx/onnx.h"

namespace eke::test {
namespace {

namespace fs = std::filesystem;

const std::string kRaw = " --normalization raw";
const std::string kQuantize = "quantize net.onnx --data data --count 10 --allow-slower" + kRaw;

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_F(CliTest, WeightsThatAreNotNumbersAreNamed) {
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const std::string word = std::isnan(value) ? "NaN" : "infin";
    save_onnx(small_network(1, value), (folder_ / "bad.onnx").string());
    expect_error(eke("quantize bad.onnx --data data -o out.onnx" + kRaw), 1, {"conv.w", "'conv'", word});
    expect_error(eke("run bad.onnx plain/00.ppm" + kRaw), 1, {"00.ppm", "output"});
    expect_error(eke("eval bad.onnx --data data" + kRaw), 1, {".ppm", "output"});
    expect_error(eke("diff net.onnx bad.onnx --data plain" + kRaw), 1, {"conv.out", "second model"});
    expect_error(eke("diff bad.onnx net.onnx --data plain" + kRaw), 1, {"conv.out", "first model"});
  }
  EXPECT_FALSE(fs::exists(folder_ / "out.onnx"));
}

TEST_F(CliTest, ActivationsThatAreNotNumbersAreNamedWithTheirImage) {
  Graph graph = small_network();
  // Infinite for a bright image alone: e to the 100th is no float.
  const ValueId input = graph.inputs[0];
  const ValueId power = graph.add_node(op::Unary{op::UnaryFn::Exp}, {input}, "exp", {"exp.out"});
  graph.nodes[0].in[0] = power;
  std::rotate(graph.nodes.begin(), graph.nodes.end() - 1, graph.nodes.end());
  save_onnx(graph, (folder_ / "exp.onnx").string());
  fs::create_directories(folder_ / "mixed");
  for (const char* name : {"a", "b", "c"}) {
    std::ofstream file(folder_ / "mixed" / (std::string(name) + ".ppm"), std::ios::binary);
    file << "P6\n8 8\n255\n" << std::string(3 * 64, *name == 'b' ? '\xff' : '\x20');
  }
  expect_error(eke("quantize exp.onnx --data mixed --count 3 -o out.onnx" + kRaw), 1,
               {"exp.out", "infinite", "b.ppm"});
}

TEST_F(CliTest, AnInputWithoutElementsIsRefused) {
  save_onnx(small_network(0), (folder_ / "empty.onnx").string());
  for (const char* command :
       {"run empty.onnx plain", "eval empty.onnx --data data", "quantize empty.onnx --data data -o out.onnx"})
    expect_error(eke(command + kRaw), 1, {"0x3x8x8"});
}

TEST_F(CliTest, ScalesAreNumbersAboveZero) {
  ASSERT_EQ(eke(kQuantize + " -o int8.onnx").code, 0);
  for (const float scale : {0.f, -1.f, std::numeric_limits<float>::quiet_NaN()}) {
    Graph graph = load_onnx((folder_ / "int8.onnx").string());
    for (Node& node : graph.nodes) {
      if (std::holds_alternative<op::QuantizeLinear>(node.op))
        node.in[1] = graph.add_constant("bad_scale", Tensor::scalar(scale));
    }
    save_onnx(graph, (folder_ / "bad.onnx").string());
    expect_error(eke("info bad.onnx"), 1, {"QuantizeLinear", "y_scale"});
  }
}

TEST_F(CliTest, NamesCannotDriveTheTerminal) {
  std::ofstream(folder_ / "plain/\033[31m\nred.ppm") << "this is no image";
  const CommandResult result = eke("run net.onnx plain" + kRaw);
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("\\x1b[31m\\x0ared.ppm"), std::string::npos) << result.err;
  EXPECT_EQ(result.err.find('\033'), std::string::npos);
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1);
}

TEST_F(CliTest, TheFloatModelIsNotReplaced) {
  const std::string before = text_of(folder_ / "net.onnx");
  fs::create_symlink("net.onnx", folder_ / "link.onnx");
  for (const char* output : {" -o net.onnx", " -o ./net.onnx", " -o link.onnx"})
    expect_error(eke(kQuantize + output), 2, {"float model"});
  EXPECT_EQ(text_of(folder_ / "net.onnx"), before);
}

TEST_F(CliTest, WhatIsNoFileIsNotReplaced) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  expect_error(eke(kQuantize + " -o pipe"), 1, {"pipe", "regular file"});
  EXPECT_TRUE(fs::is_fifo(folder_ / "pipe"));
}

TEST_F(CliTest, WhenAFileCannotBeWrittenTheOldOneStays) {
  std::ofstream(folder_ / "out.onnx") << "old";
  const std::vector<std::string> before = names_in(folder_);
  // No file may grow beyond a block, as if the disk were full.
  const CommandResult result = run_eke(kQuantize + " -o out.onnx", folder_, "trap '' XFSZ; ulimit -f 1;");
  expect_error(result, 1, {"cannot write 'out.onnx'"});
  std::vector<std::string> after = names_in(folder_);
  std::erase_if(after, [](const std::string& name) { return name.starts_with(".std"); });
  EXPECT_EQ(after, before);
  EXPECT_EQ(text_of(folder_ / "out.onnx"), "old");
}

TEST_F(CliTest, AFullStandardOutputIsAFailure) {
  for (const char* arguments :
       {"info net.onnx >/dev/full", "run net.onnx plain --normalization raw >/dev/full"})
    expect_error(eke(arguments), 1, {"standard output"});
}

}  // namespace
}  // namespace eke::test
