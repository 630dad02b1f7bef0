#include "addon/datapath_object.h"

#include <atomic>

#include "addon/convert.h"
#include "addon/lanes.h"
#include "addon/protections.h"
#include "addon/sight.h"
#include "memory/give_back.h"
#include "worker/exchange.h"

namespace sluice::addon {
namespace {

constexpr std::uint32_t kOperationsMax = 1024;
constexpr std::uint32_t kEventsMax = 512;
constexpr std::uint32_t kQueriesMax = 4096;
constexpr std::uint32_t kSamplesMax = 16384;

/// Methods are those of the interface in src/datapath/datapath.ts; JavaScript's thread.
class DatapathObject : public Napi::ObjectWrap<DatapathObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    using O = DatapathObject;
    return DefineClass(env, "Datapath",
                       {InstanceMethod<&O::register_chunk>("registerSlabChunk"),
                        InstanceMethod<&O::release_memory>("releaseSlabMemory"),
                        InstanceMethod<&O::prepare>("prepare"),
                        InstanceMethod<&O::apply>("apply"),
                        InstanceMethod<&O::abort>("abort"),
                        InstanceMethod<&O::holder>("holder"),
                        InstanceMethod<&O::poll>("poll"),
                        InstanceMethod<&O::release>("release"),
                        InstanceMethod<&O::already_written>("alreadyWritten"),
                        InstanceMethod<&O::end_restore>("endRestore"),
                        InstanceMethod<&O::completed>("completed"),
                        InstanceMethod<&O::on_wake>("onWake"),
                        InstanceMethod<&O::start>("start"),
                        InstanceMethod<&O::stop>("stop"),
                        InstanceMethod<&O::step>("step"),
                        InstanceMethod<&O::exchange>("exchange"),
                        InstanceMethod<&O::status>("status"),
                        InstanceMethod<&O::statistics>("statistics"),
                        InstanceMethod<&O::path_changes>("pathChanges"),
                        InstanceMethod<&O::set_sampling>("setSampling"),
                        InstanceMethod<&O::start_capture>("startCapture"),
                        InstanceMethod<&O::read_capture>("readCapture"),
                        InstanceMethod<&O::stop_capture>("stopCapture"),
                        InstanceMethod<&O::start_trace>("startTrace"),
                        InstanceMethod<&O::take_trace>("takeTrace"),
                        InstanceMethod<&O::take_samples>("takeSamples"),
                        InstanceAccessor<&O::bucket_owners>("bucketOwners"),
                        InstanceMethod<&O::move_buckets>("moveBuckets"),
                        InstanceMethod<&O::set_protection>("setProtection"),
                        InstanceMethod<&O::remove_protection>("removeProtection"),
                        InstanceMethod<&O::extend_protection>("extendProtection"),
                        InstanceMethod<&O::protections_settled>("protectionsSettled"),
                        InstanceMethod<&O::protection_status>("protectionStatus"),
                        InstanceMethod<&O::protection_uses>("protectionUses"),
                        InstanceMethod<&O::lanes>("lanes"),
                        InstanceMethod<&O::limit_lane_threads>("limitLaneThreads"),
                        InstanceMethod<&O::bury_lane_thread>("buryLaneThread"),
                        InstanceAccessor<&O::samples>("samples"),
                        InstanceAccessor<&O::operations>("operations"),
                        InstanceAccessor<&O::events>("events"),
                        InstanceAccessor<&O::queries>("queries")});
  }

  explicit DatapathObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<DatapathObject>(info) {
    const Napi::Env env = info.Env();
    auto config = config_of(info[0].ToObject());
    if (!config) {
      throw_error(env, config.error());
      return;
    }
    // The bell may ring before a listener is set: it finds no function then.
    config.value().wake = [this] { ring(); };
    auto datapath = Datapath::create(std::move(config).value());
    if (!datapath) {
      throw_error(env, datapath.error());
      return;
    }
    datapath_ = std::move(datapath).value();
    operations_ =
        Napi::Persistent(Napi::Uint32Array::New(env, kOperationsMax * sizeof(Operation) / 4));
    events_ = Napi::Persistent(Napi::Uint32Array::New(env, kEventsMax * sizeof(Event) / 4));
    queries_ = Napi::Persistent(Napi::Uint32Array::New(env, kQueriesMax));
    samples_ =
        Napi::Persistent(Napi::Uint32Array::New(env, kSamplesMax * sizeof(TrafficSample) / 4));
    owners_ = Napi::Persistent(Napi::Uint8Array::New(env, kBuckets));
    tell_owners();
    sample_words_ = samples_.Value().Data();
    operation_words_ = operations_.Value().Data();
    event_words_ = events_.Value().Data();
    query_words_ = queries_.Value().Data();
    query_words_[0] = ~0u;
  }

  ~DatapathObject() override {
    // From here on the chunks can be collected, and are to be counted as gone once.
    Napi::MemoryManagement::AdjustExternalMemory(Env(), uncounted_bytes_);
    if (datapath_) datapath_->stop();
    if (listening_) wake_.Release();
  }

 private:
  void register_chunk(const Napi::CallbackInfo& info) {
    const auto chunk = info[0].As<Napi::Uint8Array>();
    // The reference keeps the memory where it is for as long as records may lie in it.
    chunks_.push_back(Napi::Persistent(chunk.As<Napi::Object>()));
    // Bytes that no collection can free. V8 counts them with its own all the same, and would mark
    // its heap each time that they have grown.
    const auto bytes = static_cast<std::int64_t>(chunk.ByteLength());
    Napi::MemoryManagement::AdjustExternalMemory(info.Env(), -bytes);
    uncounted_bytes_ += bytes;
    datapath_->register_chunk(reinterpret_cast<const std::byte*>(chunk.Data()), chunk.ByteLength());
  }

  /// Arguments: chunk, offset in it, octets.
  void release_memory(const Napi::CallbackInfo& info) {
    const std::size_t number = info[0].As<Napi::Number>().Uint32Value();
    const std::size_t offset = info[1].As<Napi::Number>().Uint32Value();
    const std::size_t bytes = info[2].As<Napi::Number>().Uint32Value();
    if (number >= chunks_.size()) return;
    auto chunk = chunks_[number].Value().As<Napi::Uint8Array>();
    if (offset + bytes > chunk.ByteLength()) return;
    give_back(reinterpret_cast<std::byte*>(chunk.Data()) + offset, bytes);
  }

  void prepare(const Napi::CallbackInfo& info) {
    const std::uint32_t count = std::min(info[0].As<Napi::Number>().Uint32Value(), kOperationsMax);
    // A list that fills the array to the last word still ends.
    query_words_[kQueriesMax - 1] = query_words_[kQueriesMax - 2] = ~0u;
    datapath_->prepare(reinterpret_cast<Operation*>(operation_words_), count, query_words_);
    query_words_[0] = ~0u;
  }

  Napi::Value apply(const Napi::CallbackInfo& info) {
    const auto tickets = info[0].As<Napi::Uint32Array>();
    const auto count = static_cast<unsigned>(
        std::min<std::size_t>(info[1].As<Napi::Number>().Uint32Value(), tickets.ElementLength()));
    return Napi::Number::New(info.Env(),
                             static_cast<double>(datapath_->apply(tickets.Data(), count)));
  }

  void abort(const Napi::CallbackInfo& info) {
    const auto tickets = info[0].As<Napi::Uint32Array>();
    const auto count = static_cast<unsigned>(
        std::min<std::size_t>(info[1].As<Napi::Number>().Uint32Value(), tickets.ElementLength()));
    datapath_->abort(tickets.Data(), count);
  }

  /// Arguments: session, chunk and offset of its record, whether TEIDs are meant, sessions that
  /// don't count.
  Napi::Value holder(const Napi::CallbackInfo& info) {
    const auto number = [&](std::size_t i) { return info[i].As<Napi::Number>().Uint32Value(); };
    const auto but_for = info[4].As<Napi::Uint32Array>();
    const SessionIndex found =
        datapath_->holder(number(0), number(1), number(2), info[3].As<Napi::Boolean>().Value(),
                          {but_for.Data(), but_for.ElementLength()});
    return Napi::Number::New(info.Env(), found == kNoSession ? -1.0 : found);
  }

  Napi::Value poll(const Napi::CallbackInfo& info) {
    const unsigned n = datapath_->poll(reinterpret_cast<Event*>(event_words_), kEventsMax);
    if (listening_ && n < kEventsMax) datapath_->arm();
    return Napi::Number::New(info.Env(), n);
  }

  void release(const Napi::CallbackInfo& info) {
    datapath_->release(info[0].As<Napi::Number>().Uint32Value());
  }
  void already_written(const Napi::CallbackInfo& info) {
    const std::uint32_t count = std::min(info[0].As<Napi::Number>().Uint32Value(), kEventsMax);
    datapath_->already_written(reinterpret_cast<const Event*>(event_words_), count);
  }
  void end_restore(const Napi::CallbackInfo& info) {
    if (Status status = datapath_->end_restore(); !status) throw_error(info.Env(), status.error());
  }

  Napi::Value completed(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(datapath_->completed()));
  }

  void on_wake(const Napi::CallbackInfo& info) {
    if (listening_) wake_.Release();
    wake_ = Napi::ThreadSafeFunction::New(info.Env(), info[0].As<Napi::Function>(), "sluice wake",
                                          0, 1);
    wake_.Unref(info.Env());  // a listener alone keeps no process alive
    listening_ = true;
    datapath_->arm();
  }

  /// A worker's thread.
  void ring() {
    if (listening_) wake_.NonBlockingCall();
  }

  void start(const Napi::CallbackInfo& info) {
    if (Status status = datapath_->start(); !status) throw_error(info.Env(), status.error());
  }
  void stop(const Napi::CallbackInfo&) {
    datapath_->stop();
    if (listening_) wake_.Release();
    listening_ = false;
  }
  Napi::Value step(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), datapath_->step());
  }
  /// Arguments: words in, how many of them, words out.
  Napi::Value exchange(const Napi::CallbackInfo& info) {
    const auto in = info[0].As<Napi::Uint32Array>();
    auto out = info[2].As<Napi::Uint32Array>();
    const auto words =
        std::min<std::size_t>(info[1].As<Napi::Number>().Uint32Value(), in.ElementLength());
    if (!datapath_->stepped()) {
      throw_error(info.Env(), {"a started packet path without threads is needed", "workers.count"});
      return info.Env().Undefined();
    }
    if (!exchange_) exchange_ = std::make_unique<Exchange>(*datapath_);
    auto written = exchange_->play({in.Data(), words}, {out.Data(), out.ElementLength()});
    if (!written) throw_error(info.Env(), written.error());
    return Napi::Number::New(info.Env(), written ? static_cast<double>(written.value()) : 0);
  }
  Napi::Value status(const Napi::CallbackInfo& info) {
    return status_to(info.Env(), *datapath_, datapath_->running());
  }
  Napi::Value statistics(const Napi::CallbackInfo& info) {
    return statistics_to(info.Env(), datapath_->statistics());
  }
  Napi::Value path_changes(const Napi::CallbackInfo& info) {
    return path_changes_to(info.Env(), *datapath_);
  }
  void set_sampling(const Napi::CallbackInfo& info) {
    datapath_->set_sampling(info[0].As<Napi::Boolean>().Value());
  }
  Napi::Value take_samples(const Napi::CallbackInfo& info) {
    const unsigned n =
        datapath_->take_samples(reinterpret_cast<TrafficSample*>(sample_words_), kSamplesMax);
    return Napi::Number::New(info.Env(), n);
  }
  Napi::Value bucket_owners(const Napi::CallbackInfo&) { return owners_.Value(); }
  void tell_owners() {
    const auto& owners = datapath_->bucket_owners();
    std::copy(owners.begin(), owners.end(), owners_.Value().Data());
  }
  Napi::Value move_buckets(const Napi::CallbackInfo& info) {
    const auto buckets = info[0].As<Napi::Uint8Array>();
    const unsigned worker = info[1].As<Napi::Number>().Uint32Value();
    const BucketMove moved =
        datapath_->move_buckets({buckets.Data(), buckets.ElementLength()}, worker);
    tell_owners();
    switch (moved) {
      case BucketMove::Done:
        return Napi::String::New(info.Env(), "done");
      case BucketMove::NoRoom:
        return Napi::String::New(info.Env(), "no room");
      default:
        return Napi::String::New(info.Env(), "busy");
    }
  }
  Napi::Value start_capture(const Napi::CallbackInfo& info) {
    return addon::start_capture(info, *datapath_);
  }
  Napi::Value read_capture(const Napi::CallbackInfo& info) {
    return addon::read_capture(info, *datapath_);
  }
  void stop_capture(const Napi::CallbackInfo& info) { addon::stop_capture(info, *datapath_); }
  Napi::Value start_trace(const Napi::CallbackInfo& info) {
    return addon::start_trace(info, *datapath_);
  }
  Napi::Value take_trace(const Napi::CallbackInfo& info) {
    return addon::take_trace(info, *datapath_);
  }
  void set_protection(const Napi::CallbackInfo& info) { addon::set_protection(info, *datapath_); }
  Napi::Value remove_protection(const Napi::CallbackInfo& info) {
    return addon::remove_protection(info, *datapath_);
  }
  void extend_protection(const Napi::CallbackInfo& info) {
    addon::extend_protection(info, *datapath_);
  }
  Napi::Value protections_settled(const Napi::CallbackInfo& info) {
    return addon::protections_settled(info, *datapath_);
  }
  Napi::Value protection_status(const Napi::CallbackInfo& info) {
    return addon::protection_status(info, *datapath_);
  }
  Napi::Value protection_uses(const Napi::CallbackInfo& info) {
    return addon::protection_uses(info, *datapath_);
  }
  Napi::Value lanes(const Napi::CallbackInfo& info) {
    if (lanes_ == 0 && datapath_->crypto_lanes() != nullptr) {
      lanes_ = publish_lanes(datapath_->crypto_lanes());
    }
    return Napi::Number::New(info.Env(), lanes_);
  }
  void limit_lane_threads(const Napi::CallbackInfo& info) {
    if (datapath_->crypto_lanes() == nullptr) return;
    datapath_->crypto_lanes()->limit_threads(info[0].As<Napi::Number>().Uint32Value());
  }
  void bury_lane_thread(const Napi::CallbackInfo& info) {
    if (datapath_->crypto_lanes() == nullptr) return;
    datapath_->crypto_lanes()->bury(info[0].As<Napi::Number>().Uint32Value());
  }
  Napi::Value samples(const Napi::CallbackInfo&) { return samples_.Value(); }
  Napi::Value operations(const Napi::CallbackInfo&) { return operations_.Value(); }
  Napi::Value events(const Napi::CallbackInfo&) { return events_.Value(); }
  Napi::Value queries(const Napi::CallbackInfo&) { return queries_.Value(); }

  Napi::Reference<Napi::Uint32Array> operations_, events_, queries_, samples_;
  Napi::Reference<Napi::Uint8Array> owners_;
  std::uint32_t* operation_words_ = nullptr;
  std::uint32_t* event_words_ = nullptr;
  std::uint32_t* query_words_ = nullptr;
  std::uint32_t* sample_words_ = nullptr;
  std::vector<Napi::ObjectReference> chunks_;
  std::int64_t uncounted_bytes_ = 0;
  std::uint32_t lanes_ = 0;  ///< their number, once asked for
  Napi::ThreadSafeFunction wake_;
  std::atomic<bool> listening_{false};
  std::unique_ptr<Datapath> datapath_;
  std::unique_ptr<Exchange> exchange_;
};

}  // namespace

Napi::Function define_datapath(Napi::Env env) { return DatapathObject::define(env); }

}  // namespace sluice::addon
