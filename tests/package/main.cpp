// What a program that uses an installed eke looks like at its smallest: prints the shape of a model's outputs.
#include <eke/model.h>
#include <eke/version.h>

#include <cstdio>
#include <cstring>
#include <exception>

int main(int argc, char** argv) {
  std::printf("eke %s\n", eke::version());
  if (std::strcmp(eke::version(), EKE_VERSION) != 0) return 1;
  if (argc != 2) return 2;
  try {
    eke::Model model(argv[1]);
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
