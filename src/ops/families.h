// The families of operators. Each function returns the OpDefs of one file.
#pragma once

#include <vector>

#include "ops/op_def.h"

namespace eke {

std::vector<OpDef> conv_ops();      // conv.cpp: Conv, ConvTranspose, ConvInteger, QLinearConv
std::vector<OpDef> matmul_ops();    // matmul.cpp: Gemm, MatMul, MatMulInteger, QLinearMatMul
std::vector<OpDef> pool_ops();      // pool.cpp: MaxPool, AveragePool, LpPool and the global forms
std::vector<OpDef> norm_ops();      // norm.cpp: BatchNormalization and the other normalizations
std::vector<OpDef> softmax_ops();   // softmax.cpp: Softmax, LogSoftmax, Hardmax
std::vector<OpDef> quantize_ops();  // quantize.cpp: QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear
std::vector<OpDef> resize_ops();    // resize.cpp: Resize (and Upsample), DepthToSpace, SpaceToDepth
std::vector<OpDef> unary_ops();     // unary.cpp: elementwise functions of one tensor, Clip, Cast
std::vector<OpDef> binary_ops();    // binary.cpp: elementwise functions of several tensors, Where
std::vector<OpDef> reduce_ops();    // reduce.cpp: reductions, ArgMax, ArgMin, TopK
std::vector<OpDef>
layout_ops();  // layout.cpp: Reshape, Transpose, Concat, Split, Slice, Pad, Expand, Tile, ...
std::vector<OpDef> shape_ops();  // shape.cpp: Shape, Size, Range, ConstantOfShape, Gather, Identity, Dropout

// Of training alone. training_only.cpp joins them; libeke_runtime has a file in its place that joins none.
std::vector<OpDef> training_only_ops();
std::vector<OpDef> loss_ops();       // loss.cpp: NegativeLogLikelihoodLoss, SoftmaxCrossEntropyLoss
std::vector<OpDef> optimizer_ops();  // optimizer.cpp: Adagrad, Adam, AdamW, Momentum, MovingAverage
std::vector<OpDef> training_ops();   // training.cpp: gradients that are operators, statistics of batches

}  // namespace eke
