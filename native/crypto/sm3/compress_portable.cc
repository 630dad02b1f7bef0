#include "crypto/sm3/kernels.h"
#include "crypto/sm3/scalar.h"

namespace sluice::crypto::sm3 {

void compress_portable(std::uint32_t* state, const std::byte* blocks, std::size_t count) noexcept {
  State<ScalarOps> s = load_state(state);
  for (; count > 0; --count, blocks += kBlockBytes) {
    std::uint32_t w[16];
    for (int i = 0; i < 16; ++i) w[i] = load_word(blocks + 4 * i);
    compress_block<ScalarOps>(s, w);
  }
  store_state(state, s);
}

}  // namespace sluice::crypto::sm3
