// What a study runs, in order: networks are made and trained, then quantized, evaluated and benchmarked.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "study/study.h"

namespace eke::study {

namespace {

constexpr std::size_t kMostCells = 10000;
constexpr const char* kWorstImages = "8";  // whose pictures an evaluation keeps

void append(Flags& list, const Flags& more) { list.insert(list.end(), more.begin(), more.end()); }

// The models of one network and the cells that make them.
class Maker {
 public:
  Maker(const Study& study, const Network& network, const std::string& models)
      : study_(study), network_(network), models_(models) {}

  std::string source() const { return network_.model.empty() ? path("new") : network_.model; }
  std::string float_model() const { return network_.train ? path("float") : source(); }
  std::string path(const std::string& variant) const {
    return (std::filesystem::path(models_) / fmt::format("{}.{}.onnx", network_.name, variant)).string();
  }
  std::string cell_name(const std::string& what) const { return fmt::format("{}.{}", network_.name, what); }
  // A model that this study made carries its preprocessing.
  Flags flags_for(const std::string& model) const {
    return model == network_.model ? network_.flags : Flags{};
  }

  Cell make() const {
    Cell cell{cell_name("new"), network_.name, {"new"}, {}};
    append(cell.arguments, network_.architecture);
    append(cell.arguments, {"--output", path("new"), "--json"});
    return cell;
  }

  Cell train() const {
    Cell cell{cell_name("train"),
              network_.name,
              {"train", source(), "--data", study_.training, "--output", path("float"), "--resume", "--json"},
              reads(source())};
    if (network_.model.empty()) append(cell.arguments, {"--from-scratch"});
    append(cell.arguments, *network_.train);
    append(cell.arguments, network_.flags);
    append(cell.arguments, meters());
    return cell;
  }

  Cell quantize(const std::string& calibrator) const {
    Cell cell{
        cell_name(calibrator + ".quantize"),
        network_.name,
        {"quantize", float_model(), "--data", study_.calibration, "--count",
         std::to_string(study_.calibration_images), "--calibrator", calibrator, "--output", path(calibrator),
         "--class-offset", std::to_string(network_.class_offset), "--allow-slower", "--json"},
        {float_model()}};
    if (!study_.evaluation.empty()) append(cell.arguments, {"--eval", study_.evaluation});
    // One model for all backends: that of the one with the most conditions.
    if (study_.uses(kDla))
      append(cell.arguments, {"--for", "dla-orin"});
    else if (study_.uses(kTensorRtGpu))
      append(cell.arguments, {"--for", "tensorrt"});
    append(cell.arguments, flags_for(float_model()));
    append(cell.arguments, meters());
    return cell;
  }

  Cell train_quantized() const {
    Cell cell{cell_name("qat.train"),
              network_.name,
              {"train", float_model(), "--qat", "--data", study_.training, "--output", path("qat"),
               "--resume", "--json"},
              {float_model()}};
    append(cell.arguments, *network_.qat);
    append(cell.arguments, flags_for(float_model()));
    append(cell.arguments, meters());
    return cell;
  }

  Cell evaluate(const Variant& variant) const {
    Cell cell{cell_name(variant.name + ".eval"),
              network_.name,
              {"eval", variant.model, "--data", study_.evaluation, "--class-offset",
               std::to_string(network_.class_offset), "--worst", kWorstImages, "--json"},
              {variant.model}};
    append(cell.arguments, flags_for(variant.model));
    append(cell.arguments, meters());
    return cell;
  }

  // The accuracy that the export to another engine will have, simulated.
  Cell simulate(const std::string& backend, const Variant& variant) const {
    Cell cell = evaluate({variant.name + ".as-" + backend, variant.model});
    append(cell.arguments,
           {"--as", backend == kDla ? "dla-orin" : "tensorrt", "--tensorrt", study_.tensorrt});
    return cell;
  }

  // Int8 models on another engine; a float one would run in fp16 there, which is another question.
  Cell bench_on(const std::string& backend, int batch, const std::vector<Variant>& variants) const {
    Cell cell{cell_name(fmt::format("{}.b{}.bench", backend, batch)), network_.name, {"bench"}, {}};
    for (const Variant& variant : variants) {
      cell.arguments.push_back(variant.model);
      cell.reads.push_back(variant.model);
    }
    cell.takes_some = true;
    append(cell.arguments,
           {"--engine", "trtexec", "--device", backend == kDla ? "dla" : "gpu", "--tensorrt", study_.tensorrt,
            "--batch", std::to_string(batch), "--runs", std::to_string(study_.runs), "--json"});
    return cell;
  }

  Cell bench(int threads, int batch, const std::vector<Variant>& variants) const {
    Cell cell{cell_name(fmt::format("t{}.b{}.bench", threads, batch)), network_.name, {"bench"}, {}};
    for (const Variant& variant : variants) {
      cell.arguments.push_back(variant.model);
      cell.reads.push_back(variant.model);
    }
    cell.takes_some = true;
    append(cell.arguments, {"--threads", std::to_string(threads), "--batch", std::to_string(batch), "--runs",
                            std::to_string(study_.runs), "--json"});
    // Layers are timed once.
    if (threads == study_.threads.front() && batch == study_.batches.front())
      cell.arguments.push_back("--layers");
    append(cell.arguments, meters());
    return cell;
  }

 private:
  Flags meters() const {
    Flags flags;
    for (const std::string& meter : study_.meters) append(flags, {"--meter", meter});
    return flags;
  }

  // A list of images tells by its time whether training is stale; a folder does not.
  std::vector<std::string> reads(const std::string& model) const {
    if (!study_.training.ends_with(".csv")) return {model};
    return {model, study_.training};
  }

  const Study& study_;
  const Network& network_;
  const std::string& models_;
};

void add_tensorrt_cells(std::vector<Cell>& cells, const Maker& maker, const Study& study,
                        const std::vector<Variant>& int8) {
  for (const std::string& backend : study.backends) {
    if (backend == kCpu || int8.empty()) continue;
    if (!study.evaluation.empty())
      for (const Variant& variant : int8) cells.push_back(maker.simulate(backend, variant));
    for (const int batch : study.batches) cells.push_back(maker.bench_on(backend, batch, int8));
  }
}

void add_cells(std::vector<Cell>& cells, const Study& study, const Network& network,
               const std::string& models) {
  const Maker maker(study, network, models);
  if (network.model.empty()) cells.push_back(maker.make());
  if (network.train) cells.push_back(maker.train());
  for (const std::string& calibrator : study.calibrators) cells.push_back(maker.quantize(calibrator));
  if (network.qat) cells.push_back(maker.train_quantized());
  const std::vector<Variant> variants = variants_of(study, network, models);
  if (!study.evaluation.empty())
    for (const Variant& variant : variants) cells.push_back(maker.evaluate(variant));
  for (const int threads : study.threads)
    for (const int batch : study.batches)
      if (study.uses(kCpu)) cells.push_back(maker.bench(threads, batch, variants));
  add_tensorrt_cells(cells, maker, study, {variants.begin() + 1, variants.end()});
}

}  // namespace

bool Study::uses(const std::string& backend) const {
  return std::ranges::find(backends, backend) != backends.end();
}

std::vector<Variant> variants_of(const Study& study, const Network& network, const std::string& models) {
  const Maker maker(study, network, models);
  std::vector<Variant> variants{{"float", maker.float_model()}};
  for (const std::string& calibrator : study.calibrators)
    variants.push_back({calibrator, maker.path(calibrator)});
  if (network.qat) variants.push_back({"qat", maker.path("qat")});
  return variants;
}

std::vector<Cell> cells_of(const Study& study, const std::string& models) {
  std::vector<Cell> cells;
  for (const Network& network : study.networks) add_cells(cells, study, network, models);
  check(cells.size() <= kMostCells, "the study has {} cells; at most {} are accepted", cells.size(),
        kMostCells);
  return cells;
}

}  // namespace eke::study
