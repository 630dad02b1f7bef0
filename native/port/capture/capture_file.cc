#include "port/capture/capture_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include "wire/bytes.h"

namespace sluice {

namespace {
constexpr std::uint32_t kPcapMicroseconds = 0xa1b2c3d4;
constexpr std::uint32_t kPcapNanoseconds = 0xa1b23c4d;
constexpr std::size_t kPcapHeaderBytes = 24;
constexpr std::size_t kPcapRecordBytes = 16;
constexpr std::uint32_t kSectionHeader = 0x0a0d0d0a;  // reads the same in both byte orders
constexpr std::uint32_t kByteOrderMagic = 0x1a2b3c4d;
constexpr std::uint32_t kInterfaceDescription = 1;
constexpr std::uint32_t kObsoletePacket = 2;  // yet found in old files
constexpr std::uint32_t kSimplePacket = 3;
constexpr std::uint32_t kEnhancedPacket = 6;
constexpr std::uint16_t kOptionEnd = 0;
constexpr std::uint16_t kOptionResolution = 9;
constexpr std::uint16_t kOptionOffset = 14;
constexpr std::size_t kStreamBytesMax = std::size_t{1} << 30;
constexpr std::uint64_t kSecond = 1'000'000'000;

Error failure(const std::string& path, const char* what) {
  return Error{path + ": " + what + ": " + std::strerror(errno), "file"};
}

/// Why a file that starts with these bytes is no capture.
std::string not_a_capture(std::uint32_t magic) {
  const char* packer = nullptr;
  if (magic >> 16 == 0x1f8b) packer = "gzip";
  if (magic == 0x28b52ffd) packer = "zstd";
  if (magic == 0xfd377a58) packer = "xz";
  if (magic == 0x04224d18) packer = "lz4";
  if (packer != nullptr) {
    return std::string("is compressed; unpack it with `") + packer + " -d` first";
  }
  char text[96];
  std::snprintf(text, sizeof(text), "is neither pcap nor pcapng; it starts with %08x", magic);
  return text;
}
}  // namespace

std::uint16_t CaptureReader::read16(std::size_t at) const noexcept {
  const std::uint16_t value = wire::load16(bytes_ + at);
  return is_big_endian_ ? value : wire::swap16(value);
}

std::uint32_t CaptureReader::read32(std::size_t at) const noexcept {
  const std::uint32_t value = wire::load32(bytes_ + at);
  return is_big_endian_ ? value : wire::swap32(value);
}

CaptureReader::~CaptureReader() {
  if (mapped_ != 0) ::munmap(const_cast<std::byte*>(bytes_), mapped_);
}

Result<std::unique_ptr<CaptureReader>> CaptureReader::open(const std::string& path) {
  std::unique_ptr<CaptureReader> reader(new CaptureReader(path));
  if (Status loaded = reader->load(path); !loaded) return loaded.error();
  if (Status started = reader->start(); !started) return started.error();
  return reader;
}

Result<std::unique_ptr<CaptureReader>> CaptureReader::over(std::span<const std::byte> content,
                                                           std::string name) {
  std::unique_ptr<CaptureReader> reader(new CaptureReader(std::move(name)));
  reader->bytes_ = content.data();
  reader->size_ = content.size();
  if (Status started = reader->start(); !started) return started.error();
  return reader;
}

Status CaptureReader::load(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failure(path, "cannot be opened");
  struct stat status{};
  Status result = Ok{};
  if (::fstat(fd, &status) != 0) {
    result = failure(path, "cannot be read");
  } else if (S_ISDIR(status.st_mode)) {
    result = Error{path + ": is a directory, not a capture file", "file"};
  } else if (!S_ISREG(status.st_mode)) {
    result = load_stream(fd, path);
  } else if (status.st_size > 0) {
    const auto size = static_cast<std::size_t>(status.st_size);
    void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (memory == MAP_FAILED) {
      result = failure(path, "cannot be mapped");
    } else {
      ::madvise(memory, size, MADV_SEQUENTIAL);
      bytes_ = static_cast<const std::byte*>(memory);
      size_ = mapped_ = size;
    }
  }
  ::close(fd);
  return result;
}

Status CaptureReader::load_stream(int fd, const std::string& path) {
  constexpr std::size_t kStep = std::size_t{1} << 20;
  std::size_t used = 0;
  for (;;) {
    if (content_.size() - used < kStep / 2) content_.resize(std::max(kStep, content_.size() * 2));
    const ssize_t n = ::read(fd, content_.data() + used, content_.size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failure(path, "cannot be read");
    if (n == 0) break;
    used += static_cast<std::size_t>(n);
    if (used > kStreamBytesMax) {
      return Error{path + ": more than 1 GiB comes out of this pipe; write it to a file first",
                   "file"};
    }
  }
  bytes_ = content_.data();
  size_ = used;
  return Ok{};
}

Status CaptureReader::start() {
  if (size_ < 4) {
    return Error{name_ + ": has " + std::to_string(size_) + " bytes; a pcap or pcapng is longer",
                 "file"};
  }
  const std::uint32_t magic = wire::load32(bytes_);
  if (magic == kSectionHeader) {
    is_pcapng_ = true;
    interfaces_.reserve(kInterfacesMax);
    return Ok{};
  }
  const std::uint32_t swapped = wire::swap32(magic);
  is_big_endian_ = magic == kPcapMicroseconds || magic == kPcapNanoseconds;
  if (!is_big_endian_ && swapped != kPcapMicroseconds && swapped != kPcapNanoseconds) {
    return Error{name_ + ": " + not_a_capture(magic), "file"};
  }
  has_nanoseconds_ = magic == kPcapNanoseconds || swapped == kPcapNanoseconds;
  if (size_ < kPcapHeaderBytes) {
    return Error{
        name_ + ": ends after " + std::to_string(size_) + " bytes, inside the file header of 24",
        "file"};
  }
  Interface interface;
  interface.link_type = LinkType{read32(20) & 0x03ffffff};  // above: what is said about the FCS
  if (!is_supported(interface.link_type)) {
    return Error{name_ + ": link type " +
                     std::to_string(static_cast<std::uint32_t>(interface.link_type)) +
                     " is not supported; Ethernet, Linux cooked, raw IP and loopback are",
                 "file"};
  }
  interfaces_.push_back(interface);
  at_ = kPcapHeaderBytes;
  return Ok{};
}

CaptureReader::Step CaptureReader::fail(FaultKind kind, std::uint64_t offset, std::uint64_t claimed,
                                        std::uint64_t available, const char* record) noexcept {
  fault_ = {kind, record, offset, claimed, available};
  return Step::Fault;
}

CaptureReader::Step CaptureReader::next(CaptureFrame& out) noexcept {
  if (fault_.kind != FaultKind::None) return Step::Fault;
  if (at_ == size_) return Step::End;
  return is_pcapng_ ? next_block(out) : next_record(out);
}

CaptureReader::Step CaptureReader::next_record(CaptureFrame& out) noexcept {
  const std::size_t left = size_ - at_;
  if (left < kPcapRecordBytes) {
    return fail(FaultKind::PastEnd, at_, kPcapRecordBytes, left, "packet");
  }
  const std::size_t length = read32(at_ + 8);
  if (length > left - kPcapRecordBytes) {
    return fail(FaultKind::PastEnd, at_, length + kPcapRecordBytes, left, "packet");
  }
  const std::uint64_t fraction = read32(at_ + 4);
  out.data = bytes_ + at_ + kPcapRecordBytes;
  out.length = length;
  out.original_length = read32(at_ + 12);
  out.time = read32(at_) * kSecond + fraction * (has_nanoseconds_ ? 1 : 1000);
  out.interface = 0;
  out.link_type = interfaces_[0].link_type;
  out.offset = at_;
  at_ += kPcapRecordBytes + length;
  return Step::Frame;
}

CaptureReader::Step CaptureReader::next_block(CaptureFrame& out) noexcept {
  const std::size_t at = at_;
  const std::size_t left = size_ - at;
  if (left < 12) return fail(FaultKind::PastEnd, at, 12, left);
  const bool is_section = wire::load32(bytes_ + at) == kSectionHeader;
  if (is_section) {
    const std::uint32_t magic = wire::load32(bytes_ + at + 8);
    is_big_endian_ = magic == kByteOrderMagic;
    if (!is_big_endian_ && wire::swap32(magic) != kByteOrderMagic) {
      return fail(FaultKind::ByteOrder, at, magic, 0);
    }
  }
  const std::uint32_t type = read32(at);
  const std::uint32_t length = read32(at + 4);
  if (length < 12 || length % 4 != 0) return fail(FaultKind::BadLength, at, length, left);
  if (length > left) return fail(FaultKind::PastEnd, at, length, left);
  const std::uint32_t trailer = read32(at + length - 4);
  if (trailer != length) return fail(FaultKind::Trailer, at, length, trailer);
  at_ = at + length;
  if (is_section) return section(at, length);
  if (type == kInterfaceDescription) return interface(at, length);
  if (type == kEnhancedPacket || type == kSimplePacket || type == kObsoletePacket) {
    return packet_block(type, at, length, out);
  }
  return Step::Other;
}

CaptureReader::Step CaptureReader::section(std::size_t at, std::size_t length) noexcept {
  if (length < 28) return fail(FaultKind::BadLength, at, length, 28);
  const std::uint16_t major = read16(at + 12);
  if (major != 1) return fail(FaultKind::Version, at, major, 1);
  interfaces_.clear();
  return Step::Other;
}

CaptureReader::Step CaptureReader::interface(std::size_t at, std::size_t length) noexcept {
  if (length < 20) return fail(FaultKind::BadLength, at, length, 20);
  if (interfaces_.size() == kInterfacesMax) {
    return fail(FaultKind::TooManyInterfaces, at, kInterfacesMax + 1, kInterfacesMax);
  }
  Interface interface;
  interface.link_type = LinkType{read16(at + 8)};
  interface.snap_length = read32(at + 12);
  const std::size_t end = at + length - 4;
  for (std::size_t next = at + 16; next < end;) {
    if (!option(interface, next, end, next)) return Step::Fault;
  }
  interfaces_.push_back(interface);  // within what start() has reserved
  return Step::Other;
}

bool CaptureReader::option(Interface& interface, std::size_t at, std::size_t end,
                           std::size_t& next) noexcept {
  // Blocks are multiples of 4 long, so a code and a length are there.
  const std::uint16_t code = read16(at);
  const std::uint16_t length = read16(at + 2);
  const std::size_t padded = (std::size_t{length} + 3) & ~std::size_t{3};
  next = at + 4 + padded;
  if (code == kOptionEnd) {
    next = end;
    return true;
  }
  if (padded > end - at - 4) {
    fail(FaultKind::Option, at, length, end - at - 4, "option");
    return false;
  }
  if (code == kOptionResolution && length == 1) interface.resolution = wire::load8(bytes_ + at + 4);
  if (code == kOptionOffset && length == 8) {
    const std::uint64_t low = read32(at + (is_big_endian_ ? 8 : 4));
    const std::uint64_t high = read32(at + (is_big_endian_ ? 4 : 8));
    interface.offset_seconds = static_cast<std::int64_t>(high << 32 | low);
  }
  return true;
}

CaptureReader::Step CaptureReader::packet_block(std::uint32_t type, std::size_t at,
                                                std::size_t length, CaptureFrame& out) noexcept {
  const bool is_simple = type == kSimplePacket;
  const std::size_t header = is_simple ? 12 : 28;
  if (length < header + 4) return fail(FaultKind::BadLength, at, length, header + 4);
  const std::size_t room = length - header - 4;
  std::uint32_t index = 0;
  if (type == kEnhancedPacket) index = read32(at + 8);
  if (type == kObsoletePacket) index = read16(at + 8);
  if (index >= interfaces_.size()) {
    return fail(FaultKind::NoInterface, at, index, interfaces_.size());
  }
  const Interface& interface = interfaces_[index];
  std::size_t captured = 0;
  std::size_t original = 0;
  if (is_simple) {
    original = read32(at + 8);
    captured = std::min(original, room);
    if (interface.snap_length != 0)
      captured = std::min<std::size_t>(captured, interface.snap_length);
  } else {
    captured = read32(at + 20);
    original = read32(at + 24);
    if (captured > room) return fail(FaultKind::PacketPastBlock, at, captured, room);
    const std::uint64_t ticks = std::uint64_t{read32(at + 12)} << 32 | read32(at + 16);
    last_time_ = time_of(interface, ticks);
  }
  out.data = bytes_ + at + header;
  out.length = captured;
  out.original_length = original;
  out.time = last_time_;
  out.interface = index;
  out.link_type = interface.link_type;
  out.offset = at;
  return Step::Frame;
}

Nanoseconds CaptureReader::time_of(const Interface& interface, std::uint64_t ticks) noexcept {
  using Wide = unsigned __int128;
  constexpr Wide kMax = std::numeric_limits<Nanoseconds>::max();
  const unsigned exponent = interface.resolution & 0x7f;
  Wide time = Wide{ticks} * kSecond;
  if ((interface.resolution & 0x80) != 0) {
    time >>= exponent;
  } else if (exponent > 38) {
    time = 0;  // finer than a wide number divides, and than any clock
  } else {
    Wide divisor = 1;
    for (unsigned i = 0; i < exponent; ++i) divisor *= 10;
    time /= divisor;
  }
  time = std::min(time, kMax);
  // Within 2^63 seconds × 10^9 on either side, so that the signed sum cannot overflow.
  const __int128 shifted = static_cast<__int128>(time) +
                           static_cast<__int128>(interface.offset_seconds) * std::int64_t{kSecond};
  if (shifted < 0) return 0;
  return static_cast<Nanoseconds>(std::min(static_cast<Wide>(shifted), kMax));
}

bool CaptureReader::is_cut() const noexcept {
  // No program writes larger records: there, it is the length that is broken.
  constexpr std::uint64_t kRecordBytesMax = std::uint64_t{1} << 20;
  return fault_.kind == FaultKind::PastEnd && fault_.claimed <= kRecordBytesMax;
}

Error CaptureReader::error() const {
  const auto number = [](std::uint64_t value) { return std::to_string(value); };
  const std::string at = std::string(fault_.record) + " at byte " + number(fault_.offset);
  const std::string claimed = number(fault_.claimed);
  const std::string available = number(fault_.available);
  std::string text;
  switch (fault_.kind) {
    case FaultKind::None:
      text = "nothing is wrong up to byte " + number(at_);
      break;
    case FaultKind::PastEnd:
      text = at + " says " + claimed + " bytes, but the file ends " + available + " bytes later";
      break;
    case FaultKind::BadLength:
      text = at + " says " + claimed + " bytes, which no block of its type can have";
      break;
    case FaultKind::Trailer:
      text = at + " says " + claimed + " bytes at its start and " + available + " at its end";
      break;
    case FaultKind::ByteOrder:
      text = at + " starts a section without a byte-order magic";
      break;
    case FaultKind::Version:
      text = at + " starts a section of version " + claimed + ", and only 1 is known";
      break;
    case FaultKind::Option:
      text = at + " says " + claimed + " bytes, but its block has room for " + available;
      break;
    case FaultKind::NoInterface:
      text = at + " names interface " + claimed + ", but only " + available + " are described";
      break;
    case FaultKind::TooManyInterfaces:
      text = at + " describes interface " + claimed + ", and " + available + " are the limit";
      break;
    case FaultKind::PacketPastBlock:
      text = at + " says " + claimed + " captured bytes, but has room for " + available;
      break;
  }
  return Error{name_ + ": " + text, "file"};
}

}  // namespace sluice
