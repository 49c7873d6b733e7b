#include "ops/infer.h"

#include <gtest/gtest.h>

#include <functional>

#include "ops/op_def.h"

namespace eke {
namespace {

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(OpDef, EveryOperatorIsDefined) {
#define EKE_CHECK(name)                               \
  EXPECT_NE(def(op::name{}).infer, nullptr) << #name; \
  EXPECT_NE(def(op::name{}).eval, nullptr) << #name;  \
  EXPECT_EQ(struct_name(def(op::name{}).kind), #name);
  EKE_OPS(EKE_CHECK)
#undef EKE_CHECK
}

TEST(OpDef, OnnxNamesLeadBack) {
  const auto check_names = [](const Op& op) {
    for (const OnnxName& name : def(op).onnx) {
      const OnnxMatch match = find_onnx(name.type, name.domain);
      ASSERT_EQ(match.name, &name) << name.type;
      EXPECT_EQ(match.def, &def(op));
      EXPECT_NE(onnx_name(name.prototype), nullptr);
    }
  };
#define EKE_CHECK(name) check_names(op::name{});
  EKE_OPS(EKE_CHECK)
#undef EKE_CHECK
  EXPECT_EQ(onnx_name(op::Unary{op::UnaryFn::Relu})->type, "Relu");
  EXPECT_EQ(find_onnx("Relu", "ai.onnx").name, onnx_name(op::Unary{op::UnaryFn::Relu}));
  EXPECT_EQ(find_onnx("LSTM", "").def, nullptr);
}

constexpr const char* kConvNet = R"(
input %x: f32[?,1,?,4] dims("N","","H","")
const %w: f32[2,1,1,1] = [1,-1]
const %minus: i64[1] = [-1]
const %zero: i64[1] = [0]
%c: f32[] = Conv "conv" (%x, %w) {kernel_shape=[1,1]}
%r: f32[] = Relu "relu" (%c)
%s: i64[] = Shape "shape" (%r)
%n: i64[] = Gather "batch" (%s, %zero)
%t: i64[] = Concat "target" (%n, %minus)
%y: f32[] = Reshape "flat" (%r, %t)
output %y
)";

TEST(Infer, ComputesShapesInTheGraph) {
  const Graph graph = specialize(parse_text(kConvNet), {.shapes = {{"", {2, 1, 2, 4}}}});
  EXPECT_NO_THROW(verify(graph));
  EXPECT_EQ(graph.nodes.size(), 3u) << to_text(graph);
  EXPECT_EQ(graph[graph.outputs[0]].type, (Type{DType::f32, {2, 16}}));
  EXPECT_EQ(infer_types(graph), graph);
}

TEST(Infer, SpecializesAgain) {
  Graph graph = specialize(parse_text(kConvNet), {.dims = {{"N", 1}, {"H", 2}}});
  EXPECT_EQ(graph[graph.outputs[0]].type.shape, (Shape{1, 16}));
  Graph constant = specialize(parse_text(kConvNet), {.constants = {{"x", Tensor(DType::f32, {1, 1, 1, 4})}}});
  EXPECT_TRUE(constant.inputs.empty());
  EXPECT_TRUE(constant.nodes.empty());
}

TEST(Infer, KeepsQuantizationOfConstants) {
  const Graph graph = infer_types(parse_text(R"(
const %q: i8[2] = [1,2]
const %s: f32[] = [0.5]
%w: f32[] = DequantizeLinear "dq" (%q, %s)
output %w
)"));
  EXPECT_EQ(graph.nodes.size(), 1u);
}

TEST(Infer, Refuses) {
  struct Case {
    const char* message;
    std::function<void()> f;
  };
  const Graph graph = parse_text(kConvNet);
  const std::vector<Case> cases = {
      {"input 'x' is f32[?,1,?,4]: its extents '?' are not known; give its shape",
       [&] { infer_types(graph); }},
      {"node 'conv' (Conv): ",
       [&] {
         specialize(graph, {.shapes = {{"x", {1, 3, 2, 4}}}});
       }},
      {"has another rank",
       [&] {
         specialize(graph, {.shapes = {{"x", {1, 3}}}});
       }},
      {"there is no input 'z'; the graph's inputs: 'x'",
       [&] {
         specialize(graph, {.shapes = {{"z", {1}}}});
       }},
      {"no input has an extent named 'M'",
       [&] {
         specialize(graph, {.dims = {{"M", 1}}});
       }},
      {"input 'x': shape -5x1x2x4 has a negative extent",
       [&] {
         specialize(graph, {.shapes = {{"x", {-5, 1, 2, 4}}}});
       }},
      {"exceeds the limit",
       [&] {
         specialize(graph, {.shapes = {{"x", {1 << 20, 1, 1 << 20, 4}}}});
       }},
      {"a constant of f64[1] does not fit",
       [&] {
         specialize(graph, {.constants = {{"x", Tensor(DType::f64, {1})}}});
       }},
      {"0 inputs given; the graph has 1",
       [&] {
         evaluate(specialize(graph, {.shapes = {{"", {1, 1, 1, 4}}}}), {});
       }},
      {"f32[2] was given",
       [&] {
         evaluate(specialize(graph, {.shapes = {{"", {1, 1, 1, 4}}}}), {Tensor(DType::f32, {2})});
       }},
      {"node 'n' (Relu): has 2 outputs; the operator gives 1",
       [&] { infer_types(parse_text("input %x: f32[1]\n%a: f32[], %b: f32[] = Relu \"n\" (%x)")); }},
  };
  for (const Case& c : cases)
    EXPECT_NE(message_of(c.f).find(c.message), std::string::npos) << c.message << "\n" << message_of(c.f);
}

TEST(Evaluate, RunsNodeByNode) {
  const Graph graph = specialize(parse_text(kConvNet), {.shapes = {{"", {1, 1, 1, 4}}}});
  const std::vector<Tensor> out = evaluate(graph, {Tensor::from<float>({1, 1, 1, 4}, {1, -2, 3, -4})});
  EXPECT_EQ(out.at(0), Tensor::from<float>({1, 8}, {1, 0, 3, 0, 0, 2, 0, 4}));
}

TEST(Cost, CountsMacs) {
  const Graph graph = specialize(parse_text(kConvNet), {.shapes = {{"", {1, 1, 1, 4}}}});
  EXPECT_EQ(cost_of(graph, graph.nodes[0]).macs, 8);
  EXPECT_EQ(cost_of(graph, graph.nodes[1]).bytes, 64);
}

}  // namespace
}  // namespace eke
