// eke report: the results of other commands as one page, or as text.
#include <fmt/format.h>

#include <algorithm>
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
  std::string output, format, title = "Results of eke";
  bool json = false;
};

// Files as they are, and the .json files of folders by name.
std::vector<std::string> files_of(const std::vector<std::string>& results) {
  std::vector<std::string> files;
  for (const std::string& path : results) {
    std::error_code none;
    if (!fs::is_directory(path, none)) {
      files.push_back(path);
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
  return report::to_text(document);
}

int report(const Options& options) {
  std::vector<report::Run> runs;
  for (const std::string& path : files_of(options.results))
    for (report::Run& run : report::runs_of(path, read_file(path, kMaxResultBytes)))
      runs.push_back(std::move(run));
  const std::string text = written(report::document_of(options.title, runs), format_of(options));
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
      ->add_option("--format", options->format,
                   "html, markdown, csv, json or text (default: as the file is called)")
      ->check(one_of({"html", "markdown", "csv", "json", "text"}));
  command->add_option("--title", options->title, "heading of the report")->capture_default_str();
  command->add_flag("--json", options->json, "the same as --format json");
  command->footer(
      "The page is one file: it needs no network, prints well, and each chart has its numbers below it.\n"
      "Examples:\n"
      "  eke bench model.onnx model.int8.onnx --layers --json > bench.json\n"
      "  eke eval model.int8.onnx --data validation/ --json > eval.json\n"
      "  eke report bench.json eval.json -o report.html\n"
      "  eke report results/ --format markdown");
  command->callback([options, &action] { action = [options] { return report(*options); }; });
}

}  // namespace eke::cli
