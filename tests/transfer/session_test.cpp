#include "transfer/deliver/session.h"

#include <doctest/doctest.h>

#include "sftp/fake_server.h"

namespace ferry::transfer {
namespace {

using sftp::wire::PacketType;

/// A channel that tells when it goes.
class Mortal final : public sftp::Channel {
 public:
  explicit Mortal(std::function<void()> on_end) : on_end_(std::move(on_end)) {}
  ~Mortal() override { on_end_(); }

  Result<std::size_t> read(std::span<std::byte> buffer) override { return server_.read(buffer); }
  Result<std::size_t> write(std::span<const std::byte> data) override {
    return server_.write(data);
  }
  void add_poll_fds(bool wants_write, std::vector<pollfd>& fds) const override {
    server_.add_poll_fds(wants_write, fds);
  }

 private:
  std::function<void()> on_end_;
  sftp::testing::FakeServer server_{
      [](const sftp::testing::Request&) { return sftp::testing::version(); }};
};

Session session_that_tells(StopToken& stop, std::function<void()> on_end) {
  Session session(stop);
  auto client = session.loop->wait_for(sftp::Client::start(
      std::make_unique<Mortal>(std::move(on_end)), sftp::ClientOptions(), *session.loop));
  REQUIRE(client);
  session.client = std::move(*client);
  return session;
}

TEST_CASE("a session whose place another takes goes before its event loop") {
  StopToken stop;
  const sftp::EventLoop* loop_at_end = nullptr;
  Session session(stop);
  session = session_that_tells(stop, [&] { loop_at_end = session.loop.get(); });
  const sftp::EventLoop* const loop = session.loop.get();
  session = session_that_tells(stop, [] {});
  CHECK(loop_at_end == loop);
  CHECK(session.loop.get() != loop);
}

}  // namespace
}  // namespace ferry::transfer
