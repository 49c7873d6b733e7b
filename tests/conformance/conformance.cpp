// Runs ONNX's own backend test data against an engine of ours, and compares what happens with a manifest: a
// line `suite/case pass` or `suite/case unsupported: reason` for each case. An unexpected pass, an unexpected
// failure and a case that the manifest lacks are all failures.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/threads.h"
#include "onnx/onnx.h"
#include "ops/infer.h"
#include "ops/op_def.h"
#include "runtime/plan.h"

namespace eke {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFileBytes = std::size_t{1} << 30;
constexpr int kSkipped = 77;  // ctest's SKIP_RETURN_CODE
constexpr std::string_view kPass = "pass";
constexpr std::string_view kUnsupported = "unsupported: ";

using Tensors = std::vector<Tensor>;

Tensors run_plan(const Graph& graph, const Tensors& inputs) {
  const Plan plan = compile(graph);
  const Threads threads(2);
  Scratch scratch(plan, threads);
  return plan.run(inputs, scratch);
}

// An engine gives the outputs of a graph whose types are known.
struct Engine {
  std::string_view name;
  Tensors (*run)(const Graph& graph, const Tensors& inputs);
};
constexpr Engine kEngines[] = {
    {"evaluate", evaluate},
    {"plan", run_plan},
};

Tensor read_pb(const fs::path& path) {
  const std::string bytes = read_file(path.string(), kMaxFileBytes);
  return with_context([&] { return path.filename().string(); },
                      [&] { return parse_tensor_proto(std::as_bytes(std::span(bytes))); });
}

Tensors read_all(const fs::path& folder, std::string_view kind) {
  Tensors tensors;
  for (int i = 0;; ++i) {
    const fs::path path = folder / fmt::format("{}_{}.pb", kind, i);
    if (!fs::exists(path)) return tensors;
    tensors.push_back(read_pb(path));
  }
}

// The test data of bfloat16 tensors says uint16.
Tensor as_declared(const Tensor& tensor, DType declared) {
  if (tensor.dtype() != DType::u16 || declared != DType::bf16) return tensor;
  Tensor same_bits(declared, tensor.shape());
  std::memcpy(same_bits.mutable_data(), tensor.data(), tensor.bytes());
  return same_bits;
}

// Graph inputs whose values decide types, directly or through other nodes: these are bound as constants.
std::vector<bool> shape_deciding(const Graph& graph) {
  std::vector<bool> needed(graph.values.size(), false);
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    const bool reads_type_only =
        std::holds_alternative<op::Shape>(node->op) || std::holds_alternative<op::Size>(node->op);
    const bool all = !reads_type_only && std::any_of(node->out.begin(), node->out.end(), [&](ValueId id) {
      return id != kNoValue && needed[static_cast<std::size_t>(id)];
    });
    const std::uint32_t shape_inputs = def(node->op).shape_inputs;
    for (std::size_t i = 0; i < node->in.size(); ++i) {
      const bool decides = all || (i < 32 && (shape_inputs >> i & 1) != 0);
      if (decides && node->in[i] != kNoValue) needed[static_cast<std::size_t>(node->in[i])] = true;
    }
  }
  return needed;
}

struct Bound {
  Graph graph;
  Tensors inputs;
};

Bound bind_inputs(const Graph& graph, const Tensors& inputs) {
  check(inputs.size() == graph.inputs.size(), "{} inputs for a graph with {}", inputs.size(),
        graph.inputs.size());
  const std::vector<bool> needed = shape_deciding(graph);
  Bindings bindings;
  Tensors rest;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Value& value = graph[graph.inputs[i]];
    const Tensor input = as_declared(inputs[i], value.type.dtype);
    check(input.dtype() == value.type.dtype, "input '{}' is {}, not {}", value.name, to_string(input.type()),
          to_string(value.type));
    if (needed[static_cast<std::size_t>(graph.inputs[i])]) {
      bindings.constants[value.name] = input;
    } else {
      bindings.shapes[value.name] = input.shape();
      rest.push_back(input);
    }
  }
  return {specialize(graph, bindings), std::move(rest)};
}

// The tolerance of ONNX's own runner.
bool is_close(double actual, double expected) {
  if (std::isnan(expected) || std::isnan(actual)) return std::isnan(expected) && std::isnan(actual);
  if (std::isinf(expected) || std::isinf(actual)) return expected == actual;
  return std::abs(actual - expected) <= 1e-7 + 1e-3 * std::abs(expected);
}

void compare(const Tensor& actual, const Tensor& expected) {
  check(actual.dtype() == expected.dtype() && actual.shape() == expected.shape(), "is {} instead of {}",
        to_string(actual.type()), to_string(expected.type()));
  for (std::int64_t i = 0; i < expected.count(); ++i) {
    const bool same =
        is_float(expected.dtype())
            ? is_close(element_as_double(actual.view(), i), element_as_double(expected.view(), i))
            : element_as_int(actual.view(), i) == element_as_int(expected.view(), i);
    check(same, "element {} of {} is {} instead of {}", i, to_string(expected.type()),
          element_as_double(actual.view(), i), element_as_double(expected.view(), i));
  }
}

void run_data_set(const Engine& engine, const Graph& graph, const fs::path& folder) {
  const Bound bound = bind_inputs(graph, read_all(folder, "input"));
  const Tensors expected = read_all(folder, "output");
  const Tensors actual = engine.run(bound.graph, bound.inputs);
  check(actual.size() == expected.size(), "{} outputs instead of {}", actual.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    with_context([&] { return fmt::format("output {}", i); },
                 [&] { compare(actual[i], as_declared(expected[i], actual[i].dtype())); });
}

// "pass", or why not.
std::string run_case(const Engine& engine, const fs::path& folder) {
  try {
    const std::string bytes = read_file((folder / "model.onnx").string(), kMaxFileBytes);
    LoadOptions options;
    options.to_float32 = false;
    const Graph graph = parse_onnx(std::as_bytes(std::span(bytes)), folder.string(), options);
    int data_sets = 0;
    for (; fs::exists(folder / fmt::format("test_data_set_{}", data_sets)); ++data_sets)
      run_data_set(engine, graph, folder / fmt::format("test_data_set_{}", data_sets));
    check(data_sets > 0, "there is no test_data_set_0");
    return std::string(kPass);
  } catch (const std::exception& error) {
    std::string reason = error.what();
    std::replace(reason.begin(), reason.end(), '\n', ' ');
    return std::string(kUnsupported) + reason;
  }
}

using Manifest = std::map<std::string, std::string>;

Manifest read_manifest(const std::string& path) {
  Manifest manifest;
  if (!fs::exists(path)) return manifest;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const std::size_t space = line.find(' ');
    check(space != std::string::npos, "'{}': line '{}' has no result", path, line);
    const std::string result = line.substr(space + 1);
    check(result == kPass || (result.starts_with(kUnsupported) && result.size() > kUnsupported.size()),
          "'{}': '{}' is neither `pass` nor `unsupported: reason`", path, line);
    check(manifest.emplace(line.substr(0, space), result).second, "'{}': '{}' stands twice", path, line);
  }
  return manifest;
}

void write_manifest(const std::string& path, const Manifest& manifest) {
  std::string text = "# ONNX's backend test cases: what is expected of every engine.\n";
  for (const auto& [name, result] : manifest) text += fmt::format("{} {}\n", name, result);
  write_file_atomically(path, text);
}

struct Options {
  std::string data = "/usr/share/libonnx-testdata/data";
  std::string manifest = EKE_SOURCE_DIR "/tests/conformance/manifest.txt";
  std::string engine = "evaluate", suite, filter;
  bool update = false, verbose = false;
};

Options parse_options(int argc, char** argv) {
  Options options;
  const std::map<std::string_view, std::string*> texts{{"--data", &options.data},
                                                       {"--manifest", &options.manifest},
                                                       {"--engine", &options.engine},
                                                       {"--suite", &options.suite},
                                                       {"--filter", &options.filter}};
  const std::map<std::string_view, bool*> flags{{"--update", &options.update},
                                                {"--verbose", &options.verbose}};
  for (int i = 1; i < argc; ++i) {
    if (const auto flag = flags.find(argv[i]); flag != flags.end()) {
      *flag->second = true;
      continue;
    }
    const auto text = texts.find(argv[i]);
    if (text == texts.end() || i + 1 == argc) {
      throw UsageError(
          "usage: conformance --suite NAME [--engine NAME] [--filter TEXT] [--update] [--verbose] "
          "[--data DIR] [--manifest FILE]");
    }
    *text->second = argv[++i];
  }
  return options;
}

// Debian 12 ships the data of ONNX 1.12, Debian 13 those of 1.17, which have more cases and changed some: a second
// manifest holds what differs.
std::string newer_manifest(const Options& options) {
  if (!fs::exists(fs::path(options.data) / "node/test_affine_grid_2d")) return "";
  return (fs::path(options.manifest).parent_path() / "manifest-1.17.txt").string();
}

Manifest read_manifests(const Options& options) {
  Manifest manifest = read_manifest(options.manifest);
  const std::string newer = newer_manifest(options);
  if (newer.empty()) return manifest;
  Manifest both = read_manifest(newer);
  both.merge(manifest);
  return both;
}

void update_manifests(const Options& options, const Manifest& manifest) {
  const std::string newer = newer_manifest(options);
  if (newer.empty()) return write_manifest(options.manifest, manifest);
  const Manifest older = read_manifest(options.manifest);
  Manifest changed;
  for (const auto& [name, result] : manifest) {
    const auto it = older.find(name);
    if (it == older.end() || (it->second == kPass) != (result == kPass)) changed[name] = result;
  }
  write_manifest(newer, changed);
}

const Engine& find_engine(const std::string& name) {
  for (const Engine& engine : kEngines)
    if (engine.name == name) return engine;
  throw UsageError(fmt::format("there is no engine '{}'", name));
}

std::vector<fs::path> cases_of(const fs::path& suite, const std::string& filter) {
  std::vector<fs::path> cases;
  for (const auto& entry : fs::directory_iterator(suite))
    if (entry.is_directory() && entry.path().filename().string().find(filter) != std::string::npos)
      cases.push_back(entry.path());
  std::sort(cases.begin(), cases.end());
  return cases;
}

// Whether the result is what the manifest expects; says so if not.
bool is_expected(const std::string& name, const std::string& result, const Manifest& manifest) {
  const auto it = manifest.find(name);
  if (it == manifest.end()) {
    std::printf("%s: not in the manifest (%s)\n", name.c_str(), result.c_str());
    return false;
  }
  if ((it->second == kPass) == (result == kPass)) return true;
  std::printf("%s: expected '%s' but got '%s'\n", name.c_str(), it->second.c_str(), result.c_str());
  return false;
}

int run(const Options& options) {
  const Engine& engine = find_engine(options.engine);
  const fs::path suite = fs::path(options.data) / options.suite;
  if (!fs::is_directory(suite)) {
    std::printf("skipped: %s is missing; install libonnx-testdata\n", suite.c_str());
    return kSkipped;
  }
  Manifest manifest = read_manifests(options);
  int passed = 0, unexpected = 0;
  const std::vector<fs::path> cases = cases_of(suite, options.filter);
  for (const fs::path& folder : cases) {
    const std::string name = options.suite + "/" + folder.filename().string();
    if (options.verbose) std::printf("%s\n", name.c_str()), std::fflush(stdout);
    const std::string result = run_case(engine, folder);
    passed += result == kPass;
    if (!options.update) unexpected += !is_expected(name, result, manifest);
    // A reason that a person wrote stays while it is true.
    const auto it = manifest.find(name);
    if (options.update && (it == manifest.end() || it->second == kPass || result == kPass))
      manifest[name] = result;
  }
  if (options.update) update_manifests(options, manifest);
  std::printf("%s on %s: %d of %zu cases pass, %d are not as the manifest says\n", options.suite.c_str(),
              options.engine.c_str(), passed, cases.size(), unexpected);
  return unexpected == 0 ? 0 : 1;
}

}  // namespace
}  // namespace eke

int main(int argc, char** argv) {
  try {
    return eke::run(eke::parse_options(argc, argv));
  } catch (const eke::UsageError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
