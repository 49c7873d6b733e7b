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
  EXPECT_THAT(
      text,
      HasSubstr("b.onnx (1 thread, batch 1) is faster than a.onnx: 0.500 of its time, 0.400 to 0.600 (95 % "
                "interval of 9 pairs of windows)"));
  EXPECT_THAT(text, HasSubstr("0.5 J (0.4 to 0.6, 95 % interval over windows of 7, estimated)"));
  // The table of all models says the accuracies; no verdict repeats them.
  EXPECT_THAT(text, Not(HasSubstr("top-1 50.00")));
  EXPECT_THAT(text, HasSubstr("50.00 % (15.00 to 85.00, 95 % interval of 4)"));
  EXPECT_THAT(text, HasSubstr("1.500 ms (1.000 to 1.500, least to median of 3)"));
  EXPECT_EQ(document.sections[0].title, "All models");
  EXPECT_EQ(document.sections[0].tables[0].rows.size(), 2u);
  ASSERT_EQ(document.sections[1].title, "Accuracy against latency");
  EXPECT_EQ(document.sections[1].charts[0].series[0].points.size(), 2u);
  EXPECT_EQ(document.sections[3].matrices[0].names[1], "dog");
  EXPECT_THAT(document.sections[1].paragraphs[0], HasSubstr("no other variant beats: b.onnx"));
}

TEST(Chart, TheFrontIsWhatNoOtherPointBeats) {
  const auto percent = [](double value) {
    return Figure(value, "%", 9, {value, value, "all"}, Origin::measured);
  };
  const Series series{"",
                      {{"slow", 3, percent(80)},
                       {"good", 2, percent(90)},
                       {"fast", 1, percent(70)},
                       {"as fast", 1, percent(60)},
                       {"best", 4, percent(95)}}};
  EXPECT_EQ(front_of(series), (std::vector<std::size_t>{2, 1, 4}));
}

TEST(Svg, DrawsEachKindAndEscapes) {
  for (const ChartKind kind : {ChartKind::bars, ChartKind::lines, ChartKind::scatter}) {
    const Chart chart{
        kind,
        kHostile,
        kHostile,
        kHostile,
        {{kHostile, {{kHostile, 1, ms(4), ms(1)}, {"b", 2, ms(3), ms(2)}}}, {"other", {{"b", 1, ms(2)}}}},
        kind == ChartKind::scatter};
    const std::string svg = to_svg(chart);
    EXPECT_THAT(svg, testing::StartsWith("<svg xmlns"));
    EXPECT_THAT(svg, testing::EndsWith("</svg>\n"));
    EXPECT_THAT(svg, Not(HasSubstr("<img")));
    EXPECT_THAT(svg, Not(HasSubstr("\x1b")));
    EXPECT_THAT(svg, Not(HasSubstr("nan")));
    EXPECT_THAT(svg, HasSubstr("#d55e00"));  // of the second series
  }
  EXPECT_THAT(to_svg({ChartKind::lines, "empty", "x", "y", {{"none", {}}}}), HasSubstr("empty"));
  EXPECT_THAT(to_svg({ChartKind::bars, "one value", "", "ms", {{"", {{"a", 0, ms(0)}}}}}),
              Not(HasSubstr("nan")));
}

TEST(Gallery, ShowsNothingButPng) {
  const auto with_picture = [](const std::string& uri) {
    Document document{"t", {}, {{"s"}}};
    document.sections[0].galleries.push_back({"worst", {{uri, kHostile}}});
    return document;
  };
  EXPECT_THAT(to_html(with_picture("data:image/png;base64,iVBORw0KGgo=")),
              HasSubstr("<img src=\"data:image/png;base64,iVBORw0KGgo=\""));
  for (const char* uri : {"http://x/y.png", "data:text/html;base64,AAAA",
                          "data:image/png;base64,AA\" onload=\"x", "data:image/svg+xml;base64,AAAA", ""})
    EXPECT_THAT(message_of([&] { to_html(with_picture(uri)); }), HasSubstr("no PNG in base64")) << uri;
}

TEST(Text, TheSummarySaysUnitsOnce) {
  Document document =
      with_table({"", {"model", "latency"}, {{std::string("a"), ms(1)}, {std::string("b"), ms(2)}}});
  document.verdicts = {
      {Tone::good, "ship b", "net"}, {Tone::neutral, "no meter"}, {Tone::bad, "a is slow", "net"}};
  const std::string text = to_summary(document);
  EXPECT_THAT(text, HasSubstr("net\n+ ship b\n! a is slow\n"));
  EXPECT_THAT(text, HasSubstr("a      1.000 (0.9 to 1.100)\n"));
  EXPECT_THAT(text, HasSubstr("latency: ms, p10 to p90 of 100\n"));
}

const char* const kTrain =
    R"({"command":"train","model":"a.onnx","output":"b.onnx","classes":10,"train_images":100,
  "validation_images":50,"seconds":9,"bytes":1000,"network":"net",
  "process":{"seconds":10,"cpu_seconds":20,"peak_bytes":5e7},
  "energy":{"total":{"joules":80,"bound_j":4,"mean_w":8,"formula":"package","meter":"rapl","boundary":"package",
                     "origin":"measured"}},
  "fine_tuning":{"epochs":[
    {"epoch":1,"loss":2,"accuracy":0.4,"validated":30,"energy":{"total":{"joules":30,"bound_j":1,"origin":"measured"}}},
    {"epoch":2,"loss":1,"accuracy":0.9,"validated":45,"energy":{"total":{"joules":40,"bound_j":1,"origin":"measured"}}}]},
  "validation":{"accuracy":0.9,"correct":45,"images":50,"low":0.8,"high":0.95}})";

TEST(Runs, SayWhatTrainingCost) {
  const Document document = document_of("t", {parse_run("train.json", kTrain)});
  const std::string& words = document.verdicts[0].text;
  EXPECT_EQ(document.verdicts[0].subject, "net");
  EXPECT_THAT(words, HasSubstr("in 10.0 s (20.0 s of processor time), 50.00 MB of memory at the peak"));
  EXPECT_THAT(words, HasSubstr("energy 80.00 J (76.00 to 84.00, bound of the meter of 1)"));
  EXPECT_THAT(words, HasSubstr("an epoch 35.00 J (30.00 to 40.00, least to most of 2)"));
  EXPECT_THAT(words, HasSubstr("a point of accuracy above guessing 1.000 J"));  // 80 J for 90 - 10 points
  EXPECT_EQ(document.sections[0].charts.size(), 3u);                            // loss, accuracy, energy

  report::Run estimated = parse_run("train.json", kTrain);
  estimated.json["energy"]["total"]["origin"] = "estimated";
  EXPECT_EQ(document_of("t", {estimated}).sections[0].tables[0].columns[3], "energy, estimated");
  report::Run unmetered = parse_run("train.json", kTrain);
  unmetered.json["energy"] = {{"total", nullptr}, {"why_not", "rapl: not there\nbattery: none\n"}};
  const Document without = document_of("t", {unmetered});
  EXPECT_THAT(without.verdicts[0].text, HasSubstr("energy was not measured"));
  EXPECT_THAT(to_text(without), HasSubstr("not measured: no meter is there (looked for rapl, battery;"));
}

const char* const kExplain = R"({"command":"explain","model":"a.onnx","calibration_images":8,"images":4,
  "all":{"sqnr_db":30},"weights_only":{"sqnr_db":40},"activations_only":{"sqnr_db":null},
  "culprits":[{"node":"conv1","share":0.75,"why":"few bits","remedy":"--keep 'conv1'"}],
  "layers":[{"node":"conv1","operator":"Conv","macs":10,"share":0.75,"only_this":{"sqnr_db":31},
             "only_its_weights":{"sqnr_db":50}},
            {"node":"fc","operator":"Gemm","macs":5,"share":0.25,"only_this":{"sqnr_db":35},
             "only_its_weights":{"sqnr_db":45}}],
  "activations":[],
  "ranges":[{"tensor":"x","seen":[0,8],"range":[0,4],"history":[{"images":1,"low":0,"high":2},
             {"images":2,"low":0,"high":3},{"images":4,"low":0,"high":4}]}]})";

TEST(Runs, ExplainWhereInt8Loses) {
  const Document document = document_of("t", {parse_run("explain.json", kExplain)});
  EXPECT_THAT(document.verdicts[0].text, HasSubstr("a.onnx loses most by conv1 (75 % of the noise"));
  const Section& section = document.sections[0];
  EXPECT_THAT(section.paragraphs[1],
              HasSubstr("30.0 dB; with weights alone in int8 40.0 dB, with activations alone exact"));
  ASSERT_EQ(section.charts.size(), 2u);
  EXPECT_EQ(section.charts[0].series[0].points[0].y.value(), 75);
  EXPECT_EQ(section.charts[1].series[0].points[1].y.value(), 75);  // 3 of the 4 that the range came to
  const std::string text = to_text(document);
  EXPECT_THAT(text, HasSubstr("0 to 4  25.0 %"));
}

TEST(Runs, ChooseWithinTheLimits) {
  const auto run_of = [](double low, double high) {
    report::Run run = parse_run("bench.json", kBench);
    run.json["models"][0]["latency_ms"] = {{"mean", 2.0}, {"low", 1.9}, {"high", 2.1}, {"windows", 5}};
    run.json["models"][1]["latency_ms"] = {{"mean", 1.0}, {"low", low}, {"high", high}, {"windows", 5}};
    return run;
  };
  report::Run a = parse_run("a.json", kEval), b = a;
  b.json["model"] = "b.onnx";
  b.json["top1"]["accuracy"] = 0.495;
  const auto choice = [&](const report::Run& bench, const study::Limits& limits) {
    return choice_of({bench, a, b}, {"a.onnx", "b.onnx"}, limits).text;
  };
  EXPECT_THAT(choice(run_of(0.9, 1.1), {}), HasSubstr("ship b.onnx: 49.50 %"));
  // As fast for all that is known: the more accurate one.
  EXPECT_THAT(choice(run_of(0.5, 2.5), {}), HasSubstr("ship a.onnx: 50.00 %"));
  EXPECT_THAT(
      choice(run_of(0.9, 1.1), {.max_drop = 0.1}),
      HasSubstr("ship a.onnx: 50.00 % (15.00 to 85.00, 95 % interval of 4) at 2.000 ms (1.900 to 2.200, p10 "
                "to p90 of 50) with 1 thread (at most 0.1 points below float; left out: b.onnx: 0.50 points "
                "below float)"));
  EXPECT_THAT(choice(run_of(0.9, 1.1), {.max_latency_ms = 0.5}), HasSubstr("no variant of a.onnx is within"));
  EXPECT_THAT(choice(run_of(0.9, 1.1), {.max_energy_j = 0.1}),
              HasSubstr("a.onnx: its energy is not known, b.onnx: 0.5 J"));
  EXPECT_THAT(choice(run_of(0.9, 1.1), {.max_energy_j = 1}), HasSubstr("and 0.5 J (0.4 to 0.6"));
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
  EXPECT_THAT(changed(kEval, "/worst", nlohmann::ordered_json::parse(R"([{"image":"a"}])")),
              HasSubstr("has no 'picture'"));
  EXPECT_THAT(changed(kTrain, "/energy/total/origin", "guessed"), HasSubstr("is no origin"));
  EXPECT_THAT(changed(kExplain, "/ranges/0/range", 3), HasSubstr("no pair of numbers"));
  EXPECT_THAT(changed(kExplain, "/layers", 3), HasSubstr("'layers' is no list"));
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
