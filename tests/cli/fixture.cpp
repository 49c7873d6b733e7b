#include "fixture.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "onnx/onnx.h"

namespace eke::test {

namespace fs = std::filesystem;

namespace {

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Tensor filled(const Shape& shape, float (*value)(std::int64_t)) {
  Tensor tensor(DType::f32, shape);
  std::span<float> values = tensor.mutable_values<float>();
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = value(static_cast<std::int64_t>(i));
  return tensor;
}

void write_image(const fs::path& path, bool left, int variant) {
  std::ofstream file(path, std::ios::binary);
  file << "P6\n8 8\n255\n";
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 8; ++x) {
      const int level = ((x < 4) == left ? 180 : 40) + (variant * 7 + x * 5 + y * 3) % 40;
      for (int c = 0; c < 3; ++c) file.put(static_cast<char>(level));
    }
  }
}

}  // namespace

// A convolution with relu, pooling to two halves, and a matrix product that compares them.
Graph small_network(std::int64_t batch, float first_weight) {
  Graph graph;
  graph.name = "halves";
  const ValueId x = graph.add_value("image", {DType::f32, {batch, 3, 8, 8}});
  graph.inputs = {x};
  Tensor weights =
      filled({4, 3, 3, 3}, [](std::int64_t i) { return 0.02f + 0.001f * static_cast<float>(i % 7); });
  weights.mutable_values<float>()[0] = first_weight;
  const ValueId w = graph.add_constant("conv.w", std::move(weights));
  const ValueId b =
      graph.add_constant("conv.b", filled({4}, [](std::int64_t i) { return 0.1f * static_cast<float>(i); }));
  op::Conv conv;
  conv.kernel_shape = {3, 3};
  conv.pads = {1, 1, 1, 1};
  const ValueId c = graph.add_node(conv, {x, w, b}, "conv", {"conv.out"});
  const ValueId r = graph.add_node(op::Unary{op::UnaryFn::Relu}, {c}, "relu", {"relu.out"});
  op::AveragePool pool;
  pool.kernel_shape = {8, 4};
  pool.strides = {8, 4};
  const ValueId p = graph.add_node(pool, {r}, "pool", {"pool.out"});
  const ValueId f = graph.add_node(op::Flatten{}, {p}, "flatten", {"flatten.out"});
  // Features are (channel, half): +1 for the own half, -1 for the other.
  const ValueId m =
      graph.add_constant("fc.w", filled({2, 8}, [](std::int64_t i) { return i / 8 == i % 2 ? 1.f : -1.f; }));
  const ValueId n = graph.add_constant("fc.b", filled({2}, [](std::int64_t) { return 0.f; }));
  op::Gemm gemm;
  gemm.transB = 1;
  graph.outputs = {graph.add_node(gemm, {f, m, n}, "fc", {"scores"})};
  return graph;
}

CommandResult run_eke(const std::string& arguments, const fs::path& folder, const std::string& before) {
  CommandResult result;
  const fs::path out = folder / ".stdout", err = folder / ".stderr";
  const std::string line =
      fmt::format("cd '{}' && {{ {} '{}' {}; }} >'{}' 2>'{}' </dev/null", folder.string(), before,
                  EKE_COMMAND, arguments, out.string(), err.string());
  const int status = std::system(line.c_str());
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = text_of(out);
  result.err = text_of(err);
  return result;
}

void CliTest::SetUp() {
  std::string pattern = (fs::temp_directory_path() / "eke_cli_XXXXXX").string();
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  folder_ = pattern;
  save_onnx(small_network(), (folder_ / "net.onnx").string());
  for (const char* name : {"data/left", "data/right", "plain", "empty"})
    fs::create_directories(folder_ / name);
  std::ofstream pairs(folder_ / "pairs.csv");
  pairs << "image_a,image_b,same\n";
  for (int i = 0; i < 20; ++i) {
    write_image(folder_ / "data/left" / fmt::format("{:02}.ppm", i), true, i);
    write_image(folder_ / "data/right" / fmt::format("{:02}.ppm", i), false, i);
    write_image(folder_ / "plain" / fmt::format("{:02}.ppm", i), i % 2 == 0, i);
    pairs << fmt::format("data/left/{0:02}.ppm,data/left/{1:02}.ppm,1\n", i, (i + 1) % 20);
    pairs << fmt::format("data/left/{0:02}.ppm,data/right/{0:02}.ppm,0\n", i);
  }
}

void CliTest::TearDown() { fs::remove_all(folder_); }

nlohmann::json CliTest::json(const std::string& arguments) const {
  const CommandResult result = eke(arguments);
  EXPECT_EQ(result.code, 0) << arguments << "\n" << result.err;
  EXPECT_TRUE(nlohmann::json::accept(result.out)) << arguments << "\n" << result.out;
  return nlohmann::json::parse(result.out, nullptr, false);
}

std::string CliTest::bytes_of(const std::string& file) const {
  std::ifstream in(folder_ / file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void expect_error(const CommandResult& result, int code, const std::vector<std::string>& words) {
  EXPECT_EQ(result.code, code) << result.err;
  EXPECT_EQ(result.out, "");
  // Work of more than two seconds, as on a busy machine, says before how far it is.
  int errors = 0;
  std::istringstream lines(result.err);
  for (std::string line; std::getline(lines, line);) errors += line.starts_with("eke: ");
  EXPECT_EQ(errors, 1) << result.err;
  for (const std::string& word : words)
    EXPECT_NE(result.err.find(word), std::string::npos) << word << " in " << result.err;
}

}  // namespace eke::test
