#include "runtime/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <new>

#include "ops/infer.h"
#include "runtime/compile.h"
#include "runtime/lower.h"
#include "runtime/testing/random_network.h"

namespace {
std::atomic<std::int64_t> allocations{0};
}  // namespace

// ThreadSanitizer brings operators of its own, which cannot be replaced.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EKE_COUNTS_NO_ALLOCATIONS
#endif
#endif

#ifndef EKE_COUNTS_NO_ALLOCATIONS
// Counts what the process allocates, to show that run() allocates nothing.
void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
// NOLINTBEGIN: GCC takes the pair for a mismatch once it has inlined one of them.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
// NOLINTEND
#endif

namespace eke {
namespace {

using testing::NetworkOptions;
using testing::random_inputs;
using testing::random_network;

std::vector<Tensor> run(const Graph& graph, const std::vector<Tensor>& inputs, int threads,
                        CompileOptions options) {
  const Plan plan = compile(graph, options);
  const Threads pool(threads);
  Scratch scratch(plan, pool);
  return plan.run(inputs, scratch);
}

double largest_difference(const Tensor& a, const Tensor& b) {
  double largest = 0;
  for (std::int64_t i = 0; i < a.count(); ++i)
    largest = std::max(largest, std::abs(element_as_double(a.view(), i) - element_as_double(b.view(), i)));
  return largest;
}

struct Case {
  const char* name;
  NetworkOptions options;
};

class RandomNetworks : public ::testing::TestWithParam<Case> {};

// The plan against OpDef::eval on the lowered graph. Integer tensors are equal to the bit; the last softmax
// and float networks differ by the order of float32 sums: 1e-4 of values of order 1.
TEST_P(RandomNetworks, EqualTheReferenceOnEveryTierAndThreadCount) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const Graph graph = random_network(seed, GetParam().options);
    const auto inputs = random_inputs(graph, seed * 31);
    const auto expected = run(graph, inputs, 1, {.reference_only = true});
    std::vector<Tensor> first;
    for (Isa isa : supported_isas())
      for (int threads : {1, 2, 7}) {
        if (threads == 7 && seed > 3) continue;  // more threads than cores: slow
        SCOPED_TRACE(fmt::format("{} with {} threads", to_string(isa), threads));
        const auto actual = run(graph, inputs, threads, {.isa = isa});
        ASSERT_EQ(actual.size(), expected.size());
        for (std::size_t i = 0; i < actual.size(); ++i) {
          ASSERT_EQ(actual[i].shape(), expected[i].shape());
          ASSERT_LE(largest_difference(actual[i], expected[i]), 1e-4) << "output " << i;
        }
        if (GetParam().options.quantized) {
          ASSERT_EQ(actual[1], expected[1]) << "a quantized tensor";
        }
        if (first.empty()) first = actual;
        if (GetParam().options.quantized) {
          ASSERT_EQ(actual, first) << "bits depend on tier or thread count";
        }
      }
  }
}

INSTANTIATE_TEST_SUITE_P(Plan, RandomNetworks,
                         ::testing::Values(Case{"float32", {}}, Case{"uint8", {.quantized = true}},
                                           Case{"int8", {.quantized = true, .signed_activations = true}},
                                           Case{"asymmetric_weights",
                                                {.quantized = true, .asymmetric_weights = true}}),
                         [](const auto& info) { return info.param.name; });

Tensor images_of(const Tensor& batch, std::int64_t first, std::int64_t count) {
  Shape shape = batch.shape();
  const std::int64_t image = shape.count(1, shape.rank());
  shape[0] = count;
  return Tensor::from<float>(shape, batch.values<float>().subspan(static_cast<std::size_t>(first * image),
                                                                  static_cast<std::size_t>(count * image)));
}

TEST(Plan, Int8BitsDoNotDependOnHowABatchIsCut) {
  constexpr std::int64_t kImages = 6;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    NetworkOptions options{.quantized = true, .signed_activations = seed % 2 == 0, .images = kImages};
    const auto whole = random_inputs(random_network(seed, options), seed);
    const Tensor expected = run(random_network(seed, options), whole, 2, {})[1];
    for (const std::int64_t batch : {1, 2, 3}) {
      SCOPED_TRACE(fmt::format("seed {} in batches of {}", seed, batch));
      options.images = batch;
      const Graph graph = random_network(seed, options);
      for (std::int64_t first = 0; first < kImages; first += batch) {
        const Tensor part = run(graph, {images_of(whole[0], first, batch)}, 1, {})[1];
        ASSERT_EQ(part, images_of(expected, first, batch)) << "image " << first;
      }
    }
  }
}

// Lowering against the Q/DQ graph as it stands: the rules differ from it by rounding only, so the outputs of
// a few layers stay within a few steps.
TEST(Lower, KeepsTheMeaningOfAQuantizedNetwork) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const Graph graph = random_network(seed, {.quantized = true, .nodes = 4});
    const auto inputs = random_inputs(graph, seed);
    const auto expected = evaluate(graph, inputs);
    const auto actual = evaluate(lower(graph), inputs);
    double total = 0;
    for (std::int64_t i = 0; i < actual[1].count(); ++i)
      total += std::abs(element_as_double(actual[1].view(), i) - element_as_double(expected[1].view(), i));
    EXPECT_LE(total / static_cast<double>(actual[1].count()), 0.02)
        << "mean difference; a step is about 0.03";
  }
}

// Weights of a layer whose data stay in float: a scale a channel of theirs, whatever reads them.
TEST(Lower, DequantizesConstantsByChannel) {
  const Graph graph = infer_types(parse_text(R"(graph "g"
input %x: f32[1,2,2,2]
const %q: i8[3,2,1,1] = [100,-50,20,7,-3,90]
const %s: f32[3] = [0.01,0.5,2]
const %z: i8[3] = [0,1,-2]
%w: f32[3,2,1,1] = DequantizeLinear "weights" (%q, %s, %z) {axis=0}
%y: f32[1,3,2,2] = Conv "conv" (%x, %w)
output %y
)"));
  const auto inputs = random_inputs(graph, 1);
  const Tensor expected = evaluate(graph, inputs)[0], actual = run(graph, inputs, 1, {})[0];
  for (std::int64_t i = 0; i < expected.count(); ++i)
    EXPECT_NEAR(element_as_double(actual.view(), i), element_as_double(expected.view(), i), 1e-4);
}

TEST(Plan, RunAllocatesNothing) {
#ifdef EKE_COUNTS_NO_ALLOCATIONS
  GTEST_SKIP() << "allocations are not counted under ThreadSanitizer";
#endif
  for (const bool quantized : {false, true}) {
    const Graph graph = random_network(3, {.quantized = quantized});
    const Plan plan = compile(graph);
    const Threads pool(2);
    Scratch scratch(plan, pool);
    const auto inputs = random_inputs(graph, 1);
    std::vector<TensorView> in;
    for (const Tensor& input : inputs) in.push_back(input.view());
    auto results = plan.run(inputs, scratch);
    std::vector<MutTensorView> out;
    for (Tensor& result : results) out.push_back(result.mutable_view());
    const std::int64_t before = allocations;
    plan.run(in, out, scratch);
    EXPECT_EQ(allocations - before, 0) << (quantized ? "quantized" : "float");
  }
}

TEST(Plan, KeepsNoWeightsBesideTheirPackedForm) {
  Graph graph = parse_text(
      "graph \"g\"\n"
      "input %x: f32[1,2,3,3]\n"
      "const %w: f32[2,2,1,1] = [1,2,3,4]\n"
      "%y: f32[1,2,3,3] = Conv \"conv\" (%x, %w)\n"
      "const %c: f32[1,2,3,3] = [1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9]\n"
      "output %y\n"
      "output %c\n");
  const std::weak_ptr<const Tensor> weights = graph[find_value(graph, "w")].constant,
                                    output = graph[find_value(graph, "c")].constant;
  const Plan plan = compile_and_free(std::move(graph));
  EXPECT_TRUE(weights.expired());
  EXPECT_FALSE(output.expired());
}

// A constant lies as the graph has it: it is no residual that a kernel could add.
TEST(Plan, AddsAConstantToAConvolution) {
  Graph graph;
  const auto constant = [&](const std::string& name, const auto& tensor) {
    return graph.add_constant(name, tensor);
  };
  const ValueId scale = constant("scale", Tensor::scalar(0.5f)),
                zero = constant("zero", Tensor::scalar(std::uint8_t{3})),
                weight_zero = constant("weight_zero", Tensor::scalar(std::int8_t{0}));
  const auto rounded = [&](ValueId x, const std::string& name) {
    const ValueId q = graph.add_node(op::QuantizeLinear{}, {x, scale, zero}, name + "_q");
    return graph.add_node(op::DequantizeLinear{}, {q, scale, zero}, name + "_dq");
  };
  graph.inputs = {graph.add_value("x", {DType::f32, {1, 2, 2, 3}})};
  const ValueId w = constant("w", Tensor::from<std::int8_t>({2, 2, 1, 1}, {1, 2, -3, 4}));
  const ValueId weights = graph.add_node(op::DequantizeLinear{}, {w, scale, weight_zero}, "w_dq");
  const ValueId conv = graph.add_node(op::Conv{}, {rounded(graph.inputs[0], "x"), weights}, "conv");
  const ValueId c =
      constant("c", Tensor::from<std::uint8_t>({1, 2, 2, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
  const ValueId added = graph.add_node(op::DequantizeLinear{}, {c, scale, zero}, "c_dq");
  const ValueId sum = graph.add_node(op::Binary{op::BinaryFn::Add}, {rounded(conv, "conv"), added}, "sum");
  graph.outputs = {rounded(sum, "sum")};
  const ValueId direct = graph.add_node(op::Binary{op::BinaryFn::Add}, {conv, added}, "direct");
  graph.outputs.push_back(rounded(direct, "direct"));
  graph = infer_types(std::move(graph));
  const auto inputs = random_inputs(graph, 7);
  EXPECT_EQ(run(graph, inputs, 1, {}), run(graph, inputs, 1, {.reference_only = true}));
}

TEST(Plan, ObservesNamedValuesOnce) {
  const Graph graph = random_network(5, {});
  std::vector<std::string> names;
  for (const Node& node : graph.nodes) names.push_back(graph[node.out[0]].name);
  const Plan plan = compile(graph, {.observe = names});
  const Threads pool(1);
  Scratch scratch(plan, pool);
  const auto inputs = random_inputs(graph, 1);
  auto results = plan.run(inputs, scratch);
  std::vector<TensorView> in{inputs[0].view()};
  std::vector<MutTensorView> out;
  for (Tensor& result : results) out.push_back(result.mutable_view());
  std::vector<int> seen(names.size());
  plan.run_observed(in, out, scratch, [&](const Observed& observed) {
    ++seen[observed.index];
    EXPECT_EQ(observed.view.shape(), graph[find_value(graph, names[observed.index])].type.shape);
  });
  EXPECT_THAT(seen, ::testing::Each(1));
}

TEST(Plan, NamesAnObservedValueThatDoesNotExist) {
  const Graph graph = random_network(5, {});
  try {
    compile(graph, {.observe = {"nothing"}});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("'nothing'"));
  }
}

TEST(Plan, RefusesInputsOfAnotherShape) {
  const Graph graph = random_network(5, {});
  const Plan plan = compile(graph);
  const Threads pool(1);
  Scratch scratch(plan, pool);
  EXPECT_THROW(plan.run({Tensor(DType::f32, {1, 1})}, scratch), Error);
}

}  // namespace
}  // namespace eke
