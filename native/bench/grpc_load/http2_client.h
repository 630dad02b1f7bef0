// A gRPC client on one HTTP/2 connection: libnghttp2 frames, this moves bytes. It runs on
// the thread that calls pump(), without locks; handlers are called from inside pump() and
// may open and send. Start at open().
#pragma once
#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/types.h"

namespace sluice::load {

/// What a call tells its owner.
class CallHandler {
 public:
  virtual ~CallHandler() = default;
  /// One whole message; the bytes live for the duration of the call.
  virtual void on_message(std::string_view message) = 0;
  /// The end: the value of grpc-status, empty when the stream broke, and its message.
  virtual void on_end(const std::string& status, const std::string& text) = 0;
};

class Http2Client {
 public:
  /// @param target  "host:port" with a numeric IPv4 host, or "unix:<path>".
  static Result<std::unique_ptr<Http2Client>> connect(const std::string& target);
  ~Http2Client();
  Http2Client(const Http2Client&) = delete;
  Http2Client& operator=(const Http2Client&) = delete;

  /// Begins a call; the handler must outlive it. Returns its stream.
  std::int32_t open(std::string_view path, CallHandler* handler);
  /// Adds one message to what the call sends.
  void send(std::int32_t stream, std::string_view message);
  /// Says that nothing more will be sent.
  void finish(std::int32_t stream);
  /// Sends what there is to send, waits for input, handles it. An error when the connection died.
  Status pump(int timeout_ms);

 private:
  struct Call {
    CallHandler* handler = nullptr;
    std::string outgoing;
    std::size_t sent = 0;
    bool finished = false;
    bool waiting = false;  ///< nghttp2 asked for data when there was none
    std::string incoming;
    std::string status;
    std::string text;
  };
  struct Callbacks;

  explicit Http2Client(int fd) : fd_(fd) {}
  Call* find(std::int32_t stream);
  void resume(std::int32_t stream, Call& call);
  Status flush();
  Status receive();

  int fd_;
  nghttp2_session* session_ = nullptr;
  std::unordered_map<std::int32_t, Call> calls_;
  std::string pending_;  ///< framed bytes that the socket has not taken yet
  std::size_t pending_sent_ = 0;
};

}  // namespace sluice::load
