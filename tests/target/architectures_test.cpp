// Golden table: what a DLA takes of the known architectures before and after eke fit, and how well the fitted
// network agrees with the original. The table is in architectures.txt; with EKE_UPDATE_GOLDEN set it is rewritten.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "ops/infer.h"
#include "target/dla_plan.h"
#include "target/fit.h"
#include "zoo/zoo.h"

namespace eke {
namespace {

const std::string kGolden = std::string(EKE_SOURCE_DIR) + "/tests/target/architectures.txt";

std::string placement(const DlaPlan& plan) {
  return fmt::format("{:3} DLA {:3} GPU {:3} transitions", plan.count(Engine::dla), plan.count(Engine::gpu),
                     plan.transitions.size());
}

// At half the width: every layer is there, and the largest network takes no more than a second.
Graph network(const Architecture& architecture) {
  return specialize(make_network(architecture, {.width = 0.5, .seed = 1}), {.dims = {{"batch", 1}}});
}

TEST(ArchitecturesTest, AreFittedAsInTheTable) {
  std::string table;
  for (const Architecture& architecture : architectures()) {
    for (const char* version : {"8.5", "10.3"}) {
      const DlaTarget target{parse_tensorrt_version(version), DlaPrecision::int8};
      const Graph graph = network(architecture);
      table +=
          fmt::format("{:20} {:5} {} | {}\n", architecture.name, version, placement(plan_dla(graph, target)),
                      placement(plan_dla(fit_dla(graph, {target}).graph, target)));
    }
  }
  if (std::getenv("EKE_UPDATE_GOLDEN")) std::ofstream(kGolden) << table;
  std::ifstream file(kGolden);
  std::ostringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(table, golden.str());
}

class FittedTest : public testing::TestWithParam<Architecture> {};

TEST_P(FittedTest, StaysWholeAndAgrees) {
  const Graph graph = network(GetParam());
  const Fitted fitted = fit_dla(graph, {});
  const DlaPlan plan = plan_dla(fitted.graph, {});
  EXPECT_EQ(plan.count(Engine::gpu), 0);
  EXPECT_TRUE(plan.transitions.empty());
  const Threads threads(1);
  const Agreement agreed = agreement(graph, fitted.graph, threads, 1);
  EXPECT_LT(agreed.largest_difference, 1e-4);
  EXPECT_GT(agreed.cosine, 0.99999);
}

INSTANTIATE_TEST_SUITE_P(Zoo, FittedTest, testing::ValuesIn(architectures().begin(), architectures().end()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace eke
