// Drives the built command on a small network and small images that the test makes.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace eke::test {

struct CommandResult {
  int code = -1;
  std::string out, err;
};

// Runs the command with the arguments as a shell would see them; `folder` is the working directory. `before` are
// shell commands that come first.
CommandResult run_eke(const std::string& arguments, const std::filesystem::path& folder,
                      const std::string& before = "");

// The network of net.onnx; the first weight of its convolution is `first_weight`.
Graph small_network(std::int64_t batch = 1, float first_weight = 0.02f);

class CliTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  CommandResult eke(const std::string& arguments) const { return run_eke(arguments, folder_); }
  // Expects exit code 0 and JSON on standard output.
  nlohmann::json json(const std::string& arguments) const;
  std::string bytes_of(const std::string& file) const;  // in folder_

  // net.onnx: 8x8 RGB to two classes, by which half of the image is brighter; trained on nothing.
  // data/left, data/right: images of each class; plain/: images without classes; pairs.csv over them.
  std::filesystem::path folder_;
};

// Expects exit code `code`, nothing on standard output and one line on standard error with all of `words`.
void expect_error(const CommandResult& result, int code, const std::vector<std::string>& words);

}  // namespace eke::test
