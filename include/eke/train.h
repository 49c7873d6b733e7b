// Teaches a network new classes from a folder of images, or trains one that has learned nothing. Needs no header but
// this one.
//
//   eke::TrainReport report = eke::train("base.onnx", {.data = "faces/", .output = "mine.onnx", .epochs = 10});
//
// Every failure is a std::exception whose message names the place, the rule and the remedy.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace eke {

struct TrainState {
  std::int64_t epoch = 0, epochs = 0;  // from 1
  double loss = 0, accuracy = 0;       // means of the epoch so far, on training images
  double seconds_left = 0;
};

struct TrainOptions {
  std::string data;    // a folder per class, a CSV of file,class, or IDX files
  std::string output;  // the trained model, written at the end with labels and preprocessing
  int threads = 1;
  // How an image becomes the input, where the model does not say: "raw", "unit", "tf", "imagenet" or "caffe", and the
  // size where the model takes any.
  std::string normalization;
  int width = 0, height = 0;

  double validation = 0.2;      // part of each class that validates
  bool new_head = true;         // false: the head that the model has is trained with the rest
  std::string head = "linear";  // or ridge, centroid, arcface: fitted to int8 features of the frozen network
  std::int64_t epochs = 0;      // then everything is trained for so many; 0: the head alone
  std::int64_t batch = 32;
  double rate = 0.05;  // the highest learning rate of SGD with momentum; it falls as a cosine
  std::string augmentation = "flip,crop,rotation=10,colour=0.2";  // or none
  std::uint64_t seed = 1;  // the same seed gives the same model, at any number of threads

  // Written each epoch and each two minutes; empty: none. With `resume` the training goes on from there.
  std::string checkpoint;
  bool resume = false;
  std::function<bool(const TrainState&)>
      progress;  // after each step; false stops, and a checkpoint is written
};

struct TrainReport {
  std::vector<std::string> classes;
  std::size_t train_images = 0, validation_images = 0;
  std::size_t validation_correct = 0;       // of the written model
  std::vector<std::string> skipped_images;  // unreadable ones, and why
  bool finished = true;  // false: stopped by `progress`; nothing was written but the checkpoint
};

TrainReport train(const std::string& model, const TrainOptions& options);

}  // namespace eke
