// What every pass has to keep, on every golden graph (golden/<pass>_<case>.before.txt): the result is valid,
// a second run changes nothing, and it means what it meant. The pass that a file is named after gives exactly
// golden/<pass>_<case>.after.txt; EKE_UPDATE_GOLDEN=1 writes those.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <string>

#include "base/file.h"
#include "ops/infer.h"
#include "passes/passes.h"

namespace eke {
namespace {

namespace fs = std::filesystem;

const std::string kFolder = std::string(EKE_SOURCE_DIR) + "/src/passes/golden";

// Largest difference of an output from what it was, relative to the largest magnitude in it. Passes that are
// not here keep every bit, but for the sign of zero.
const std::map<std::string_view, double> kBounds = {
    {"recognize_activations", 1e-4},  // rounded constants in files
    {"fold_batchnorm", 1e-6},         // weights formed in double and rounded once
    {"reduce_to_pool", 1e-6},         // the order of the sum
    {"matmul_to_gemm", 1e-6},         // the order of the sum
    {"fuse_activation", 1e-6},       {"fuse_residual", 1e-6},
};

std::vector<Pass> all_passes() {
  std::vector<Pass> passes(simplify_passes().begin(), simplify_passes().end());
  passes.insert(passes.end(), lowering_passes().begin(), lowering_passes().end());
  return passes;
}

std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  const std::string ending = ".before.txt";
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(ending)) names.push_back(name.substr(0, name.size() - ending.size()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

Graph load(const std::string& name) {
  const std::string path = kFolder + "/" + name + ".before.txt";
  return with_context([&] { return path; },
                      [&] { return infer_types(parse_text(read_file(path, 1 << 20))); });
}

std::vector<Tensor> random_inputs(const Graph& graph) {
  std::mt19937 random(1);
  std::vector<Tensor> inputs;
  for (const ValueId id : graph.inputs) {
    Tensor tensor(DType::f32, graph[id].type.shape);
    for (float& value : tensor.mutable_values<float>())
      value = static_cast<float>(static_cast<int>(random() % 1601) - 800) / 100.f;
    inputs.push_back(converted(tensor, graph[id].type.dtype));
  }
  return inputs;
}

// The largest difference, relative to the largest magnitude of `a`.
double difference(const Tensor& a, const Tensor& b) {
  double largest = 0, magnitude = 1e-30;
  for (std::int64_t i = 0; i < a.count(); ++i) {
    const double x = element_as_double(a.view(), i), y = element_as_double(b.view(), i);
    if (std::isfinite(x)) magnitude = std::max(magnitude, std::abs(x));
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    largest = std::max(largest, std::isfinite(x - y) ? std::abs(x - y) : HUGE_VAL);
  }
  return largest == 0 ? 0 : largest / magnitude;
}

void expect_same_meaning(const Graph& before, const Graph& after, double bound) {
  const std::vector<Tensor> inputs = random_inputs(before);
  const std::vector<Tensor> a = evaluate(before, inputs), b = evaluate(after, inputs);
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].type(), b[i].type());
    EXPECT_LE(difference(a[i], b[i]), bound) << "output " << i;
    EXPECT_EQ(before[before.outputs[i]].name, after[after.outputs[i]].name);
  }
}

class Contract : public testing::TestWithParam<std::string> {};

TEST_P(Contract, EveryPassKeepsIt) {
  const Graph before = load(GetParam());
  for (const Pass& pass : all_passes()) {
    SCOPED_TRACE(pass.name);
    const Graph once = pass.run(before);
    EXPECT_NO_THROW(verify(once));
    EXPECT_EQ(to_text(pass.run(once)), to_text(once));
    const auto bound = kBounds.find(pass.name);
    expect_same_meaning(before, once, bound == kBounds.end() ? 0 : bound->second);
  }
}

TEST_P(Contract, AllTogetherKeepIt) {
  const Graph before = load(GetParam());
  std::vector<PassReport> reports;
  const Graph after = optimize(before, &reports);
  EXPECT_GE(reports.size(), simplify_passes().size());
  expect_same_meaning(before, after, 1e-4);
  EXPECT_EQ(to_text(optimize(after)), to_text(after));
  expect_same_meaning(before, run_passes(after, lowering_passes()), 1e-4);
}

TEST_P(Contract, GoldenText) {
  const std::string name = GetParam();
  const std::vector<Pass> passes = all_passes();
  const auto pass = std::find_if(passes.begin(), passes.end(),
                                 [&](const Pass& p) { return name.starts_with(std::string(p.name) + "_"); });
  ASSERT_NE(pass, passes.end()) << name << " is named after no pass";
  const std::string path = kFolder + "/" + name + ".after.txt";
  const std::string text = to_text(pass->run(load(name)));
  if (std::getenv("EKE_UPDATE_GOLDEN")) write_file_atomically(path, text);
  EXPECT_EQ(text, read_file(path, 1 << 20));
}

INSTANTIATE_TEST_SUITE_P(Golden, Contract, testing::ValuesIn(golden_names()),
                         [](const auto& info) { return info.param; });

TEST(Golden, EveryPassHasOne) {
  const std::vector<std::string> names = golden_names();
  for (const Pass& pass : all_passes())
    EXPECT_TRUE(std::any_of(names.begin(), names.end(), [&](const std::string& n) {
      return n.starts_with(std::string(pass.name) + "_");
    })) << pass.name;
}

TEST(RunPasses, ErrorsNameThePass) {
  const Pass bad{"breaks_it", [](Graph graph) {
                   graph.outputs = {99};
                   return graph;
                 }};
  try {
    run_passes(Graph{}, std::span(&bad, 1));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("pass 'breaks_it': graph output 0"), 0u) << error.what();
  }
}

}  // namespace
}  // namespace eke
