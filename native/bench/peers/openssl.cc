// OpenSSL's SM4 and SM3: crypto_rows.h. Its GCM with SM4 came with version 3.1.
#include <openssl/evp.h>

#include <memory>

#include "bench/peers/crypto_rows.h"

namespace {
using bench::Bytes;

struct Cipher {
  Cipher() : context(EVP_CIPHER_CTX_new()) {}
  ~Cipher() { EVP_CIPHER_CTX_free(context); }
  Cipher(const Cipher&) = delete;
  Cipher& operator=(const Cipher&) = delete;
  EVP_CIPHER_CTX* context;
};

template <bool kEncrypts, bool kHasTag = false>
bench::Operation cipher(const char* name) {
  EVP_CIPHER* const type = EVP_CIPHER_fetch(nullptr, name, nullptr);
  if (type == nullptr) return {};
  const auto cipher = std::make_shared<Cipher>();
  EVP_CipherInit_ex2(cipher->context, type, bench::kPeerKey, nullptr, kEncrypts, nullptr);
  EVP_CIPHER_CTX_set_padding(cipher->context, 0);
  EVP_CIPHER_free(type);
  return [cipher](Bytes message, const unsigned char* iv) {
    unsigned char tag[bench::kBlock];
    EVP_CIPHER_CTX* const context = cipher->context;
    int bytes = 0, rest = 0;
    return EVP_CipherInit_ex2(context, nullptr, nullptr, iv, kEncrypts, nullptr) == 1 &&
           EVP_CipherUpdate(context, message.data(), &bytes, message.data(),
                            static_cast<int>(message.size())) == 1 &&
           EVP_CipherFinal_ex(context, message.data() + bytes, &rest) == 1 &&
           (!kHasTag ||
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, bench::kBlock, tag) == 1);
  };
}

bench::Operation sm3() {
  return [](Bytes message, const unsigned char*) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    return EVP_Digest(message.data(), message.size(), digest, nullptr, EVP_sm3(), nullptr) == 1;
  };
}

const bool kRegistered = [] {
  bench::add_peer("openssl/sm4/ctr", [] { return cipher<true>("SM4-CTR"); });
  bench::add_peer("openssl/sm4/cbc-enc", [] { return cipher<true>("SM4-CBC"); });
  bench::add_peer("openssl/sm4/cbc-dec", [] { return cipher<false>("SM4-CBC"); });
  bench::add_peer("openssl/sm4/gcm", [] { return cipher<true, true>("SM4-GCM"); });
  bench::add_peer("openssl/sm3", sm3);
  return true;
}();
}  // namespace
