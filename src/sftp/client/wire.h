// SFTP version 3 packets as bytes. Pure: no I/O, no state.
//
// A packet is: uint32 length | byte type | uint32 id | body   (INIT and VERSION have no id)
// Requests are appended to a ByteQueue; replies are parsed from bytes that nobody trusts: every
// length is checked against what is there, and nothing is believed beyond the packet's end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/sftp/protocol.h"
#include "sftp/client/byte_queue.h"

namespace ferry::sftp::wire {

enum class PacketType : std::uint8_t {
  kInit = 1,
  kVersion = 2,
  kOpen = 3,
  kClose = 4,
  kRead = 5,
  kWrite = 6,
  kLstat = 7,
  kFstat = 8,
  kSetstat = 9,
  kOpendir = 11,
  kReaddir = 12,
  kRemove = 13,
  kMkdir = 14,
  kRealpath = 16,
  kStat = 17,
  kRename = 18,
  kStatus = 101,
  kHandle = 102,
  kData = 103,
  kName = 104,
  kAttrs = 105,
  kExtended = 200,
  kExtendedReply = 201,
};

/// SSH_FX_*.
enum class StatusCode : std::uint32_t {
  kOk = 0,
  kEof = 1,
  kNoSuchFile = 2,
  kPermissionDenied = 3,
  kFailure = 4,
  kBadMessage = 5,
  kNoConnection = 6,
  kConnectionLost = 7,
  kOpUnsupported = 8,
};

constexpr std::uint32_t kProtocolVersion = 3;
/// OpenSSH's own limit (SFTP_MAX_MSG_LENGTH); a longer reply is an attack or an accident.
constexpr std::size_t kMaxReplyBytes = 256 * 1024;
constexpr std::size_t kMaxHandleBytes = 256;
constexpr std::size_t kMaxNameBytes = 4096;  // of a name in a directory; Linux takes 255

constexpr std::string_view kPosixRename = "posix-rename@openssh.com";
constexpr std::string_view kFsync = "fsync@openssh.com";
constexpr std::string_view kLimits = "limits@openssh.com";
constexpr std::string_view kStatvfs = "statvfs@openssh.com";
constexpr std::string_view kHardlink = "hardlink@openssh.com";

// Requests.

void append_init(ByteQueue& out);
void append_open(ByteQueue& out, std::uint32_t id, std::string_view path, std::uint32_t flags,
                 std::uint32_t permissions);
/// A request with one string: CLOSE, FSTAT and READDIR (a handle), REMOVE, STAT, LSTAT,
/// OPENDIR and REALPATH (a path).
void append_simple(ByteQueue& out, PacketType type, std::uint32_t id, std::string_view argument);
/// SETSTAT of permissions and times, as far as ATTRIBUTES have them.
void append_set_attributes(ByteQueue& out, std::uint32_t id, std::string_view path,
                           const Attributes& attributes);
void append_mkdir(ByteQueue& out, std::uint32_t id, std::string_view path);
void append_rename(ByteQueue& out, std::uint32_t id, std::string_view from, std::string_view to);
/// EXTENDED with one or two string arguments, as all the extensions that we use have.
void append_extended(ByteQueue& out, std::uint32_t id, std::string_view name,
                     std::initializer_list<std::string_view> arguments);
/// All of a WRITE but its data, of which SIZE bytes must follow.
void append_write_header(ByteQueue& out, std::uint32_t id, std::string_view handle,
                         std::uint64_t offset, std::uint32_t size);
std::size_t write_header_bytes(std::string_view handle);
void append_read(ByteQueue& out, std::uint32_t id, std::string_view handle, std::uint64_t offset,
                 std::uint32_t size);

// Replies. All parse errors are of kind kProtocol.

/// Size of the first whole packet in BYTES, length field included; 0 if more bytes are needed.
Result<std::size_t> packet_size(std::span<const std::byte> bytes);

struct Packet {
  PacketType type{};
  std::uint32_t id = 0;             // 0 for VERSION
  std::span<const std::byte> body;  // behind the id; points into the bytes that were parsed
};
/// PACKET is one whole packet.
Result<Packet> parse_packet(std::span<const std::byte> packet);

struct Version {
  std::uint32_t version = 0;
  std::map<std::string, std::string> extensions;  // name → version, as the server writes it
};
Result<Version> parse_version(const Packet& packet);

struct Status {
  StatusCode code{};
  std::string message;  // made fit to print
};
Result<Status> parse_status(const Packet& packet);
Result<Handle> parse_handle(const Packet& packet);
Result<Attributes> parse_attributes(const Packet& packet);
Result<std::string> parse_single_name(const Packet& packet);  // REALPATH's answer
/// READDIR's answer, without "." and ".."; nothing at the end of the directory.
Result<std::optional<std::vector<DirectoryEntry>>> parse_names(const Packet& packet);
Result<ServerLimits> parse_limits(const Packet& packet);
/// READ's answer; points into the packet. No bytes: the end of the file.
Result<std::span<const std::byte>> parse_data(const Packet& packet);
Result<FileSystemSpace> parse_statvfs(const Packet& packet);

/// The error that a status other than kOk means.
Error status_error(const Status& status);

}  // namespace ferry::sftp::wire
