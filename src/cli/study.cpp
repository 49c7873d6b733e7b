// eke study: a whole experiment, each cell of it a run of another command in a process of its own. Finished cells are
// files: what was interrupted goes on where it stopped, and nothing is run twice.
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/provenance.h"
#include "cli/table.h"
#include "eke/version.h"
#include "report/runs.h"
#include "report/writers.h"
#include "study/study.h"

extern char** environ;

namespace eke::cli {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxStudyBytes = std::size_t{1} << 20, kMaxResultBytes = std::size_t{1} << 28;

struct Options {
  std::string file, folder = "study";
  report::Limits limits;
  bool json = false;
};
struct MergeOptions {
  std::vector<std::string> results;
  std::string output;
};

// Held as long as the study runs: a second one in the same folder would write the same files.
class FolderLock {
 public:
  explicit FolderLock(const fs::path& folder)
      : fd_(::open((folder / ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
    check(fd_ >= 0, "cannot write in folder '{}'", folder.string());
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      ::close(fd_);
      fail("another study runs in folder '{}': wait for it, or give another --output", folder.string());
    }
  }
  ~FolderLock() { ::close(fd_); }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int fd_;
};

// The exit code of `eke ARGUMENTS...`; its outputs go to files.
int run_eke(const std::vector<std::string>& arguments, const fs::path& out, const fs::path& err) {
  std::vector<std::string> words{"eke"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  pid_t child = 0;
  const int error = ::posix_spawn(&child, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  check(error == 0, "cannot start eke for a cell: {}", std::generic_category().message(error));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) check(errno == EINTR, "a cell was lost");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string last_line(const std::string& text) {
  std::string line = text;
  while (line.ends_with('\n')) line.pop_back();
  const std::size_t cut = line.rfind('\n');
  return cut == std::string::npos ? line : line.substr(cut + 1);
}

class Runner {
 public:
  Runner(const study::Study& study, const fs::path& folder)
      : folder_(folder), cells_(study::cells_of(study, (folder / "models").string())) {}

  void run() {
    std::vector<const study::Cell*> wanted;
    for (const study::Cell& cell : cells_)
      if (!finished(cell)) wanted.push_back(&cell);
    say(fmt::format("{} cells, {} of them finished before\n", cells_.size(), cells_.size() - wanted.size()));
    const Clock::time_point begin = Clock::now();
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      throw_if_interrupted();
      const double spent = std::chrono::duration<double>(Clock::now() - begin).count();
      const std::string left =
          i == 0 ? ""
                 : fmt::format(", about {:.0f} s left",
                               spent / static_cast<double>(i) * static_cast<double>(wanted.size() - i));
      say(fmt::format("[{}/{}] {}{}\n", i + 1, wanted.size(), wanted[i]->name, left));
      run_cell(*wanted[i]);
    }
  }

  // The results of all cells, with what failed.
  Json results() const {
    Json cells = Json::array();
    for (const study::Cell& cell : cells_) {
      const fs::path good = path_of(cell), bad = failed_path_of(cell);
      const fs::path path = fs::exists(good) ? good : bad;
      Json json = Json::parse(read_file(path.string(), kMaxResultBytes));
      json["cell"] = cell.name;
      cells.push_back(std::move(json));
    }
    return cells;
  }

 private:
  static void say(const std::string& text) { std::fputs(text.c_str(), stderr); }
  fs::path path_of(const study::Cell& cell) const { return folder_ / (cell.name + ".json"); }
  fs::path failed_path_of(const study::Cell& cell) const { return folder_ / (cell.name + ".failed.json"); }

  bool finished(const study::Cell& cell) const {
    const fs::path path = path_of(cell);
    if (!fs::exists(path)) return false;
    const Json json = report::parse_run(path.string(), read_file(path.string(), kMaxResultBytes)).json;
    const std::string version = json.value("eke", "an unknown version");
    check(version == eke::version(),
          "'{}' is a result of eke {}, and this is {}: give another --output, or remove it", path.string(),
          version, eke::version());
    if (json.value("arguments", Json()) != Json(cell.arguments)) return false;
    return std::all_of(cell.reads.begin(), cell.reads.end(), [&](const std::string& file) {
      std::error_code error;
      const auto changed = fs::last_write_time(file, error);
      return !error && changed <= fs::last_write_time(path);
    });
  }

  // A cell whose command failed says why in a file of its own; the next study tries it again.
  void run_cell(const study::Cell& cell) const {
    const fs::path out = folder_ / ".stdout", err = folder_ / ".stderr";
    const int code = run_eke(cell.arguments, out, err);
    throw_if_interrupted();
    const std::string text = read_file(out.string(), kMaxResultBytes);
    std::error_code none;
    if (Json::accept(text)) {  // a collapsed model is a result too
      fs::remove(failed_path_of(cell), none);
      write_file_atomically(path_of(cell).string(), text);
    } else {
      const std::string reason = last_line(read_file(err.string(), kMaxResultBytes));
      say(fmt::format("  failed: {}\n", printable(reason)));
      const Json json{{"command", "failed"},
                      {"cell", cell.name},
                      {"arguments", cell.arguments},
                      {"exit_code", code},
                      {"error", reason}};
      fs::remove(path_of(cell), none);
      write_file_atomically(failed_path_of(cell).string(),
                            json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
    }
    fs::remove(out, none);
    fs::remove(err, none);
  }

  fs::path folder_;
  std::vector<study::Cell> cells_;
};

// Paths of models become names, for reading.
void rename_models(Json& json, const std::map<std::string, std::string>& names) {
  if (json.is_string()) {
    const auto name = names.find(json.get_ref<const std::string&>());
    if (name != names.end()) json = name->second;
  } else if (json.is_array()) {
    for (Json& entry : json) rename_models(entry, names);
  } else if (json.is_object()) {
    for (auto& [key, value] : json.items())
      if (key != "arguments") rename_models(value, names);
  }
}

std::map<std::string, std::string> names_of(const study::Study& study, const fs::path& models) {
  std::map<std::string, std::string> names;
  for (const study::Network& network : study.networks) {
    names[network.model] = network.name;
    for (const std::string& calibrator : study.calibrators) {
      const std::string name = network.name + "." + calibrator;
      names[(models / (name + ".onnx")).string()] = name;
    }
  }
  return names;
}

int study_command(const Options& options) {
  if (options.file.empty())
    throw UsageError("give the file of a study, or 'merge' and results; --help shows both");
  const fs::path file(options.file);
  const std::string base = fs::absolute(file).parent_path().string();
  const study::Study study =
      with_context([&] { return "file '" + options.file + "'"; },
                   [&] { return study::parse_study(read_file(options.file, kMaxStudyBytes), base); });
  const fs::path folder = fs::absolute(options.folder).lexically_normal();
  std::error_code error;
  fs::create_directories(folder / "models", error);
  check(fs::is_directory(folder / "models"), "cannot make folder '{}': {}", folder.string(), error.message());
  const FolderLock lock(folder);
  Runner runner(study, folder);
  runner.run();

  Json cells = runner.results();
  rename_models(cells, names_of(study, folder / "models"));
  const Json all = with_provenance("study", {{"name", study.name}, {"cells", std::move(cells)}});
  const std::string result = all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  write_file_atomically((folder / "study.json").string(), result);
  const std::vector<report::Run> runs = report::runs_of((folder / "study.json").string(), result);
  report::Document document = report::document_of(study.name, runs);
  for (const study::Network& network : study.networks) {
    std::vector<std::string> variants{network.name};
    for (const std::string& calibrator : study.calibrators)
      variants.push_back(network.name + "." + calibrator);
    document.verdicts.push_back(report::choice_of(runs, variants, options.limits));
  }
  write_file_atomically((folder / "report.html").string(), report::to_html(document));
  print(options.json ? report::to_json(document) : report::to_text(document));
  if (!options.json) print(fmt::format("\nthe report: {}\n", (folder / "report.html").string()));
  const bool failed = std::any_of(runs.begin(), runs.end(),
                                  [](const report::Run& run) { return run.json["command"] == "failed"; });
  return failed ? kFailed : kGood;
}

int merge(const MergeOptions& options) {
  std::vector<report::Run> runs;
  for (const std::string& path : options.results) {
    const std::string file = fs::is_directory(path) ? (fs::path(path) / "study.json").string() : path;
    for (report::Run& run : report::runs_of(file, read_file(file, kMaxResultBytes)))
      runs.push_back(std::move(run));
  }
  write_file_atomically(options.output,
                        report::to_html(report::document_of("Studies of several devices", runs)));
  print(fmt::format("{} cells of {} studies in '{}'\n", runs.size(), options.results.size(), options.output));
  return kGood;
}

}  // namespace

void add_study(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  auto merging = std::make_shared<MergeOptions>();
  CLI::App* command = app.add_subcommand(
      "study",
      "Quantize, evaluate and benchmark networks in all combinations, and report; goes on where it stopped");
  command->add_option("file", options->file, "what to study, JSON")->type_name("FILE");
  command->add_option("-o,--output", options->folder, "folder of results, models and the report")
      ->type_name("FOLDER")
      ->capture_default_str();
  command
      ->add_option("--max-drop", options->limits.max_drop,
                   "accuracy that a shipped variant may lose, in points")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  command
      ->add_option("--max-latency", options->limits.max_latency_ms,
                   "latency that it may take, in ms (default: any)")
      ->check(CLI::PositiveNumber);
  command->add_flag("--json", options->json, "print the report as JSON");
  command->footer(
      "FILE is an object: \"networks\" (a list of objects with \"model\" and, where the model does not carry "
      "its "
      "preprocessing,\n\"size\", \"order\", \"mean\", \"scale\", \"normalization\"; also \"name\", "
      "\"class_offset\"), "
      "\"calibration\" and \"evaluation\"\n(data), \"calibration_images\" (100), \"calibrators\" "
      "([\"mse\"]), "
      "\"threads\" ([1]), \"batches\" ([1]), \"runs\" (100), \"name\".\n"
      "Examples:\n"
      "  echo '{\"networks\": [{\"model\": \"net.onnx\", \"normalization\": \"tf\"}], \"calibration\": "
      "\"train\",\n"
      "         \"evaluation\": \"test\", \"threads\": [1, 2]}' > study.json\n"
      "  eke study study.json -o results --max-drop 1\n"
      "  eke study merge orin/study.json laptop/study.json -o devices.html");
  command->callback([options, &action, command] {
    if (command->get_subcommands().empty()) action = [options] { return study_command(*options); };
  });
  CLI::App* merge_command =
      command->add_subcommand("merge", "Put the studies of several devices into one report");
  merge_command->add_option("results", merging->results, "study.json files, or folders of studies")
      ->required()
      ->type_name("STUDY...");
  merge_command->add_option("-o,--output", merging->output, "the page")->required()->type_name("FILE");
  merge_command->callback([merging, &action] { action = [merging] { return merge(*merging); }; });
}

}  // namespace eke::cli
