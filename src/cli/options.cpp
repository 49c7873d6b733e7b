#include "cli/options.h"

#include <fmt/format.h>

#include <charconv>

#include "base/file.h"
#include "base/threads.h"
#include "learn/image_input.h"
#include "ops/infer.h"
#include "passes/passes.h"

namespace eke::cli {

namespace {

constexpr std::size_t kMaxOptionFileBytes = std::size_t{1} << 24;

template <class... Args>
[[noreturn]] void wrong_use(fmt::format_string<Args...> format, Args&&... args) {
  throw UsageError(fmt::format(format, std::forward<Args>(args)...));
}

std::int64_t parse_extent(std::string_view flag, std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1) {
    wrong_use("{}: '{}' is not a positive whole number", flag, text);
  }
  return value;
}

Shape parse_shape(std::string_view text) {
  Shape shape;
  while (true) {
    const std::size_t cut = text.find_first_of("x,");
    if (shape.rank() == Shape::kMaxRank) wrong_use("--input-shape: more than {} extents", Shape::kMaxRank);
    shape.push_back(parse_extent("--input-shape", text.substr(0, cut)));
    if (cut == std::string_view::npos) return shape;
    text.remove_prefix(cut + 1);
  }
}

Bindings given_bindings(const ShapeOptions& options) {
  Bindings bindings;
  for (const std::string& text : options.dims) {
    const std::size_t cut = text.find('=');
    if (cut == std::string::npos || cut == 0)
      wrong_use("--dim {}: the form is NAME=N, for example batch=1", text);
    bindings.dims[text.substr(0, cut)] = parse_extent("--dim", std::string_view(text).substr(cut + 1));
  }
  for (const std::string& text : options.shapes) {
    const std::size_t cut = text.rfind(':');
    const std::string name = cut == std::string::npos ? "" : text.substr(0, cut);
    bindings.shapes[name] =
        parse_shape(std::string_view(text).substr(cut == std::string::npos ? 0 : cut + 1));
  }
  return bindings;
}

// The place of an image's height in an input of rank 4.
int height_axis(const Shape& shape, const Preprocess* preprocess) {
  if (preprocess) return preprocess->layout == ImageLayout::nchw ? 2 : 1;
  return eke::height_axis(shape);
}

void apply_flags(const PreprocessOptions& options, Preprocess& preprocess) {
  if (!options.layout.empty()) preprocess.layout = parse_layout(options.layout);
  if (!options.normalization.empty()) apply_normalization(preprocess, options.normalization);
  if (!options.order.empty()) preprocess.order = parse_channel_order(options.order);
  if (!options.mean.empty()) preprocess.mean = parse_triple("--mean", options.mean);
  if (!options.scale.empty()) preprocess.scale = parse_triple("--scale", options.scale);
  if (!options.size.empty()) std::tie(preprocess.width, preprocess.height) = parse_image_size(options.size);
  if (!options.fit.empty()) preprocess.fit = parse_fit(options.fit);
  if (options.crop) preprocess.crop = *options.crop;
  if (options.pad) preprocess.pad = *options.pad;
}

std::string normalization_help() {
  std::string text = "a named --mean, --scale and --order:";
  for (const Normalization& n : normalizations()) text += fmt::format(" {} ({});", n.name, n.summary);
  text.pop_back();
  return text;
}

}  // namespace

void declare_common(App& app, CommonOptions& options, const std::string& default_threads) {
  app.add_option("--threads", options.threads, "threads to use (default: " + default_threads + ")")
      ->check(between(1, 1024));
  app.add_flag("--json", options.json, "print the result as JSON");
}

int thread_count(const CommonOptions& options) {
  return options.threads > 0 ? options.threads : usable_cores();
}

void declare_shapes(App& app, ShapeOptions& options) {
  app.add_option("--dim", options.dims, "fix a dynamic extent by its name, for example height=224")
      ->type_name("NAME=N")
      ->allow_extra_args(false);
  app.add_option("--input-shape", options.shapes,
                 "fix the shape of an input (with one input the name may be missing)")
      ->type_name("[NAME:]1x3x224x224")
      ->allow_extra_args(false);
}

Graph bind_shapes(const Graph& graph, const ShapeOptions& options, const Preprocess* preprocess) {
  Bindings bindings = given_bindings(options);
  for (ValueId id : graph.inputs) {
    const Value& input = graph[id];
    if (bindings.shapes.contains(input.name) || (graph.inputs.size() == 1 && bindings.shapes.contains("")))
      continue;
    Shape shape = input.type.shape;
    if (!shape.is_dynamic()) continue;
    for (int axis = 0; axis < shape.rank(); ++axis) {
      const bool named = axis < static_cast<int>(input.dim_names.size()) &&
                         bindings.dims.contains(input.dim_names[static_cast<std::size_t>(axis)]);
      if (shape[axis] == kDynamic && named) {
        shape[axis] = bindings.dims.at(input.dim_names[static_cast<std::size_t>(axis)]);
      }
    }
    if (shape.rank() > 0 && shape[0] == kDynamic) shape[0] = options.batch;
    if (shape.rank() == 4 && preprocess) {
      const int height = height_axis(shape, preprocess);
      const int channels = height == 2 ? 1 : 3;
      if (shape[height] == kDynamic) shape[height] = preprocess->height;
      if (shape[height + 1] == kDynamic) shape[height + 1] = preprocess->width;
      if (shape[channels] == kDynamic) shape[channels] = preprocess->channels();
    }
    bindings.shapes[input.name] = shape;
  }
  return specialize(graph, bindings);
}

Graph prepare(const Graph& graph, const ShapeOptions& options, const Preprocess* preprocess) {
  return optimize(bind_shapes(graph, options, preprocess));
}

void declare_preprocess(App& app, PreprocessOptions& options) {
  const std::string group = "How an image becomes the input (default: what the model carries)";
  const auto add = [&](const char* name, auto& value, const std::string& help, const char* type) {
    app.add_option(name, value, help)->group(group)->type_name(type);
  };
  add("--preprocess", options.file, "read all of it from a JSON file", "FILE");
  add("--size", options.size, "size of the network's input", "WxH");
  add("--order", options.order, "channels: rgb, bgr or grey", "ORDER");
  add("--mean", options.mean, "subtracted from pixels in 0..255; one number or three", "M[,M,M]");
  add("--scale", options.scale, "pixels are then divided by it; one number or three", "S[,S,S]");
  add("--normalization", options.normalization, normalization_help(), "NAME");
  add("--fit", options.fit, "squash, crop or letterbox", "FIT");
  add("--crop", options.crop, "with --fit crop: the part of the shorter side that is kept", "PART");
  add("--pad", options.pad, "with --fit letterbox: the grey level around the image", "LEVEL");
  add("--layout", options.layout, "nchw or nhwc", "LAYOUT");
  add("--labels", options.labels, "class names: a line a class, or a JSON array", "FILE");
}

bool any_given(const PreprocessOptions& o) {
  return !o.file.empty() || !o.size.empty() || !o.order.empty() || !o.mean.empty() || !o.scale.empty() ||
         !o.normalization.empty() || !o.fit.empty() || !o.layout.empty() || o.crop || o.pad;
}

Preprocess resolve_preprocess(const PreprocessOptions& options, const Graph& graph) {
  Preprocess preprocess;
  const auto stored = graph.metadata.find(std::string(kPreprocessKey));
  const bool numbers = !options.mean.empty() || !options.scale.empty() || !options.normalization.empty();
  if (!options.file.empty()) {
    preprocess =
        with_context([&] { return "file '" + options.file + "'"; },
                     [&] { return preprocess_from_json(read_file(options.file, kMaxOptionFileBytes)); });
  } else if (stored != graph.metadata.end()) {
    preprocess = with_context([&] { return "metadata '" + stored->first + "'"; },
                              [&] { return preprocess_from_json(stored->second); });
  } else if (numbers) {
    preprocess = preprocess_of_input(graph);
  } else {
    wrong_use(
        "the model does not say how an image becomes its input: give --mean and --scale, --normalization "
        "NAME "
        "(for pixels as they are: raw) or --preprocess FILE; eke quantize stores it in the model");
  }
  apply_flags(options, preprocess);
  if (preprocess.width == 0 || preprocess.height == 0) {
    wrong_use("the model takes images of any size: give --size WxH");
  }
  verify(preprocess);
  const Value& input = image_input(graph);
  Shape wanted = preprocess.layout == ImageLayout::nchw
                     ? Shape{1, preprocess.channels(), preprocess.height, preprocess.width}
                     : Shape{1, preprocess.height, preprocess.width, preprocess.channels()};
  const Shape& shape = input.type.shape;
  bool fits = shape.rank() == 4;
  for (int axis = 1; fits && axis < 4; ++axis) fits = shape[axis] == kDynamic || shape[axis] == wanted[axis];
  if (!fits) {
    wrong_use("input '{}' has shape {} and the preprocessing makes {}: change --size, --order or --layout",
              input.name, to_string(shape), to_string(wanted));
  }
  return preprocess;
}

std::vector<std::string> resolve_labels(const PreprocessOptions& options, const Graph& graph) {
  if (options.labels.empty()) {
    const auto stored = graph.metadata.find(std::string(kLabelsKey));
    return stored == graph.metadata.end() ? std::vector<std::string>() : labels_from_json(stored->second);
  }
  const std::string text = read_file(options.labels, kMaxOptionFileBytes);
  if (text.starts_with('[')) {
    return with_context([&] { return "file '" + options.labels + "'"; },
                        [&] { return labels_from_json(text); });
  }
  std::vector<std::string> labels;
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t end = text.find('\n', at);
    if (end == std::string::npos) end = text.size();
    labels.push_back(text.substr(at, end - at));
    if (labels.back().ends_with('\r')) labels.back().pop_back();
    at = end + 1;
  }
  check(!labels.empty(), "file '{}' holds no labels", options.labels);
  return labels;
}

}  // namespace eke::cli
