// The head of a network: the classifier at its end, found, cut off and replaced. Graph to Graph; knows nothing of
// images or training.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"
#include "tensor/tensor.h"

namespace eke {

struct HeadPlace {
  std::string features;             // the value that a new head reads
  Shape shape;                      // of the features of one image, with the batch in front
  bool cuts_classifier = false;     // false: the network ends in an embedding, on which the head is put
  std::vector<std::string> leaves;  // nodes that go, by name or by what they make
};

// Where the head of `graph`, whose types are known, begins: before its last convolution or matrix product, or at its output where that is an
// embedding (its last product is followed by a normalization, or it is one of 64, 128, 256 or 512 numbers without
// Softmax and without class names). `at` names a value to use instead. Throws an Error that names what stands in the
// way.
HeadPlace find_head(const Graph& graph, const std::string& at = {});

// A linear classifier of features: logits = weights * f + bias, where f is the features or, `normalized`, the features
// divided by their length.
struct ClassHead {
  Tensor weights;  // f32 [classes, D]
  Tensor bias;     // f32 [classes]; empty: none
  bool normalized = false;
};

// The network up to the features, as an output [N, D] named "features": averaged over the extents of an image where
// they are a map. `graph` may be the one of find_head before its types were known.
Graph backbone_of(Graph graph, const HeadPlace& place);

// The network with a new head: its only output is "logits" [N, classes].
Graph with_head(Graph graph, const HeadPlace& place, const ClassHead& head);

// The parameters of the nodes from `node` on, in the order of the graph: what --unfreeze-from trains. `node` is a node's
// name or a value's. Throws a UsageError with names that are close when there is none.
std::vector<std::string> values_from(const Graph& graph, const std::string& node);

}  // namespace eke
