// eke report: the results of other commands as one page, or as text.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/table.h"
#include "report/runs.h"
#include "report/writers.h"

namespace eke::cli {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxResultBytes = std::size_t{1} << 26;

struct Options {
  std::vector<std::string> results;
  std::string output, format, plots, title = "Results of eke";
  bool json = false;
};

// Files as they are, the .json files of folders by name, and of a study the one that holds all.
std::vector<std::string> files_of(const std::vector<std::string>& results) {
  std::vector<std::string> files;
  for (const std::string& path : results) {
    std::error_code none;
    if (!fs::is_directory(path, none)) {
      files.push_back(path);
      continue;
    }
    if (const fs::path study = fs::path(path) / "study.json"; fs::exists(study, none)) {
      files.push_back(study.string());
      continue;
    }
    std::vector<std::string> inside;
    for (const auto& entry : fs::directory_iterator(path, none)) {
      if (entry.path().extension() == ".json") inside.push_back(entry.path().string());
    }
    check(!inside.empty(), "folder '{}' holds no .json file: give what commands printed with --json", path);
    std::sort(inside.begin(), inside.end());
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

std::string format_of(const Options& options) {
  if (options.json) return "json";
  if (!options.format.empty()) return options.format;
  const std::string extension = fs::path(options.output).extension().string();
  if (extension == ".html" || extension == ".htm") return "html";
  if (extension == ".md") return "markdown";
  if (extension == ".csv") return "csv";
  if (extension == ".json") return "json";
  return "text";
}

std::string written(const report::Document& document, const std::string& format) {
  if (format == "html") return report::to_html(document);
  if (format == "markdown") return report::to_markdown(document);
  if (format == "csv") return report::to_csv(document);
  if (format == "json") return report::to_json(document);
  if (format == "summary") return report::to_summary(document);
  return report::to_text(document);
}

// "Accuracy against latency" as "accuracy-against-latency".
std::string slug_of(const std::string& title) {
  constexpr std::size_t kLongest = 60;
  std::string slug;
  for (const char c : title) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (plain) slug += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (!plain && !slug.empty() && slug.back() != '-') slug += '-';
  }
  slug.resize(std::min(slug.size(), kLongest));
  while (slug.ends_with('-')) slug.pop_back();
  return slug;
}

// One SVG a chart, numbered in the order of the report.
void write_plots(const report::Document& document, const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  check(fs::is_directory(folder), "cannot make folder '{}': {}", folder, error.message());
  int plots = 0;
  for (const report::Section& section : document.sections) {
    for (const report::Chart& chart : section.charts) {
      const std::string name =
          fmt::format("{:02}-{}.svg", ++plots, slug_of(section.title + " " + chart.title));
      write_file_atomically((fs::path(folder) / name).string(), report::to_svg(chart));
    }
  }
  print(fmt::format("{} plot{} in '{}'\n", plots, plots == 1 ? "" : "s", printable(folder)));
}

int report(const Options& options) {
  std::vector<report::Run> runs;
  for (const std::string& path : files_of(options.results))
    for (report::Run& run : report::runs_of(path, read_file(path, kMaxResultBytes)))
      runs.push_back(std::move(run));
  const report::Document document = report::document_of(options.title, runs);
  if (!options.plots.empty()) write_plots(document, options.plots);
  if (!options.plots.empty() && options.output.empty() && options.format.empty() && !options.json)
    return kGood;
  const std::string text = written(document, format_of(options));
  if (options.output.empty()) {
    print(text);
    return kGood;
  }
  write_file_atomically(options.output, text);
  print(fmt::format("{} result{} in '{}', {}\n", runs.size(), runs.size() == 1 ? "" : "s",
                    printable(options.output), bytes_text(static_cast<double>(text.size()))));
  return kGood;
}

}  // namespace

void add_report(App& app, Action& action) {
  auto options = std::make_shared<Options>();
  App* command = app.add_subcommand("report", "Show the results of other commands as one page, or as text");
  command
      ->add_option("results", options->results,
                   "what commands printed with --json: files, or folders of them")
      ->required()
      ->type_name("RUN...");
  command->add_option("-o,--output", options->output, "write to this file (default: print)")
      ->type_name("FILE");
  command
      ->add_option(
          "--format", options->format,
          "html, markdown, csv, json, text or summary: verdicts and the table of all models (default: as "
          "the file is called)")
      ->check(one_of({"html", "markdown", "csv", "json", "text", "summary"}));
  command->add_option("--plots", options->plots, "write each chart as SVG into this folder, for papers")
      ->type_name("FOLDER");
  command->add_option("--title", options->title, "heading of the report")->capture_default_str();
  command->add_flag("--json", options->json, "the same as --format json");
  command->footer(
      "The page is one file: it needs no network, prints well, and each chart has its numbers below it.\n"
      "Examples:\n"
      "  eke bench model.onnx model.int8.onnx --layers --json > bench.json\n"
      "  eke eval model.int8.onnx --data validation/ --json > eval.json\n"
      "  eke report bench.json eval.json -o report.html\n"
      "  eke report results/ --format markdown\n"
      "  eke report study/study.json --plots plots/   # PNG: rsvg-convert -d 300 -o x.png x.svg "
      "(librsvg2-bin)");
  command->callback([options, &action] { action = [options] { return report(*options); }; });
}

}  // namespace eke::cli
