#include "study/study.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

#include "base/error.h"

namespace eke::study {

namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr int kMostThreads = 1024, kMostBatch = 65536, kMostRuns = 1000000;
constexpr double kMostLimit = 1e9;

// Where element `index` of the list "networks" begins in the text of a study, which is JSON.
std::size_t begin_of_network(const std::string& text, std::size_t index) {
  std::size_t at = text.find('[', text.find("\"networks\""));
  int depth = 0;
  for (bool quoted = false; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted && c == '\\') ++at;
    if (c == '"') quoted = !quoted;
    if (quoted || c == '"') continue;
    if (c == '{' && depth == 1 && index-- == 0) return at;
    depth += c == '{' || c == '[' ? 1 : c == '}' || c == ']' ? -1 : 0;
  }
  return 0;
}

// Reads the members of one object and, at the end, refuses those that nobody asked for. The object begins at `begin` of
// the text.
class Members {
 public:
  Members(const Json& json, const std::string& text, std::string place, std::size_t begin = 0)
      : json_(json), text_(text), place_(std::move(place)), begin_(begin) {
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

  double share(const std::string& key, double missing) {
    const Json* value = find(key);
    if (!value) return missing;
    if (!value->is_number() || !(value->get<double>() > 0 && value->get<double>() < 1))
      wrong(key, "must be a number between 0 and 1");
    return value->get<double>();
  }

  double number_from(const std::string& key, double low, double missing) {
    const Json* value = find(key);
    if (!value) return missing;
    if (!value->is_number() || !(value->get<double>() >= low) || value->get<double>() > kMostLimit)
      wrong(key, fmt::format("must be a number from {:g} on", low));
    return value->get<double>();
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
  // Where the key first stands in the object, or where another part of the file says it for this one, in the file.
  std::size_t line_of(const std::string& key) const {
    std::size_t at = text_.find('"' + key + '"', begin_);
    if (at == std::string::npos) at = text_.find('"' + key + '"');
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
  std::size_t begin_;
  std::set<std::string> known_;
};

void append(Flags& list, const Flags& more) { list.insert(list.end(), more.begin(), more.end()); }

const Json* find(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() ? nullptr : &*it;
}

std::string from(const std::string& folder, const std::string& path) {
  return fs::path(path).is_absolute() || path.empty() ? path
                                                      : (fs::path(folder) / path).lexically_normal().string();
}

// A name may stand for a data set that is installed.
std::string data_path(const std::string& folder, const std::string& data) {
  const std::string path = from(folder, data);
  const bool installed =
      !data.empty() && !fs::exists(path) && fs::is_directory("/usr/share/datasets/" + data);
  return installed ? data : path;
}

// A meter that names a file: "estimate:laptop.json".
std::string meter_path(const std::string& folder, const std::string& meter) {
  for (const std::string_view kind : {"estimate:", "trace:"})
    if (meter.starts_with(kind)) return std::string(kind) + from(folder, meter.substr(kind.size()));
  return meter;
}

bool is_plain(const std::string& name) {
  return name.size() <= 100 && name[0] != '.' && std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
         });
}

// What eke train and eke new take from a study, by the name of the flag.
constexpr const char* kTrainKeys[] = {"augment",
                                      "average",
                                      "backbone",
                                      "backbone-rate",
                                      "balance",
                                      "batch",
                                      "calibrator",
                                      "clip",
                                      "distill",
                                      "epochs",
                                      "features-at",
                                      "freeze",
                                      "freeze-statistics",
                                      "head",
                                      "label-smoothing",
                                      "memory",
                                      "optimizer",
                                      "patience",
                                      "penalty",
                                      "per-tensor",
                                      "rate",
                                      "schedule",
                                      "seed",
                                      "unfreeze-from",
                                      "validation",
                                      "warm-up",
                                      "weight-decay"};
constexpr const char* kNewKeys[] = {"classes", "input", "width", "seed"};

// {"epochs": 20, "balance": true} as flags.
Flags flags_of(const Json& object, std::span<const char* const> keys, const std::string& text,
               const std::string& place, std::size_t begin) {
  Members members(object, text, place, begin);
  Flags flags;
  for (const char* key : keys) {
    const Json* value = members.find(key);
    if (!value || value->is_null() || *value == Json(false)) continue;
    if (!value->is_primitive()) members.wrong(key, "must be a number, a text or true");
    flags.push_back(fmt::format("--{}", key));
    if (!value->is_boolean()) flags.push_back(value->is_string() ? value->get<std::string>() : value->dump());
  }
  members.refuse_the_rest();
  return flags;
}

// The options of training at `key` of a network, over those of the whole study; none where neither has them, or the
// network says false.
std::optional<Flags> training_of(Members& network, const Json* of_study, const char* key,
                                 const std::string& text, std::size_t begin) {
  const Json* own = network.find(key);
  if (own && *own == Json(false)) return std::nullopt;
  if (!own && !of_study) return std::nullopt;
  Json merged = of_study ? *of_study : Json::object();
  if (own && !own->is_object()) network.wrong(key, "must be an object of options, or false");
  if (own) merged.update(*own);
  return flags_of(merged, kTrainKeys, text, fmt::format("'{}'", key), begin);
}

Network network_of(const Json& json, const Json& study, const std::string& text, const std::string& folder,
                   std::size_t index) {
  const std::string place = fmt::format("network {}", index + 1);
  const std::size_t begin = begin_of_network(text, index);
  Members members(json, text, place, begin);
  Network network;
  const std::string architecture = members.text("new", "");
  if (architecture.empty()) {
    network.model = from(folder, members.text("model"));
  } else {
    if (members.find("model")) members.wrong("new", "and 'model' exclude each other");
    network.architecture = {architecture};
  }
  for (const char* key : kNewKeys) {
    const Json* value = members.find(key);
    if (!value) continue;
    if (architecture.empty() || !value->is_number()) members.wrong(key, "is a number that goes with 'new'");
    append(network.architecture, {fmt::format("--{}", key), value->dump()});
  }
  network.train = training_of(members, find(study, "train"), "train", text, begin);
  network.qat = training_of(members, find(study, "qat"), "qat", text, begin);
  const std::string usual = architecture.empty() ? fs::path(network.model).stem().string() : architecture;
  network.name = members.text("name", usual.c_str());
  if (network.name.empty() || !is_plain(network.name))
    members.wrong("name", "must be of letters, digits, '-', '_' and '.'");
  network.class_offset = members.number("class_offset", 0, 100000, 0);
  for (const char* key : {"size", "order", "mean", "scale", "normalization", "fit", "layout"}) {
    const std::string value = members.text(key, "");
    if (!value.empty()) network.flags.insert(network.flags.end(), {fmt::format("--{}", key), value});
  }
  members.refuse_the_rest();
  return network;
}

std::optional<Division> division_of(Members& members, const std::string& folder) {
  const std::string data = members.text("data", "");
  Division division{data_path(folder, data)};
  division.per_class = members.number("per_class", 2, 1000000, 0);
  division.train_per_class = members.number("train_per_class", 1, std::max(division.per_class - 1, 1), 0);
  division.evaluation_share = members.share("evaluation_share", division.evaluation_share);
  if ((division.per_class > 0) != (division.train_per_class > 0))
    members.wrong(division.per_class > 0 ? "per_class" : "train_per_class",
                  "goes with the other one of 'per_class' and 'train_per_class'");
  if (!data.empty()) return division;
  for (const char* key : {"per_class", "evaluation_share"})
    if (members.find(key)) members.wrong(key, "divides 'data', which is not there");
  return std::nullopt;
}

}  // namespace

Study parse_study(const std::string& text, const std::string& folder) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::exception& error) {
    fail("the study is no JSON: {}", error.what());
  }
  Members members(json, text, "the study");
  Study study;
  study.name = members.text("name", "study");
  const Json* networks = members.find("networks");
  check(networks && networks->is_array() && !networks->empty(),
        "the study lacks 'networks': a list of objects, each with a 'model' or 'new'");
  for (const char* key : {"train", "qat"}) {
    const Json* options = members.find(key);
    if (options && !options->is_object()) members.wrong(key, "must be an object of options");
  }
  std::set<std::string> names;
  for (std::size_t i = 0; i < networks->size(); ++i) {
    study.networks.push_back(network_of((*networks)[i], json, text, folder, i));
    check(names.insert(study.networks.back().name).second,
          "two networks are called '{}': give each a 'name' of its own", study.networks.back().name);
  }
  study.division = division_of(members, folder);
  study.training = data_path(folder, members.text("training", ""));
  study.calibration = data_path(folder, members.text("calibration", ""));
  study.evaluation = data_path(folder, members.text("evaluation", ""));
  if (study.calibration.empty()) study.calibration = study.training;
  check(study.division || !study.calibration.empty(),
        "the study lacks 'data' with a folder per class, or 'calibration' with images");
  for (const Network& network : study.networks)
    check(study.division || !study.training.empty() || !(network.train || network.qat),
          "network '{}' is to be trained, and the study lacks 'data' or 'training'", network.name);
  study.calibration_images = members.number("calibration_images", 1, 1000000, 100);
  study.calibrators = members.texts("calibrators", {"mse"});
  for (const std::string& calibrator : study.calibrators)
    if (!is_plain(calibrator) || calibrator == "float" || calibrator == "qat")
      members.wrong("calibrators", "must hold names of calibrators");
  study.threads = members.numbers("threads", 1, kMostThreads, {1});
  study.batches = members.numbers("batches", 1, kMostBatch, {1});
  study.runs = members.number("runs", 1, kMostRuns, 100);
  study.backends = members.texts("backends", {kCpu});
  for (const std::string& backend : study.backends)
    if (backend != kCpu && backend != kTensorRtGpu && backend != kDla)
      members.wrong("backends", fmt::format("must hold '{}', '{}' and '{}' alone", kCpu, kTensorRtGpu, kDla));
  study.tensorrt = members.text("tensorrt", "");
  check(!(study.uses(kTensorRtGpu) || study.uses(kDla)) || !study.tensorrt.empty(),
        "the study lacks 'tensorrt', the version of its backends: \"10.3\" of JetPack 6.2, for example");
  for (const std::string& meter : members.texts("meters", {"auto"}))
    if (meter != "auto") study.meters.push_back(meter_path(folder, meter));
  study.limits.max_drop = members.number_from("max_drop", 0, study.limits.max_drop);
  study.limits.max_latency_ms = members.number_from("max_latency_ms", 0, 0);
  study.limits.max_energy_j = members.number_from("max_energy_j", 0, 0);
  members.refuse_the_rest();
  return study;
}

}  // namespace eke::study
