#include "ptq/saved_form.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "learn/testing/halves.h"
#include "ops/infer.h"

namespace eke {
namespace {

Graph network(const char* batch, const char* targets) {
  return parse_text(
      fmt::format("graph \"g\"\n"
                  "input %x: f32[{0},3,2,2] dims(\"N\",\"\",\"\",\"\")\n"
                  "const %s: i64[2] = [{1}]\n"
                  "%y: f32[{0},12] = Reshape \"flat\" (%x, %s)\n"
                  "output %y\n",
                  batch, targets));
}

TEST(SavedForm, TakesAnyBatchWhereTheOriginalDidAndNothingFixedIt) {
  const struct {
    const char *what, *batch, *targets;
    std::int64_t saved;
  } cases[] = {
      {"open", "?", "-1,12", kDynamic}, {"closed", "1", "-1,12", 1}, {"fixed inside", "?", "1,12", 1}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    Graph original = network(c.batch, c.targets);
    original.metadata = {{"author", "someone"}, {std::string(kLabelsKey), "[\"old\"]"}};
    const Graph saved =
        saved_form(infer_types(network("1", c.targets)), original, small_preprocess(), {"a", "b"});
    EXPECT_EQ(saved[saved.inputs[0]].type.shape[0], c.saved);
    EXPECT_EQ(saved[saved.outputs[0]].type.shape[0], c.saved);
    EXPECT_EQ(saved.metadata.at("author"), "someone");
    EXPECT_EQ(labels_from_json(saved.metadata.at(std::string(kLabelsKey))),
              (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(preprocess_from_json(saved.metadata.at(std::string(kPreprocessKey))), small_preprocess());
  }
}

TEST(MarkedName, KeepsFolderAndExtension) {
  EXPECT_EQ(marked_name("a/model.int8.onnx", "collapsed"), "a/model.int8.collapsed.onnx");
  EXPECT_EQ(marked_name("model", "collapsed"), "model.collapsed");
}

TEST(HasOutputForEach, CountsClassesAndTheirOffset) {
  const Halves halves;  // two classes
  const auto outputs = [](std::int64_t count) {
    Graph graph;
    graph.outputs = {graph.add_value("y", {DType::f32, {1, count}})};
    return graph;
  };
  const struct {
    std::int64_t outputs;
    int offset;
    bool has;
  } cases[] = {{2, 0, true}, {1, 0, false}, {2, 1, false}, {3, 1, true}, {128, 0, true}};
  for (const auto& c : cases)
    EXPECT_EQ(has_output_for_each(outputs(c.outputs), halves.open(), c.offset), c.has) << c.outputs;
}

TEST(CheckOutput, SaysWhyAFileCannotBeWritten) {
  const Halves halves;
  const std::string model = halves.path("model.onnx");
  std::ofstream(model) << "a model";
  check_output(model, halves.path("int8.onnx"), "--output");
  const struct {
    std::string output;
    const char* says;
  } cases[] = {{"", "--output: give the name"},
               {halves.path("none/int8.onnx"), "there is no folder"},
               {halves.path("data"), "it is a folder"},
               {"/dev/null", "not a regular file"},
               {halves.path("./model.onnx"), "would replace the float model"}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.says);
    try {
      check_output(model, c.output, "--output");
      FAIL();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(c.says));
    }
  }
}

}  // namespace
}  // namespace eke
