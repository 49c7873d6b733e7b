// Features of images by a frozen network, computed in integers (or floats) and kept on disk.
#pragma once

#include <cstdint>
#include <string>

#include "base/threads.h"
#include "data/fitted.h"
#include "graph/graph.h"
#include "learn/fit_head.h"
#include "learn/run_images.h"

namespace eke {

enum class BackboneKind : std::uint8_t { int8, f32 };

// `backbone` in int8, calibrated on up to 100 of the images, spread evenly.
Graph quantized_backbone(const Graph& backbone, const FittedImages& images, const Threads& threads);

// The outputs of a network (backbone_of) for all images, with their labels.
FeatureSet extract_features(const Graph& backbone, const FittedImages& images, const Threads& threads,
                            const OnImages& progress = {});

// What decides the features: the network, the preprocessing, the images' bytes and their order.
std::uint64_t features_key(const Graph& backbone, const FittedImages& images);

// A file of features, written atomically. Reading gives nothing when the file is absent, belongs to another key, or is
// damaged: then they are computed again.
void save_features(const std::string& path, std::uint64_t key, const FeatureSet& set);
bool load_features(const std::string& path, std::uint64_t key, FeatureSet& set);

}  // namespace eke
