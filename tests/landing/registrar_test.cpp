#include "landing/register/registrar.h"

#include <doctest/doctest.h>

#include "ferry/base/log.h"
#include "landing/fake_metastore.h"

using namespace ferry;
using namespace ferry::landing;
using namespace ferry::landing::test;

namespace {

struct Recorder {
  FakeMetastore store;
  Mailbox mailbox;
  Pulse pulse;
  Registrar registrar{store, {{.name = "in", .path = {}, .ignore = {}}}, false, mailbox, pulse};

  Recorder() { log::init(log::Level::kOff, log::Format::kText); }

  void hashed(int number) {
    Inspection inspection{.outcome = Inspection::Outcome::kHashed};
    inspection.identity.inode = static_cast<std::uint64_t>(number) + 1;
    registrar.record({.area = 0, .path = std::to_string(number), .inspection = inspection});
  }
};

}  // namespace

TEST_CASE_FIXTURE(Recorder,
                  "what comes while a group is written makes the next ones, 1000 at most") {
  store.close_gate();
  hashed(0);
  REQUIRE(store.somebody_waits());
  for (int i = 1; i <= 1'500; ++i) hashed(i);
  store.open_gate();
  registrar.finish();
  CHECK(store.groups() == 3);
  CHECK(registrar.inserted() == 1'501);
  CHECK(mailbox.take().finished.size() == 1'501);
}

TEST_CASE_FIXTURE(Recorder, "a single file does not wait for others") {
  hashed(0);
  registrar.finish();
  CHECK(store.groups() == 1);
}

TEST_CASE_FIXTURE(Recorder, "what cannot be registered is an error, and nothing more is tried") {
  store.fail(1, ErrorKind::kCorrupt);
  store.close_gate();
  hashed(0);
  REQUIRE(store.somebody_waits());
  hashed(1);
  store.open_gate();
  registrar.finish();
  CHECK(registrar.inserted() == 0);
  CHECK(mailbox.take().failure->error.kind == ErrorKind::kCorrupt);
}
