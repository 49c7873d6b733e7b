// Sections of what eke new and eke train say.
#include "report/sections.h"

namespace eke::report {

namespace {

// A value over all images of an epoch: their number is what it stands on.
Point epoch_point(double epoch, double value, const std::string& unit, std::int64_t images) {
  return {fmt::format("{:g}", epoch), epoch,
          Figure(value, unit, std::max<std::int64_t>(images, 1), {value, value, "all images of the epoch"},
                 Origin::measured)};
}

void add_curves(Section& section, const RunJson& epochs, std::int64_t train_images, std::int64_t held_out) {
  Chart loss{ChartKind::lines, "loss", "epoch", "", {{"training", {}}}};
  Chart accuracy{ChartKind::lines, "accuracy", "epoch", "%", {{"training", {}}, {"validation", {}}}};
  for (const RunJson& epoch : epochs) {
    const double at = number(epoch, "epoch");
    loss.series[0].points.push_back(epoch_point(at, number(epoch, "loss"), "nats", train_images));
    accuracy.series[0].points.push_back(epoch_point(at, 100 * number(epoch, "accuracy"), "%", train_images));
    if (find(epoch, "validated") && held_out > 0)
      accuracy.series[1].points.push_back(
          epoch_point(at, 100 * number(epoch, "validated") / static_cast<double>(held_out), "%", held_out));
  }
  if (accuracy.series[1].points.empty()) accuracy.series.pop_back();
  section.charts.push_back(std::move(loss));
  section.charts.push_back(std::move(accuracy));
}

// Time and memory as the system counted them for the whole command.
std::string process_text(const RunJson& json) {
  const RunJson* process = find(json, "process");
  if (!process) return fmt::format("in {:.1f} s", number(json, "seconds"));
  return fmt::format("in {:.1f} s ({:.1f} s of processor time), {:.0f} MB of memory at the peak",
                     number(*process, "seconds"), number(*process, "cpu_seconds"),
                     number(*process, "peak_bytes") / 1e6);
}

// Of quantization-aware training, by the images held out of training.
std::string quantization_words(const std::string& output, const RunJson& quantization) {
  const auto score = [&](const char* key) {
    const RunJson& value = member(quantization, key);
    return text_of(accuracy(value, count(value, "images")));
  };
  return fmt::format("{}: {} validation float {}, after training quantized {}, quantization-aware {}", output,
                     flag(quantization, "helped")
                         ? "quantization-aware training helped:"
                         : "quantization-aware training did not help, the start is kept:",
                     score("float"), score("post_training"), score("trained"));
}

}  // namespace

RunParts parts_of_train(const RunJson& json) {
  RunParts parts;
  const std::string output = text(json, "output");
  const std::int64_t images = count(json, "train_images"), held_out = count(json, "validation_images");
  parts.section.title = "Training of " + output;
  parts.section.paragraphs.push_back(
      fmt::format("From {}: {} classes, {} images to train, {} held out to validate.", text(json, "model"),
                  count(json, "classes"), images, held_out));
  const RunJson* tuning = find(json, "fine_tuning");
  if (tuning && !array(*tuning, "epochs").empty())
    add_curves(parts.section, array(*tuning, "epochs"), images, held_out);
  std::string words =
      fmt::format("this device trained {} on {} images {}", output, images, process_text(json));
  if (const RunJson* validation = find(json, "validation"))
    words += fmt::format("; validation {}", text_of(accuracy(*validation, count(*validation, "images"))));
  parts.verdicts.push_back({Tone::neutral, words});
  if (const RunJson* quantization = find(json, "quantization"))
    parts.verdicts.push_back({Tone::neutral, quantization_words(output, *quantization)});
  return parts;
}

RunParts parts_of_new(const RunJson& json) {
  RunParts parts;
  parts.section.title = text(json, "file");
  parts.section.paragraphs.push_back(fmt::format("{} with random weights: input {}, {} classes, {} bytes.",
                                                 text(json, "architecture"), count(json, "input"),
                                                 count(json, "classes"), count(json, "file_bytes")));
  return parts;
}

}  // namespace eke::report
