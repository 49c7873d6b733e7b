// eke new: the files that it writes, what the other commands make of them, and what it refuses.

#include "fixture.h"

namespace eke::test {
namespace {

TEST_F(CliTest, NewWritesAModelThatRuns) {
  const nlohmann::json made = json("new resnet8 --classes 2 --input 16 --seed 7 -o new.onnx --json");
  EXPECT_EQ(made["architecture"], "resnet8");
  EXPECT_EQ(made["classes"], 2);
  EXPECT_EQ(made["input"], 16);
  const nlohmann::json info = json("info new.onnx --json");
  EXPECT_EQ(info["inputs"][0]["shape"], nlohmann::json({"batch", 3, 16, 16}));
  EXPECT_TRUE(info["metadata"].contains("eke.preprocess"));
  EXPECT_EQ(info["reference_steps"], 0);
  EXPECT_EQ(json("run new.onnx plain --json")[0]["top"].size(),
            2u);  // it says itself how images become its input
}

TEST_F(CliTest, NewWritesToAPipe) {
  const std::string network = "new mobilenet_v3_small --width 0.25 --input 32 --seed 3";
  const CommandResult piped = eke(network);
  EXPECT_EQ(piped.code, 0);
  ASSERT_EQ(eke(network + " -o file.onnx").code, 0);
  EXPECT_EQ(piped.out, bytes_of(folder_ / "file.onnx"));
}

TEST_F(CliTest, NewListsItsArchitectures) {
  const nlohmann::json list = json("new --list --json");
  EXPECT_EQ(list.size(), 15u);
  for (const nlohmann::json& entry : list)
    EXPECT_NE(eke("new --list").out.find(entry["name"].get<std::string>()), std::string::npos);
}

TEST_F(CliTest, NewRefusesWrongUse) {
  const std::pair<const char*, const char*> cases[] = {{"new", "--list"},
                                                       {"new vgg17 -o a.onnx", "vgg16"},
                                                       {"new resnet8 --classes 0 -o a.onnx", "--classes"},
                                                       {"new resnet8 --width -1 -o a.onnx", "--width"},
                                                       {"new resnet8 --json", "--json"}};
  for (const auto& [arguments, word] : cases) {
    SCOPED_TRACE(arguments);
    const CommandResult result = eke(arguments);
    EXPECT_EQ(result.code, 2) << result.err;
    EXPECT_NE(result.err.find(word), std::string::npos) << result.err;
  }
  expect_error(eke("new vgg16 --input 8 --width 0.1 -o a.onnx"), 1, {"vgg16 at 8x8", "pool"});
  expect_error(eke("new resnet8 -o no/such/folder/a.onnx"), 1, {"no/such/folder"});
}

}  // namespace
}  // namespace eke::test
