// Teaches a network new classes from a folder of images, trains one that has learned nothing, or trains the int8 form of
// one that has. Needs no header but this one.
//
//   eke::TrainReport report = eke::train("base.onnx", {.data = "faces/", .output = "mine.onnx", .epochs = 10});
//   eke::train("mine.onnx", {.data = "faces/", .output = "mine.int8.onnx", .epochs = 10, .quantized = true});
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
  std::int64_t batch = 0;       // images a step; 0: 16 of up to 2,000 images, 32 of more
  // Of the factors of convolutions: "f32", or "bf16", which is faster where the processor has it. Sums, weights and what
  // lies between layers are float32 in either case.
  std::string precision = "f32";
  double rate = 0;  // the highest of SGD, falls as a cosine; 0: 0.05, or 0.0002 where `quantized`
  std::string augmentation = "flip,crop,rotation=10,colour=0.2";  // or none
  std::uint64_t seed = 1;  // the same seed gives the same model, at any number of threads

  // Quantization-aware training: the model keeps its head and becomes int8. It starts from post-training quantization, is
  // judged as it will be computed after each of `epochs`, and never ends below its start.
  bool quantized = false;
  bool per_channel = true;     // false: one scale for all weights of a layer
  double distill = 0.5;        // share of the loss that compares with the float model's answers, in 0 to 1
  std::string engine = "cpu";  // or "tensorrt", "dla-orin": by the arithmetic of what 'eke export' writes
  std::string tensorrt = "";   // of `engine`: whose rules, as "8.6"; empty: those of 10.3

  // Written each epoch and each two minutes; empty: none. With `resume` the training goes on from there.
  std::string checkpoint;
  bool resume = false;
  std::function<bool(const TrainState&)>
      progress;  // after each step; false stops, and a checkpoint is written
};

struct TrainReport {
  std::vector<std::string> classes;
  std::size_t train_images = 0, validation_images = 0;
  std::size_t validation_correct = 0;  // of the written model
  std::size_t float_correct = 0,
              post_training_correct = 0;    // where it was `quantized`: before and at the start
  std::vector<std::string> skipped_images;  // unreadable ones, and why
  bool finished = true;  // false: stopped by `progress`; nothing was written but the checkpoint
};

TrainReport train(const std::string& model, const TrainOptions& options);

}  // namespace eke
