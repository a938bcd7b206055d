#include "sftp/client/wire.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "ferry/base/file.h"
#include "ferry/base/text.h"

namespace ferry::sftp::wire {
namespace {

constexpr std::size_t kLengthBytes = 4;

/// Writes big-endian fields into space that was reserved for exactly them.
class Encoder {
 public:
  explicit Encoder(std::span<std::byte> space) : next_(space.data()) {}

  Encoder& u8(std::uint8_t value) { return integer(value); }
  Encoder& u32(std::uint32_t value) { return integer(value); }
  Encoder& u64(std::uint64_t value) { return integer(value); }
  Encoder& string(std::string_view text) {
    u32(static_cast<std::uint32_t>(text.size()));
    if (!text.empty()) std::memcpy(next_, text.data(), text.size());
    next_ += text.size();
    return *this;
  }

 private:
  template <typename Integer>
  Encoder& integer(Integer value) {
    for (std::size_t i = sizeof value; i-- > 0;) {
      *next_++ = static_cast<std::byte>(value >> (8 * i));
    }
    return *this;
  }

  std::byte* next_;
};

std::size_t string_bytes(std::string_view text) {
  return 4 + text.size();
}

/// Starts a request whose body has BODY_BYTES (of which FOLLOWING come later, from elsewhere).
Encoder begin_request(ByteQueue& out, PacketType type, std::uint32_t id, std::size_t body_bytes,
                      std::size_t following = 0) {
  const std::size_t length = 1 + 4 + body_bytes;
  const std::size_t here = kLengthBytes + length - following;
  Encoder encoder(out.prepare(here));
  out.commit(here);
  encoder.u32(static_cast<std::uint32_t>(length)).u8(static_cast<std::uint8_t>(type)).u32(id);
  return encoder;
}

/// Reads big-endian fields; the first one that does not fit makes it fail for good.
class Decoder {
 public:
  explicit Decoder(std::span<const std::byte> bytes) : rest_(bytes) {}

  std::uint32_t u32() { return static_cast<std::uint32_t>(integer(4)); }
  std::uint64_t u64() { return integer(8); }
  std::string_view string() {
    const std::uint32_t size = u32();
    if (!good_ || size > rest_.size()) {
      good_ = false;
      return {};
    }
    const std::string_view text(reinterpret_cast<const char*>(rest_.data()), size);
    rest_ = rest_.subspan(size);
    return text;
  }

  bool good() const { return good_; }
  bool at_end() const { return rest_.empty(); }

 private:
  std::uint64_t integer(std::size_t size) {
    if (!good_ || rest_.size() < size) {
      good_ = false;
      return 0;
    }
    std::uint64_t value = 0;
    for (const std::byte byte : rest_.first(size)) {
      value = value << 8 | std::to_integer<std::uint64_t>(byte);
    }
    rest_ = rest_.subspan(size);
    return value;
  }

  std::span<const std::byte> rest_;
  bool good_ = true;
};

Error malformed(std::string_view what) {
  return make_error(ErrorKind::kProtocol, "the server sent a malformed {} packet", what);
}

Result<void> expect(const Packet& packet, PacketType type, std::string_view name) {
  if (packet.type == type) return {};
  return make_error(ErrorKind::kProtocol, "the server answered with packet type {} instead of {}",
                    static_cast<int>(packet.type), name);
}

std::string_view name_of(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return "ok";
    case StatusCode::kEof:
      return "end of file";
    case StatusCode::kNoSuchFile:
      return "no such file";
    case StatusCode::kPermissionDenied:
      return "permission denied";
    case StatusCode::kFailure:
      return "failure";
    case StatusCode::kBadMessage:
      return "bad message";
    case StatusCode::kNoConnection:
      return "no connection";
    case StatusCode::kConnectionLost:
      return "connection lost";
    case StatusCode::kOpUnsupported:
      return "operation unsupported";
  }
  return "unknown status";
}

ErrorKind kind_of(StatusCode code) {
  switch (code) {
    case StatusCode::kNoSuchFile:
      return ErrorKind::kNotFound;
    case StatusCode::kPermissionDenied:
      return ErrorKind::kDenied;
    case StatusCode::kNoConnection:
    case StatusCode::kConnectionLost:
      return ErrorKind::kConnectionLost;
    default:
      return ErrorKind::kFailed;
  }
}

}  // namespace

void append_init(ByteQueue& out) {
  constexpr std::size_t kInitBytes = 9;
  Encoder encoder(out.prepare(kInitBytes));
  out.commit(kInitBytes);
  encoder.u32(5).u8(static_cast<std::uint8_t>(PacketType::kInit)).u32(kProtocolVersion);
}

void append_open(ByteQueue& out, std::uint32_t id, std::string_view path, std::uint32_t flags,
                 std::uint32_t permissions) {
  constexpr std::uint32_t kHasPermissions = 0x04;
  begin_request(out, PacketType::kOpen, id, string_bytes(path) + 12)
      .string(path)
      .u32(flags)
      .u32(kHasPermissions)
      .u32(permissions);
}

void append_set_attributes(ByteQueue& out, std::uint32_t id, std::string_view path,
                           const Attributes& attributes) {
  constexpr std::uint32_t kHasPermissions = 0x04;
  constexpr std::uint32_t kHasTimes = 0x08;
  constexpr std::uint32_t kModeBits = 07777;
  const auto& [size, permissions, modified] = attributes;
  const std::size_t bytes = 4 + (permissions ? 4 : 0) + (modified ? 8 : 0);
  Encoder encoder = begin_request(out, PacketType::kSetstat, id, string_bytes(path) + bytes);
  encoder.string(path).u32((permissions ? kHasPermissions : 0) | (modified ? kHasTimes : 0));
  if (permissions) encoder.u32(*permissions & kModeBits);
  if (modified) encoder.u32(*modified).u32(*modified);
}

void append_simple(ByteQueue& out, PacketType type, std::uint32_t id, std::string_view argument) {
  begin_request(out, type, id, string_bytes(argument)).string(argument);
}

void append_mkdir(ByteQueue& out, std::uint32_t id, std::string_view path) {
  begin_request(out, PacketType::kMkdir, id, string_bytes(path) + 4).string(path).u32(0);
}

void append_rename(ByteQueue& out, std::uint32_t id, std::string_view from, std::string_view to) {
  begin_request(out, PacketType::kRename, id, string_bytes(from) + string_bytes(to))
      .string(from)
      .string(to);
}

void append_extended(ByteQueue& out, std::uint32_t id, std::string_view name,
                     std::initializer_list<std::string_view> arguments) {
  std::size_t size = string_bytes(name);
  for (const std::string_view argument : arguments) size += string_bytes(argument);
  Encoder encoder = begin_request(out, PacketType::kExtended, id, size);
  encoder.string(name);
  for (const std::string_view argument : arguments) encoder.string(argument);
}

std::size_t write_header_bytes(std::string_view handle) {
  return kLengthBytes + 1 + 4 + string_bytes(handle) + 8 + 4;
}

void append_write_header(ByteQueue& out, std::uint32_t id, std::string_view handle,
                         std::uint64_t offset, std::uint32_t size) {
  begin_request(out, PacketType::kWrite, id, string_bytes(handle) + 8 + 4 + size, size)
      .string(handle)
      .u64(offset)
      .u32(size);
}

void append_read(ByteQueue& out, std::uint32_t id, std::string_view handle, std::uint64_t offset,
                 std::uint32_t size) {
  begin_request(out, PacketType::kRead, id, string_bytes(handle) + 8 + 4)
      .string(handle)
      .u64(offset)
      .u32(size);
}

Result<std::size_t> packet_size(std::span<const std::byte> bytes) {
  Decoder decoder(bytes);
  const std::uint32_t length = decoder.u32();
  if (!decoder.good()) return std::size_t{0};
  if (length == 0 || length > kMaxReplyBytes) {
    return make_error(ErrorKind::kProtocol,
                      "the server announced a packet of {} bytes; something other than an SFTP "
                      "server may answer there (output of a login script?)",
                      length);
  }
  const std::size_t total = kLengthBytes + length;
  return bytes.size() < total ? std::size_t{0} : total;
}

Result<Packet> parse_packet(std::span<const std::byte> packet) {
  Packet result{.type = static_cast<PacketType>(packet[kLengthBytes]), .id = 0, .body = {}};
  const auto payload = packet.subspan(kLengthBytes + 1);
  if (result.type == PacketType::kVersion) {
    result.body = payload;
    return result;
  }
  Decoder decoder(payload);
  result.id = decoder.u32();
  if (!decoder.good()) return malformed("short");
  result.body = payload.subspan(4);
  return result;
}

Result<Version> parse_version(const Packet& packet) {
  if (auto type = expect(packet, PacketType::kVersion, "VERSION"); !type) return type.error();
  Decoder decoder(packet.body);
  Version result{.version = decoder.u32(), .extensions = {}};
  while (decoder.good() && !decoder.at_end()) {
    const std::string_view name = decoder.string();
    const std::string_view version = decoder.string();
    result.extensions.emplace(name, version);
  }
  if (!decoder.good()) return malformed("VERSION");
  return result;
}

Result<Status> parse_status(const Packet& packet) {
  if (auto type = expect(packet, PacketType::kStatus, "STATUS"); !type) return type.error();
  Decoder decoder(packet.body);
  Status status{.code = static_cast<StatusCode>(decoder.u32()), .message = {}};
  if (!decoder.good()) return malformed("STATUS");
  // Some servers leave out the message and its language.
  if (!decoder.at_end()) status.message = excerpt(decoder.string());
  return status;
}

Result<Handle> parse_handle(const Packet& packet) {
  if (auto type = expect(packet, PacketType::kHandle, "HANDLE"); !type) return type.error();
  Decoder decoder(packet.body);
  const std::string_view bytes = decoder.string();
  if (!decoder.good() || bytes.size() > kMaxHandleBytes) return malformed("HANDLE");
  return Handle{std::string(bytes)};
}

namespace {

Attributes read_attributes(Decoder& decoder) {
  constexpr std::uint32_t kHasSize = 0x01;
  constexpr std::uint32_t kHasOwner = 0x02;
  constexpr std::uint32_t kHasPermissions = 0x04;
  constexpr std::uint32_t kHasTimes = 0x08;
  constexpr std::uint32_t kHasExtended = 0x80000000;
  Attributes result;
  const std::uint32_t flags = decoder.u32();
  if (flags & kHasSize) result.size = decoder.u64();
  if (flags & kHasOwner) decoder.u64();
  if (flags & kHasPermissions) result.permissions = decoder.u32();
  if (flags & kHasTimes) {
    decoder.u32();  // last access
    result.modified = decoder.u32();
  }
  if (flags & kHasExtended) {
    const std::uint32_t count = decoder.u32();
    for (std::uint32_t i = 0; i < count && decoder.good(); ++i) {
      decoder.string();  // name
      decoder.string();  // value
    }
  }
  return result;
}

}  // namespace

Result<Attributes> parse_attributes(const Packet& packet) {
  if (auto type = expect(packet, PacketType::kAttrs, "ATTRS"); !type) return type.error();
  Decoder decoder(packet.body);
  const Attributes result = read_attributes(decoder);
  if (!decoder.good()) return malformed("ATTRS");
  return result;
}

Result<std::optional<std::vector<DirectoryEntry>>> parse_names(const Packet& packet) {
  if (packet.type == PacketType::kStatus) {
    const auto status = parse_status(packet);
    if (!status) return status.error();
    if (status->code == StatusCode::kEof) return std::optional<std::vector<DirectoryEntry>>();
    return status_error(*status);
  }
  if (auto type = expect(packet, PacketType::kName, "NAME"); !type) return type.error();
  Decoder decoder(packet.body);
  const std::uint32_t count = decoder.u32();
  std::vector<DirectoryEntry> entries;
  for (std::uint32_t i = 0; i < count && decoder.good(); ++i) {
    const std::string_view name = decoder.string();
    decoder.string();  // the line that ls(1) would print
    DirectoryEntry entry{.name = std::string(name), .attributes = read_attributes(decoder)};
    if (!decoder.good() || name == "." || name == "..") continue;
    const bool leads_elsewhere = name.find_first_of(std::string_view("/\0", 2)) != name.npos;
    if (name.empty() || leads_elsewhere || name.size() > kMaxNameBytes) {
      return malformed("NAME");
    }
    entries.push_back(std::move(entry));
  }
  if (!decoder.good()) return malformed("NAME");
  return std::optional(std::move(entries));
}

Result<std::string> parse_single_name(const Packet& packet) {
  if (auto type = expect(packet, PacketType::kName, "NAME"); !type) return type.error();
  Decoder decoder(packet.body);
  const std::uint32_t count = decoder.u32();
  const std::string_view name = decoder.string();
  if (!decoder.good() || count != 1) return malformed("NAME");
  return std::string(name);
}

Result<ServerLimits> parse_limits(const Packet& packet) {
  if (auto type = expect(packet, PacketType::kExtendedReply, "EXTENDED_REPLY"); !type) {
    return type.error();
  }
  Decoder decoder(packet.body);
  ServerLimits limits;
  limits.max_packet_bytes = decoder.u64();
  limits.max_read_bytes = decoder.u64();
  limits.max_write_bytes = decoder.u64();
  limits.max_open_handles = decoder.u64();
  if (!decoder.good()) return malformed("limits");
  return limits;
}

Result<std::span<const std::byte>> parse_data(const Packet& packet) {
  if (packet.type == PacketType::kStatus) {
    const auto status = parse_status(packet);
    if (!status) return status.error();
    if (status->code == StatusCode::kEof) return std::span<const std::byte>();
    return status_error(*status);
  }
  if (auto type = expect(packet, PacketType::kData, "DATA"); !type) return type.error();
  Decoder decoder(packet.body);
  const std::string_view data = decoder.string();
  if (!decoder.good()) return malformed("DATA");
  return as_bytes(data);
}

Result<FileSystemSpace> parse_statvfs(const Packet& packet) {
  if (auto type = expect(packet, PacketType::kExtendedReply, "EXTENDED_REPLY"); !type) {
    return type.error();
  }
  Decoder decoder(packet.body);
  decoder.u64();  // f_bsize
  const std::uint64_t fragment_bytes = decoder.u64();
  decoder.u64();  // f_blocks
  decoder.u64();  // f_bfree
  const std::uint64_t available = decoder.u64();
  if (!decoder.good()) return malformed("statvfs");
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow(fragment_bytes, available, &bytes)) {
    bytes = std::numeric_limits<std::uint64_t>::max();
  }
  return FileSystemSpace{.available_bytes = bytes};
}

Error status_error(const Status& status) {
  std::string text(name_of(status.code));
  // OpenSSH repeats the code's name as its message ("Failure", "No such file").
  const bool repeats = std::ranges::equal(status.message, text, [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? a + ('a' - 'A') : a) == b;
  });
  if (!status.message.empty() && !repeats) text += " (" + status.message + ")";
  // It is what OpenSSH makes of EINVAL.
  if (status.code == StatusCode::kBadMessage) text += ": does its file system take such a name?";
  return make_error(kind_of(status.code), "{}", text);
}

}  // namespace ferry::sftp::wire
