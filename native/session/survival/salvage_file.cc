// The file that Salvage is kept in: a header, then sessions, URRs and events as they are in
// memory, in the machine's byte order; it never leaves the machine.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>

#include "session/survival/salvage.h"

namespace sluice {
namespace {

std::string system_error(const std::string& what) { return what + ": " + std::strerror(errno); }

std::uint64_t checksum(std::uint64_t hash, std::span<const std::byte> bytes) {
  for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data() + at, 8);
    hash = (hash ^ word) * 0x100000001b3;
    hash ^= hash >> 29;
  }
  return hash;
}

bool write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

bool read_all(int fd, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::read(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

/// A descriptor that closes itself.
struct File {
  explicit File(int descriptor) : fd(descriptor) {}
  ~File() {
    if (fd >= 0) ::close(fd);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd;
};

template <typename T>
std::span<const std::byte> bytes_of(const std::vector<T>& list) {
  return std::as_bytes(std::span<const T>(list));
}

}  // namespace

struct Salvage::FileHeader {
  static constexpr std::uint64_t kMagic = 0x3130'4745'5355'4c53;  // "SLUSEG01"
  static constexpr std::uint64_t kCountMax = std::uint64_t{1} << 32;
  std::uint64_t magic = kMagic;
  std::uint32_t entry_bytes = sizeof(Entry);
  std::uint32_t urr_bytes = sizeof(CarriedUrr);
  std::uint32_t event_bytes = sizeof(Event);
  std::uint32_t run = 0;
  std::uint64_t sessions = 0;
  std::uint64_t urrs = 0;
  std::uint64_t events = 0;
  std::uint64_t checksum = 0;
};

Status Salvage::save(const std::string& path, bool flush) const {
  FileHeader header;
  header.run = run_;
  header.sessions = sessions_.size();
  header.urrs = urrs_.size();
  header.events = events_.size();
  std::uint64_t sum = checksum(0, std::as_bytes(std::span(&header, 1)));
  for (const auto part : {bytes_of(sessions_), bytes_of(urrs_), bytes_of(events_)}) {
    sum = checksum(sum, part);
  }
  header.checksum = sum;
  const std::string fresh = path + ".new";
  const File file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (file.fd < 0) return Error{system_error("cannot make " + fresh), ""};
  const bool written = write_all(file.fd, std::as_bytes(std::span(&header, 1))) &&
                       write_all(file.fd, bytes_of(sessions_)) &&
                       write_all(file.fd, bytes_of(urrs_)) &&
                       write_all(file.fd, bytes_of(events_)) && (!flush || fsync(file.fd) == 0) &&
                       std::rename(fresh.c_str(), path.c_str()) == 0;
  if (!written) {
    Error error{system_error("cannot write " + path), ""};
    unlink(fresh.c_str());
    return error;
  }
  if (flush) {
    const File folder(::open(path.substr(0, path.rfind('/') + 1).c_str(), O_RDONLY | O_CLOEXEC));
    if (folder.fd >= 0) fsync(folder.fd);
  }
  return Ok{};
}

Status Salvage::load(const std::string& path) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd < 0) return Error{system_error("cannot open " + path), ""};
  FileHeader header;
  if (!read_all(file.fd, std::as_writable_bytes(std::span(&header, 1))) ||
      header.magic != FileHeader::kMagic) {
    return Error{path + " holds no usage", ""};
  }
  if (header.entry_bytes != sizeof(Entry) || header.event_bytes != sizeof(Event) ||
      header.urr_bytes > sizeof(CarriedUrr) || header.urr_bytes % 8 != 0) {
    return Error{path + " was written by another version of the program", ""};
  }
  const off_t size = lseek(file.fd, 0, SEEK_END);
  const bool counts = header.sessions < FileHeader::kCountMax &&
                      header.urrs < FileHeader::kCountMax && header.events < FileHeader::kCountMax;
  if (!counts || static_cast<std::uint64_t>(size) !=
                     sizeof(header) + header.sessions * sizeof(Entry) +
                         header.urrs * header.urr_bytes + header.events * sizeof(Event)) {
    return Error{path + " is cut short", ""};
  }
  lseek(file.fd, sizeof(header), SEEK_SET);
  Salvage found;
  found.run_ = header.run;
  found.sessions_.resize(header.sessions);
  found.events_.resize(header.events);
  std::vector<std::byte> urrs(header.urrs * header.urr_bytes);
  const std::uint64_t expected = std::exchange(header.checksum, 0);
  bool whole = read_all(file.fd, std::as_writable_bytes(std::span(found.sessions_))) &&
               read_all(file.fd, urrs) &&
               read_all(file.fd, std::as_writable_bytes(std::span(found.events_)));
  std::uint64_t sum = checksum(0, std::as_bytes(std::span(&header, 1)));
  for (const auto part : {bytes_of(found.sessions_), bytes_of(urrs), bytes_of(found.events_)}) {
    sum = checksum(sum, part);
  }
  whole = whole && sum == expected;
  for (const Entry& e : found.sessions_) {
    whole = whole && e.place >> 16 < kBuckets && e.first <= header.urrs &&
            e.count <= std::min<std::uint64_t>(kUrrsMax, header.urrs - e.first);
  }
  if (!whole) return Error{path + " is damaged", ""};
  // Members that an earlier version did not have are zero.
  found.urrs_.resize(header.urrs);
  for (std::size_t i = 0; i < found.urrs_.size(); ++i) {
    std::memcpy(&found.urrs_[i], urrs.data() + i * header.urr_bytes, header.urr_bytes);
  }
  found.index();
  *this = std::move(found);
  return Ok{};
}

}  // namespace sluice
