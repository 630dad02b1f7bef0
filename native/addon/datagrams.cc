// The UDP thread of native/datagram for TypeScript (src/n4/transport/native-transport.ts):
// convert, call, nothing else.
#include "datagram/datagrams.h"

#include <napi.h>

#include <algorithm>

#include "addon/convert.h"
#include "addon/registrations.h"

namespace sluice::addon {
namespace {

using datagram::Address;
using datagram::Datagrams;
using datagram::DatagramsConfig;
using datagram::Header;

constexpr std::size_t kRingBytes = datagram::DatagramRing::kBytesMin;
constexpr unsigned kBatch = 64;

std::vector<std::string> texts_of(const Napi::Value& value) {
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<std::string> out;
  for (std::uint32_t i = 0; i < array.Length(); ++i) {
    out.push_back(array.Get(i).As<Napi::String>().Utf8Value());
  }
  return out;
}

/// JavaScript's Datagrams: the interface NativeDatagrams of native-transport.ts.
class DatagramsObject : public Napi::ObjectWrap<DatagramsObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    using O = DatagramsObject;
    return DefineClass(
        env, "Datagrams",
        {InstanceMethod<&O::receive>("receive"), InstanceMethod<&O::release>("release"),
         InstanceMethod<&O::on_readable>("onReadable"), InstanceMethod<&O::send>("send"),
         InstanceMethod<&O::flush>("flush"), InstanceMethod<&O::set_heartbeat>("setHeartbeat"),
         InstanceMethod<&O::progress>("progress"), InstanceMethod<&O::set_allowed>("setAllowed"),
         InstanceMethod<&O::set_peers>("setPeers"), InstanceMethod<&O::set_observed>("setObserved"),
         InstanceMethod<&O::ports>("ports"), InstanceMethod<&O::statistics>("statistics"),
         InstanceMethod<&O::close>("close"), InstanceAccessor<&O::words>("words"),
         InstanceAccessor<&O::bytes>("bytes")});
  }

  /// Argument: the addresses to bind, as {host, port}.
  explicit DatagramsObject(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<DatagramsObject>(info) {
    const Napi::Env env = info.Env();
    // JavaScript reads payloads where they lie; the array keeps its memory in place.
    auto memory = Napi::ArrayBuffer::New(env, kRingBytes + kCacheLine);
    const auto start = reinterpret_cast<std::uintptr_t>(memory.Data());
    const std::size_t skip = (kCacheLine - start % kCacheLine) % kCacheLine;
    bytes_ = Napi::Persistent(Napi::Uint8Array::New(env, kRingBytes, memory, skip));
    words_ = Napi::Persistent(Napi::Uint32Array::New(env, kBatch * sizeof(Header) / 4));
    headers_ = reinterpret_cast<Header*>(words_.Value().Data());
    DatagramsConfig config;
    config.ring = {static_cast<std::byte*>(memory.Data()) + skip, kRingBytes};
    config.wake = [this] { ring(); };
    const Napi::Array listen = info[0].As<Napi::Array>();
    for (std::uint32_t i = 0; i < listen.Length(); ++i) {
      const Napi::Object each = listen.Get(i).As<Napi::Object>();
      config.listen.push_back(
          {text_of(each, "host"), static_cast<std::uint16_t>(number_of(each, "port"))});
    }
    auto opened = Datagrams::open(std::move(config));
    if (opened) {
      datagrams_ = std::move(opened).value();
    } else {
      throw_error(env, opened.error());
    }
  }

  ~DatagramsObject() override {
    if (datagrams_) datagrams_->stop();
    if (listening_) wake_.Release();
  }

 private:
  Napi::Value receive(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), datagrams_->receive(headers_, kBatch));
  }
  void release(const Napi::CallbackInfo&) { datagrams_->release(); }

  void on_readable(const Napi::CallbackInfo& info) {
    if (listening_) wake_.Release();
    wake_ =
        Napi::ThreadSafeFunction::New(info.Env(), info[0].As<Napi::Function>(), "sluice n4", 0, 1);
    wake_.Unref(info.Env());  // a listener alone keeps no process alive
    // Release: pairs with the acquire in ring().
    listening_.store(true, std::memory_order_release);
    // For what came before anybody listened, whose bell nobody heard.
    wake_.NonBlockingCall();
  }
  /// The datagram thread.
  void ring() {
    // Acquire: pairs with the release in on_readable(), behind which wake_ is whole.
    if (listening_.load(std::memory_order_acquire)) wake_.NonBlockingCall();
  }

  /// Arguments: local, family, address words, position in them, port, bytes, start, length.
  Napi::Value send(const Napi::CallbackInfo& info) {
    const auto words = info[2].As<Napi::Uint32Array>();
    const std::size_t at = info[3].As<Napi::Number>().Uint32Value();
    const auto bytes = info[5].As<Napi::Uint8Array>();
    const std::size_t start = info[6].As<Napi::Number>().Uint32Value();
    const std::size_t length = info[7].As<Napi::Number>().Uint32Value();
    Address to{info[1].As<Napi::Number>().Uint32Value(), {}};
    const bool inside = at + to.words.size() <= words.ElementLength() &&
                        start + length <= bytes.ElementLength() &&
                        (to.family == 4 || to.family == 6);
    if (!inside) return Napi::Boolean::New(info.Env(), false);
    std::copy_n(words.Data() + at, to.words.size(), to.words.begin());
    const bool queued = datagrams_->send(
        info[0].As<Napi::Number>().Uint32Value(), to, info[4].As<Napi::Number>().Uint32Value(),
        reinterpret_cast<const std::byte*>(bytes.Data()) + start, length);
    return Napi::Boolean::New(info.Env(), queued);
  }
  void flush(const Napi::CallbackInfo&) { datagrams_->flush(); }
  void set_heartbeat(const Napi::CallbackInfo& info) {
    datagrams_->set_heartbeat(info[0].As<Napi::Number>().Uint32Value());
  }
  void progress(const Napi::CallbackInfo&) { datagrams_->progress(); }
  void set_observed(const Napi::CallbackInfo& info) {
    datagrams_->set_observed(info[0].As<Napi::Boolean>().Value());
  }
  void set_allowed(const Napi::CallbackInfo& info) {
    auto allowed = datagram::AllowList::of(texts_of(info[0]));
    if (allowed) {
      datagrams_->set_allowed(std::move(allowed).value());
    } else {
      throw_error(info.Env(), allowed.error());
    }
  }
  void set_peers(const Napi::CallbackInfo& info) {
    std::vector<Address> peers;
    for (const std::string& text : texts_of(info[0])) {
      peers.push_back(datagram::parse_address(text));
    }
    datagrams_->set_peers(peers);
  }

  Napi::Value ports(const Napi::CallbackInfo& info) {
    Napi::Array out = Napi::Array::New(info.Env());
    for (const std::uint16_t port : datagrams_->ports()) {
      out.Set(out.Length(), Napi::Number::New(info.Env(), port));
    }
    return out;
  }

  /// The object DatagramStatistics of transport.ts.
  Napi::Value statistics(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const datagram::DatagramCounters& counters = datagrams_->counters();
    Napi::Object out = Napi::Object::New(env);
    const auto put = [&](const char* name, std::uint64_t value) {
      out.Set(name, Napi::Number::New(env, static_cast<double>(value)));
    };
    put("received", counters.received);
    put("receivedBytes", counters.received_bytes);
    put("sent", counters.sent);
    put("sentBytes", counters.sent_bytes);
    put("sendFailed", counters.send_failed);
    put("sendFull", datagrams_->send_full());
    put("heartbeatsAnswered", counters.heartbeats_answered);
    put("notAllowed", counters.not_allowed);
    put("socketFull", datagrams_->socket_full());
    put("waiting", counters.waiting);
    out.Set("shed", shed_to(env, {counters.shed[0], counters.shed[1], counters.shed[2]}));
    Napi::Array by_peer = Napi::Array::New(env);
    for (const datagram::SourceShed& source : datagrams_->shed_by_source()) {
      Napi::Object each = Napi::Object::New(env);
      each.Set("address", source.address);
      each.Set("shed", shed_to(env, source.shed));
      by_peer.Set(by_peer.Length(), each);
    }
    out.Set("shedByPeer", by_peer);
    return out;
  }
  static Napi::Array shed_to(Napi::Env env,
                             const std::array<std::uint64_t, datagram::kClasses>& shed) {
    Napi::Array out = Napi::Array::New(env);
    for (const std::uint64_t count : shed) {
      out.Set(out.Length(), Napi::Number::New(env, static_cast<double>(count)));
    }
    return out;
  }

  void close(const Napi::CallbackInfo&) {
    datagrams_->stop();
    if (listening_) wake_.Release();
    listening_ = false;
  }
  Napi::Value words(const Napi::CallbackInfo&) { return words_.Value(); }
  Napi::Value bytes(const Napi::CallbackInfo&) { return bytes_.Value(); }

  Napi::Reference<Napi::Uint8Array> bytes_;
  Napi::Reference<Napi::Uint32Array> words_;
  Header* headers_ = nullptr;
  Napi::ThreadSafeFunction wake_;
  std::atomic<bool> listening_{false};
  std::unique_ptr<Datagrams> datagrams_;
};

}  // namespace

void init_datagrams(Napi::Env env, Napi::Object exports) {
  exports.Set("Datagrams", DatagramsObject::define(env));
}

}  // namespace sluice::addon
