// Golden table of published networks: what a DLA takes of each as it is, after eke fit, and after eke fit --cut, and how
// well the fitted one agrees with the original. Networks lie in $EKE_DATA/models, and face networks in $EKE_FACE_MODELS
// (scripts/fetch_face_models.sh); those that are not there are skipped. With EKE_UPDATE_GOLDEN set the table is rewritten.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "onnx/onnx.h"
#include "ops/infer.h"
#include "target/dla_plan.h"
#include "target/fit.h"

namespace eke {
namespace {

namespace fs = std::filesystem;

const std::string kGolden = std::string(EKE_SOURCE_DIR) + "/tests/target/networks.txt";

struct Network {
  const char *name,
      *file;  // below $EKE_DATA/models, or, where it has no folder and begins with fr_, $EKE_FACE_MODELS
};
constexpr Network kNetworks[] = {{"mobilenet_v1_025", "mobilenet_v1_025_224.onnx"},
                                 {"mobilenet_v2", "mobilenet_v2_224.onnx"},
                                 {"squeezenet_v11", "squeezenet_v11.onnx"},
                                 {"mobilefacenet", "mobilefacenet-insightface.onnx"},
                                 {"resnet20", "cifar-resnet/resnet20.onnx"},
                                 {"resnet8", "mlperf-tiny/resnet8_float.onnx"},
                                 {"vww_96", "mlperf-tiny/vww_96_float.onnx"},
                                 {"fr_age", "fr_age.onnx"},
                                 {"fr_detect", "fr_detect.onnx"},
                                 {"fr_expression", "fr_expression.onnx"},
                                 {"fr_eye", "fr_eye.onnx"},
                                 {"fr_feature", "fr_feature.onnx"},
                                 {"fr_gender", "fr_gender.onnx"},
                                 {"fr_landmark", "fr_landmark.onnx"},
                                 {"fr_liveness", "fr_liveness.onnx"},
                                 {"fr_pose", "fr_pose.onnx"}};

fs::path path_of(const Network& network) {
  if (std::string_view(network.file).starts_with("fr_")) {
    const char* faces = std::getenv("EKE_FACE_MODELS");
    return faces ? fs::path(faces) / network.file : fs::path();
  }
  const char* data = std::getenv("EKE_DATA");
  return (data ? fs::path(data) : fs::path(EKE_SOURCE_DIR) / "../shared/data") / "models" / network.file;
}

// An extent that is open is 1: a batch.
Graph load(const Network& network) {
  Graph graph = load_onnx(path_of(network).string());
  Bindings bindings;
  for (const ValueId id : graph.inputs) {
    Shape shape = graph[id].type.shape;
    for (int axis = 0; axis < shape.rank(); ++axis)
      if (shape[axis] == kDynamic) shape[axis] = 1;
    bindings.shapes[graph[id].name] = shape;
  }
  return specialize(std::move(graph), bindings);
}

std::string placement(const DlaPlan& plan) {
  return fmt::format("{:3} DLA {:3} GPU {:3} crossings", plan.count(Engine::dla), plan.count(Engine::gpu),
                     plan.transitions.size());
}

std::string row(const Network& network) {
  const DlaTarget target{parse_tensorrt_version("10.3"), DlaPrecision::int8};
  const Graph graph = load(network);
  const Fitted fitted = fit_dla(graph, {target}), cut = fit_dla(graph, {target, true});
  const Threads threads(1);
  const Agreement agreed = agreement(graph, fitted, threads, 1);
  EXPECT_LT(agreed.largest_difference, 1e-3) << network.name;
  EXPECT_GT(agreed.cosine, 0.9999) << network.name;
  if (cut.for_host.size() == (cut.host ? 1u : 0u)) {
    EXPECT_LT(agreement(graph, cut, threads, 1).largest_difference, 1e-3) << network.name;
  }
  return fmt::format("{:17} {} | {} | {}", network.name, placement(plan_dla(graph, target)),
                     placement(plan_dla(fitted.graph, target)), placement(plan_dla(cut.graph, target)));
}

std::map<std::string, std::string> read_golden() {
  std::map<std::string, std::string> rows;
  std::ifstream file(kGolden);
  for (std::string line; std::getline(file, line);) rows[line.substr(0, line.find(' '))] = line;
  return rows;
}

class NetworksTest : public testing::TestWithParam<Network> {};

TEST_P(NetworksTest, IsFittedAsInTheTable) {
  const Network& network = GetParam();
  if (!fs::exists(path_of(network)))
    GTEST_SKIP() << network.file << " is not there: set EKE_DATA and EKE_FACE_MODELS";
  std::map<std::string, std::string> golden = read_golden();
  const std::string now = row(network);
  if (std::getenv("EKE_UPDATE_GOLDEN")) {
    golden[network.name] = now;
    std::ofstream file(kGolden);
    for (const Network& known : kNetworks)
      if (golden.contains(known.name)) file << golden[known.name] << "\n";
  }
  EXPECT_EQ(now, golden[network.name]);
}

INSTANTIATE_TEST_SUITE_P(Published, NetworksTest, testing::ValuesIn(kNetworks),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(NetworksTableTest, NineInTenStayWhole) {
  const std::map<std::string, std::string> golden = read_golden();
  int whole = 0;
  for (const auto& [name, line] : golden)
    whole += line.rfind("  0 GPU   0 crossings") == line.size() - 21 ? 1 : 0;
  EXPECT_EQ(golden.size(), std::size(kNetworks));
  EXPECT_GE(10 * whole, 9 * static_cast<int>(golden.size()));
}

}  // namespace
}  // namespace eke
