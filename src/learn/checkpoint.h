// Everything that a training needs to go on with the same bits: one file, replaced atomically. What comes from a file
// is untrusted.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "tensor/tensor.h"

namespace eke {

struct Checkpoint {
  std::uint64_t network = 0;  // hash of the graph that training began with
  std::string settings;       // all that decides the bits, as text: refused where it differs
  std::map<std::string, std::int64_t> counters;
  std::map<std::string, double> figures;
  std::map<std::string, Tensor> tensors;

  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};

// Tensors one after the other, so that memory is needed for one at a time.
using TakeTensor = std::function<void(const std::string& name, const Tensor& tensor)>;
using EachTensor = std::function<void(const TakeTensor& take)>;

std::string to_bytes(const Checkpoint& checkpoint);
// Throws an Error that says what is wrong with the bytes: no checkpoint, another version, cut short, damaged.
Checkpoint parse_checkpoint(std::string_view bytes);

// Writes beside `path`, flushes and renames: a full disk or a kill leaves the previous one. `more`: tensors besides its own.
void save_checkpoint(const std::string& path, const Checkpoint& checkpoint, const EachTensor& more = {});
// Throws where it is of another network or of other settings, naming the settings that differ.
Checkpoint load_checkpoint(const std::string& path, std::uint64_t network, const std::string& settings);

}  // namespace eke
