// eke recognize: whose face is it? The embedding of an image against those of the people in a gallery.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "base/file.h"
#include "cli/command.h"
#include "cli/inputs.h"
#include "cli/model_file.h"
#include "cli/options.h"
#include "cli/provenance.h"
#include "data/metrics.h"
#include "runtime/session.h"

namespace eke::cli {

namespace {

constexpr std::size_t kMaxResultBytes = std::size_t{1} << 26;

struct Options {
  std::string model, gallery, evaluation;
  std::vector<std::string> images;
  std::optional<float> threshold;
  CommonOptions common;
  ShapeOptions shapes;
  PreprocessOptions preprocess;
  int top = 3;
};

struct Person {
  std::string name;
  std::vector<float> embedding;  // the sum of those of the person's images, each of length 1
  int images = 0;
};

std::vector<float> unit(std::vector<float> v, const std::string& image) {
  check_finite(v, image);
  double square = 0;
  for (const float x : v) square += static_cast<double>(x) * static_cast<double>(x);
  check(square > 0, "the model's output for '{}' is zero: it points to nobody", image);
  for (float& x : v) x = static_cast<float>(static_cast<double>(x) / std::sqrt(square));
  return v;
}

void for_each_embedding(Session& session, const Dataset& data, const Preprocess& preprocess,
                        const Threads& threads, const std::string& label,
                        const std::function<void(std::int64_t, const std::vector<float>&)>& take) {
  Session* const sessions[] = {&session};
  for_each_row(sessions, DatasetRows(data, preprocess, threads), label, [&](const RowDone& done) {
    const std::string& id = data.samples()[static_cast<std::size_t>(done.row)].id;
    take(done.row, unit(session.output_row(0, done.in_batch), id));
  });
}

std::vector<Person> people_of(Session& session, const Dataset& gallery, const Preprocess& preprocess,
                              const Threads& threads) {
  std::vector<Person> people(gallery.classes().size());
  for (std::size_t i = 0; i < people.size(); ++i) people[i].name = gallery.classes()[i];
  for_each_embedding(session, gallery, preprocess, threads, "reading the gallery",
                     [&](std::int64_t row, const std::vector<float>& embedding) {
                       const int label = gallery.samples()[static_cast<std::size_t>(row)].label;
                       Person& person = people.at(static_cast<std::size_t>(label));
                       person.embedding.resize(embedding.size());
                       for (std::size_t i = 0; i < embedding.size(); ++i) person.embedding[i] += embedding[i];
                       ++person.images;
                     });
  std::erase_if(people, [](const Person& person) { return person.images == 0; });
  return people;
}

// What eke eval found on pairs with this model: its result, or the cell of a study that evaluated it. A study calls a
// model by its file, and one that it was given "NAME.float".
const Json* verification_of(const Json& json, const std::string& model) {
  if (!json.is_object()) return nullptr;
  const std::string stem = std::filesystem::path(model).stem().string();
  if (const auto cells = json.find("cells"); cells != json.end() && cells->is_array()) {
    for (const Json& cell : *cells) {
      const std::string name =
          cell.is_object() && cell.value("command", "") == "eval" ? cell.value("model", "") : "";
      const bool evaluated = !name.empty() && (name == stem || name == stem + ".float");
      if (evaluated) return verification_of(cell, model);
    }
    return nullptr;
  }
  const auto verification = json.find("verification");
  const bool has = verification != json.end() && verification->is_object() &&
                   verification->contains("threshold") && (*verification)["threshold"].is_number();
  return has ? &*verification : nullptr;
}

// What --threshold says, else the threshold that was found on pairs.
std::optional<float> threshold_of(const Options& options) {
  if (options.threshold || options.evaluation.empty()) return options.threshold;
  std::filesystem::path file = options.evaluation;
  if (std::filesystem::is_directory(file)) file /= "study.json";
  const Json json = Json::parse(read_file(file.string(), kMaxResultBytes), nullptr, false);
  const Json* verification = verification_of(json, options.model);
  check(verification != nullptr,
        "'{}' holds no threshold for '{}': give what eke eval --json printed for pairs, or a study whose "
        "'evaluation' is a CSV of pairs",
        file.string(), options.model);
  return (*verification)["threshold"].get<float>();
}

struct Match {
  const Person* person;
  double score;
};

std::vector<Match> nearest(const std::vector<Person>& people, const std::vector<float>& embedding, int top) {
  std::vector<Match> matches;
  for (const Person& person : people)
    matches.push_back({&person, cosine_similarity(person.embedding, embedding)});
  std::stable_sort(matches.begin(), matches.end(),
                   [](const Match& a, const Match& b) { return a.score > b.score; });
  matches.resize(std::min(matches.size(), static_cast<std::size_t>(top)));
  return matches;
}

Json show(const Options& options, std::optional<float> threshold, const std::string& image,
          const std::vector<Match>& matches) {
  const bool known = !threshold || matches[0].score >= static_cast<double>(*threshold);
  if (options.common.json) {
    Json json{{"image", image}, {"nearest", Json::array()}};
    if (threshold) json["recognized"] = known ? Json(matches[0].person->name) : Json(nullptr);
    for (const Match& match : matches)
      json["nearest"].push_back(
          {{"person", match.person->name}, {"score", match.score}, {"images", match.person->images}});
    return json;
  }
  const std::string name = known ? printable(matches[0].person->name) : "nobody of the gallery";
  print(fmt::format("{}  {}\n", paint(Colour::bold, printable(image)),
                    paint(known ? Colour::good : Colour::bad, name)));
  for (const Match& match : matches)
    print(fmt::format("  {:.4f}  {}\n", match.score, printable(match.person->name)));
  return {};
}

int recognize(const Options& options) {
  const std::optional<float> threshold = threshold_of(options);
  const Model model = load_model(options.model);
  const Preprocess preprocess = resolve_preprocess(options.preprocess, model.graph);
  const Dataset gallery = open_dataset(options.gallery);
  check(gallery.has_labels(),
        "gallery '{}' names no people: give a folder with a folder of images for each person",
        options.gallery);
  const Threads threads(thread_count(options.common));
  Session session(prepare(model.graph, options.shapes, &preprocess), threads);
  const std::vector<Person> people = people_of(session, gallery, preprocess, threads);
  Json images = Json::array();
  for (const std::string& path : options.images) {
    const Dataset data = open_dataset(path);
    for_each_embedding(session, data, preprocess, threads, "recognizing",
                       [&](std::int64_t row, const std::vector<float>& embedding) {
                         const std::string& id = data.samples()[static_cast<std::size_t>(row)].id;
                         Json shown = show(options, threshold, id, nearest(people, embedding, options.top));
                         if (options.common.json) images.push_back(std::move(shown));
                       });
  }
  if (options.common.json) {
    Json json{{"model", options.model}, {"gallery", options.gallery}, {"people", people.size()}};
    json["threshold"] = threshold ? Json(*threshold) : Json(nullptr);
    json["images"] = std::move(images);
    print_json(with_provenance("recognize", std::move(json)));
  } else if (!threshold) {
    print("scores are cosines; --threshold or --eval says from which on a face counts as recognized\n");
  }
  return kGood;
}

}  // namespace

void add_recognize(App& app, Action& action) {
  auto options = std::make_shared<Options>();
  App* command = app.add_subcommand("recognize", "Say which person of a gallery an image shows");
  command->add_option("model", options->model, "ONNX file whose first output is an embedding")
      ->required()
      ->type_name("MODEL");
  command->add_option("--gallery", options->gallery, "a folder of images for each person")
      ->required()
      ->type_name("DATA");
  command->add_option("images", options->images, "images, or folders of them")
      ->required()
      ->type_name("IMAGE...");
  Option* threshold =
      command
          ->add_option("--threshold", options->threshold, "score from which on a face counts as recognized")
          ->check(between(-1.0, 1.0));
  command
      ->add_option(
          "--eval", options->evaluation,
          "take the threshold that eke eval --json printed for pairs, or that a study found for this model")
      ->type_name("FILE")
      ->excludes(threshold);
  command->add_option("--top", options->top, "persons to show")
      ->check(between(1, 1000))
      ->capture_default_str();
  declare_common(*command, options->common);
  declare_shapes(*command, options->shapes);
  declare_preprocess(*command, options->preprocess);
  command->footer(
      "A person is the mean of the embeddings in the person's folder; the score is the cosine with it.\n"
      "Examples:\n"
      "  eke recognize face.int8.onnx --gallery people/ visitor.jpg --threshold 0.4\n"
      "  eke eval face.int8.onnx --data pairs.csv --json > eval.json\n"
      "  eke recognize face.int8.onnx --gallery people/ door/ --eval eval.json --json\n"
      "  eke recognize study/models/face.mse.onnx --gallery people/ visitor.jpg --eval study");
  command->callback([options, &action] { action = [options] { return recognize(*options); }; });
}

}  // namespace eke::cli
