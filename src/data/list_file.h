// A data set as a CSV of file,class: what open_dataset reads again, wherever it is called from.
#pragma once

#include <string>

#include "data/dataset.h"

namespace eke {

// Absolute paths and names of classes, in the order of the set. Throws for images inside one file, and for images without
// a class.
std::string to_list(const Dataset& dataset);

}  // namespace eke
