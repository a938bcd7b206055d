#include "ferry/base/inotify.h"

#include <doctest/doctest.h>
#include <sys/inotify.h>

#include <cstring>

using namespace ferry;

namespace {

/// Builds what the kernel would deliver, byte by byte.
class Bytes {
 public:
  Bytes& event(int watch, std::uint32_t mask, const std::string& name = "",
               std::size_t length = 0) {
    put(watch);
    put(mask);
    put(std::uint32_t{0});  // cookie
    put(static_cast<std::uint32_t>(length));
    for (std::size_t i = 0; i < length; ++i) {
      bytes_.push_back(static_cast<std::byte>(i < name.size() ? name[i] : '\0'));
    }
    return *this;
  }
  Decoded decoded() const { return decode(bytes_); }
  Decoded decoded_first(std::size_t count) const { return decode(std::span(bytes_).first(count)); }
  std::size_t size() const { return bytes_.size(); }

 private:
  template <typename T>
  void put(T value) {
    const auto raw = std::as_bytes(std::span(&value, 1));
    bytes_.insert(bytes_.end(), raw.begin(), raw.end());
  }
  std::vector<std::byte> bytes_;
};

EventKind kind_of(std::uint32_t mask) {
  return Bytes().event(1, mask).decoded().events.at(0).kind;
}

}  // namespace

TEST_CASE("decode: nothing in, nothing out") {
  CHECK(decode({}).events.empty());
  CHECK_FALSE(decode({}).truncated);
}

TEST_CASE("decode: the name ends at the first NUL of its padding") {
  const auto event = Bytes().event(7, IN_CLOSE_WRITE, "a.csv", 16).decoded().events.at(0);
  CHECK(event.kind == EventKind::kWritten);
  CHECK(event.watch == 7);
  CHECK(event.name == "a.csv");
  CHECK_FALSE(event.directory);
}

TEST_CASE("decode: a name may fill its field without any NUL") {
  CHECK(Bytes().event(1, IN_DELETE, "abcd", 4).decoded().events.at(0).name == "abcd");
}

TEST_CASE("decode: every kind") {
  CHECK(kind_of(IN_CLOSE_WRITE) == EventKind::kWritten);
  CHECK(kind_of(IN_CREATE) == EventKind::kCreated);
  CHECK(kind_of(IN_MOVED_TO) == EventKind::kMovedIn);
  CHECK(kind_of(IN_MOVED_FROM) == EventKind::kMovedOut);
  CHECK(kind_of(IN_DELETE) == EventKind::kDeleted);
  CHECK(kind_of(IN_DELETE_SELF) == EventKind::kSelfDeleted);
  CHECK(kind_of(IN_MOVE_SELF) == EventKind::kSelfMoved);
  CHECK(kind_of(IN_UNMOUNT) == EventKind::kUnmounted);
  CHECK(kind_of(IN_IGNORED) == EventKind::kUnwatched);
  CHECK(kind_of(IN_ACCESS) == EventKind::kOther);
}

TEST_CASE("decode: an event about a directory says so") {
  const auto event = Bytes().event(1, IN_CREATE | IN_ISDIR, "d", 16).decoded().events.at(0);
  CHECK(event.kind == EventKind::kCreated);
  CHECK(event.directory);
}

TEST_CASE("decode: an overflow has no watch and no name") {
  const auto event = Bytes().event(-1, IN_Q_OVERFLOW).decoded().events.at(0);
  CHECK(event.kind == EventKind::kOverflow);
  CHECK(event.watch == -1);
  CHECK(event.name.empty());
}

TEST_CASE("decode: cut at every byte, the whole events before the cut are there") {
  Bytes bytes;
  bytes.event(1, IN_CLOSE_WRITE, "first", 16);
  const std::size_t first = bytes.size();
  bytes.event(2, IN_MOVED_TO, "second", 32);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    CAPTURE(cut);
    const Decoded decoded = bytes.decoded_first(cut);
    const std::size_t whole = cut < first ? 0 : cut < bytes.size() ? 1 : 2;
    CHECK(decoded.events.size() == whole);
    CHECK(decoded.truncated == (cut != 0 && cut != first && cut != bytes.size()));
  }
}

TEST_CASE("decode: a length beyond the buffer is a cut, not an access") {
  Bytes bytes;
  bytes.event(1, IN_CREATE, "x", 4096);
  CHECK(bytes.decoded_first(sizeof(inotify_event) + 8).truncated);
}
