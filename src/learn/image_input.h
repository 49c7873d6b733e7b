// The input of a network that takes images, and what it tells of how they are prepared.
#pragma once

#include "data/preprocess.h"
#include "graph/graph.h"

namespace eke {

// Throws where the network has more inputs than one, or none.
const Value& image_input(const Graph& graph);

// Of an image of rank 4: the axis of its height, which is followed by its width. Channels are last where there are 1 or 3
// there and not in front.
int height_axis(const Shape& shape);

// Layout, colours and size; an extent that is open gives 0. The rest is what Preprocess begins with. Throws where the input
// has another rank than 4.
Preprocess preprocess_of_input(const Graph& graph);

}  // namespace eke
