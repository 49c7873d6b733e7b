// A head for new classes on a frozen network: found, cut off, fitted to features computed in integers, put back.
#pragma once

#include <optional>
#include <string>

#include "learn/features.h"
#include "learn/fit_head.h"
#include "learn/head.h"

namespace eke {

struct TransferOptions {
  HeadOptions head = {};
  std::string features_at = {};  // value that the head reads; empty: found by find_head
  BackboneKind backbone = BackboneKind::int8;
  std::string feature_file =
      {};  // where features are kept; empty: nowhere. A second file, for the validation images,
           // stands beside it.
};

struct Transferred {
  Graph graph;  // the float network with the new head: logits
  HeadPlace place;
  std::size_t feature_size = 0;
  bool features_from_disk = false;
  // Of the features, of them for the calibration of the int8 network, and of the head.
  double feature_seconds = 0, calibration_seconds = 0, head_seconds = 0;
  double margin =
      0;  // by how much the right logit exceeds the mean of the others on the training images, on average
  std::size_t train_correct = 0;                       // of the training images, by the features
  std::optional<std::size_t> validation_correct = {};  // of the validation images, by the features
};

// `graph` takes images as `train` are preprocessed. `validation` may be null.
Transferred train_head(const Graph& graph, const FittedImages& train, const FittedImages* validation,
                       const TransferOptions& options, const Threads& threads, const OnImages& progress = {});

// The network of `head` to train everything from: with a head that points where it should and is hardly sure of it. As sure
// as it was fitted to frozen features, it would tear them apart when they change under it, as they do when normalizations
// take the statistics of the batch.
Graph ready_to_tune(const Transferred& head);

}  // namespace eke
