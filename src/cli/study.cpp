// eke study: a whole experiment, each cell of it a run of another command in a process of its own. Finished cells are
// files: what was interrupted goes on where it stopped, and nothing is run twice.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/provenance.h"
#include "cli/study_cells.h"
#include "cli/study_verdicts.h"
#include "data/list_file.h"
#include "data/split.h"
#include "report/writers.h"
#include "study/study.h"

namespace eke::cli {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kSplitSeed = 1;
constexpr std::size_t kMaxStudyBytes = std::size_t{1} << 20, kMaxResultBytes = std::size_t{1} << 28;

// With no data at hand: a small network learns clothes on this machine, and is quantized after and during training.
constexpr const char* kDefaultStudy = R"({
  "name": "Can this device train, and what do PTQ and QAT cost and gain?",
  "networks": [{"new": "resnet8", "classes": 10, "input": 28}],
  "data": "fashion-mnist",
  "train": {"epochs": 6},
  "qat": {"epochs": 1},
  "threads": [1, 2]
})";

struct Options {
  std::string file, folder = "study", data;
  std::vector<std::string> networks;
  std::optional<double> max_drop, max_latency_ms, max_energy_j;
  std::vector<std::string> meters;
  bool json = false;
};
struct MergeOptions {
  std::vector<std::string> results;
  std::string output;
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

std::vector<std::string> names_of(const study::Network& network,
                                  const std::vector<study::Variant>& variants) {
  std::vector<std::string> names;
  for (const study::Variant& variant : variants) names.push_back(network.name + "." + variant.name);
  return names;
}

// What models are called in the report, by their files.
std::map<std::string, std::string> names_of(const study::Study& study, const std::string& models) {
  std::map<std::string, std::string> names;
  for (const study::Network& network : study.networks) {
    const std::string before =
        network.model.empty() ? (fs::path(models) / (network.name + ".new.onnx")).string() : network.model;
    names[before] = network.name + (network.model.empty() ? ".new" : ".given");
    const std::vector<study::Variant> variants = study::variants_of(study, network, models);
    const std::vector<std::string> words = names_of(network, variants);
    for (std::size_t i = 0; i < variants.size(); ++i) names[variants[i].model] = words[i];
  }
  return names;
}

// A list that says the same keeps its time, and with it the cells that read it.
void write_list(const std::string& path, const Dataset& data) {
  const std::string text = to_list(data);
  std::error_code none;
  if (fs::exists(path, none) && read_file(path, kMaxResultBytes) == text) return;
  write_file_atomically(path, text);
}

struct Lists {
  Dataset training, evaluation;
};
Lists lists_of(const Dataset& all, const study::Division& division) {
  if (division.per_class > 0) {
    PerClassParts parts = split_per_class(all, {static_cast<std::size_t>(division.per_class),
                                                static_cast<std::size_t>(division.train_per_class)});
    return {std::move(parts.train), std::move(parts.validation)};
  }
  const Dataset data = without_empty_classes(all);
  const TrainValidation parts = split_by_class(data, division.evaluation_share, kSplitSeed);
  check(!parts.validation.empty(),
        "data '{}' has too few images of each class to hold some out: at least two different ones are needed",
        division.data);
  return {data.select(parts.train), data.select(parts.validation)};
}

// Training and evaluation images, as lists in `folder`; an installed data set has its own two parts.
void divide(study::Study& study, const fs::path& folder) {
  if (!study.division) return;
  const study::Division& division = *study.division;
  const Dataset all = open_dataset(division.data, {.part = "train"});
  check(all.has_labels(), "data '{}' has no classes: give a folder per class or a CSV of file,class",
        division.data);
  if (all.kind() == DatasetKind::idx) {
    check(open_dataset(division.data, {.part = "test"}).path() != all.path(),
          "data '{}' has no test part: give 'training' and 'evaluation' of its own", division.data);
    study.training = study.evaluation = division.data;
  } else {
    const Lists lists = lists_of(all, division);
    study.training = (folder / "training.csv").string();
    study.evaluation = (folder / "evaluation.csv").string();
    write_list(study.training, lists.training);
    write_list(study.evaluation, lists.evaluation);
  }
  if (study.calibration.empty()) study.calibration = study.training;
}

// The file, or the study without one, with what flags say in its place.
std::string study_text(const Options& options) {
  const std::string text = options.file.empty() ? kDefaultStudy : read_file(options.file, kMaxStudyBytes);
  if (options.data.empty() && options.networks.empty()) return text;
  if (options.file.empty() && options.networks.empty())
    throw UsageError("--data: give --network, too: the networks that learn these classes");
  Json json = Json::parse(text, nullptr, false);
  check(json.is_object(), "the study is no JSON object");
  if (!options.data.empty()) {
    json["data"] = fs::absolute(options.data).string();
    for (const char* key : {"training", "calibration", "evaluation"}) json.erase(key);
  }
  if (!options.networks.empty()) {
    json["networks"] = Json::array();
    for (const std::string& network : options.networks)
      json["networks"].push_back({{"model", fs::absolute(network).string()}});
  }
  return json.dump();
}

// Flags stand over the file.
void apply_flags(study::Study& study, const Options& options) {
  study.limits.max_drop = options.max_drop.value_or(study.limits.max_drop);
  study.limits.max_latency_ms = options.max_latency_ms.value_or(study.limits.max_latency_ms);
  study.limits.max_energy_j = options.max_energy_j.value_or(study.limits.max_energy_j);
  if (!options.meters.empty()) study.meters = options.meters;
}

// What the cells say together, network by network, as a result of its own.
Json conclusions_of(const study::Study& study, const std::string& models,
                    const std::vector<report::Run>& runs) {
  static constexpr const char* kTones[] = {"neutral", "good", "bad"};
  Json verdicts = Json::array();
  for (const study::Network& network : study.networks)
    for (const report::Verdict& verdict :
         verdicts_of(runs, names_of(network, study::variants_of(study, network, models)), study.limits))
      verdicts.push_back({{"network", network.name},
                          {"tone", kTones[static_cast<int>(verdict.tone)]},
                          {"text", verdict.text}});
  return {{"command", "conclusions"}, {"cell", "conclusions"}, {"verdicts", std::move(verdicts)}};
}

int study_command(const Options& options) {
  const std::string base = options.file.empty() ? "." : fs::absolute(options.file).parent_path().string();
  study::Study study =
      with_context([&] { return options.file.empty() ? "the study" : "file '" + options.file + "'"; },
                   [&] { return study::parse_study(study_text(options), base); });
  apply_flags(study, options);
  for (const study::Network& network : study.networks)
    check(network.model.empty() || fs::exists(network.model), "network '{}': there is no file '{}'",
          network.name, network.model);
  const fs::path folder = fs::absolute(options.folder).lexically_normal();
  const std::string models = (folder / "models").string();
  std::error_code error;
  fs::create_directories(models, error);
  check(fs::is_directory(models), "cannot make folder '{}': {}", folder.string(), error.message());
  const FolderLock lock(folder);
  divide(study, folder);
  const CellRunner runner(study::cells_of(study, models), folder);
  runner.run();

  Json cells = runner.results();
  rename_models(cells, names_of(study, models));
  const std::string file = (folder / "study.json").string(), page = (folder / "report.html").string();
  Json result = with_provenance("study", {{"name", study.name}, {"cells", std::move(cells)}});
  const Json conclusions = conclusions_of(study, models, report::runs_of(file, text_of(result)));
  result["cells"].insert(result["cells"].begin(), conclusions);
  const std::string text = text_of(result);
  write_file_atomically(file, text);
  const std::vector<report::Run> runs = report::runs_of(file, text);
  const report::Document document = report::document_of(study.name, runs);
  write_file_atomically(page, report::to_html(document));
  print(options.json ? report::to_json(document) : report::to_summary(document));
  if (!options.json) print(fmt::format("\nthe report: {}\n", page));
  const bool failed = std::any_of(runs.begin(), runs.end(),
                                  [](const report::Run& run) { return run.json["command"] == "failed"; });
  return failed ? kFailed : kGood;
}

// What tells the studies apart in one report: the folder, or the name of the file where that is the same.
std::string device_name(const std::string& file) {
  const fs::path path = fs::absolute(file).lexically_normal();
  return path.filename() == "study.json" ? path.parent_path().filename().string() : path.stem().string();
}

void name_device(Json& cell, const std::string& device) {
  cell["device"] = device;
  const auto name_in = [&](Json& json) {
    const auto network = json.is_object() ? json.find("network") : json.end();
    if (network != json.end() && network->is_string()) *network = device + ": " + network->get<std::string>();
  };
  name_in(cell);
  if (const auto verdicts = cell.find("verdicts"); verdicts != cell.end() && verdicts->is_array())
    for (Json& verdict : *verdicts) name_in(verdict);
}

int merge(const MergeOptions& options) {
  std::vector<report::Run> runs;
  std::set<std::string> devices;
  for (const std::string& path : options.results) {
    const std::string file = fs::is_directory(path) ? (fs::path(path) / "study.json").string() : path;
    std::string device = device_name(file);
    while (!devices.insert(device).second) device += "'";
    const std::string text = read_file(file, kMaxResultBytes);
    check(report::parse_run(file, text).json["command"] == "study",
          "'{}' is the result of one command, which eke report shows: merge takes studies", file);
    for (report::Run& run : report::runs_of(file, text)) {
      run.path = device + ": " + run.path;
      name_device(run.json, device);
      runs.push_back(std::move(run));
    }
  }
  write_file_atomically(options.output,
                        report::to_html(report::document_of("Studies of several devices", runs)));
  print(fmt::format("{} cells of {} studies in '{}'\n", runs.size(), options.results.size(), options.output));
  return kGood;
}

}  // namespace

void add_study(App& app, Action& action) {
  auto options = std::make_shared<Options>();
  auto merging = std::make_shared<MergeOptions>();
  App* command = app.add_subcommand(
      "study",
      "Quantize, evaluate and benchmark networks in all combinations, and report; goes on where it stopped");
  command
      ->add_option(
          "file", options->file,
          "what to study, JSON (default: a small network learns clothes: Debian's dataset-fashion-mnist)")
      ->type_name("FILE");
  command->add_option("--data", options->data, "a folder per class, in place of the data of the file")
      ->type_name("DATA");
  command->add_option("--network", options->networks, "ONNX files, in place of the networks of the file")
      ->type_name("MODEL");
  command->add_option("-o,--output", options->folder, "folder of results, models and the report")
      ->type_name("FOLDER")
      ->capture_default_str();
  command
      ->add_option("--max-drop", options->max_drop,
                   "accuracy that a shipped variant may lose, in points (default: as the file says, or 1)")
      ->check(between(0.0, 100.0));
  command
      ->add_option("--max-latency", options->max_latency_ms, "latency that it may take, in ms (default: any)")
      ->check(positive());
  command
      ->add_option("--max-energy", options->max_energy_j, "joules that an inference may take (default: any)")
      ->check(positive());
  command
      ->add_option(
          "--meter", options->meters,
          "a meter of eke meters, more than once if you like (default: as the file says, or the first that "
          "is there)")
      ->type_name("METER")
      ->allow_extra_args(false);
  command->add_flag("--json", options->json, "print the report as JSON");
  command->footer(
      "FILE is an object:\n"
      "  \"networks\"  objects with \"model\" (a file), or \"new\" (an architecture of eke new) and "
      "\"classes\", "
      "\"input\", \"width\";\n"
      "              where the model does not carry its preprocessing: \"size\", \"order\", \"mean\", "
      "\"scale\", "
      "\"normalization\";\n"
      "              also \"name\", \"class_offset\", and \"train\" or \"qat\" of its own\n"
      "  \"data\"      labelled images, divided into training and evaluation by \"evaluation_share\" (0.3), "
      "or by\n"
      "              \"per_class\" and \"train_per_class\"; or \"training\", \"calibration\", \"evaluation\" "
      "apart\n"
      "  \"train\", \"qat\"  options of eke train, as {\"epochs\": 20}: networks are trained, and there is a "
      "variant by\n"
      "              quantization-aware training\n"
      "  \"calibration_images\" (100), \"calibrators\" ([\"mse\"]), \"threads\" ([1]), \"batches\" ([1]), "
      "\"runs\" (100), "
      "\"name\",\n"
      "              \"backends\" ([\"cpu\"]; also \"tensorrt-gpu\" and \"dla\") with their \"tensorrt\" "
      "version,\n"
      "              \"meters\" (as --meter), \"max_drop\" (1), \"max_latency_ms\", \"max_energy_j\"\n"
      "Examples:\n"
      "  eke study                                           # the built-in one, some minutes\n"
      "  eke study --data faces/ --network net.onnx -o results\n"
      "  eke study study.json -o results --max-drop 1\n"
      "  eke study merge orin/study.json laptop/study.json -o devices.html");
  command->callback([options, &action, command] {
    if (!command->has_subcommand()) action = [options] { return study_command(*options); };
  });
  App* merge_command = command->add_subcommand("merge", "Put the studies of several devices into one report");
  merge_command->add_option("results", merging->results, "study.json files, or folders of studies")
      ->required()
      ->type_name("STUDY...");
  merge_command->add_option("-o,--output", merging->output, "the page")->required()->type_name("FILE");
  merge_command->callback([merging, &action] { action = [merging] { return merge(*merging); }; });
}

}  // namespace eke::cli
