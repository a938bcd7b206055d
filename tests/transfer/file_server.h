// A client on a fake server that keeps files in memory, in one of the ways in which servers do.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "sftp/client_fixture.h"

namespace ferry::transfer::testing {

struct FileServerFixture : sftp::testing::Fixture {
  using PacketType = sftp::wire::PacketType;
  using StatusCode = sftp::wire::StatusCode;
  using Request = sftp::testing::Request;

  enum class Kind : std::uint8_t {
    kUsual,
    kTruncates,     // opening for writing empties the file
    kOwnCopies,     // what is written through a handle is the file once it is closed
    kDeniesSecond,  // while one handle is open
    kFailsSecond,   // likewise, and says no more
    kOneObject,     // a file that is there cannot be opened for writing
    kInOrder,       // bytes come from the beginning to the end
    kAppends,       // wherever they were to go
  };
  Kind kind = Kind::kUsual;
  bool takes_files = true;
  bool is_full = false;  // files can be made, and nothing written
  std::map<std::string, std::string> files;
  std::size_t opened = 0;  // how often
  /// The connection ends in place of the answer to this request; counts from 1.
  std::size_t lost_at = 0;

  FileServerFixture() {
    on[PacketType::kOpen] = [this](const Request& request) { return open(request); };
    on[PacketType::kClose] = [this](const Request& request) { return close(request); };
    on[PacketType::kWrite] = [this](const Request& request) { return write(request); };
    on[PacketType::kRead] = [this](const Request& request) { return read(request); };
    on[PacketType::kRemove] = [this](const Request& request) { return remove(request); };
    on[PacketType::kStat] = [this](const Request& request) { return stat(request); };
  }

  /// The server and its files stay.
  void connect() {
    handles_.clear();
    seen_ = 0;
    client.reset();
    REQUIRE(start());
  }

 private:
  struct Open {
    std::string path;
    std::optional<std::string> copy = {};
  };
  class Body {
   public:
    explicit Body(const Request& request) : rest_(request.body) {}
    std::uint32_t u32() {
      const std::uint32_t value = sftp::testing::get_u32(rest_);
      rest_.remove_prefix(4);
      return value;
    }
    std::uint64_t u64() {
      const std::uint64_t high = u32();
      return high << 32 | u32();
    }
    std::string string() {
      const std::size_t size = u32();
      std::string text(rest_.substr(0, size));
      rest_.remove_prefix(size);
      return text;
    }

   private:
    std::string_view rest_;
  };

  std::string answer(const Request& request, StatusCode code) {
    if (is_lost()) return {};
    return sftp::testing::status(request.id, code);
  }
  bool is_lost() {
    if (++seen_ != lost_at) return false;
    server->close();
    return true;
  }
  std::string open(const Request& request) {
    Body body(request);
    const std::string path = body.string();
    const std::uint32_t flags = body.u32();
    const bool writes = (flags & sftp::kOpenWrite) != 0;
    const bool is_there = files.contains(path);
    if (!is_there && (flags & sftp::kOpenCreate) == 0) {
      return answer(request, StatusCode::kNoSuchFile);
    }
    if (writes && !takes_files) return answer(request, StatusCode::kPermissionDenied);
    if (kind == Kind::kDeniesSecond && !handles_.empty()) {
      return answer(request, StatusCode::kPermissionDenied);
    }
    if (kind == Kind::kFailsSecond && !handles_.empty()) {
      return answer(request, StatusCode::kFailure);
    }
    if (kind == Kind::kOneObject && writes && is_there) {
      return answer(request, StatusCode::kPermissionDenied);
    }
    if (!is_there || (writes && kind == Kind::kTruncates)) files[path] = {};
    const std::string handle = std::to_string(++opened);
    handles_[handle] = {.path = path};
    if (kind == Kind::kOwnCopies && writes) handles_[handle].copy = files[path];
    if (is_lost()) return {};
    return sftp::testing::handle(request.id, handle);
  }
  std::string close(const Request& request) {
    const auto found = handles_.find(Body(request).string());
    if (found == handles_.end()) return answer(request, StatusCode::kFailure);
    if (found->second.copy) files[found->second.path] = *found->second.copy;
    handles_.erase(found);
    return answer(request, StatusCode::kOk);
  }
  std::string write(const Request& request) {
    Body body(request);
    const auto found = handles_.find(body.string());
    if (found == handles_.end()) return answer(request, StatusCode::kFailure);
    std::string& file = found->second.copy ? *found->second.copy : files[found->second.path];
    std::uint64_t offset = body.u64();
    const std::string data = body.string();
    if (is_full) return answer(request, StatusCode::kFailure);
    if (kind == Kind::kInOrder && offset != file.size()) {
      return answer(request, StatusCode::kFailure);
    }
    if (kind == Kind::kAppends) offset = file.size();
    file.resize(std::max<std::size_t>(file.size(), offset + data.size()));
    file.replace(offset, data.size(), data);
    return answer(request, StatusCode::kOk);
  }
  std::string read(const Request& request) {
    Body body(request);
    const auto found = handles_.find(body.string());
    if (found == handles_.end()) return answer(request, StatusCode::kFailure);
    const std::string& file = files[found->second.path];
    const std::uint64_t offset = body.u64();
    const std::uint32_t size = body.u32();
    if (offset >= file.size()) return answer(request, StatusCode::kEof);
    if (is_lost()) return {};
    std::string rest;
    sftp::testing::put_u32(rest, request.id);
    sftp::testing::put_string(rest, std::string_view(file).substr(offset, size));
    return sftp::testing::packet(PacketType::kData, rest);
  }
  std::string remove(const Request& request) {
    const bool was_there = files.erase(Body(request).string()) > 0;
    return answer(request, was_there ? StatusCode::kOk : StatusCode::kNoSuchFile);
  }
  std::string stat(const Request& request) {
    const auto found = files.find(Body(request).string());
    if (found == files.end()) return answer(request, StatusCode::kNoSuchFile);
    if (is_lost()) return {};
    return sftp::testing::attributes_of_size(request.id,
                                             static_cast<std::uint32_t>(found->second.size()));
  }

  std::map<std::string, Open> handles_;
  std::size_t seen_ = 0;
};

}  // namespace ferry::transfer::testing
