#include "eke/model.h"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "data/preprocess.h"
#include "onnx/onnx.h"

namespace eke {
namespace {

namespace fs = std::filesystem;

// y = relu(x - 100) of a 1x1 grey image, any batch.
Graph small_graph() {
  Graph graph;
  const ValueId x = graph.add_value("x", {DType::f32, {kDynamic, 1, 1, 1}});
  graph.inputs = {x};
  const ValueId c = graph.add_constant("c", Tensor::from<float>({1}, {-100.f}));
  const ValueId sum = graph.add_node(op::Binary{op::BinaryFn::Add}, {x, c}, "sum", {"sum"});
  graph.outputs = {graph.add_node(op::Unary{op::UnaryFn::Relu}, {sum}, "relu", {"y"})};
  return graph;
}

class ModelTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "eke_model_XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string save(const Graph& graph) const {
    const std::string path = (folder_ / "model.onnx").string();
    save_onnx(graph, path);
    return path;
  }

  fs::path folder_;
};

TEST_F(ModelTest, RunsNumbers) {
  Model model(save(small_graph()), {.threads = 2, .batch = 2});
  EXPECT_EQ(model.inputs().at(0).shape, (std::vector<std::int64_t>{2, 1, 1, 1}));
  EXPECT_EQ(model.outputs().at(0).name, "y");
  EXPECT_EQ(model.run(std::vector<float>{150, 7}).at(0), (std::vector<float>{50, 0}));
  EXPECT_THROW(model.run(std::vector<float>{1, 2, 3}), std::exception);
}

TEST_F(ModelTest, RunsImagesAsTheModelSays) {
  Graph graph = small_graph();
  Preprocess how;
  how.width = how.height = 1;
  how.order = ChannelOrder::grey;
  graph.metadata[std::string(kPreprocessKey)] = preprocess_to_json(how);
  graph.metadata[std::string(kLabelsKey)] = R"(["only"])";
  std::ofstream(folder_ / "image.pgm") << "P2\n1 1\n255\n180\n";
  Model model(save(graph));
  EXPECT_EQ(model.labels(), std::vector<std::string>{"only"});
  EXPECT_EQ(model.run_image((folder_ / "image.pgm").string()).at(0), std::vector<float>{80});
  const std::vector<std::uint8_t> grey{180}, colours{180, 180, 180, 180, 180, 180};
  EXPECT_EQ(model.run_pixels(grey, 1, 1, 1).at(0), std::vector<float>{80});
  EXPECT_EQ(model.run_pixels(colours, 1, 2, 3).at(0), std::vector<float>{80});
  for (const auto& [width, height, channels] :
       {std::array{1, 1, 1}, std::array{0, 2, 3}, std::array{3, 1, 2}, std::array{1 << 30, 1 << 30, 3}})
    EXPECT_THROW(model.run_pixels(colours, width, height, channels), std::exception);
}

TEST_F(ModelTest, SaysWhatIsMissing) {
  EXPECT_THROW(Model((folder_ / "none.onnx").string()), std::exception);
  Model model(save(small_graph()));
  try {
    model.run_pixels(std::vector<std::uint8_t>{1}, 1, 1, 1);
    FAIL();
  } catch (const std::exception& error) {
    EXPECT_NE(std::string(error.what()).find("eke quantize"), std::string::npos);
  }
}

}  // namespace
}  // namespace eke
