// A Channel whose other end is a function in the test: it sees each request and says what bytes
// come back. For what no real server would do on demand.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ferry/sftp/channel.h"
#include "sftp/client/wire.h"

namespace ferry::sftp::testing {

inline void put_u32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

inline std::uint32_t get_u32(std::string_view bytes) {
  std::uint32_t value = 0;
  for (const char c : bytes.substr(0, 4)) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

inline void put_string(std::string& out, std::string_view text) {
  put_u32(out, static_cast<std::uint32_t>(text.size()));
  out.append(text);
}

inline std::string packet(wire::PacketType type, std::string_view rest) {
  std::string out;
  put_u32(out, static_cast<std::uint32_t>(1 + rest.size()));
  out.push_back(static_cast<char>(type));
  return out.append(rest);
}

inline std::string version(std::vector<std::pair<std::string, std::string>> extensions = {}) {
  std::string rest;
  put_u32(rest, 3);
  for (const auto& [name, value] : extensions) {
    put_string(rest, name);
    put_string(rest, value);
  }
  return packet(wire::PacketType::kVersion, rest);
}

/// limits@openssh.com: of a packet, a read, a write, and open handles.
inline std::string limits(std::uint32_t id, const std::array<std::uint32_t, 4>& values) {
  std::string rest;
  put_u32(rest, id);
  for (const std::uint32_t value : values) {
    put_u32(rest, 0);
    put_u32(rest, value);
  }
  return packet(wire::PacketType::kExtendedReply, rest);
}

inline std::string status(std::uint32_t id, wire::StatusCode code) {
  std::string rest;
  put_u32(rest, id);
  put_u32(rest, static_cast<std::uint32_t>(code));
  return packet(wire::PacketType::kStatus, rest);
}

inline std::string handle(std::uint32_t id, std::string_view bytes) {
  std::string rest;
  put_u32(rest, id);
  put_string(rest, bytes);
  return packet(wire::PacketType::kHandle, rest);
}

inline std::string attributes_of_size(std::uint32_t id, std::uint32_t size) {
  std::string rest;
  put_u32(rest, id);
  put_u32(rest, 1);  // SSH_FILEXFER_ATTR_SIZE
  put_u32(rest, 0);
  put_u32(rest, size);
  return packet(wire::PacketType::kAttrs, rest);
}

struct Request {
  wire::PacketType type{};
  std::uint32_t id = 0;
  std::string body;  // behind the id
};

class FakeServer final : public Channel {
 public:
  using Answer = std::function<std::string(const Request&)>;

  explicit FakeServer(Answer answer) : answer_(std::move(answer)) {}

  Result<std::size_t> read(std::span<std::byte> buffer) override {
    if (to_client_.empty() && closed_) {
      return make_error(ErrorKind::kConnectionLost, "the server closed the connection");
    }
    const std::size_t size = std::min(buffer.size(), to_client_.size());
    std::memcpy(buffer.data(), to_client_.data(), size);
    to_client_.erase(0, size);
    return size;
  }

  Result<std::size_t> write(std::span<const std::byte> data) override {
    // In odd pieces, to find who relies on whole ones.
    const std::size_t size = std::min<std::size_t>(data.size(), 1021);
    from_client_.append(reinterpret_cast<const char*>(data.data()), size);
    while (from_client_.size() >= 4 && from_client_.size() >= 4 + get_u32(from_client_)) take();
    return size;
  }

  void add_poll_fds(bool, std::vector<pollfd>&) const override {}

  /// The stream ends when all answers so far were read.
  void close() { closed_ = true; }
  void send(std::string_view bytes) { to_client_.append(bytes); }
  const std::vector<Request>& requests() const { return requests_; }

 private:
  void take() {
    const std::size_t length = get_u32(from_client_);
    const std::string bytes = from_client_.substr(4, length);
    from_client_.erase(0, 4 + length);
    Request request{.type = static_cast<wire::PacketType>(bytes[0]), .id = 0, .body = {}};
    if (request.type != wire::PacketType::kInit) {
      request.id = get_u32(std::string_view(bytes).substr(1));
      request.body = bytes.substr(5);
    }
    requests_.push_back(request);
    to_client_.append(answer_(request));
  }

  Answer answer_;
  std::string from_client_;
  std::string to_client_;
  std::vector<Request> requests_;
  bool closed_ = false;
};

}  // namespace ferry::sftp::testing
