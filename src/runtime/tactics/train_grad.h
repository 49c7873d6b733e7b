// The ways to the gradient of a convolution's weights, of images that change from run to run, besides sums over pixels where
// they lie (train_conv.cpp). What is asked for is known to be one of float32 images.
#pragma once

#include "runtime/tactic.h"

namespace eke {

// As matrix products (train_grad_product.cpp), in bfloat16 where that is asked for, or in float32.
bool is_product_weight_grad(const Query& query);
Prepared prepare_product_weight_grad(const Query& query);

// By Winograd's minimal filtering (train_grad_winograd.cpp).
bool is_winograd_weight_grad(const Query& query);
Prepared prepare_winograd_weight_grad(const Query& query);

}  // namespace eke
