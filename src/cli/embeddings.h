// What int8 does to embeddings: verification over pairs, or identification where images name their persons, each with
// both sides from the float model, both from the int8 one, and a gallery of the float model with probes of the int8 one,
// as when a gallery was enrolled before the model was quantized.
#pragma once

#include <string>
#include <vector>

#include "cli/table.h"
#include "data/dataset.h"
#include "data/metrics.h"

namespace eke::cli {

using Embeddings = std::vector<std::vector<float>>;  // one an image

struct EmbeddingSetting {
  std::string what;  // "float", "int8", "float gallery, int8 probes"
  std::int64_t right = 0, count = 0;
  PairedComparison accuracy = {};  // against float
  // Of verification, at each rate of false accepts: the share of accepted same-pairs, and that against float.
  struct Rate {
    double far = 0, tar = 0;
    PairedComparison difference = {};
    bool resolved = false;
  };
  std::vector<Rate> rates = {};
};

struct EmbeddingComparison {
  bool by_pairs = false;
  std::int64_t persons = 0;  // of identification: those with a gallery image and probes
  std::vector<EmbeddingSetting> settings = {};
};

EmbeddingComparison compare_verification(const std::vector<Pair>& pairs, const Embeddings& in_float,
                                         const Embeddings& in_int8);

// `persons`: of each image. The first image of each person with two or more is the gallery, all others of these persons
// are probes. Without settings where there are no two such persons.
EmbeddingComparison compare_identification(const std::vector<int>& persons, const Embeddings& in_float,
                                           const Embeddings& in_int8);

Json to_json(const EmbeddingComparison& comparison);
std::string embeddings_text(const EmbeddingComparison& comparison);

}  // namespace eke::cli
