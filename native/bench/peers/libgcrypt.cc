// libgcrypt's SM4 and SM3: crypto_rows.h.
#include <gcrypt.h>

#include <memory>

#include "bench/peers/crypto_rows.h"

namespace {
using bench::Bytes;

constexpr std::size_t kGcmIvBytes = 12;

/// The library, once: without memory for secrets, of which there are none here.
bool begins() {
  static const bool begun = [] {
    if (gcry_check_version(nullptr) == nullptr) return false;
    gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
    gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    return true;
  }();
  return begun;
}

template <int kMode, bool kEncrypts>
bench::Operation cipher() {
  gcry_cipher_hd_t opened = nullptr;
  if (!begins() || gcry_cipher_open(&opened, GCRY_CIPHER_SM4, kMode, 0) != 0) return {};
  const std::shared_ptr<gcry_cipher_handle> handle(opened, gcry_cipher_close);
  if (gcry_cipher_setkey(opened, bench::kPeerKey, sizeof bench::kPeerKey) != 0) return {};
  return [handle](Bytes message, const unsigned char* iv) {
    gcry_cipher_hd_t const at = handle.get();
    gcry_error_t error = gcry_cipher_reset(at);
    if constexpr (kMode == GCRY_CIPHER_MODE_CTR) {
      error |= gcry_cipher_setctr(at, iv, bench::kBlock);
    } else {
      error |=
          gcry_cipher_setiv(at, iv, kMode == GCRY_CIPHER_MODE_GCM ? kGcmIvBytes : bench::kBlock);
    }
    error |= kEncrypts ? gcry_cipher_encrypt(at, message.data(), message.size(), nullptr, 0)
                       : gcry_cipher_decrypt(at, message.data(), message.size(), nullptr, 0);
    if constexpr (kMode == GCRY_CIPHER_MODE_GCM) {
      unsigned char tag[bench::kBlock];
      error |= gcry_cipher_gettag(at, tag, sizeof tag);
    }
    return error == 0;
  };
}

bench::Operation sm3() {
  if (!begins() || gcry_md_test_algo(GCRY_MD_SM3) != 0) return {};
  return [](Bytes message, const unsigned char*) {
    unsigned char digest[32];
    gcry_md_hash_buffer(GCRY_MD_SM3, digest, message.data(), message.size());
    bench::keep(digest);
    return true;
  };
}

const bool kRegistered = [] {
  bench::add_peer("libgcrypt/sm4/ctr", cipher<GCRY_CIPHER_MODE_CTR, true>);
  bench::add_peer("libgcrypt/sm4/cbc-enc", cipher<GCRY_CIPHER_MODE_CBC, true>);
  bench::add_peer("libgcrypt/sm4/cbc-dec", cipher<GCRY_CIPHER_MODE_CBC, false>);
  bench::add_peer("libgcrypt/sm4/gcm", cipher<GCRY_CIPHER_MODE_GCM, true>);
  bench::add_peer("libgcrypt/sm3", sm3);
  return true;
}();
}  // namespace
