#include "learn/features.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "learn/calibrated.h"
#include "onnx/onnx.h"

namespace eke {
namespace {

constexpr std::string_view kMagic = "eke features 1\n";
constexpr std::size_t kMaxBytes = std::size_t{1} << 33;

FeatureSet parse(std::string_view bytes, std::uint64_t key) {
  ByteReader reader(bytes);
  check(reader.raw(kMagic.size()) == kMagic, "it is no file of features");
  check(reader.number<std::uint64_t>() == key, "it belongs to other images or another network");
  const auto hash = reader.number<std::uint64_t>();
  const auto count = reader.number<std::uint64_t>(), size = reader.number<std::uint64_t>();
  // A row is its numbers and its label.
  const std::uint64_t words = reader.left() / 4;
  check(size > 0 && size < words && words % (size + 1) == 0 && count == words / (size + 1) &&
            reader.left() % 4 == 0,
        "its size is wrong");
  const std::string_view payload = reader.raw(reader.left());
  check(hash_bytes(payload) == hash, "its content is damaged");
  FeatureSet set{count, size, std::vector<float>(count * size), std::vector<int>(count), 0};
  std::memcpy(set.values.data(), payload.data(), count * size * 4);
  std::memcpy(set.labels.data(), payload.data() + count * size * 4, count * 4);
  return set;
}

}  // namespace

Graph quantized_backbone(const Graph& backbone, const FittedImages& images, const Threads& threads) {
  const Graph bound = bound_to(backbone, images.preprocess(), 1);
  RewriteOptions options;
  options.float_outputs = true;
  return quantize(bound, ranges_on(bound, images, options, Calibrator::mse, threads), options).graph;
}

FeatureSet extract_features(const Graph& backbone, const FittedImages& images, const Threads& threads,
                            const OnImages& progress) {
  FeatureSet set;
  set.count = images.size();
  set.classes = static_cast<int>(images.dataset().classes().size());
  for (const Sample& sample : images.dataset().samples()) set.labels.push_back(sample.label);
  run_images(
      backbone, images, threads,
      [&](std::size_t image, std::span<const float> output) {
        if (image == 0) {
          set.size = output.size();
          set.values.resize(set.count * set.size);
        }
        std::ranges::copy(output, set.values.begin() + static_cast<std::ptrdiff_t>(image * set.size));
      },
      progress);
  return set;
}

std::uint64_t features_key(const Graph& backbone, const FittedImages& images) {
  std::uint64_t hash = hash_bytes(to_onnx(backbone));
  hash = hash_bytes(preprocess_to_json(images.preprocess()), hash);
  for (std::size_t i = 0; i < images.size(); ++i) {
    const std::uint64_t parts[] = {images.dataset().content_hash(i),
                                   static_cast<std::uint64_t>(images.dataset().samples()[i].label)};
    hash = hash_bytes({reinterpret_cast<const char*>(parts), sizeof parts}, hash);
  }
  return hash;
}

void save_features(const std::string& path, std::uint64_t key, const FeatureSet& set) {
  std::string payload(reinterpret_cast<const char*>(set.values.data()), set.values.size() * 4);
  payload.append(reinterpret_cast<const char*>(set.labels.data()), set.labels.size() * 4);
  ByteWriter writer;
  writer.raw(kMagic);
  writer.number(key);
  writer.number(hash_bytes(payload));
  writer.number(static_cast<std::uint64_t>(set.count));
  writer.number(static_cast<std::uint64_t>(set.size));
  writer.raw(payload);
  write_file_atomically(path, writer.bytes());
}

bool load_features(const std::string& path, std::uint64_t key, FeatureSet& set) {
  try {
    const int classes = set.classes;
    set = parse(read_file(path, kMaxBytes), key);
    set.classes = classes;
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace eke
