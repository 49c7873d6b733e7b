// A 64-bit fingerprint of bytes (FNV-1a): tells different files and settings apart; no protection against forgery.
#pragma once

#include <cstdint>
#include <string_view>

namespace eke {

inline constexpr std::uint64_t kHashStart = 0xcbf29ce484222325u;

// Goes on from `hash`, so that parts can be joined.
constexpr std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t hash = kHashStart) noexcept {
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
  return hash;
}

}  // namespace eke
