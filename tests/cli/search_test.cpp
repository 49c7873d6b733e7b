#include <filesystem>
#include <fstream>

#include "fixture.h"

namespace eke::test {
namespace {

namespace fs = std::filesystem;

const std::string kSearch = "search net.onnx --data data --count 16 --normalization raw -o mixed.onnx --json";

TEST_F(CliTest, SearchTriesMixturesAndWritesTheCheapestWithinTheBound) {
  for (const char* objective : {"latency", "size"}) {
    SCOPED_TRACE(objective);
    const nlohmann::json report = json(kSearch + " --again --max-drop 100 --objective " + objective);
    EXPECT_EQ(report["success"], true);
    EXPECT_EQ(report["judging_images"], 24);
    EXPECT_EQ(report["layers"].size(), 2u);
    int chosen = 0, front = 0;
    double least = 1e30, cost = 0;
    for (const nlohmann::json& tried : report["tried"]) {
      front += tried["on_front"].get<bool>();
      if (tried["what"] != "all in float") least = std::min(least, tried["cost"].get<double>());
      if (!tried["chosen"].get<bool>()) continue;
      ++chosen;
      cost = tried["cost"];
    }
    EXPECT_EQ(chosen, 1);
    EXPECT_GE(front, 1);
    EXPECT_EQ(cost, least);
    if (std::string(objective) == "size") {
      EXPECT_EQ(cost, static_cast<double>(bytes_of("mixed.onnx").size()));
    }
    json("eval mixed.onnx --data data --against net.onnx --json");
  }
  const CommandResult text =
      eke("search net.onnx --data data --count 16 --normalization raw -o mixed.onnx --max-drop 100 "
          "--objective size");
  EXPECT_NE(text.out.find("first and last in float"), std::string::npos) << text.out << text.err;
}

TEST_F(CliTest, SearchRunsLayersInBfloat16WhereAsked) {
  const nlohmann::json report = json(kSearch + " --again --max-drop 100 --precision bf16");
  EXPECT_EQ(report["floats"], "bf16");
  for (const nlohmann::json& tried : report["tried"]) EXPECT_GT(tried["sqnr_db"], 20) << tried;
  // Another precision is another search.
  EXPECT_NE(eke(kSearch + " --max-drop 100").code, 0);
}

TEST_F(CliTest, SearchGoesOnFromItsJournalWithTheSameAnswer) {
  const std::string size = kSearch + " --objective size --max-drop 1";
  const nlohmann::json whole = json(size);
  EXPECT_EQ(whole["found_in_journal"], 0);
  const std::string bytes = bytes_of("mixed.onnx");
  nlohmann::ordered_json journal = nlohmann::ordered_json::parse(bytes_of("mixed.onnx.search.json"));
  // As an interruption leaves it.
  while (journal["mixtures"].size() > 2) journal["mixtures"].erase(std::prev(journal["mixtures"].end()));
  std::ofstream(folder_ / "mixed.onnx.search.json") << journal;
  const nlohmann::json resumed = json(size);
  EXPECT_GT(resumed["found_in_journal"], 0);
  EXPECT_EQ(resumed["tried"], whole["tried"]);
  EXPECT_EQ(resumed["layers"], whole["layers"]);
  EXPECT_EQ(bytes_of("mixed.onnx"), bytes);
  // What has been measured stays as it was, also where it was a time.
  const nlohmann::json timed = json(kSearch + " --again --max-drop 1"),
                       again = json(kSearch + " --max-drop 1");
  EXPECT_EQ(timed["tried"], again["tried"]);
}

TEST_F(CliTest, SearchSaysWhatIsWrong) {
  json(kSearch + " --objective size --max-drop 1");
  for (const char* other : {"", " --objective size --weight-bits 4", " --objective size --mean 1"})
    expect_error(eke(kSearch + " --max-drop 1" + other), 1, {"belongs to another search", "--again"});
  std::ofstream(folder_ / "none.json") << "[";
  expect_error(eke(kSearch + " --max-drop 1 --journal none.json"), 1, {"none.json", "no journal"});
  expect_error(eke(kSearch + " --max-drop 1 --keep 'nothing*'"), 2, {"--keep"});
  expect_error(eke(kSearch + " --max-drop 1 --keep '*' --again"), 1, {"nothing to search"});
  EXPECT_EQ(eke(kSearch).code, 2);
  EXPECT_NE(eke(kSearch).err.find("--max-drop is required"), std::string::npos);
  expect_error(eke(kSearch + " --max-drop 1 --objective energy --meter none --again"), 1, {"no meter"});
  nlohmann::ordered_json journal = nlohmann::ordered_json::parse(bytes_of("mixed.onnx.search.json"));
  for (auto& mixture : journal["mixtures"]) mixture["cost"] = "much";
  std::ofstream(folder_ / "mixed.onnx.search.json") << journal;
  expect_error(eke(kSearch + " --objective size --max-drop 1"), 1, {"journal", "damaged"});
}

}  // namespace
}  // namespace eke::test
