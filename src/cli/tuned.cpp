#include "cli/tuned.h"

#include "base/file.h"
#include "base/hash.h"
#include "cli/provenance.h"
#include "eke/version.h"

namespace eke::cli {

namespace {

constexpr std::size_t kMaxTuningBytes = std::size_t{1} << 26;

std::uint64_t hash_of_file(const std::string& path) {
  const MappedFile file(path);
  return hash_bytes({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()});
}

void check_belongs(const Tuning& tuning, const Tuning& here) {
  check(tuning.model == here.model, "it belongs to another model: tune this one with eke tune");
  check(tuning.processor == here.processor && tuning.isa == here.isa,
        "it was measured on '{}' with {}, this is '{}' with {}: tune here with eke tune", tuning.processor,
        tuning.isa, here.processor, here.isa);
  check(tuning.eke == here.eke, "it was measured by eke {}, this is {}: tune again with eke tune", tuning.eke,
        here.eke);
}

}  // namespace

void declare_tuned(App& app, std::string& file) {
  app.add_option("--tuning", file, "take the tactics that eke tune found for this model on this machine")
      ->type_name("FILE");
}

Option* declare_precision(App& app, std::string& precision) {
  return app
      .add_option("--precision", precision,
                  "factors of float convolutions and matrix products: f32, or bf16 with sums in float32")
      ->type_name("f32|bf16")
      ->check(one_of({"f32", "bf16"}))
      ->excludes(app.get_option("--tuning"));
}

Floats floats_of(const std::string& precision) { return precision == "bf16" ? Floats::bf16 : Floats::f32; }

Tuning new_tuning(const Model& model) {
  Tuning tuning;
  tuning.eke = version();
  tuning.processor = processor_name();
  tuning.isa = to_string(selected_isa());
  tuning.model = hash_of_file(model.path);
  return tuning;
}

Tuning open_tuning(const std::string& file, const Model& model) {
  return with_context([&] { return "tuning '" + file + "'"; },
                      [&] {
                        Tuning tuning = tuning_from_json(read_file(file, kMaxTuningBytes));
                        check_belongs(tuning, new_tuning(model));
                        return tuning;
                      });
}

std::string inputs_text(const Graph& graph) {
  std::string text;
  for (const ValueId id : graph.inputs) text += (text.empty() ? "" : ", ") + to_string(graph[id].type);
  return text;
}

TunedModel::TunedModel(std::string file, const Model& model) : file_(std::move(file)) {
  if (!file_.empty()) tuning_ = open_tuning(file_, model);
}

int TunedModel::threads(const CommonOptions& options) const {
  return options.threads == 0 && tuning_.best ? tuning_.settings[*tuning_.best].threads
                                              : thread_count(options);
}

CompileOptions TunedModel::compile_options(const Graph& bound, int threads) const {
  if (file_.empty()) return {};
  const TunedPlan* plan = tuning_.find(inputs_text(bound), threads);
  std::string tuned;
  for (const TunedPlan& p : tuning_.plans)
    tuned += fmt::format("{}{} at {} threads", tuned.empty() ? "" : ", ", p.inputs, p.threads);
  check(plan != nullptr && plan->finished, "tuning '{}': it holds {}, and {} for {} at {} threads: {}", file_,
        tuned.empty() ? "nothing" : tuned,
        plan == nullptr ? "nothing" : "what an interrupted eke tune has to finish", inputs_text(bound),
        threads, "tune for that with eke tune --threads, --batch or --input-shape");
  return {.choices = plan->choices()};
}

}  // namespace eke::cli
