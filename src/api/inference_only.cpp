// What libeke_runtime is linked with in place of ops/training_only.cpp and runtime/tactics/training_only.cpp: nothing of
// training is there, and nothing brings it along.
#include "ops/families.h"
#include "ops/gradient.h"
#include "runtime/tactic.h"

namespace eke {

std::vector<OpDef> training_only_ops() { return {}; }
std::vector<Gradient> all_gradients() { return {}; }
std::vector<TrainingTactics> training_only_tactics() { return {}; }

}  // namespace eke
