#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "port/capture/capture_file.h"

namespace sluice {

namespace {
constexpr std::uint32_t kBlockMax = CaptureWriter::kFrameBytesMax + 64;
constexpr std::size_t kNameBytesMax = 256;
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
  writer->section_header();
  for (const std::string& name : interfaces) {
    if (kBufferBytes - writer->used_ < kNameBytesMax + 64 && !writer->flush()) break;
    writer->interface_description(name);
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
  const std::size_t captured = std::min(length, kFrameBytesMax);
  const auto padded = static_cast<std::uint32_t>((captured + 3) & ~std::size_t{3});
  const std::uint32_t block = 32 + padded;
  put32(6);  // enhanced packet block
  put32(block);
  put32(interface);
  put32(static_cast<std::uint32_t>(time >> 32));
  put32(static_cast<std::uint32_t>(time));
  put32(static_cast<std::uint32_t>(captured));
  put32(static_cast<std::uint32_t>(length));
  put(data, captured);
  put32(block);
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

void CaptureWriter::put16(std::uint16_t value) noexcept {
  std::memcpy(buffer_.get() + used_, &value, sizeof(value));
  used_ += sizeof(value);
}

void CaptureWriter::put32(std::uint32_t value) noexcept {
  std::memcpy(buffer_.get() + used_, &value, sizeof(value));
  used_ += sizeof(value);
}

// Padded with zeros to a multiple of 4, as everything in a block is.
void CaptureWriter::put(const void* bytes, std::size_t n) noexcept {
  if (n != 0) std::memcpy(buffer_.get() + used_, bytes, n);
  used_ += n;
  while (used_ % 4 != 0) buffer_[used_++] = std::byte{0};
}

void CaptureWriter::put_option(std::uint16_t code, const void* bytes, std::uint16_t n) noexcept {
  put16(code);
  put16(n);
  put(bytes, n);
}

void CaptureWriter::section_header() noexcept {
  constexpr std::uint32_t kBytes = 28 + 12 + 4;
  put32(0x0a0d0d0a);
  put32(kBytes);
  put32(0x1a2b3c4d);
  put16(1);
  put16(0);
  put32(0xffffffff);  // the section's length is not known
  put32(0xffffffff);
  put_option(4, "Sluice", 6);  // application
  put32(0);                    // end of options
  put32(kBytes);
}

void CaptureWriter::interface_description(const std::string& name) noexcept {
  const auto length = static_cast<std::uint16_t>(std::min(name.size(), kNameBytesMax));
  const std::uint8_t nanoseconds = 9;
  const std::size_t start = used_;
  put32(1);
  put32(0);  // the length, when it is known
  put16(static_cast<std::uint16_t>(LinkType::Raw));
  put16(0);
  put32(0);  // no snap length
  put_option(2, name.data(), length);
  put_option(9, &nanoseconds, 1);
  put32(0);
  const auto bytes = static_cast<std::uint32_t>(used_ - start + 4);
  put32(bytes);
  std::memcpy(buffer_.get() + start + 4, &bytes, sizeof(bytes));
}

}  // namespace sluice
