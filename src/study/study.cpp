#include "study/study.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"

namespace eke::study {

namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr int kMostThreads = 1024, kMostBatch = 65536, kMostRuns = 1000000, kMostCells = 10000;

// Reads the members of one object and, at the end, refuses those that nobody asked for.
class Members {
 public:
  Members(const Json& json, const std::string& text, std::string place)
      : json_(json), text_(text), place_(std::move(place)) {
    check(json.is_object(), "{} is no object of keys and values", place_);
  }

  [[noreturn]] void wrong(const std::string& key, const std::string& what) const {
    fail("line {}: {}: '{}' {}", line_of(key), place_, key, what);
  }

  const Json* find(const std::string& key) {
    known_.insert(key);
    const auto it = json_.find(key);
    return it == json_.end() ? nullptr : &*it;
  }

  std::string text(const std::string& key, const char* missing = nullptr) {
    const Json* value = find(key);
    if (!value) {
      check(missing != nullptr, "{} lacks '{}'", place_, key);
      return missing;
    }
    if (!value->is_string() || value->get<std::string>().empty())
      wrong(key, "must be a text that is not empty");
    return value->get<std::string>();
  }

  int number(const std::string& key, int low, int high, int missing) {
    const Json* value = find(key);
    return value ? checked_number(*value, key, low, high) : missing;
  }

  std::vector<int> numbers(const std::string& key, int low, int high, std::vector<int> missing) {
    const Json* value = find(key);
    if (!value) return missing;
    if (!value->is_array() || value->empty()) wrong(key, "must be a list of numbers that is not empty");
    std::vector<int> list;
    for (const Json& entry : *value) list.push_back(checked_number(entry, key, low, high));
    return list;
  }

  std::vector<std::string> texts(const std::string& key, std::vector<std::string> missing) {
    const Json* value = find(key);
    if (!value) return missing;
    if (!value->is_array() || value->empty()) wrong(key, "must be a list of texts that is not empty");
    std::vector<std::string> list;
    for (const Json& entry : *value) {
      if (!entry.is_string()) wrong(key, "must hold texts");
      list.push_back(entry.get<std::string>());
    }
    return list;
  }

  void refuse_the_rest() const {
    for (const auto& [key, value] : json_.items()) {
      if (known_.contains(key)) continue;
      std::string list;
      for (const std::string& known : known_) list += (list.empty() ? "" : ", ") + known;
      wrong(key, "is not known; the keys are " + list);
    }
  }

 private:
  // Where the key first stands in the file.
  std::size_t line_of(const std::string& key) const {
    const std::size_t at = text_.find('"' + key + '"');
    const auto end =
        at == std::string::npos ? text_.begin() : text_.begin() + static_cast<std::ptrdiff_t>(at);
    return 1 + static_cast<std::size_t>(std::count(text_.begin(), end, '\n'));
  }

  int checked_number(const Json& value, const std::string& key, int low, int high) const {
    if (!value.is_number_integer() || value.get<std::int64_t>() < low || value.get<std::int64_t>() > high)
      wrong(key, fmt::format("must be a whole number from {} to {}", low, high));
    return value.get<int>();
  }

  const Json& json_;
  const std::string& text_;
  std::string place_;
  std::set<std::string> known_;
};

std::string from(const std::string& folder, const std::string& path) {
  return fs::path(path).is_absolute() || path.empty() ? path
                                                      : (fs::path(folder) / path).lexically_normal().string();
}

bool is_plain(const std::string& name) {
  return name.size() <= 100 && name[0] != '.' && std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
         });
}

Network network_of(const Json& json, const std::string& text, const std::string& folder, std::size_t index) {
  Members members(json, text, fmt::format("network {}", index + 1));
  Network network;
  network.model = from(folder, members.text("model"));
  network.name = members.text("name", fs::path(network.model).stem().c_str());
  if (network.name.empty() || !is_plain(network.name))
    members.wrong("name", "must be of letters, digits, '-', '_' and '.'");
  network.class_offset = members.number("class_offset", 0, 100000, 0);
  for (const char* key : {"size", "order", "mean", "scale", "normalization", "fit", "layout"}) {
    const std::string value = members.text(key, "");
    if (!value.empty()) network.flags.insert(network.flags.end(), {"--" + std::string(key), value});
  }
  members.refuse_the_rest();
  return network;
}

void append(std::vector<std::string>& list, const std::vector<std::string>& more) {
  list.insert(list.end(), more.begin(), more.end());
}

std::string quantized_path(const std::string& models, const Network& network, const std::string& calibrator) {
  return (fs::path(models) / fmt::format("{}.{}.onnx", network.name, calibrator)).string();
}

Cell quantize_cell(const Study& study, const Network& network, const std::string& calibrator,
                   const std::string& models) {
  Cell cell{fmt::format("{}.{}.quantize", network.name, calibrator),
            {"quantize", network.model, "--data", study.calibration, "--count",
             std::to_string(study.calibration_images), "--calibrator", calibrator, "--output",
             quantized_path(models, network, calibrator), "--class-offset",
             std::to_string(network.class_offset), "--allow-slower", "--json"},
            {network.model}};
  if (!study.evaluation.empty()) append(cell.arguments, {"--eval", study.evaluation});
  append(cell.arguments, network.flags);
  return cell;
}

Cell eval_cell(const Study& study, const Network& network, const std::string& variant,
               const std::string& model, const std::vector<std::string>& flags) {
  Cell cell{fmt::format("{}.{}.eval", network.name, variant),
            {"eval", model, "--data", study.evaluation, "--class-offset",
             std::to_string(network.class_offset), "--json"},
            {model}};
  append(cell.arguments, flags);
  return cell;
}

Cell bench_cell(const Study& study, const Network& network, int threads, int batch,
                const std::vector<std::string>& variants) {
  Cell cell{fmt::format("{}.t{}.b{}.bench", network.name, threads, batch), {"bench"}, variants};
  append(cell.arguments, variants);
  append(cell.arguments, {"--threads", std::to_string(threads), "--batch", std::to_string(batch), "--runs",
                          std::to_string(study.runs), "--json"});
  return cell;
}

}  // namespace

Study parse_study(const std::string& text, const std::string& folder) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::parse_error& error) {
    fail("the study is no JSON: {}", error.what());
  }
  Members members(json, text, "the study");
  Study study;
  study.name = members.text("name", "study");
  const Json* networks = members.find("networks");
  check(networks && networks->is_array() && !networks->empty(),
        "the study lacks 'networks': a list of objects, each with a 'model'");
  std::set<std::string> names;
  for (std::size_t i = 0; i < networks->size(); ++i) {
    study.networks.push_back(network_of((*networks)[i], text, folder, i));
    check(names.insert(study.networks.back().name).second,
          "two networks are called '{}': give each a 'name' of its own", study.networks.back().name);
  }
  study.calibration = from(folder, members.text("calibration"));
  study.evaluation = from(folder, members.text("evaluation", ""));
  study.calibration_images = members.number("calibration_images", 1, 1000000, 100);
  study.calibrators = members.texts("calibrators", {"mse"});
  for (const std::string& calibrator : study.calibrators)
    if (!is_plain(calibrator)) members.wrong("calibrators", "must hold names of calibrators");
  study.threads = members.numbers("threads", 1, kMostThreads, {1});
  study.batches = members.numbers("batches", 1, kMostBatch, {1});
  study.runs = members.number("runs", 1, kMostRuns, 100);
  members.refuse_the_rest();
  return study;
}

std::vector<Cell> cells_of(const Study& study, const std::string& models) {
  std::vector<Cell> cells;
  for (const Network& network : study.networks) {
    std::vector<std::string> variants{network.model};
    for (const std::string& calibrator : study.calibrators) {
      cells.push_back(quantize_cell(study, network, calibrator, models));
      variants.push_back(quantized_path(models, network, calibrator));
    }
    if (!study.evaluation.empty()) {
      cells.push_back(eval_cell(study, network, "float", network.model, network.flags));
      for (std::size_t i = 0; i < study.calibrators.size(); ++i)
        cells.push_back(eval_cell(study, network, study.calibrators[i], variants[i + 1], {}));
    }
    for (const int threads : study.threads)
      for (const int batch : study.batches)
        cells.push_back(bench_cell(study, network, threads, batch, variants));
  }
  check(cells.size() <= kMostCells, "the study has {} cells; at most {} are accepted", cells.size(),
        kMostCells);
  return cells;
}

}  // namespace eke::study
