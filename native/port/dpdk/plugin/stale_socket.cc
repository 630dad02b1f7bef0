#include "port/dpdk/plugin/stale_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sluice::dpdk {
namespace {

/// The value of ",key=value"; empty: there is none.
std::string value_of(const std::string& arguments, const std::string& key) {
  const std::size_t at = arguments.find("," + key + "=");
  if (at == std::string::npos) return {};
  const std::size_t from = at + key.size() + 2;
  return arguments.substr(from, arguments.find(',', from) - from);
}

}  // namespace

void remove_stale_socket(const std::string& arguments) {
  const std::string role = value_of(arguments, "role");
  if (!arguments.starts_with("net_memif") || (role != "server" && role != "master") ||
      value_of(arguments, "socket-abstract") != "no") {
    return;
  }
  const std::string path = value_of(arguments, "socket");
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof name.sun_path) return;
  std::memcpy(name.sun_path, path.c_str(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  // Another kind of file refuses, too, and is not ours to remove; a live server does not.
  struct stat file{};
  const bool is_socket = ::lstat(path.c_str(), &file) == 0 && S_ISSOCK(file.st_mode);
  const int result = ::connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name);
  const bool is_stale = is_socket && result != 0 && errno == ECONNREFUSED;
  ::close(fd);
  if (is_stale) ::unlink(path.c_str());
}

}  // namespace sluice::dpdk
