#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "port/capture/capture_file.h"
#include "port/capture/pcapng_blocks.h"

namespace sluice {

namespace {
constexpr std::uint32_t kBlockMax = CaptureWriter::kFrameBytesMax + 64;
}  // namespace

Result<std::unique_ptr<CaptureWriter>> CaptureWriter::create(
    const std::string& path, std::span<const std::string> interfaces) {
  std::unique_ptr<CaptureWriter> writer(new CaptureWriter(path));
  writer->buffer_ = std::make_unique_for_overwrite<std::byte[]>(kBufferBytes);
  // Appending makes each write of whole blocks one step, whoever else writes.
  writer->fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  if (writer->fd_ < 0) {
    return Error{path + ": cannot be created: " + std::strerror(errno), "output_file"};
  }
  PcapngBlocks section(writer->buffer_.get());
  section.section();
  writer->used_ = section.bytes();
  for (const std::string& name : interfaces) {
    if (kBufferBytes - writer->used_ < PcapngBlocks::kInterfaceMax && !writer->flush()) break;
    PcapngBlocks blocks(writer->buffer_.get() + writer->used_);
    blocks.interface(name);
    writer->used_ += blocks.bytes();
  }
  if (!writer->flush()) return writer->error();
  return writer;
}

Result<std::unique_ptr<CaptureWriter>> CaptureWriter::share() const {
  std::unique_ptr<CaptureWriter> writer(new CaptureWriter(path_));
  writer->buffer_ = std::make_unique_for_overwrite<std::byte[]>(kBufferBytes);
  writer->fd_ = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
  if (writer->fd_ < 0) {
    return Error{path_ + ": cannot be opened twice: " + std::strerror(errno), "output_file"};
  }
  return writer;
}

CaptureWriter::~CaptureWriter() {
  if (fd_ < 0) return;
  flush();
  ::close(fd_);
}

bool CaptureWriter::append(std::uint32_t interface, Nanoseconds time, const std::byte* data,
                           std::size_t length) noexcept {
  if (kBufferBytes - used_ < kBlockMax && !flush()) return false;
  if (errno_ != 0) return false;
  PcapngBlocks blocks(buffer_.get() + used_);
  blocks.packet({.interface = interface, .time = time, .length = length},
                {data, std::min(length, kFrameBytesMax)});
  used_ += blocks.bytes();
  return true;
}

bool CaptureWriter::flush() noexcept {
  for (std::size_t done = 0; errno_ == 0 && done < used_;) {
    const ssize_t n = ::write(fd_, buffer_.get() + done, used_ - done);
    if (n >= 0) {
      done += static_cast<std::size_t>(n);
    } else if (errno != EINTR) {
      errno_ = errno;
    }
  }
  used_ = 0;
  return errno_ == 0;
}

Error CaptureWriter::error() const {
  return Error{path_ + ": cannot be written: " + std::strerror(errno_), "output_file"};
}

}  // namespace sluice
