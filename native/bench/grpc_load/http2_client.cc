#include "bench/grpc_load/http2_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

namespace sluice::load {
namespace {

constexpr std::int32_t kWindowBytes = 1 << 30;
constexpr std::size_t kFlushBytes = 256 * 1024;
constexpr std::size_t kPrefixBytes = 5;  // gRPC: compressed flag, length

Error system_error(const std::string& what) {
  char text[128] = {};
  return Error{what + ": " + strerror_r(errno, text, sizeof(text)), "target"};
}

Result<int> connect_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path))
    return Error{"the socket's path is too long", "target"};
  std::copy(path.begin(), path.end(), address.sun_path);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return system_error("socket");
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return fd;
  const Error error = system_error("connect to " + path);
  ::close(fd);
  return error;
}

Result<int> connect_tcp(const std::string& target) {
  const std::size_t colon = target.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  std::uint16_t port = 0;
  const char* const end = target.data() + target.size();
  if (colon == std::string::npos ||
      std::from_chars(target.data() + colon + 1, end, port).ptr != end ||
      ::inet_pton(AF_INET, target.substr(0, colon).c_str(), &address.sin_addr) != 1) {
    return Error{"expected an IPv4 address and a port, or unix:<path>: " + target, "target"};
  }
  address.sin_port = htons(port);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return system_error("socket");
  const int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return fd;
  const Error error = system_error("connect to " + target);
  ::close(fd);
  return error;
}

nghttp2_nv header(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

/// Hands over every whole message at the front of `incoming`.
void deliver(std::string& incoming, CallHandler& handler) {
  std::size_t at = 0;
  while (incoming.size() - at >= kPrefixBytes) {
    std::uint32_t size = 0;
    for (std::size_t i = 1; i < kPrefixBytes; ++i) {
      size = size << 8 | static_cast<std::uint8_t>(incoming[at + i]);
    }
    if (incoming.size() - at - kPrefixBytes < size) break;
    handler.on_message(std::string_view(incoming).substr(at + kPrefixBytes, size));
    at += kPrefixBytes + size;
  }
  incoming.erase(0, at);
}

}  // namespace

struct Http2Client::Callbacks {
  static Http2Client& client(void* user_data) { return *static_cast<Http2Client*>(user_data); }

  static ssize_t on_read(nghttp2_session*, std::int32_t stream, std::uint8_t* buffer,
                         std::size_t size, std::uint32_t* flags, nghttp2_data_source*,
                         void* user_data) {
    Call* const call = client(user_data).find(stream);
    if (call == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    const std::size_t count = std::min(size, call->outgoing.size() - call->sent);
    if (count == 0 && !call->finished) {
      call->waiting = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    std::copy_n(call->outgoing.data() + call->sent, count, buffer);
    call->sent += count;
    if (call->sent == call->outgoing.size()) {
      call->outgoing.clear();
      call->sent = 0;
      if (call->finished) *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return static_cast<ssize_t>(count);
  }

  static int on_data(nghttp2_session*, std::uint8_t, std::int32_t stream, const std::uint8_t* data,
                     std::size_t size, void* user_data) {
    Call* const call = client(user_data).find(stream);
    if (call == nullptr) return 0;
    call->incoming.append(reinterpret_cast<const char*>(data), size);
    deliver(call->incoming, *call->handler);
    return 0;
  }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                       std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                       std::uint8_t, void* user_data) {
    Call* const call = client(user_data).find(frame->hd.stream_id);
    if (call == nullptr) return 0;
    const std::string_view key(reinterpret_cast<const char*>(name), name_size);
    const char* const text = reinterpret_cast<const char*>(value);
    if (key == "grpc-status") call->status.assign(text, value_size);
    if (key == "grpc-message") call->text.assign(text, value_size);
    return 0;
  }

  static int on_close(nghttp2_session*, std::int32_t stream, std::uint32_t, void* user_data) {
    Http2Client& self = client(user_data);
    auto node = self.calls_.extract(stream);
    if (node) node.mapped().handler->on_end(node.mapped().status, node.mapped().text);
    return 0;
  }
};

Result<std::unique_ptr<Http2Client>> Http2Client::connect(const std::string& target) {
  constexpr std::string_view kUnix = "unix:";
  Result<int> fd =
      target.starts_with(kUnix) ? connect_unix(target.substr(kUnix.size())) : connect_tcp(target);
  if (!fd) return fd.error();
  std::unique_ptr<Http2Client> client(new Http2Client(fd.value()));
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::on_data);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::on_header);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::on_close);
  nghttp2_session_client_new(&client->session_, callbacks, client.get());
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, static_cast<std::uint32_t>(kWindowBytes)}};
  nghttp2_submit_settings(client->session_, NGHTTP2_FLAG_NONE, settings, 2);
  nghttp2_session_set_local_window_size(client->session_, NGHTTP2_FLAG_NONE, 0, kWindowBytes);
  return client;
}

Http2Client::~Http2Client() {
  if (session_ != nullptr) nghttp2_session_del(session_);
  ::close(fd_);
}

Http2Client::Call* Http2Client::find(std::int32_t stream) {
  const auto found = calls_.find(stream);
  return found == calls_.end() ? nullptr : &found->second;
}

std::int32_t Http2Client::open(std::string_view path, CallHandler* handler) {
  const nghttp2_nv headers[] = {
      header(":method", "POST"),
      header(":scheme", "http"),
      header(":path", path),
      header(":authority", "localhost"),
      header("te", "trailers"),
      header("content-type", "application/grpc"),
      header("user-agent", "sluice-grpc-load"),
  };
  nghttp2_data_provider provider{};
  provider.read_callback = Callbacks::on_read;
  const std::int32_t stream =
      nghttp2_submit_request(session_, nullptr, headers, std::size(headers), &provider, nullptr);
  if (stream > 0) calls_[stream].handler = handler;
  return stream;
}

void Http2Client::send(std::int32_t stream, std::string_view message) {
  Call* const call = find(stream);
  if (call == nullptr) return;
  const auto size = static_cast<std::uint32_t>(message.size());
  const char prefix[kPrefixBytes] = {0, static_cast<char>(size >> 24),
                                     static_cast<char>(size >> 16), static_cast<char>(size >> 8),
                                     static_cast<char>(size)};
  call->outgoing.append(prefix, kPrefixBytes).append(message);
  resume(stream, *call);
}

void Http2Client::finish(std::int32_t stream) {
  Call* const call = find(stream);
  if (call == nullptr) return;
  call->finished = true;
  resume(stream, *call);
}

void Http2Client::resume(std::int32_t stream, Call& call) {
  if (!call.waiting) return;
  call.waiting = false;
  nghttp2_session_resume_data(session_, stream);
}

Status Http2Client::flush() {
  while (true) {
    while (pending_.size() < kFlushBytes) {
      const std::uint8_t* bytes = nullptr;
      const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
      if (size < 0)
        return Error{std::string("HTTP/2: ") + nghttp2_strerror(static_cast<int>(size)), ""};
      if (size == 0) break;
      pending_.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
    }
    if (pending_.empty()) return Ok{};
    const ssize_t sent = ::send(fd_, pending_.data() + pending_sent_,
                                pending_.size() - pending_sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return Ok{};
    if (sent < 0) return system_error("send");
    pending_sent_ += static_cast<std::size_t>(sent);
    if (pending_sent_ < pending_.size()) return Ok{};
    pending_.clear();
    pending_sent_ = 0;
  }
}

Status Http2Client::receive() {
  std::uint8_t buffer[256 * 1024];
  const ssize_t size = ::recv(fd_, buffer, sizeof(buffer), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return Ok{};
  if (size < 0) return system_error("receive");
  if (size == 0) return Error{"the server closed the connection", "target"};
  const ssize_t used = nghttp2_session_mem_recv(session_, buffer, static_cast<std::size_t>(size));
  if (used < 0)
    return Error{std::string("HTTP/2: ") + nghttp2_strerror(static_cast<int>(used)), ""};
  return Ok{};
}

Status Http2Client::pump(int timeout_ms) {
  if (Status sent = flush(); !sent) return sent;
  const short wanted = static_cast<short>(POLLIN | (pending_.empty() ? 0 : POLLOUT));
  pollfd waited{fd_, wanted, 0};
  if (::poll(&waited, 1, timeout_ms) < 0 && errno != EINTR) return system_error("poll");
  if ((waited.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
    if (Status received = receive(); !received) return received;
  }
  return flush();
}

}  // namespace sluice::load
