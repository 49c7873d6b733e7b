#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "base/error.h"
#include "report/runs.h"
#include "report/writers.h"

namespace eke::report {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

Figure ms(double value, Origin origin = Origin::measured) {
  return {value, "ms", 100, {value * 0.9, value * 1.1, "p10 to p90"}, origin};
}

Document with_table(Table table) {
  Document document{"Results", {}, {}};
  document.sections.push_back({"Latency", {}, {}, {std::move(table)}, {}});
  return document;
}

TEST(Figure, IsWholeOrNotAtAll) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const struct {
    double value;
    const char* unit;
    std::int64_t count;
    Spread spread;
    const char* word;
  } cases[] = {{nan, "ms", 1, {0, 1, "p"}, "not a number"}, {1, "", 1, {0, 2, "p"}, "no unit"},
               {1, "ms", 0, {0, 2, "p"}, "0 observations"}, {1, "ms", 1, {0, 2, ""}, "does not say what"},
               {1, "ms", 1, {2, 3, "p"}, "does not hold"},  {1, "ms", 1, {0, nan, "p"}, "not a number"}};
  for (const auto& c : cases) {
    EXPECT_THAT(message_of([&] { Figure(c.value, c.unit, c.count, c.spread, Origin::measured); }),
                HasSubstr(c.word));
  }
  EXPECT_EQ(text_of(ms(8.97)), "8.970 ms (8.073 to 9.867, p10 to p90 of 100)");
  EXPECT_EQ(text_of(Figure(2, "J", 3, {2, 2, "mean"}, Origin::estimated)), "2.000 J (mean of 3, estimated)");
}

TEST(Document, NeverMixesOriginsOrUnits) {
  EXPECT_THAT(message_of([] {
                to_text(with_table({"t", {"a"}, {{ms(1)}, {ms(2, Origin::estimated)}}}));
              }),
              HasSubstr("mixes measured and estimated"));
  EXPECT_THAT(
      message_of([] {
        to_html(with_table({"t", {"a"}, {{ms(1)}, {Figure(1, "J", 1, {1, 1, "one"}, Origin::measured)}}}));
      }),
      HasSubstr("mixes ms and J"));
  EXPECT_THAT(message_of([] {
                to_csv(with_table({"t", {"a", "b"}, {{ms(1)}}}));
              }),
              HasSubstr("1 cells under 2"));
  Document document{"Results", {}, {}};
  document.sections.push_back(
      {"s",
       {},
       {{ChartKind::bars, "c", "", "ms", {{"m", {{"a", 0, ms(1)}, {"b", 0, ms(1, Origin::simulated)}}}}}},
       {},
       {}});
  EXPECT_THAT(message_of([&] { to_json(document); }), HasSubstr("mixes measured and simulated"));
}

TEST(Document, AChartHasItsTable) {
  const Chart chart{ChartKind::lines,
                    "loss",
                    "epoch",
                    "loss",
                    {{"train", {{"", 1, ms(4)}, {"", 2, ms(3)}}}, {"validation", {{"", 2, ms(5)}}}}};
  const Table table = table_of(chart);
  EXPECT_EQ(table.columns, (std::vector<std::string>{"epoch", "train", "validation"}));
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(text_of(table.rows[0][0]), "1");
  EXPECT_EQ(text_of(table.rows[0][2]), "");
  EXPECT_THAT(text_of(table.rows[1][2]), HasSubstr("5.000 ms"));
}

const char* const kHostile = "</script><img src=x onerror=alert(1)>\"'&\x1b[31m|=1+1";

TEST(Html, EscapesWhateverNamesHold) {
  Document document{kHostile, {{Tone::bad, kHostile}}, {}};
  document.sections.push_back(
      {kHostile,
       {kHostile},
       {{ChartKind::bars, kHostile, kHostile, kHostile, {{kHostile, {{kHostile, 0, ms(1)}}}}}},
       {{kHostile, {kHostile}, {{std::string(kHostile)}}}},
       {{kHostile, {kHostile}, {{1}}}}});
  const std::string html = to_html(document);
  EXPECT_THAT(html, Not(HasSubstr("<img")));
  EXPECT_THAT(html, Not(HasSubstr("</script><")));
  EXPECT_THAT(html, Not(HasSubstr("\x1b")));
  EXPECT_THAT(html, HasSubstr("&lt;/script&gt;&lt;img"));
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
  EXPECT_THAT(html, HasSubstr("Chart"));
  EXPECT_LT(html.size(), 2'000'000u);
}

TEST(Text, KeepsItsLinesAndCells) {
  const Document document = with_table(
      {"t", {"name", "latency"}, {{std::string("a\nb|c"), ms(1)}, {std::string("=1,\"2\""), ms(2)}}});
  EXPECT_THAT(to_text(document), HasSubstr("a b|c"));
  EXPECT_THAT(to_markdown(document), HasSubstr("| a b\\|c |"));
  EXPECT_THAT(to_csv(document), HasSubstr("\"'=1,\"\"2\"\"\",2,ms,1.8,2.2,p10 to p90,100,measured"));
  EXPECT_TRUE(nlohmann::json::accept(to_json(document)));
}

const char* const kBench = R"({"command":"bench","interleaved":true,"no_meter":"no meter is there",
  "models":[{"model":"a.onnx","batch":1,"threads":1,"isa":"avx2","runs":50,"warmup_runs":5,
             "ms":{"median":2,"p10":1.9,"p90":2.2},"first_run_ms":9,"energy":[],
             "layer_runs":3,"layers":[{"name":"conv1","least_ms":1,"median_ms":1.5}]},
            {"model":"b.onnx","batch":1,"threads":1,"isa":"avx2","runs":50,"warmup_runs":5,
             "ms":{"median":1,"p10":0.9,"p90":1.2},"first_run_ms":8,
             "energy":[{"name":"total","boundary":"package","origin":"estimated",
                        "joules_per_inference":{"mean":0.5,"low":0.4,"high":0.6,"windows":7}}],
             "against_first":{"time":{"ratio":0.5,"low":0.4,"high":0.6,"pairs":9,"verdict":"faster"},"energy":null}}]})";
const char* const kEval =
    R"({"command":"eval","model":"a.onnx","images":4,"top1":{"accuracy":0.5,"correct":2,"low":0.15,"high":0.85},
  "confusion":[[1,1],[1,1]],"classes":["cat","dog"]})";

TEST(Runs, SayWhatTheyShowTogether) {
  report::Run eval_b = parse_run("eval_b.json", kEval);
  eval_b.json["model"] = "b.onnx";
  const Document document =
      document_of("Results", {parse_run("bench.json", kBench), parse_run("eval.json", kEval), eval_b});
  const std::string text = to_text(document);
  EXPECT_THAT(text, HasSubstr("b.onnx is faster than a.onnx: 0.500 of its time, 0.400 to 0.600 (95 % "
                              "interval of 9 pairs of windows)"));
  EXPECT_THAT(text, HasSubstr("0.5 J (0.4 to 0.6, 95 % interval over windows of 7, estimated)"));
  EXPECT_THAT(text, HasSubstr("top-1 50.00 % (15.00 to 85.00, 95 % interval of 4)"));
  EXPECT_THAT(text, HasSubstr("1.500 ms (1.000 to 1.500, least to median of 3)"));
  EXPECT_EQ(document.sections[0].title, "All models");
  EXPECT_EQ(document.sections[0].tables[0].rows.size(), 2u);
  ASSERT_EQ(document.sections[1].title, "Accuracy against latency");
  EXPECT_EQ(document.sections[1].charts[0].series[0].points.size(), 2u);
  EXPECT_EQ(document.sections[3].matrices[0].names[1], "dog");
}

TEST(Runs, BadResultsNameTheFileAndTheKey) {
  const auto changed = [](const char* text, const char* pointer, nlohmann::ordered_json value) {
    report::Run run = parse_run("r.json", text);
    run.json[nlohmann::ordered_json::json_pointer(pointer)] = std::move(value);
    return message_of([&] { document_of("t", {run}); });
  };
  EXPECT_THAT(message_of([] { parse_run("r.json", "{"); }), HasSubstr("'r.json' is no JSON"));
  EXPECT_THAT(message_of([] { parse_run("r.json", ""); }), HasSubstr("'r.json' is no JSON"));
  EXPECT_THAT(message_of([] { parse_run("r.json", "[]"); }), HasSubstr("names no command"));
  EXPECT_THAT(message_of([] { parse_run("r.json", "{\"command\":3}"); }), HasSubstr("names no command"));
  EXPECT_THAT(changed(kBench, "/models", 3), HasSubstr("'r.json': 'models' is no list"));
  EXPECT_THAT(changed(kBench, "/models/0/runs", "many"), HasSubstr("'runs' is no whole number"));
  EXPECT_THAT(changed(kBench, "/models/0/runs", 0), HasSubstr("0 observations"));
  EXPECT_THAT(changed(kBench, "/models/0", 3), HasSubstr("has no 'model'"));
  EXPECT_THAT(changed(kEval, "/top1", 3), HasSubstr("has no 'accuracy'"));
  EXPECT_THAT(changed(kEval, "/confusion", nlohmann::ordered_json::parse("[[1],[2]]")),
              HasSubstr("a row of 1 for 2"));
}

TEST(Runs, ACommandWithoutASectionShowsItsValues) {
  const Document document =
      document_of("t", {parse_run("x.json", R"({"command":"dream","a":{"b":[1,"two"]}})")});
  EXPECT_THAT(to_text(document), HasSubstr("a/b/1"));
}

}  // namespace
}  // namespace eke::report
