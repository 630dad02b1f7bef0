// Capture files: a reader of pcap and pcapng as tcpdump, Wireshark and others write them, and
// a writer of pcapng. The reader trusts no byte of the file: every length is checked against
// what is there, and a fault says what is wrong at which byte. Start at CaptureReader::next().
// Threads: each object belongs to one thread at a time; CaptureWriter::share() makes a writer
// of the same file for another thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/types.h"

namespace sluice {

/// What lies before the IP packet of a frame; the numbers of https://www.tcpdump.org/linktypes.html
enum class LinkType : std::uint32_t {
  Null = 0,
  Ethernet = 1,
  RawBsd = 12,
  RawOpenBsd = 14,
  Raw = 101,
  Loop = 108,
  LinuxCooked = 113,
  Ipv4 = 228,
  Ipv6 = 229,
  LinuxCooked2 = 276,
};
bool is_supported(LinkType link_type) noexcept;

struct CaptureFrame {
  const std::byte* data;        ///< inside the reader's memory, valid as long as the reader
  std::size_t length;           ///< bytes captured
  std::size_t original_length;  ///< bytes on the wire
  Nanoseconds time;             ///< since 1970; of the frame before when the file has none
  std::uint32_t interface;      ///< index in the file's current section; 0 for pcap
  LinkType link_type;
  std::uint64_t offset;  ///< of the record, in bytes from the start of the file
};

/// Where the IP packet lies in a frame: [data + offset, + length), padding after it left out.
struct CapturedPacket {
  std::size_t offset;
  std::size_t length;  ///< bytes; less than IP says if the capture was cut
};

/// Strips the link header of a frame.
/// @param out  written only on success.
/// @return None, TruncatedPacket, UnknownEthertype (no IP) or BadIpVersion.
/// Bounds: two VLAN tags. Threads: any; pure.
DropReason find_ip_packet(const CaptureFrame& frame, CapturedPacket& out) noexcept;

class CaptureReader final {
 public:
  /// Other: a block without a frame was passed. Fault: the file is broken here; see error().
  enum class Step : std::uint8_t { Frame, Other, End, Fault };
  static constexpr std::size_t kInterfacesMax = 1024;

  /// Opens a file: maps a regular one, reads a pipe to its end (at most 1 GiB).
  /// Errors: cannot be read, empty, not a capture (compressed, say), an unsupported link type.
  static Result<std::unique_ptr<CaptureReader>> open(const std::string& path);
  /// Reads a file's content that outlives the reader; `name` is for messages.
  static Result<std::unique_ptr<CaptureReader>> over(std::span<const std::byte> content,
                                                     std::string name);
  ~CaptureReader();
  CaptureReader(const CaptureReader&) = delete;
  CaptureReader& operator=(const CaptureReader&) = delete;

  /// Goes one record or block on, and after End or Fault stays there; `out` is written only
  /// for Frame. Bounds: constant time but for an interface's options. Does not allocate.
  Step next(CaptureFrame& out) noexcept;
  /// What next() found wrong, for people; meaningful after Fault.
  Error error() const;
  /// Whether a Fault is just the file's end inside its last record, as a program that was killed
  /// leaves it, and what came before is all good.
  bool is_cut() const noexcept;
  /// First byte of the record that a Fault is about.
  std::uint64_t fault_offset() const noexcept { return fault_.offset; }
  const std::string& name() const noexcept { return name_; }

 private:
  enum class FaultKind : std::uint8_t {
    None,
    PastEnd,
    BadLength,
    Trailer,
    ByteOrder,
    Version,
    Option,
    NoInterface,
    TooManyInterfaces,
    PacketPastBlock
  };
  struct Fault {
    FaultKind kind = FaultKind::None;
    const char* record = "block";
    std::uint64_t offset = 0;
    std::uint64_t claimed = 0;
    std::uint64_t available = 0;
  };
  struct Interface {
    LinkType link_type = LinkType::Ethernet;
    std::uint32_t snap_length = 0;  ///< 0: no limit
    std::uint8_t resolution = 6;    ///< bit 7: a power of 2, else of 10
    std::int64_t offset_seconds = 0;
  };

  explicit CaptureReader(std::string name) : name_(std::move(name)) {}
  Status load(const std::string& path);
  Status load_stream(int fd, const std::string& path);
  Status start();
  Step next_record(CaptureFrame& out) noexcept;
  Step next_block(CaptureFrame& out) noexcept;
  Step section(std::size_t at, std::size_t length) noexcept;
  Step interface(std::size_t at, std::size_t length) noexcept;
  Step packet_block(std::uint32_t type, std::size_t at, std::size_t length,
                    CaptureFrame& out) noexcept;
  bool option(Interface& interface, std::size_t at, std::size_t end, std::size_t& next) noexcept;
  Step fail(FaultKind kind, std::uint64_t offset, std::uint64_t claimed, std::uint64_t available,
            const char* record = "block") noexcept;
  std::uint16_t read16(std::size_t at) const noexcept;
  std::uint32_t read32(std::size_t at) const noexcept;
  static Nanoseconds time_of(const Interface& interface, std::uint64_t ticks) noexcept;

  std::string name_;
  const std::byte* bytes_ = nullptr;
  std::size_t size_ = 0;
  std::size_t mapped_ = 0;          ///< bytes to unmap, 0: not mapped
  std::vector<std::byte> content_;  ///< of a pipe
  std::vector<Interface> interfaces_;
  std::size_t at_ = 0;
  Nanoseconds last_time_ = 0;
  Fault fault_;
  bool is_pcapng_ = false;
  bool is_big_endian_ = false;
  bool has_nanoseconds_ = false;
};

/// Writes whole IP packets (link type Raw) with nanoseconds into a pcapng file.
class CaptureWriter final {
 public:
  static constexpr std::size_t kBufferBytes = 256 * 1024;
  static constexpr std::size_t kFrameBytesMax = 128 * 1024;

  /// Makes the file anew, readable by its owner alone, with one interface per name.
  /// Errors: cannot be created or written.
  static Result<std::unique_ptr<CaptureWriter>> create(const std::string& path,
                                                       std::span<const std::string> interfaces);
  /// A second writer of the same file with a buffer of its own: blocks of both are whole, and
  /// in the order in which the buffers are flushed.
  Result<std::unique_ptr<CaptureWriter>> share() const;
  ~CaptureWriter();
  CaptureWriter(const CaptureWriter&) = delete;
  CaptureWriter& operator=(const CaptureWriter&) = delete;

  /// Adds one packet to the buffer, which is written out when full. `interface` is an index
  /// into the names; what exceeds kFrameBytesMax is cut. Returns false, and keeps doing so,
  /// once the file could not be written.
  bool append(std::uint32_t interface, Nanoseconds time, const std::byte* data,
              std::size_t length) noexcept;
  /// Writes the buffer out. False: the file could not be written; see error().
  bool flush() noexcept;
  std::size_t buffered() const noexcept { return used_; }
  /// Why the file could not be written; meaningful after a false.
  Error error() const;

 private:
  explicit CaptureWriter(std::string path) : path_(std::move(path)) {}

  std::string path_;
  int fd_ = -1;
  int errno_ = 0;
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t used_ = 0;
};

}  // namespace sluice
