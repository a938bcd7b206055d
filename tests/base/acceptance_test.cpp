#include "ferry/base/acceptance.h"

#include <doctest/doctest.h>

#include "ferry/base/file.h"

using namespace ferry;
using std::chrono::milliseconds;

namespace {

std::string refusal(const AcceptancePolicy& policy, std::string_view path, std::uint64_t size,
                    std::string_view head = "") {
  return refusal_reason(policy, {path, size, as_bytes(head)}).value_or("");
}

}  // namespace

TEST_CASE("the default policy takes everything") {
  CHECK(refusal({}, "a", 0) == "");
  CHECK(refusal({}, "dir/b.csv", 1ULL << 40) == "");
}

TEST_CASE("sizes") {
  AcceptancePolicy policy;
  policy.min_size = 10;
  policy.max_size = 20;
  CHECK(refusal(policy, "a", 9) == "it has 9 bytes, less than min_size (10)");
  CHECK(refusal(policy, "a", 10) == "");
  CHECK(refusal(policy, "a", 20) == "");
  CHECK(refusal(policy, "a", 21) == "it has 21 bytes, more than max_size (20)");
}

TEST_CASE("empty files are the empty policy's matter alone") {
  AcceptancePolicy policy;
  policy.min_size = 10;
  policy.magic = {*MagicBytes::parse("00")};
  CHECK(refusal(policy, "a", 0) == "");
  policy.empty = EmptyFiles::kQuarantine;
  CHECK(refusal(policy, "a", 0) == "it is empty");
}

TEST_CASE("extensions") {
  AcceptancePolicy policy;
  policy.extensions = {"csv", ".tar.gz"};
  for (const char* name : {"a.csv", "in/b.CSV", "x.tar.gz", "a.b.csv"}) {
    CAPTURE(name);
    CHECK(refusal(policy, name, 1) == "");
  }
  for (const char* name : {"csv", ".csv", "a.csv/b", "acsv", "a.gz", "a.csv.exe"}) {
    CAPTURE(name);
    CHECK(refusal(policy, name, 1) == "its name ends with none of: csv, .tar.gz");
  }
}

TEST_CASE("magic bytes") {
  AcceptancePolicy policy;
  CHECK(magic_length(policy) == 0);
  policy.magic = {*MagicBytes::parse("504B0304"), *MagicBytes::parse("1f8b")};
  CHECK(magic_length(policy) == 4);
  CHECK(refusal(policy, "a", 9, "PK\x03\x04") == "");
  CHECK(refusal(policy, "a", 9, "\x1f\x8b..") == "");
  CHECK(refusal(policy, "a", 2, "PK") == "it starts with 504b, not with 504b0304 or 1f8b");
  CHECK(refusal(policy, "a", 99, "hello") ==
        "it starts with 68656c6c6f, not with 504b0304 or 1f8b");
}

TEST_CASE("magic bytes are read from hexadecimal digits") {
  CHECK(MagicBytes::parse("50Kb").error().kind == ErrorKind::kInvalid);
  for (const char* text : {"", "5", "504", "xx", "0x50", "+1", " 1"}) {
    CAPTURE(text);
    CHECK_FALSE(MagicBytes::parse(text));
  }
  CHECK(MagicBytes::parse("00fF")->to_string() == "00ff");
  CHECK_FALSE(MagicBytes::parse(std::string(2 * MagicBytes::kMostBytes + 2, '0')));
}

TEST_CASE("a file waits until it is old enough") {
  AcceptancePolicy policy;
  const Timestamp now{milliseconds(1'000'000)};
  CHECK(remaining_wait(policy.min_age, now, now) == milliseconds(0));
  policy.min_age = milliseconds(500);
  CHECK(remaining_wait(policy.min_age, now, now) == milliseconds(500));
  CHECK(remaining_wait(policy.min_age, now - milliseconds(200), now) == milliseconds(300));
  CHECK(remaining_wait(policy.min_age, now - milliseconds(900), now) == milliseconds(0));
  CHECK(remaining_wait(policy.min_age, now + milliseconds(400), now) == milliseconds(500));
  INFO("the clock was set back");
  CHECK(remaining_wait(policy.min_age, now + std::chrono::hours(24), now) == milliseconds(0));
}

TEST_CASE("a file is as old as the last change that is believed") {
  using std::chrono::nanoseconds;
  using std::chrono::seconds;
  const Timestamp now{seconds(1'000)};
  const auto age = [&](seconds modified, seconds changed) {
    return age_of_change(
        {.mtime_ns = nanoseconds(modified).count(), .ctime_ns = nanoseconds(changed).count()}, now);
  };
  CHECK(age(seconds(900), seconds(950)) == seconds(50));
  CHECK(age(seconds(950), seconds(900)) == seconds(50));
  INFO("mtime was set to the future");
  CHECK(age(seconds(2'000), seconds(900)) == seconds(100));
  INFO("a server tells no ctime");
  CHECK(age(seconds(900), seconds(0)) == seconds(100));
  CHECK(age(seconds(2'000), seconds(0)) == seconds(-1'000));
}
