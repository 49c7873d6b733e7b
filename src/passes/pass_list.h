// The passes, one function each; passes.cpp puts them in order.
#pragma once

#include "graph/graph.h"

namespace eke {

Graph fold_constants(Graph graph);         // clean.cpp
Graph eliminate_dead(Graph graph);         // clean.cpp
Graph eliminate_common(Graph graph);       // clean.cpp
Graph normalize_attributes(Graph graph);   // attributes.cpp
Graph remove_identity(Graph graph);        // identity.cpp
Graph recognize_activations(Graph graph);  // activations.cpp
Graph reduce_to_pool(Graph graph);         // pool.cpp
Graph reshape_to_flatten(Graph graph);     // reshape.cpp
Graph cancel_transposes(Graph graph);      // transposes.cpp
Graph matmul_to_gemm(Graph graph);         // matmul.cpp
Graph fold_pad(Graph graph);               // pad.cpp
Graph fold_batchnorm(Graph graph);         // batchnorm.cpp

Graph fuse_activation(Graph graph);  // fuse.cpp
Graph fuse_residual(Graph graph);    // fuse.cpp

}  // namespace eke
