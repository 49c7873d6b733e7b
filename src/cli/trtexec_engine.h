// Networks as engines of TensorRT on this machine: exported, built, run and scored through the installed trtexec.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/command_line.h"
#include "cli/evaluate.h"
#include "cli/model_file.h"
#include "cli/options.h"
#include "target/export.h"
#include "target/trtexec.h"

namespace eke::cli {

struct TrtexecOptions {
  std::string program, tensorrt, cache, keep;
  std::vector<std::string> devices = {"dla"};
  int dla_core = 0;
  bool no_fallback = false;
};
void declare_trtexec(App& app, TrtexecOptions& options);

// The program, its version and the folder of its files, which goes with this unless the user wants to keep it.
class Trtexec {
 public:
  // Throws where there is no trtexec, with what to install.
  explicit Trtexec(const TrtexecOptions& options);
  ~Trtexec();
  Trtexec(const Trtexec&) = delete;
  Trtexec& operator=(const Trtexec&) = delete;

  const TrtexecOptions& options() const noexcept { return options_; }
  const TensorRtVersion& version() const noexcept { return version_; }
  std::filesystem::path folder(const std::string& name) const;  // made where it is not there

  // Runs it; throws with the reason where it fails or is of another version.
  TrtexecLog run(const std::vector<std::string>& arguments,
                 const std::function<void(std::string_view)>& line = {}) const;
  std::vector<std::string> command(const std::vector<std::string>& arguments) const;

 private:
  const TrtexecOptions& options_;
  std::string program_;
  TensorRtVersion version_;
  std::filesystem::path folder_;
};

struct BuiltEngine {
  std::string model, backend;  // "tensorrt-gpu" or "dla"
  std::optional<int> dla_core;
  std::filesystem::path folder;  // of its files; "engine" among them
  std::int64_t batch = 1;
  std::string precision;  // "int8" or "fp16"; of an engine that was given: empty
  std::string input;      // its first one
  Shape input_shape;
  std::vector<std::string> build_command;  // empty where the engine was given
  TrtexecLog log;                          // of the build
  std::vector<ExportNote> notes;
  std::optional<DlaPlan> predicted;  // of the DLA
};

// `model` is an ONNX file, with Q/DQ nodes (int8) or without (fp16, or int8 with --cache), or an engine (.engine, .plan).
BuiltEngine build_engine(const Trtexec& trtexec, const std::string& model, const std::string& device,
                         const ShapeOptions& shapes, int number);

// Of its own run, since profiling takes time.
struct EngineProfile {
  TrtexecProfile times;
  TrtexecEngine layers;
};
EngineProfile profile_engine(const Trtexec& trtexec, const BuiltEngine& engine);

// A run of trtexec a batch of images.
Scores score_engine(const Trtexec& trtexec, const BuiltEngine& engine, const Dataset& data,
                    const Preprocess& preprocess, const Threads& threads, int class_offset);

Json engine_json(const Trtexec& trtexec, const BuiltEngine& engine);
std::string engine_text(const BuiltEngine& engine);

}  // namespace eke::cli
