// Rows of a library's cryptography beside our own, in TSC cycles a byte: one message at a time, in
// place, with a new initialization vector each and the key prepared before.
//
// peer/{openssl|libgcrypt}/sm4/{ctr|cbc-enc|cbc-dec|gcm}/{1400B|16KiB}   beside sm4/…
// peer/{openssl|libgcrypt}/sm3/{1400B|16KiB}                             beside sm3/single
#pragma once
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "bench/bench.h"

namespace bench {

using Bytes = std::span<unsigned char>;
inline constexpr std::size_t kBlock = 16;
inline constexpr unsigned char kPeerKey[kBlock] = {1, 2};

/// What a library does with a message and a vector of a block. @return false: it failed.
using Operation = std::function<bool(Bytes message, const unsigned char* iv)>;
/// Makes it ready; empty: this version of the library does not have it.
using Prepare = Operation (*)();

inline double cycles_a_byte(const Options& options, Prepare prepare, std::size_t bytes) {
  const Operation operation = prepare();
  if (!operation) return kLeftOut;
  // CBC takes whole blocks: of 1400 bytes, 1392.
  std::vector<unsigned char> message(bytes / kBlock * kBlock);
  unsigned char iv[kBlock] = {};
  const std::uint64_t rounds = options.rounds(8'000'000 / bytes);
  const std::uint64_t start = sluice::tsc();
  for (std::uint64_t i = 0; i < rounds; ++i) {
    std::memcpy(iv, &i, sizeof i);
    if (!operation(message, iv)) return -1;
    keep(message.data());
  }
  return static_cast<double>(sluice::tsc() - start) / static_cast<double>(rounds * message.size());
}

/// @param what  such as "openssl/sm4/ctr"
inline void add_peer(const std::string& what, Prepare prepare) {
  struct Size {
    const char* name;
    std::size_t bytes;
  };
  for (const Size size : {Size{"/1400B", 1400}, Size{"/16KiB", 16'384}}) {
    Register("peer/" + what + size.name, "cycles/byte",
             [=](const Options& options) { return cycles_a_byte(options, prepare, size.bytes); });
  }
}

}  // namespace bench
