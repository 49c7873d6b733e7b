// What a program that uses an installed eke looks like at its smallest.
#include <eke/version.h>

#include <cstdio>
#include <cstring>

int main() {
  std::printf("eke %s\n", eke::version());
  return std::strcmp(eke::version(), EKE_VERSION) == 0 ? 0 : 1;
}
