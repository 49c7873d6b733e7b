#include "learn/transfer.h"

#include <chrono>
#include <memory>

namespace eke {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// What the network gives for a set, from the file where that holds it. The int8 network is made only when needed: it
// depends on the float one and the training images alone, which the key covers.
class Extractor {
 public:
  Extractor(const Graph& backbone, const FittedImages& train, const TransferOptions& options,
            const Threads& threads, const OnImages& progress)
      : backbone_(backbone), train_(train), options_(options), threads_(threads), progress_(progress) {}

  FeatureSet of(const FittedImages& images, const std::string& file) {
    FeatureSet set;
    set.classes = static_cast<int>(images.dataset().classes().size());
    const std::uint64_t key = file.empty() ? 0 : key_of(images);
    if (!file.empty() && load_features(file, key, set)) return set;
    from_disk_ = false;
    set = extract_features(network(), images, threads_, progress_);
    if (!file.empty()) save_features(file, key, set);
    return set;
  }

  bool from_disk() const noexcept { return from_disk_; }
  double calibration_seconds() const noexcept { return calibration_seconds_; }

 private:
  std::uint64_t key_of(const FittedImages& images) const {
    const std::uint64_t kind = options_.backbone == BackboneKind::int8 ? 8 : 32;
    const std::uint64_t own = features_key(backbone_, images);
    return own ^ (kind * 0x9e3779b97f4a7c15u) ^
           (&images == &train_ ? 0 : features_key(backbone_, train_) << 1);
  }

  const Graph& network() {
    if (options_.backbone == BackboneKind::f32) return backbone_;
    if (!quantized_) {
      const Clock::time_point begin = Clock::now();
      quantized_ = quantized_backbone(backbone_, train_, threads_);
      calibration_seconds_ = seconds_since(begin);
    }
    return *quantized_;
  }

  const Graph& backbone_;
  const FittedImages& train_;
  const TransferOptions& options_;
  const Threads& threads_;
  const OnImages& progress_;
  std::optional<Graph> quantized_;
  bool from_disk_ = true;
  double calibration_seconds_ = 0;
};

}  // namespace

Transferred train_head(const Graph& graph, const FittedImages& train, const FittedImages* validation,
                       const TransferOptions& options, const Threads& threads, const OnImages& progress) {
  Transferred result;
  // Types tell what the features are; the saved graph keeps the form that it came in.
  result.place = find_head(typed_for(graph, train.preprocess()), options.features_at);
  const Graph backbone = backbone_of(graph, result.place);
  const Clock::time_point begin = Clock::now();
  Extractor extractor(backbone, train, options, threads, progress);
  const FeatureSet features = extractor.of(train, options.feature_file);
  std::optional<FeatureSet> others;
  if (validation) {
    others =
        extractor.of(*validation, options.feature_file.empty() ? "" : options.feature_file + ".validation");
  }
  result.feature_seconds = seconds_since(begin);
  result.calibration_seconds = extractor.calibration_seconds();
  result.features_from_disk = extractor.from_disk();
  result.feature_size = features.size;
  const Clock::time_point fit_begin = Clock::now();
  const ClassHead head = fit_head(features, options.head, threads);
  result.head_seconds = seconds_since(fit_begin);
  result.margin = mean_margin(head, features);
  result.train_correct = count_correct(head, features);
  if (others) result.validation_correct = count_correct(head, *others);
  result.graph = with_head(graph, result.place, head);
  return result;
}

Graph ready_to_tune(const Transferred& head) {
  constexpr double kMargin = 0.05;
  Graph graph = head.graph;
  const auto factor = static_cast<float>(head.margin > 0 ? kMargin / head.margin : 1);
  for (const char* name : {"head.weight", "head.bias"}) {
    const ValueId id = find_value(graph, name);
    if (id == kNoValue) continue;
    Tensor scaled = *graph.constant(id);
    for (float& x : scaled.mutable_values<float>()) x *= factor;
    graph[id].constant = std::make_shared<const Tensor>(std::move(scaled));
  }
  return graph;
}

}  // namespace eke
