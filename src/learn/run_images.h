// A compiled network over the images of a set: features, predictions, accuracy. What it gives does not depend on the
// number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "base/threads.h"
#include "data/fitted.h"
#include "graph/graph.h"

namespace eke {

// Called between batches with the images done; an exception that it throws ends the work.
using OnImages = std::function<void(std::size_t done, std::size_t of)>;

// `graph` with its input fixed to one image as `how` makes it, and all types known.
Graph typed_for(const Graph& graph, const Preprocess& how);

// `graph` with an input of any number of images as `how` makes them, or of one where its shapes are written for one.
Graph opened_for(Graph graph, const Preprocess& how);

// `graph` with its input fixed to `batch` images as `how` makes them, or to one where the graph cannot take more; all
// types known, after the portable passes.
Graph bound_to(const Graph& graph, const Preprocess& how, std::int64_t batch);

// Runs all images in order; `take` gets the first output of each as floats.
void run_images(const Graph& graph, const FittedImages& images, const Threads& threads,
                const std::function<void(std::size_t image, std::span<const float> output)>& take,
                const OnImages& progress = {});

// How many images get their label by the largest output.
std::size_t count_correct(const Graph& graph, const FittedImages& images, const Threads& threads,
                          const OnImages& progress = {});

}  // namespace eke
