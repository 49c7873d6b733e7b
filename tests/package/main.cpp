// What a program that uses an installed eke looks like at its smallest: prints the shape of a model's outputs, or quantizes
// MODEL on IMAGES into OUTPUT first.
#include <eke/model.h>
#include <eke/quantize.h>
#include <eke/version.h>

#include <cstdio>
#include <cstring>
#include <exception>

int main(int argc, char** argv) {
  std::printf("eke %s\n", eke::version());
  if (std::strcmp(eke::version(), EKE_VERSION) != 0) return 1;
  if (argc != 2 && argc != 4) return 2;
  try {
    std::string path = argv[1];
    if (argc == 4)
      path = eke::quantize(path, {.data = argv[2], .output = argv[3], .normalization = "unit"}).written;
    eke::Model model(path);
    for (const eke::TensorInfo& output : model.outputs()) {
      std::printf("%s %s", output.name.c_str(), output.dtype.c_str());
      for (std::int64_t extent : output.shape) std::printf(" %lld", static_cast<long long>(extent));
      std::printf("\n");
    }
  } catch (const std::exception& error) {
    std::printf("error: %s\n", error.what());
    return 3;
  }
}
