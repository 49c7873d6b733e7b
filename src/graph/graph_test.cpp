#include "graph/graph.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>

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

Graph small_graph() {
  Graph graph;
  graph.name = "small";
  const ValueId x = graph.add_value("x", {DType::f32, {kDynamic, 3, 8, 8}});
  graph[x].dim_names = {"N", "", "", ""};
  graph.inputs = {x};
  const ValueId w = graph.add_constant("w", Tensor::from<float>({1, 3, 1, 1}, {0.1f, -2, 1e-20f}));
  const ValueId y = graph.add_node(op::Conv{}, {x, w, kNoValue}, "conv");
  graph.outputs = {graph.add_node(op::Unary{op::UnaryFn::Relu}, {y}, "relu")};
  return graph;
}

// Gives a field a value other than its default.
struct Changer {
  void operator()(std::string_view, std::string& v) { v += "\"odd\\\n"; }
  void operator()(std::string_view, std::int64_t& v) { v = v / 2 - 3; }
  void operator()(std::string_view, float& v) { v = v * 0.3f + 1e-9f; }
  void operator()(std::string_view, bool& v) { v = !v; }
  void operator()(std::string_view, DType& v) { v = DType::bf16; }
  void operator()(std::string_view, op::Ints& v) { v = {1, -2, std::numeric_limits<std::int64_t>::min()}; }
  void operator()(std::string_view, op::Clamp& v) { v.lo = 0; }
  void operator()(std::string_view, op::Rounding& v) { v = {0.02f, -7, DType::i8}; }
  void operator()(std::string_view, Tensor& v) { v = Tensor::from<std::int64_t>({1}, {9}); }
  template <class T>
  requires std::is_enum_v<T>
  void operator()(std::string_view, T& v) { v = static_cast<T>(1); }
};

std::vector<Op> all_ops() {
  std::vector<Op> ops;
#define EKE_BOTH(name)                  \
  {                                     \
    op::name plain;                     \
    ops.push_back(plain);               \
    op::name::fields(plain, Changer{}); \
    ops.push_back(plain);               \
  }
  EKE_OPS(EKE_BOTH)
#undef EKE_BOTH
#define EKE_UNARY(name) ops.push_back(op::Unary{op::UnaryFn::name});
  EKE_UNARY_FNS(EKE_UNARY)
#undef EKE_UNARY
#define EKE_BINARY(name) ops.push_back(op::Binary{op::BinaryFn::name});
  EKE_BINARY_FNS(EKE_BINARY)
#undef EKE_BINARY
  return ops;
}

TEST(Text, EveryOperatorRoundTrips) {
  for (const Op& op : all_ops()) {
    Graph graph;
    graph.inputs = {graph.add_value("x")};
    graph.outputs = {graph.add_node(op, {graph.inputs[0], kNoValue}, "n")};
    const std::string text = to_text(graph);
    SCOPED_TRACE(text);
    EXPECT_EQ(parse_text(text), graph);
    EXPECT_EQ(to_text(parse_text(text)), text);
  }
}

TEST(Text, IsReadable) {
  EXPECT_EQ(to_text(small_graph()), R"(graph "small"
input %x: f32[?,3,8,8] dims("N","","","")
const %w: f32[1,3,1,1] = [0.1,-2,1e-20]
%conv: f32[] = Conv "conv" (%x, %w, _)
%relu: f32[] = Relu "relu" (%conv)
output %relu
)");
}

TEST(Text, GraphsRoundTrip) {
  Graph graph = small_graph();
  graph.metadata = {{"a key", "a \"value\"\n\x01"}, {"b", ""}};
  graph[2].type = {DType::u8, {1, 1, 8, 8}, QParams{{0.5f}, {3}, -1}};
  graph.add_value("nobody defines me");
  graph.add_constant("f16", converted(Tensor::from<float>({3}, {0.1f, -INFINITY, NAN}), DType::f16));
  graph.add_constant("f64", Tensor::from<double>({2}, {0.1, 1e300}));
  graph.add_constant("bools", Tensor::from<bool>({2}, {true, false}));
  graph.add_constant("u64", Tensor::scalar(std::numeric_limits<std::uint64_t>::max()));
  graph.add_constant("nans", Tensor::from<float>({2}, {std::bit_cast<float>(0xFFC00001u), -0.f}));
  graph.add_constant("empty", Tensor(DType::i8, {0, 4}));
  const std::string text = to_text(graph);
  EXPECT_EQ(parse_text(text), graph) << text;
  EXPECT_EQ(to_text(parse_text(text)), text);
}

TEST(Text, LargeConstantsAsDigest) {
  const std::string text = to_text(small_graph(), 2);
  EXPECT_NE(text.find("<3 elements, digest "), std::string::npos);
  EXPECT_THROW(parse_text(text), Error);
}

TEST(Text, ErrorsNameLineAndColumn) {
  struct Case {
    const char *text, *message;
  };
  for (const Case& c : {
           Case{"graph \"a", "line 1, column 9: '\"' expected"},
           Case{"\n%y: f32[] = Relu (%x)", "line 2, column 19: a value that is declared above expected"},
           Case{"%y: f32[] = Rellu ()", "line 1, column 13: an operator expected"},
           Case{"%y: f33[] = Relu ()", "line 1, column 5: an element type expected"},
           Case{"%y: f32[] = Relu () {alpha=3}", "line 1, column 22: an attribute of Relu expected"},
           Case{"const %y: i8[1] = [300]", "column 20: an integer that fits the type expected"},
           Case{"const %y: i8[2] = [3]", "2 elements expected"},
           Case{"const %y: i8[1000000] = [3]", "as many elements as the shape says expected"},
           Case{"value %y@77777: f32[]", "a number that belongs to this graph expected"},
           Case{"value %y@3: f32[]", "value 0 is declared nowhere"},
           Case{"value %y: f32[]\nvalue %y: f32[]", "line 2, column 9: a name and number not used before"},
           Case{"value %y: f32[1,1,1,1,1,1,1,1,1]", "at most 8 extents expected"},
           Case{"value %y: f32[] x", "column 17: the end of the line expected"},
           Case{"volue", "line 1, column 1: graph, metadata"},
       })
    EXPECT_NE(message_of([&] { parse_text(c.text); }).find(c.message), std::string::npos)
        << c.text << "\n"
        << message_of([&] { parse_text(c.text); });
}

TEST(Verify, AcceptsAWholeGraph) { EXPECT_NO_THROW(verify(small_graph())); }

TEST(Verify, NamesTheBrokenRule) {
  struct Case {
    const char* message;
    std::function<void(Graph&)> breaks;
  };
  const std::vector<Case> cases = {
      {"two values are named 'x'", [](Graph& g) { g[1].name = "x"; }},
      {"value 1 has no name", [](Graph& g) { g[1].name = ""; }},
      {"constant 'w' is f32[1,3,1,1], its value says f32[2]", [](Graph& g) { g[1].type.shape = {2}; }},
      {"node 'conv' (Conv): input 1 is value 17; the graph has 4", [](Graph& g) { g.nodes[0].in[1] = 17; }},
      {"node 'conv' (Conv): input 1 is value -2;", [](Graph& g) { g.nodes[0].in[1] = -2; }},
      {"node 'relu' (Relu): input 0 is 'conv', which nothing defines before this use",
       [](Graph& g) { std::swap(g.nodes[0], g.nodes[1]); }},
      {"node of 'relu' (Relu): input 0 is 'conv'",
       [](Graph& g) { g.nodes.erase(g.nodes.begin()), g.nodes[0].name = ""; }},
      {"node 'relu' (Relu): output 0 is 'conv', which is defined already",
       [](Graph& g) { g.nodes[1].out[0] = g.nodes[0].out[0]; }},
      {"node 'relu' (Relu): output 0 is 'w', which is defined already",
       [](Graph& g) { g.nodes[1].out[0] = 1; }},
      {"node 'relu' (Relu): has no output", [](Graph& g) { g.nodes[1].out = {kNoValue}; }},
      {"graph output 0 is value 99", [](Graph& g) { g.outputs[0] = 99; }},
      {"graph output 0 is value -1", [](Graph& g) { g.outputs[0] = kNoValue; }},
      {"graph input 1 is 'x', which is defined already", [](Graph& g) { g.inputs.push_back(g.inputs[0]); }},
      {"graph input 'w' is a constant too", [](Graph& g) { g.inputs.push_back(1); }},
  };
  for (const Case& c : cases) {
    Graph graph = small_graph();
    c.breaks(graph);
    EXPECT_NE(message_of([&] { verify(graph); }).find(c.message), std::string::npos)
        << c.message << "\n"
        << message_of([&] { verify(graph); });
    EXPECT_FALSE(to_text(graph).empty());
  }
}

TEST(Graph, NamesStayUnique) {
  Graph graph;
  graph.add_value("a");
  graph.add_value("a");
  graph.add_value("");
  EXPECT_EQ(graph[1].name, "a_1");
  EXPECT_EQ(graph[2].name, "value");
  EXPECT_EQ(find_value(graph, "a_1"), 1);
  EXPECT_EQ(find_value(graph, "b"), kNoValue);
}

TEST(Graph, IndexesAndReplacement) {
  Graph graph = small_graph();
  EXPECT_EQ(producers(graph), (std::vector<int>{-1, -1, 0, 1}));
  EXPECT_EQ(consumers(graph)[2], std::vector<int>{1});
  EXPECT_TRUE(is_graph_output(graph, 3));
  replace_uses(graph, 3, 2);
  EXPECT_EQ(graph.outputs, std::vector<ValueId>{2});
  graph.nodes.pop_back();
  compact(graph);
  EXPECT_EQ(graph.values.size(), 3u);
  EXPECT_NO_THROW(verify(graph));
}

TEST(Graph, CompactNumbersInOrderOfDeclaration) {
  Graph graph = small_graph();
  const ValueId late = graph.add_constant("late", Tensor::scalar(1.f));
  graph.nodes[0].in[2] = late;
  graph.add_value("unused");
  compact(graph);
  EXPECT_EQ(to_text(graph).find('@'), std::string::npos);
  EXPECT_EQ(graph.values.size(), 5u);
  EXPECT_EQ(graph[2].name, "late");
}

TEST(Graph, SortsNodes) {
  Graph graph = small_graph();
  const Graph sorted = graph;
  std::swap(graph.nodes[0], graph.nodes[1]);
  sort_nodes(graph);
  EXPECT_EQ(graph, sorted);
  graph.nodes[0].in[0] = graph.outputs[0];
  EXPECT_NE(message_of([&] { sort_nodes(graph); }).find("cycle"), std::string::npos);
}

}  // namespace
}  // namespace eke
