#include "runtime/lower.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/infer.h"
#include "runtime/plan.h"

namespace eke {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Builds a quantized graph the way other tools write it.
class Builder {
 public:
  ValueId input(const std::string& name, DType dtype, const Shape& shape) {
    graph_.inputs.push_back(graph_.add_value(name, {dtype, shape}));
    return graph_.inputs.back();
  }
  ValueId constant(Tensor tensor) { return graph_.add_constant("c", std::move(tensor)); }
  ValueId add(Op op, std::vector<ValueId> in) {
    const std::string name = fmt::format("n{}", graph_.nodes.size());
    return graph_.add_node(std::move(op), std::move(in), name, {name + "_out"});
  }
  ValueId zero_point(DType dtype, int z) {
    return constant(converted(Tensor::scalar(static_cast<std::int32_t>(z)), dtype));
  }
  ValueId quantized(ValueId x, float scale, int z, DType dtype = DType::u8) {
    return add(op::QuantizeLinear{}, {x, constant(Tensor::scalar(scale)), zero_point(dtype, z)});
  }
  ValueId dequantized(ValueId q, float scale, int z, DType dtype = DType::u8) {
    return add(op::DequantizeLinear{}, {q, constant(Tensor::scalar(scale)), zero_point(dtype, z)});
  }
  ValueId rounded(ValueId x, float scale, int z, DType dtype = DType::u8) {
    return dequantized(quantized(x, scale, z, dtype), scale, z, dtype);
  }
  ValueId weights(const Shape& shape, int axis = 0) {
    Tensor q(DType::i8, shape);
    int next = 0;
    for (auto& v : q.mutable_values<std::int8_t>()) v = static_cast<std::int8_t>((next += 37) % 255 - 127);
    std::vector<float> scale(static_cast<std::size_t>(shape[axis]), 0.01f);
    const ValueId s = constant(Tensor::from<float>({shape[axis]}, scale));
    return add(op::DequantizeLinear{.axis = axis}, {constant(q), s});
  }
  Graph done(std::vector<ValueId> outputs) {
    graph_.outputs = std::move(outputs);
    return infer_types(graph_);
  }

 private:
  Graph graph_;
};

std::vector<std::string> operators(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes) names.emplace_back(op_name(node.op));
  return names;
}

// Everything between the first and the last node works on 8-bit tensors.
bool is_integer_inside(const Graph& graph) {
  for (std::size_t i = 1; i + 1 < graph.nodes.size(); ++i)
    if (!graph[graph.nodes[i].out[0]].type.quant) return false;
  return true;
}

Tensor ramp(const Type& type) {
  Tensor tensor(type.dtype, type.shape);
  for (std::int64_t i = 0; i < tensor.count(); ++i) {
    const auto v = static_cast<int>(i * 29 % 200);
    if (type.dtype == DType::f32)
      tensor.mutable_values<float>()[static_cast<std::size_t>(i)] = static_cast<float>(v - 90) / 40.f;
    else
      static_cast<std::uint8_t*>(tensor.mutable_data())[i] = static_cast<std::uint8_t>(v);
  }
  return tensor;
}

// The compiled plan gives what the graph means when it is evaluated as it stands, but for one step of
// rounding.
void expect_same_meaning(const Graph& graph, double step) {
  std::vector<Tensor> inputs;
  for (ValueId id : graph.inputs) inputs.push_back(ramp(graph[id].type));
  const auto expected = evaluate(graph, inputs);
  const Plan plan = compile(graph);
  const Threads threads(1);
  Scratch scratch(plan, threads);
  const auto actual = plan.run(inputs, scratch);
  for (std::size_t o = 0; o < expected.size(); ++o)
    for (std::int64_t i = 0; i < expected[o].count(); ++i)
      ASSERT_NEAR(element_as_double(actual[o].view(), i), element_as_double(expected[o].view(), i),
                  step * 1.001)
          << "output " << o << " element " << i;
}

struct Styles {
  const char* name;
  DType dtype;
  int zero_point;
};
constexpr Styles kStyles[] = {{"uint8 asymmetric", DType::u8, 117},
                              {"int8 asymmetric", DType::i8, -11},
                              {"int8 symmetric", DType::i8, 0},
                              {"uint8 from zero", DType::u8, 0}};

TEST(Lower, ConvolutionWithActivationIsOneNode) {
  for (const Styles& style : kStyles) {
    SCOPED_TRACE(style.name);
    Builder b;
    ValueId x = b.rounded(b.input("x", DType::f32, {1, 3, 6, 6}), 0.02f, style.zero_point, style.dtype);
    x = b.add(op::Conv{.pads = {1, 1, 1, 1}}, {x, b.weights({4, 3, 3, 3})});
    x = b.rounded(b.add(op::Unary{op::UnaryFn::Relu}, {x}), 0.05f, style.zero_point, style.dtype);
    const Graph graph = b.done({x});
    EXPECT_THAT(operators(lower(graph)), ElementsAre("QuantizeLinear", "Conv", "DequantizeLinear"));
    expect_same_meaning(graph, 0.05);
  }
}

TEST(Lower, OperatorFormLandsOnTheSameNodes) {
  Builder b;
  const auto f = [&](float v) { return b.constant(Tensor::scalar(v)); };
  const auto z = [&](int v) { return b.zero_point(DType::u8, v); };
  ValueId x = b.input("x", DType::u8, {1, 3, 6, 6});
  Tensor w(DType::u8, {4, 3, 3, 3});
  for (std::int64_t i = 0; i < w.count(); ++i)
    w.mutable_values<std::uint8_t>()[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(i * 7 % 251);
  const ValueId bias = b.constant(Tensor::from<std::int32_t>({4}, {100, -200, 3000, 0}));
  x = b.add(op::QLinearConv{}, {x, f(0.02f), z(120), b.constant(w), f(0.01f), z(130), f(0.3f), z(90), bias});
  const Graph graph = b.done({x});
  EXPECT_THAT(operators(lower(graph)), ElementsAre("Conv"));
  expect_same_meaning(graph, 1);
}

TEST(Lower, ElementsThatOnlyMoveStayQuantized) {
  for (const Styles& style : kStyles) {
    SCOPED_TRACE(style.name);
    Builder b;
    ValueId x = b.rounded(b.input("x", DType::f32, {1, 4, 6, 6}), 0.02f, style.zero_point, style.dtype);
    x = b.add(op::MaxPool{.kernel_shape = {2, 2}, .strides = {2, 2}}, {x});
    x = b.add(op::Transpose{.perm = {0, 1, 3, 2}}, {x});
    x = b.add(op::Conv{}, {x, b.weights({8, 4, 3, 3})});
    x = b.rounded(x, 0.05f, style.zero_point, style.dtype);
    x = b.add(op::Flatten{}, {x});
    x = b.rounded(b.add(op::Gemm{.transB = 1}, {x, b.weights({5, 8})}), 0.1f, style.zero_point, style.dtype);
    const Graph graph = b.done({x});
    const Graph lowered = lower(graph);
    EXPECT_TRUE(is_integer_inside(lowered)) << to_text(lowered, 8);
    expect_same_meaning(graph, 0.1);
  }
}

TEST(Lower, RoundingBeforeAnAdditionIsKept) {
  Builder b;
  const ValueId x = b.rounded(b.input("x", DType::f32, {1, 4, 5, 5}), 0.02f, 117);
  const ValueId y = b.rounded(b.add(op::Conv{}, {x, b.weights({4, 4, 1, 1})}), 0.03f, 100);
  ValueId sum = b.add(op::Binary{.fn = op::BinaryFn::Add}, {x, y});
  sum = b.rounded(b.add(op::Unary{op::UnaryFn::Relu}, {sum}), 0.04f, 0);
  const Graph graph = b.done({sum});
  const Graph lowered = lower(graph);
  ASSERT_THAT(operators(lowered), ElementsAre("QuantizeLinear", "Conv", "DequantizeLinear"));
  EXPECT_EQ(std::get<op::Conv>(lowered.nodes[1].op).mid, (op::Rounding{0.03f, 100, DType::u8}));
  expect_same_meaning(graph, 0.04);
}

TEST(Lower, AdditionWithoutRoundingBetweenIsOneFusedSum) {
  Builder b;
  const ValueId x = b.rounded(b.input("x", DType::f32, {1, 4, 5, 5}), 0.02f, 117);
  const ValueId y = b.add(op::Conv{}, {x, b.weights({4, 4, 1, 1})});
  const ValueId sum = b.rounded(b.add(op::Binary{.fn = op::BinaryFn::Add}, {y, x}), 0.04f, 30);
  const Graph graph = b.done({sum});
  const Graph lowered = lower(graph);
  ASSERT_THAT(operators(lowered), ElementsAre("QuantizeLinear", "Conv", "DequantizeLinear"));
  EXPECT_FALSE(std::get<op::Conv>(lowered.nodes[1].op).mid.active());
  expect_same_meaning(graph, 0.04);
}

TEST(Lower, ConcatChangesTheScaleOfItsInputs) {
  Builder b;
  const ValueId x = b.input("x", DType::f32, {1, 4, 5, 5});
  const ValueId parts[] = {b.rounded(x, 0.02f, 117), b.rounded(x, 0.01f, 90)};
  const ValueId y = b.rounded(b.add(op::Concat{.axis = 1}, {parts[0], parts[1]}), 0.03f, 128);
  const Graph graph = b.done({y});
  EXPECT_TRUE(is_integer_inside(lower(graph)));
  expect_same_meaning(graph, 0);
}

TEST(Lower, QuantizedInputsAndOutputsKeepTheirTypes) {
  for (const Styles& style : kStyles) {
    SCOPED_TRACE(style.name);
    Builder b;
    ValueId x = b.dequantized(b.input("x", style.dtype, {1, 3, 6, 6}), 0.02f, style.zero_point, style.dtype);
    x = b.quantized(b.add(op::Conv{}, {x, b.weights({4, 3, 3, 3})}), 0.1f, style.zero_point, style.dtype);
    const Graph graph = b.done({x});
    expect_same_meaning(graph, 1);
  }
}

TEST(Lower, SaysWhyAConvolutionStaysInFloat) {
  Builder b;
  ValueId x = b.rounded(b.input("x", DType::f32, {1, 4, 6, 6}), 0.02f, 117);
  x = b.add(op::Conv{}, {x, b.weights({4, 4, 3, 3}, 1)});
  const Graph graph = b.done({b.rounded(x, 0.05f, 0)});
  std::vector<LowerNote> notes;
  lower(graph, &notes);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_THAT(notes[0].reason, HasSubstr("along another axis"));
  expect_same_meaning(graph, 0.05);
}

}  // namespace
}  // namespace eke
