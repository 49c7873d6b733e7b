#include "onnx/onnx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx_schema.pb.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>

#include "base/error.h"
#include "onnx/attributes.h"
#include "ops/families.h"
#include "ops/infer.h"
#include "ops/op_def.h"

namespace eke {
namespace {

namespace fs = std::filesystem;
using schema::AttributeProto;
using schema::ModelProto;
using schema::NodeProto;
using schema::TensorProto;
using testing::HasSubstr;

// --- models as protobuf ------------------------------------------------------------------------------------

constexpr int kFloat = 1, kInt64 = 7, kString = 8, kFloat16 = 10, kDouble = 11;

void add_value_info(schema::ValueInfoProto& info, const std::string& name,
                    std::initializer_list<std::int64_t> dims, int elem_type = kFloat) {
  info.set_name(name);
  auto& tensor = *info.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(elem_type);
  tensor.mutable_shape();
  for (const std::int64_t dim : dims) tensor.mutable_shape()->add_dim()->set_dim_value(dim);
}

NodeProto& add_node(ModelProto& model, const std::string& type, std::initializer_list<const char*> inputs,
                    std::initializer_list<const char*> outputs, const std::string& name = "") {
  NodeProto& node = *model.mutable_graph()->add_node();
  node.set_op_type(type);
  node.set_name(name);
  for (const char* input : inputs) node.add_input(input);
  for (const char* output : outputs) node.add_output(output);
  return node;
}

TensorProto& add_floats(ModelProto& model, const std::string& name, std::initializer_list<float> values) {
  TensorProto& tensor = *model.mutable_graph()->add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(kFloat);
  tensor.add_dims(static_cast<std::int64_t>(values.size()));
  for (const float value : values) tensor.add_float_data(value);
  return tensor;
}

void add_int_attribute(NodeProto& node, const std::string& name, std::int64_t value) {
  AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(AttributeProto::INT);
  attribute.set_i(value);
}

// x f32[2,3] -> Relu 'relu' -> y.
ModelProto relu_model(int opset = 17) {
  ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(opset);
  model.mutable_graph()->set_name("g");
  add_value_info(*model.mutable_graph()->add_input(), "x", {2, 3});
  add_value_info(*model.mutable_graph()->add_output(), "y", {2, 3});
  add_node(model, "Relu", {"x"}, {"y"}, "relu");
  return model;
}

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

Graph parse(const ModelProto& model, const std::string& folder = "", const LoadOptions& options = {}) {
  return parse_onnx(bytes_of(model.SerializeAsString()), folder, options);
}
Graph parse(const std::string& bytes) { return parse_onnx(bytes_of(bytes)); }

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "eke_onnx_XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TemporaryFolder() { fs::remove_all(path_); }
  fs::path operator/(const std::string& name) const { return fs::path(path_) / name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void write_bytes(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// --- round trips -------------------------------------------------------------------------------------------

std::vector<OpDef> all_ops() {
  std::vector<OpDef> all;
  for (const auto family : {conv_ops, matmul_ops, pool_ops, norm_ops, softmax_ops, quantize_ops, resize_ops,
                            unary_ops, binary_ops, reduce_ops, layout_ops, shape_ops})
    for (OpDef& def : family()) all.push_back(std::move(def));
  return all;
}

// Gives every ONNX attribute a value that is not its default.
struct Changer {
  void operator()(const char*, std::int64_t& value) const { value = value == 0 ? 3 : value - 1; }
  void operator()(const char*, float& value) const { value += 0.25f; }
  void operator()(const char*, std::string& value) const { value += "X"; }
  void operator()(const char*, op::Ints& value) const { value.push_back(5); }
  void operator()(const char*, op::Floats& value) const { value.push_back(0.5f); }
  void operator()(const char*, DType& value) const { value = DType::i32; }
  void operator()(const char*, Tensor& value) const { value = Tensor::from<std::int64_t>({1}, {7}); }
  template <class T>
  void operator()(const char*, T&) const {}
};

Op changed(Op op) {
  std::visit(
      [](auto& alternative) { std::remove_cvref_t<decltype(alternative)>::fields(alternative, Changer{}); },
      op);
  return op;
}

Graph graph_of(const Op& op) {
  Graph graph;
  graph.name = "g";
  graph.inputs = {graph.add_value("a", {DType::f32, {1, 2}}), graph.add_value("b", {DType::f32, {1, 2}})};
  graph.outputs = {graph.add_node(op, graph.inputs, "node", {"y"})};
  return graph;
}

TEST(OnnxRoundTrip, KeepsEveryOperatorWithItsAttributes) {
  int count = 0;
  for (const OpDef& def : all_ops()) {
    for (const OnnxName& name : def.onnx) {
      if (onnx_name(name.prototype) == nullptr) ADD_FAILURE() << name.type << " cannot be written";
      for (const Op& op : {name.prototype, changed(name.prototype)}) {
        SCOPED_TRACE(to_text(graph_of(op)));
        const Graph graph = graph_of(op);
        const Graph again = parse(to_onnx(graph));
        ASSERT_EQ(again.nodes.size(), 1u);
        EXPECT_EQ(again.nodes[0], graph.nodes[0]) << to_text(again);
        ++count;
      }
    }
  }
  EXPECT_GT(count, 200);
}

TEST(OnnxRoundTrip, GivesEqualGraphsAndEqualBytes) {
  ModelProto model = relu_model();
  add_floats(model, "w", {1, 2, 3});
  add_node(model, "Add", {"y", "w"}, {"z"});
  add_value_info(*model.mutable_graph()->add_output(), "z", {2, 3});
  auto& entry = *model.add_metadata_props();
  entry.set_key("labels");
  entry.set_value("cat,dog");
  const Graph graph = parse(model);
  EXPECT_EQ(graph.metadata.at("labels"), "cat,dog");
  EXPECT_EQ(graph.nodes[1].name, "z");
  EXPECT_EQ(parse(to_onnx(graph)), graph);
  EXPECT_EQ(to_onnx(parse(to_onnx(graph))), to_onnx(graph));
}

TEST(OnnxRoundTrip, KeepsConstantsOfEveryType) {
  for (int i = 0; i < 13; ++i) {
    const auto dtype = static_cast<DType>(i);
    Graph graph;
    const Tensor tensor = converted(Tensor::from<float>({2, 2}, {0, 1, 2, 3}), dtype);
    graph.outputs = {graph.add_node(op::Identity{}, {graph.add_constant("c", tensor)}, "i")};
    const std::string bytes = to_onnx(graph);
    LoadOptions options;
    options.to_float32 = false;
    EXPECT_EQ(*parse_onnx(bytes_of(bytes), "", options).constant(0), tensor) << to_string(dtype);
    EXPECT_EQ(parse(bytes).constant(0)->dtype(), is_float(dtype) ? DType::f32 : dtype);
  }
}

TEST(OnnxRoundTrip, KeepsDynamicExtentsWithTheirNames) {
  ModelProto model = relu_model();
  for (auto* info : {model.mutable_graph()->mutable_input(0), model.mutable_graph()->mutable_output(0)})
    info->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(0)->set_dim_param("batch");
  model.mutable_graph()
      ->mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(1)
      ->set_dim_value(-1);
  const Graph graph = parse(model);
  const Value& x = graph[graph.inputs[0]];
  EXPECT_EQ(x.type.shape, (Shape{kDynamic, kDynamic}));
  EXPECT_EQ(x.dim_names, (std::vector<std::string>{"batch", ""}));
  EXPECT_EQ(parse(to_onnx(graph)), graph);
}

TEST(OnnxRoundTrip, WritesSwishAndTheOldSoftmaxAsWhatTheyStandFor) {
  const Tensor x = Tensor::from<float>({2, 3, 2}, {-2, -1, 0, 1, 2, 3, 0.5f, 0.25f, -3, -4, 1, 1});
  op::Softmax old;
  old.axis = 1;
  old.coerce2d = true;
  for (const Op& op : {Op(op::Swish{1}), Op(op::Swish{1.5f}), Op(old)}) {
    Graph graph;
    graph.inputs = {graph.add_value("x", x.type())};
    graph.outputs = {graph.add_node(op, graph.inputs, "node")};
    const Graph again = infer_types(parse(to_onnx(graph)));
    EXPECT_GT(again.nodes.size(), 1u);
    const Tensor expected = evaluate(infer_types(graph), {x})[0], actual = evaluate(again, {x})[0];
    ASSERT_EQ(actual.type(), expected.type());
    for (std::int64_t i = 0; i < x.count(); ++i)
      EXPECT_NEAR(actual.values<float>()[i], expected.values<float>()[i], 1e-6) << op_name(op);
  }
}

TEST(OnnxRoundTrip, WritesTheOldSoftmaxOverTheLastAxisAsItIs) {
  op::Softmax old;
  old.axis = 1;
  old.coerce2d = true;
  Graph graph = graph_of(old);
  graph.nodes[0].in.resize(1);
  const Graph again = parse(to_onnx(graph));
  ASSERT_EQ(again.nodes.size(), 1u);
  EXPECT_FALSE(std::get<op::Softmax>(again.nodes[0].op).coerce2d);
}

TEST(OnnxWriter, NeedsNoNewerOpsetThanTheOperators) {
  struct Case {
    Op op;
    int opset, ir_version;
  };
  op::AveragePool dilated;
  dilated.kernel_shape = {2, 2};
  dilated.dilations = {2, 2};
  for (const Case& c :
       {Case{op::Unary{op::UnaryFn::Relu}, 17, 8}, Case{op::Unary{op::UnaryFn::Mish}, 18, 8},
        Case{dilated, 19, 9}, Case{op::Gelu{}, 20, 9}, Case{op::GroupNormalization{}, 21, 10}}) {
    ModelProto model;
    ASSERT_TRUE(model.ParseFromString(to_onnx(graph_of(c.op))));
    EXPECT_EQ(model.opset_import(0).version(), c.opset) << op_name(c.op);
    EXPECT_EQ(model.ir_version(), c.ir_version) << op_name(c.op);
    EXPECT_EQ(model.producer_name(), "eke");
  }
}

TEST(OnnxWriter, LeavesOutDilationsOfOneThatOldAveragePoolsLack) {
  op::AveragePool pool;
  pool.kernel_shape = {2, 2};
  pool.dilations = {1, 1};
  ModelProto model;
  ASSERT_TRUE(model.ParseFromString(to_onnx(graph_of(pool))));
  EXPECT_EQ(model.opset_import(0).version(), 17);
  for (const auto& attribute : model.graph().node(0).attribute()) EXPECT_NE(attribute.name(), "dilations");
}

TEST(OnnxWriter, RefusesLoweredForms) {
  op::Conv clamped;
  clamped.clamp = {0, 6};
  op::Conv rounded;
  rounded.mid.scale = 1;
  op::Gemm gemm;
  gemm.clamp = {0, 6};
  op::Binary add;
  add.clamp = {0, 6};
  for (const Op& op : {Op(clamped), Op(rounded), Op(gemm), Op(add)})
    EXPECT_THAT(error_of([&] { to_onnx(graph_of(op)); }), HasSubstr("node 'node'")) << op_name(op);
}

TEST(OnnxWriter, LeavesTheOldFileWhenItFails) {
  const TemporaryFolder folder;
  const std::string path = (folder / "m.onnx").string();
  const Graph graph = parse(relu_model());
  save_onnx(graph, path);
  op::Conv clamped;
  clamped.clamp = {0, 6};
  EXPECT_THROW(save_onnx(graph_of(clamped), path), Error);
  EXPECT_EQ(load_onnx(path), graph);
}

// --- what files may hold -----------------------------------------------------------------------------------

TEST(OnnxReader, ReadsInitializersThatAreInputsAsConstants) {
  ModelProto model = relu_model(8);
  model.set_ir_version(3);
  add_floats(model, "w", {1, 2, 3});
  add_value_info(*model.mutable_graph()->add_input(), "w", {3});
  add_node(model, "Add", {"y", "w"}, {"z"});
  const Graph graph = parse(model);
  EXPECT_EQ(graph.inputs.size(), 1u);
  EXPECT_NE(graph.constant(graph.nodes[1].in[1]), nullptr);
}

TEST(OnnxReader, ReadsEveryFormOfConstantNode) {
  struct Case {
    const char* name;
    std::function<void(AttributeProto&)> fill;
    Tensor expected;
  };
  const Case cases[] = {
      {"value_float", [](auto& a) { a.set_type(AttributeProto::FLOAT), a.set_f(2); }, Tensor::scalar(2.f)},
      {"value_int", [](auto& a) { a.set_type(AttributeProto::INT), a.set_i(2); },
       Tensor::scalar<std::int64_t>(2)},
      {"value_floats", [](auto& a) { a.set_type(AttributeProto::FLOATS), a.add_floats(2); },
       Tensor::from<float>({1}, {2})},
      {"value_ints", [](auto& a) { a.set_type(AttributeProto::INTS), a.add_ints(2); },
       Tensor::from<std::int64_t>({1}, {2})},
      {"value",
       [](auto& a) {
         a.set_type(AttributeProto::TENSOR), a.mutable_t()->set_data_type(kFloat),
             a.mutable_t()->add_float_data(2);
       },
       Tensor::scalar(2.f)},
  };
  for (const Case& c : cases) {
    ModelProto model = relu_model();
    AttributeProto& attribute = *add_node(model, "Constant", {}, {"c"}).add_attribute();
    attribute.set_name(c.name);
    c.fill(attribute);
    add_node(model, "Identity", {"c"}, {"z"});
    add_value_info(*model.mutable_graph()->add_output(), "z", {});
    const Graph graph = parse(model);
    EXPECT_EQ(*graph.constant(find_value(graph, "c")), c.expected) << c.name;
  }
}

TEST(OnnxReader, PutsNodesInOrder) {
  ModelProto model = relu_model();
  model.mutable_graph()->mutable_node(0)->set_input(0, "a");
  add_node(model, "Abs", {"x"}, {"a"});
  EXPECT_EQ(parse(model).nodes[0].name, "a");
}

TEST(OnnxReader, ReadsWiderAndNarrowerFloatsAsFloat32) {
  ModelProto model = relu_model();
  model.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(kFloat16);
  TensorProto& w = *model.mutable_graph()->add_initializer();
  w.set_name("w");
  w.set_data_type(kDouble);
  w.add_double_data(0.5);
  add_int_attribute(add_node(model, "Cast", {"w"}, {"h"}), "to", kFloat16);
  add_node(model, "Add", {"y", "h"}, {"z"});
  const Graph graph = parse(model);
  EXPECT_EQ(graph[graph.inputs[0]].type.dtype, DType::f32);
  EXPECT_EQ(*graph.constant(find_value(graph, "w")), Tensor::scalar(0.5f));
  EXPECT_NO_THROW(infer_types(graph));
  LoadOptions options;
  options.to_float32 = false;
  EXPECT_EQ(parse(model, "", options)[0].type.dtype, DType::f16);
}

TEST(OnnxReader, ListsEveryMissingOperatorWithItsNodes) {
  ModelProto model = relu_model();
  add_node(model, "If", {"x"}, {"a"}, "if1");
  add_node(model, "Loop", {"x"}, {"b"});
  add_node(model, "If", {"x"}, {"c"}, "if2");
  add_node(model, "Relu", {"x"}, {"d"}).set_domain("com.example");
  EXPECT_EQ(error_of([&] { parse(model); }),
            "not supported: If ('if1', 'if2'); Loop ('b'); com.example.Relu ('d')");
}

TEST(OnnxReader, KnowsOpset6) {
  ModelProto model = relu_model(6);
  add_floats(model, "w", {1, 2, 3});
  NodeProto& add = add_node(model, "Add", {"x", "w"}, {"z"});
  add_int_attribute(add, "broadcast", 1);
  add_int_attribute(add, "axis", 1);
  EXPECT_NO_THROW(parse(model));
  add.mutable_attribute(1)->set_i(0);  // [3] at axis 0 of [2,3] becomes [3,1]
  EXPECT_EQ(parse(model).constant(parse(model).nodes[1].in[1])->shape(), (Shape{3, 1}));
  NodeProto& gemm = add_node(model, "Gemm", {"x", "x", "w"}, {"q"});
  add_int_attribute(gemm, "broadcast", 1);
  EXPECT_NO_THROW(parse(model));
}

// --- external data -----------------------------------------------------------------------------------------

ModelProto external_model(const std::string& location, const std::string& offset, const std::string& length) {
  ModelProto model = relu_model();
  TensorProto& w = add_floats(model, "w", {0, 0, 0});
  w.clear_float_data();
  w.set_data_location(TensorProto::EXTERNAL);
  for (const auto& [key, value] : {std::pair("location", location), {"offset", offset}, {"length", length}}) {
    if (value.empty()) continue;
    auto& entry = *w.add_external_data();
    entry.set_key(key);
    entry.set_value(value);
  }
  add_node(model, "Add", {"y", "w"}, {"z"});
  return model;
}

TEST(OnnxExternalData, IsReadFromTheFolderOfTheModel) {
  const TemporaryFolder folder;
  const float values[] = {9, 1, 2, 3};
  const std::string data(reinterpret_cast<const char*>(values), sizeof values);
  fs::create_directory(folder / "sub");
  write_bytes(folder / "sub/w.bin", data);
  write_bytes(folder / "m.onnx", external_model("sub/w.bin", "4", "12").SerializeAsString());
  const Graph graph = load_onnx((folder / "m.onnx").string());
  EXPECT_EQ(*graph.constant(find_value(graph, "w")), Tensor::from<float>({3}, {1, 2, 3}));
  write_bytes(folder / "m.onnx", external_model("sub/w.bin", "", "").SerializeAsString());
  EXPECT_NO_THROW(load_onnx((folder / "m.onnx").string()));
}

TEST(OnnxExternalData, IsRefusedOutsideTheFolderAndOutsideTheFile) {
  const TemporaryFolder outside, folder;
  write_bytes(outside / "w.bin", std::string(12, '\0'));
  write_bytes(folder / "w.bin", std::string(12, '\0'));
  fs::create_symlink(outside / "w.bin", folder / "link.bin");
  fs::create_directory_symlink(outside.path(), folder / "linked");
  fs::create_directory(folder / "sub");
  struct Case {
    std::string location, offset, length, error;
  };
  const std::string outside_name = fs::path(outside.path()).filename().string();
  const Case cases[] = {
      {"../" + outside_name + "/w.bin", "", "", "leaves the folder"},
      {"sub/../w.bin", "", "", "leaves the folder"},
      {(outside / "w.bin").string(), "", "", "leaves the folder"},
      {"link.bin", "", "", "leaves the folder"},
      {"linked/w.bin", "", "", "leaves the folder"},
      {"", "", "", "leaves the folder"},
      {"none.bin", "", "", "none.bin"},
      {"sub", "", "", "sub"},
      {"w.bin", "4", "", "ends at 12 bytes"},
      {"w.bin", "18446744073709551615", "", "ends at 12 bytes"},
      {"w.bin", "-4", "", "is no size"},
      {"w.bin", "99999999999999999999", "", "is no size"},
      {"w.bin", "", "8", "needs 12"},
  };
  for (const Case& c : cases) {
    const std::string error =
        error_of([&] { parse(external_model(c.location, c.offset, c.length), folder.path()); });
    EXPECT_THAT(error, HasSubstr("initializer 'w'")) << c.location;
    EXPECT_THAT(error, HasSubstr(c.error)) << c.location;
  }
  EXPECT_THAT(error_of([&] { parse(external_model("w.bin", "", "")); }), HasSubstr("external file 'w.bin'"));
}

// --- four bits ---------------------------------------------------------------------------------------------

constexpr int kInt8 = 3, kUint4 = 21, kInt4 = 22;

// w of three elements, dequantized.
ModelProto dequantized_model(int data_type, const std::string& raw) {
  ModelProto model;
  model.set_ir_version(10);
  model.add_opset_import()->set_version(21);
  model.mutable_graph()->set_name("g");
  add_value_info(*model.mutable_graph()->add_output(), "y", {3});
  for (const char* name : {"w", "zero"}) {
    TensorProto& tensor = *model.mutable_graph()->add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(data_type);
    if (name[0] == 'w') tensor.add_dims(3);
    tensor.set_raw_data(name[0] == 'w' ? raw : std::string(1, '\0'));
  }
  TensorProto& scale = add_floats(model, "scale", {0.5f});
  scale.clear_dims();
  add_node(model, "DequantizeLinear", {"w", "scale", "zero"}, {"y"}, "dequantize");
  return model;
}

TEST(Onnx, FourBitsAreReadAsEight) {
  const Graph with_sign = parse(dequantized_model(kInt4, "\x78\xf3"));
  EXPECT_EQ(*with_sign.constant(find_value(with_sign, "w")), Tensor::from<std::int8_t>({3}, {-8, 7, 3}));
  const Graph without = parse(dequantized_model(kUint4, "\x78\xf3"));
  EXPECT_EQ(*without.constant(find_value(without, "w")), Tensor::from<std::uint8_t>({3}, {8, 7, 3}));
  ModelProto in_fields = dequantized_model(kInt4, "");
  TensorProto& w = *in_fields.mutable_graph()->mutable_initializer(0);
  w.clear_raw_data();
  w.add_int32_data(0x78);
  w.add_int32_data(0xf3);
  EXPECT_EQ(parse(in_fields), with_sign);
}

TEST(Onnx, WeightsThatFitArePackedTwoAByteWhereAsked) {
  struct Case {
    const char* raw;
    bool packed;
  };
  for (const auto& [raw, packed] : {Case{"\xf8\x07\x03", true}, Case{"\xf8\x08\x03", false}}) {
    const Graph graph = parse(dequantized_model(kInt8, raw));
    const std::string bytes = to_onnx(graph, {.pack_weights = true});
    ModelProto model;
    ASSERT_TRUE(model.ParseFromString(bytes));
    EXPECT_EQ(model.opset_import(0).version(), packed ? 21 : 17);
    for (const TensorProto& tensor : model.graph().initializer()) {
      if (tensor.name() != "w") continue;
      EXPECT_EQ(tensor.data_type(), packed ? kInt4 : kInt8);
      EXPECT_EQ(tensor.raw_data().size(), packed ? 2u : 3u);
    }
    EXPECT_EQ(parse(bytes), graph);
    EXPECT_EQ(to_onnx(graph) == bytes, !packed);
  }
}

TEST(Onnx, FourBitsAreForDequantizeLinearAlone) {
  ModelProto other = dequantized_model(kInt4, "\x78\xf3");
  add_node(other, "Abs", {"w"}, {"z"}, "abs");
  EXPECT_THAT(error_of([&] { parse(other); }), HasSubstr("node 'abs' (Abs): reads 'w' of 4 bits"));
  ModelProto output = dequantized_model(kInt4, "\x78\xf3");
  add_value_info(*output.mutable_graph()->add_output(), "w", {3}, kInt4);
  EXPECT_THAT(error_of([&] { parse(output); }), HasSubstr("graph output 'w': holds 4 bits"));
  EXPECT_THAT(error_of([&] { parse(dequantized_model(kInt4, "\x78")); }),
              HasSubstr("holds 1 bytes, but INT4"));
}

// --- hostile models ----------------------------------------------------------------------------------------

struct Hostile {
  const char* what;
  std::function<void(ModelProto&)> spoil;
  const char* error;
};

TensorProto& add_raw(ModelProto& model, std::initializer_list<std::int64_t> dims, int data_type,
                     std::size_t bytes) {
  TensorProto& tensor = *model.mutable_graph()->add_initializer();
  tensor.set_name("w");
  tensor.set_data_type(data_type);
  for (const std::int64_t dim : dims) tensor.add_dims(dim);
  tensor.set_raw_data(std::string(bytes, '\1'));
  return tensor;
}

const Hostile kHostile[] = {
    {"no graph", [](auto& m) { m.clear_graph(); }, "holds no graph"},
    {"no outputs", [](auto& m) { m.mutable_graph()->clear_output(); }, "has no outputs"},
    {"old opset", [](auto& m) { m.mutable_opset_import(0)->set_version(5); }, "opset 5 is older"},
    {"no opset", [](auto& m) { m.clear_opset_import(); }, "opset 1 is older"},
    {"new opset", [](auto& m) { m.mutable_opset_import(0)->set_version(25); }, "opset 25 is newer"},
    {"negative opset", [](auto& m) { m.mutable_opset_import(0)->set_version(-3); }, "opset -3"},
    {"huge opset", [](auto& m) { m.mutable_opset_import(0)->set_version(std::int64_t{1} << 40); },
     "does not exist"},
    {"cycle",
     [](auto& m) {
       add_node(m, "Add", {"x", "b"}, {"a"}), add_node(m, "Abs", {"a"}, {"b"});
     },
     "cycle"},
    {"self", [](auto& m) { m.mutable_graph()->mutable_node(0)->set_input(0, "y"); }, "cycle"},
    {"undefined input", [](auto& m) { m.mutable_graph()->mutable_node(0)->set_input(0, "q"); },
     "node 'relu' (Relu): reads 'q', which nothing defines"},
    {"undefined output", [](auto& m) { m.mutable_graph()->mutable_output(0)->set_name("q"); },
     "graph output 'q'"},
    {"output twice", [](auto& m) { add_node(m, "Abs", {"x"}, {"y"}, "abs"); },
     "node 'abs' (Abs): value 'y' is defined twice"},
    {"input twice", [](auto& m) { add_value_info(*m.mutable_graph()->add_input(), "x", {1}); },
     "'x' is defined twice"},
    {"initializer twice", [](auto& m) { add_floats(m, "w", {1}), add_floats(m, "w", {1}); },
     "'w' is defined twice"},
    {"output is input", [](auto& m) { add_node(m, "Abs", {"x"}, {"x"}); }, "'x' is defined twice"},
    {"nameless input", [](auto& m) { m.mutable_graph()->mutable_input(0)->set_name(""); }, "has no name"},
    {"nameless initializer", [](auto& m) { add_floats(m, "", {1}); }, "has no name"},
    {"node without output", [](auto& m) { add_node(m, "Abs", {"x"}, {}, "abs"); },
     "node 'abs' (Abs): has no outputs"},
    {"input without type", [](auto& m) { m.mutable_graph()->mutable_input(0)->clear_type(); }, "has no type"},
    {"input without shape",
     [](auto& m) {
       m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_shape();
     },
     "graph input 'x': has no shape"},
    {"sequence input",
     [](auto& m) { m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_sequence_type(); },
     "no dense tensor"},
    {"string input",
     [](auto& m) {
       m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(kString);
     },
     "holds STRING"},
    {"negative input extent", [](auto& m) { add_value_info(*m.mutable_graph()->add_input(), "n", {-7}); },
     "negative extent, -7"},
    {"rank of input",
     [](auto& m) {
       add_value_info(*m.mutable_graph()->add_input(), "n", {1, 1, 1, 1, 1, 1, 1, 1, 1});
     },
     "'n'"},
    {"negative dims",
     [](auto& m) {
       add_raw(m, {-1, -3}, kFloat, 12);
     },
     "initializer 'w': has a negative extent"},
    {"overflowing dims",
     [](auto& m) {
       add_raw(m, {std::int64_t{1} << 62, 4, 4}, kFloat, 0);
     },
     "initializer 'w'"},
    {"overflowing dims that wrap to the right size",
     [](auto& m) {
       add_raw(m, {std::int64_t{1} << 32, std::int64_t{1} << 32}, kFloat, 0);
     },
     "initializer 'w'"},
    {"huge dims", [](auto& m) { add_raw(m, {1 << 30}, kFloat, 4); }, "holds 4 bytes"},
    {"rank of initializer",
     [](auto& m) {
       add_raw(m, {1, 1, 1, 1, 1, 1, 1, 1, 1}, kFloat, 4);
     },
     "initializer 'w'"},
    {"short raw data", [](auto& m) { add_raw(m, {3}, kFloat, 11); }, "holds 11 bytes, but f32[3] needs 12"},
    {"long raw data", [](auto& m) { add_raw(m, {3}, kFloat, 13); }, "holds 13 bytes"},
    {"few elements", [](auto& m) { add_floats(m, "w", {1}).set_dims(0, 2); }, "holds 1 elements"},
    {"elements of another type", [](auto& m) { add_floats(m, "w", {1}).set_data_type(kInt64); },
     "holds 0 elements"},
    {"element out of range",
     [](auto& m) {
       TensorProto& w = add_floats(m, "w", {1});
       w.set_data_type(3);
       w.add_int32_data(128);
     },
     "out of range for i8"},
    {"string tensor", [](auto& m) { add_raw(m, {1}, kString, 1); }, "holds STRING"},
    {"float8 tensor", [](auto& m) { add_raw(m, {1}, 17, 1); }, "holds FLOAT8E4M3FN"},
    {"unknown type", [](auto& m) { add_raw(m, {1}, 99, 1); }, "element type 99"},
    {"segment", [](auto& m) { add_raw(m, {1}, kFloat, 4).mutable_segment()->set_begin(0); }, "segment"},
    {"sparse initializer", [](auto& m) { m.mutable_graph()->add_sparse_initializer(); }, "sparse"},
    {"unknown attribute", [](auto& m) { add_int_attribute(*m.mutable_graph()->mutable_node(0), "alpha", 1); },
     "node 'relu' (Relu): attribute 'alpha'"},
    {"inner attribute", [](auto& m) { add_int_attribute(*m.mutable_graph()->mutable_node(0), "fn", 1); },
     "attribute 'fn'"},
    {"inner flag", [](auto& m) { add_int_attribute(add_node(m, "Softmax", {"x"}, {"s"}), "coerce2d", 1); },
     "attribute 'coerce2d'"},
    {"attribute twice",
     [](auto& m) {
       NodeProto& node = add_node(m, "Flatten", {"x"}, {"f"});
       add_int_attribute(node, "axis", 1);
       add_int_attribute(node, "axis", 2);
     },
     "given twice"},
    {"attribute of another type",
     [](auto& m) {
       AttributeProto& attribute = *add_node(m, "Flatten", {"x"}, {"f"}).add_attribute();
       attribute.set_name("axis");
       attribute.set_type(AttributeProto::FLOAT);
     },
     "attribute 'axis' is a float, but must be an int"},
    {"required attribute", [](auto& m) { add_node(m, "Concat", {"x"}, {"c"}); },
     "attribute 'axis' of Concat is missing"},
    {"graph attribute",
     [](auto& m) {
       AttributeProto& attribute = *m.mutable_graph()->mutable_node(0)->add_attribute();
       attribute.set_name("body");
       attribute.set_type(AttributeProto::GRAPH);
     },
     "attribute 'body'"},
    {"attribute of a function",
     [](auto& m) { m.mutable_graph()->mutable_node(0)->add_attribute()->set_ref_attr_name("a"); },
     "of a function"},
    {"string constant",
     [](auto& m) {
       AttributeProto& attribute = *add_node(m, "Constant", {}, {"c"}).add_attribute();
       attribute.set_name("value_string");
       attribute.set_type(AttributeProto::STRING);
     },
     "attribute 'value_string'"},
    {"constant without value", [](auto& m) { add_node(m, "Constant", {}, {"c"}); }, "node 'c' (Constant)"},
    {"cast to a string", [](auto& m) { add_int_attribute(add_node(m, "Cast", {"x"}, {"c"}), "to", kString); },
     "attribute 'to' is STRING"},
};

TEST(OnnxReader, RefusesHostileModelsWithWords) {
  for (const Hostile& hostile : kHostile) {
    ModelProto model = relu_model();
    hostile.spoil(model);
    EXPECT_THAT(error_of([&] { parse(model); }), HasSubstr(hostile.error)) << hostile.what;
  }
}

TEST(OnnxReader, RefusesEveryTruncation) {
  ModelProto model = relu_model();
  add_floats(model, "w", {1, 2, 3});
  add_node(model, "Add", {"y", "w"}, {"z"});
  const std::string bytes = model.SerializeAsString();
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_THROW(parse(bytes.substr(0, size)), Error) << size << " of " << bytes.size();
}

// As protobuf has it: fields of one message may come in pieces, and of a field that stands twice the last one counts.
TEST(OnnxReader, JoinsAModelThatComesInPieces) {
  const auto with_weights = [](const std::string& raw) {
    ModelProto model;
    TensorProto& tensor = *model.mutable_graph()->add_initializer();
    tensor.set_name("w");
    tensor.set_data_type(kFloat);
    tensor.add_dims(2);
    tensor.set_raw_data(raw);
    return model;
  };
  ModelProto whole = relu_model(), rest = relu_model();
  add_node(rest, "Mul", {"x", "w"}, {"z"});
  add_node(whole, "Mul", {"x", "w"}, {"z"});
  const ModelProto weights = with_weights("12345678");
  whole.MergeFrom(weights);
  EXPECT_EQ(parse(weights.SerializeAsString() + rest.SerializeAsString()), parse(whole));

  std::string tensor = with_weights("abcdefgh").graph().initializer(0).SerializeAsString();
  tensor += weights.graph().initializer(0).SerializeAsString().substr(tensor.size() - 10);  // raw_data alone
  ASSERT_LT(tensor.size(), 128u);
  const std::string graph = std::string("\x2a") + static_cast<char>(tensor.size()) + tensor;
  const std::string model = std::string("\x3a") + static_cast<char>(graph.size()) + graph;
  EXPECT_EQ(parse(model + rest.SerializeAsString()), parse(whole));
}

TEST(OnnxReader, RefusesDeepRecursion) {
  ModelProto model = relu_model();
  schema::GraphProto* graph = model.mutable_graph();
  for (int depth = 0; depth < 1000; ++depth) graph = graph->add_node()->add_attribute()->mutable_g();
  EXPECT_THAT(error_of([&] { parse(model); }), HasSubstr("damaged"));
}

TEST(OnnxReader, NamesTheFile) {
  const TemporaryFolder folder;
  write_bytes(folder / "m.onnx", "not a model");
  EXPECT_THAT(error_of([&] { load_onnx((folder / "m.onnx").string()); }), HasSubstr("m.onnx"));
  EXPECT_THAT(error_of([&] { load_onnx((folder / "none.onnx").string()); }), HasSubstr("none.onnx"));
}

TEST(OnnxReader, RefusesWhatIsNoTensorProto) {
  EXPECT_THROW(parse_tensor_proto(bytes_of("\x0a\xff")), Error);
  EXPECT_THROW(parse_tensor_proto({}), Error);
}

}  // namespace
}  // namespace eke
