// What inference does without. A program for inference alone is linked with empty definitions of both functions instead,
// and then with none of the files that they name.
#include "ops/families.h"
#include "ops/gradient.h"

namespace eke {

std::vector<OpDef> training_only_ops() {
  std::vector<OpDef> all;
  for (auto family : {loss_ops, optimizer_ops, training_ops})
    for (OpDef& definition : family()) all.push_back(std::move(definition));
  return all;
}

std::vector<Gradient> all_gradients() {
  std::vector<Gradient> all;
  for (auto gradients : {product_gradients, window_gradients, elementwise_gradients, layout_gradients,
                         loss_gradients, quantize_gradients})
    for (Gradient& gradient : gradients()) all.push_back(std::move(gradient));
  return all;
}

}  // namespace eke
